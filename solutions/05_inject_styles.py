"""Solutions of notebook 05."""


def inject(codes, reference, layers, alpha):
    mixed, layers = codes.clone(), list(layers)
    mixed[:, layers] = alpha * reference[:, layers] + (1 - alpha) * codes[:, layers]
    return mixed


exchanged = {"pixels": "fine", "identity": "fine"}


def variants(codes, w):
    answers = codes.repeat(len(w), 1, 1)
    answers[:, 7:] = w[:, None]
    return answers
