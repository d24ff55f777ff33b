"""Solutions of notebook 00."""


def take(codes, other, first):
    mixed = codes.clone()
    mixed[:, first:] = other[:, first:]
    return mixed


recolour = range(7, 16)

costs = {"most": "middle", "least": "fine"}
