"""Solutions of notebook 01."""

depth_100 = {"weights": 1.7, "multiplications": 1.9}


def gates(x, squeeze, excite):
    return ((x.mean((2, 3)) @ squeeze.T).relu() @ excite.T).sigmoid()
