"""Solutions of notebook 03."""

listens = {"tilted": "coarse", "another wall": "fine", "smiling": "none"}


def to_rows(x):
    if x.shape[2:] != (1, 1):
        raise ValueError(f"one cell must be left, not {tuple(x.shape[2:])}")
    return x.flatten(1)
