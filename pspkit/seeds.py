"""Seeds for what is random, from what it is random for: a step, an epoch, an item."""

import numpy as np


def seed_of(*numbers: int) -> int:
    """A seed for `torch.Generator.manual_seed`; other numbers, not negative, give an unrelated one."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
