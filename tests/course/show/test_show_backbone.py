import torch

from pspkit.course.show import backbone


def test_openings_put_every_head_beside_its_gates_and_the_most_open_channel_first():
    gates = torch.tensor([[0.1, 0.9, 0.4], [0.3, 0.7, 0.4]])
    networks = {"untrained": {"unit 1": torch.full((2, 3), 0.5)}, "trained": {"unit 1": gates}}
    fig = backbone.openings(torch.zeros(2, 3, 8, 8), networks)
    panels = [ax for ax in fig.axes if ax.get_title()]
    assert [panel.get_title() for panel in panels] == ["unit 1, 3 channels"] * 2
    assert len(fig.axes) - len(panels) == 2 * 2, "two heads beside each network"
    shown = panels[1].images[0]
    assert torch.allclose(torch.tensor(shown.get_array()), gates[:, [1, 2, 0]])
    assert shown.get_clim() == (0, 1), "one scale, so that panels can be compared"
