"""Solutions of notebook 08."""


def keep_known(source, result):
    picture, mask = source[:, :3], source[:, 3:]
    return picture * (1 - mask) + result * mask


def go_on(stopped, save_every):
    repeated = stopped % save_every
    return stopped - repeated, repeated


by_l2 = {"nearest": "predicted", "farthest": "one draw"}
