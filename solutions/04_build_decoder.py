"""Solutions of notebook 04."""

share = 0.4


def codes(size):
    found = [0, 1]
    while size > 4:
        found += [found[-1], found[-1] + 1, found[-1] + 2]
        size //= 2
    return found
