"""Solutions of notebook 03."""


def convolutions(spatial):
    return 0 if spatial == 1 else 1 + convolutions(spatial // 2)


def name_of(style):
    return "coarse" if style < 3 else "middle" if style < 7 else "fine"


def to_rows(x):
    if x.shape[2:] != (1, 1):
        raise ValueError(f"one cell must be left, not {tuple(x.shape[2:])}")
    return x.flatten(1)
