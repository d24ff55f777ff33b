"""Solutions of notebook 01."""

from itertools import accumulate


def ends(units):
    return [total - 1 for total in accumulate(units)]


def gates(x, squeeze, excite):
    return ((x.mean((2, 3)) @ squeeze.T).relu() @ excite.T).sigmoid()
