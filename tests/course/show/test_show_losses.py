import torch

from pspkit.course.show import losses


def test_rankings_put_the_nearest_first_and_follow_each_picture():
    versions = {name: torch.full((3, 8, 8), value) for name, value in (("dark", -0.5), ("grey", 0.0), ("light", 0.5))}
    scores = {"L2": {"dark": 0.3, "grey": 0.1, "light": 0.2}, "LPIPS": {"dark": 0.0, "grey": 0.2, "light": 0.1}}
    fig = losses.rankings(versions, scores)
    titles = [text.get_text() for ax in fig.axes for text in ax.texts]
    assert titles == ["grey 0.100", "light 0.200", "dark 0.300", "dark 0.000", "light 0.100", "grey 0.200"]
    assert [text.get_text() for text in fig.texts] == ["L2", "LPIPS"]
    ends = [tuple(fig.axes.index(ax) for ax in (line.axesA, line.axesB)) for line in fig.artists]
    assert ends == [(2, 3), (1, 4), (0, 5)], "a line joins the same picture in both rows"


def test_a_wish_goes_against_the_gradient_and_is_grey_where_there_is_none():
    gradient = torch.zeros(3, 16, 16)
    gradient[:, :8] = 2.0
    wanted = losses.wish(gradient)
    assert torch.equal(wanted[:, :8], torch.full((3, 8, 16), -1.0))
    assert not wanted[:, 8:].any()


def test_a_loss_looks_where_its_gradient_is_large_whatever_its_sign():
    gradient = torch.zeros(3, 32, 32)
    gradient[:, :8], gradient[:, -8:] = 1.0, -1.0
    seen = losses.where(gradient).mean(0)
    assert torch.allclose(seen[0], seen[-1])
    assert seen[0].max() < seen[16].min() - 0.5, "dark for most"


def test_without_a_gradient_nothing_is_wanted():
    silent = torch.zeros(3, 16, 16)
    assert not losses.wish(silent).any()
    assert losses.where(silent).isfinite().all()


def test_gradients_show_output_target_and_two_pictures_a_loss():
    fig = losses.gradients(*torch.zeros(2, 3, 16, 16), {"L2": torch.ones(3, 16, 16), "LPIPS": torch.ones(3, 16, 16)})
    titles = [ax.get_title() for ax in fig.axes]
    assert titles == ["output", "L2: wish", "LPIPS: wish", "target", "L2: where", "LPIPS: where"]


def test_prices_mark_the_cheapest_picture_of_each_line():
    fig = losses.prices(torch.zeros(4, 3, 8, 8), (0, 0.5, 1, 2), {"free": [3, 2, 1], "dear": [1, 2, 3]})
    assert [ax.get_title() for ax in fig.axes[:4]] == ["0", "0.5", "1", "2"]
    _, cheapest, _, tamest = fig.axes[-1].lines
    assert (list(cheapest.get_xdata()), list(cheapest.get_ydata())) == ([2], [1])
    assert (list(tamest.get_xdata()), list(tamest.get_ydata())) == ([0], [1])
