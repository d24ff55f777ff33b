import torch
from matplotlib.patches import Circle, FancyBboxPatch

from pspkit.course.show import COLOURS, decoder

DRIVES = {"conv1": 0, "to_rgb1": 1, "convs.0": 1, "convs.1": 2, "to_rgbs.0": 3}  # 8 px


def test_wiring_has_a_disc_for_every_code_and_a_box_for_every_modulation():
    patches = decoder.wiring(DRIVES).axes[0].patches
    assert sum(isinstance(patch, Circle) for patch in patches) == 4
    assert sum(isinstance(patch, FancyBboxPatch) for patch in patches) == len(DRIVES)


def test_wiring_names_the_sides_and_colours_the_levels():
    ax = decoder.wiring(DRIVES).axes[0]
    labels = [text.get_text() for text in ax.texts]
    assert {"4", "8", "conv", "up", "RGB"} <= set(labels)
    assert labels.count("RGB") == 2
    middle = [text for text in ax.texts if "middle" in text.get_text()]
    assert middle[0].get_color() == COLOURS["middle"]


def test_features_become_colours_whatever_the_random_state():
    features = torch.randn(16, 8, 8, generator=torch.Generator().manual_seed(0))
    colours = decoder.as_colours(features)
    assert colours.shape == (3, 8, 8)
    assert colours.abs().max() <= 1
    torch.rand(1)
    assert torch.equal(colours, decoder.as_colours(features))


def test_colours_show_the_strongest_direction():
    features = 0.01 * torch.randn(6, 4, 4, generator=torch.Generator().manual_seed(0))
    features[2, :, 2:] += 5  # one channel tells left from right
    red = decoder.as_colours(features)[0]
    assert (red[:, 2:].mean() - red[:, :2].mean()).abs() > 0.5


def test_spaces_fit_z_and_w_of_any_size():
    z = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    axes = decoder.spaces(z, z * torch.linspace(0.1, 3, 32), second=10).axes
    shares = [line.get_ydata() for line in axes[2].lines]
    assert shares[1][0] > shares[0][0], "the uneven cloud has the wider first direction"
