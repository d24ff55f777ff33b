"""Solutions of notebook 04."""


def factors(weight, style):
    return (style.square() @ weight.square().sum((2, 3)).T).rsqrt()


def codes(size):
    found = [0, 1]
    while size > 4:
        found += [found[-1], found[-1] + 1, found[-1] + 2]
        size //= 2
    return found


def truncate(w, average, psi):
    return average + psi * (w - average)
