"""Seeds that follow from numbers, such as those of a step, an epoch or an item."""

import numpy as np


def seed_of(*numbers: int) -> int:
    """Returns a seed for `torch.Generator.manual_seed`.

    Args:
        numbers: whole and not negative; different numbers give unrelated seeds.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
