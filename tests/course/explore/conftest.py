from dataclasses import replace

import pytest
import torch

from pspkit.config import CONFIGS
from pspkit.data.tasks import get_task
from pspkit.models.encoders import Encoder
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP


@pytest.fixture
def make_psp():
    """From a task's name to an untrained model of it, 64 px in, 16 px out."""

    def make(task):
        torch.manual_seed(0)
        config = replace(CONFIGS["smoke"].encoder, input_nc=get_task(task).input_nc)
        return PSP(Encoder.from_config(config), Generator.from_config(CONFIGS["smoke"].decoder)).eval()

    return make
