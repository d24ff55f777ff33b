import pytest
import torch

from pspkit.course.explore.styles import State, StyleMixer
from pspkit.models.mobile_stylegan import MobileStyleGAN, Readout


@pytest.fixture
def mixer():
    torch.manual_seed(0)
    decoder = MobileStyleGAN(style_dim=16, n_mlp=1, channels=(16, 16, 16, 16, 16)).eval().requires_grad_(False)
    return StyleMixer(decoder, torch.randn(8, decoder.n_styles, 16))


def test_codes_are_mixed_in_the_range_alone(mixer):
    mixed = mixer.codes(State(1, 2, first=3, last=4, alpha=0.25))
    person, other = mixer.people[[1]], mixer.people[[2]]
    assert torch.equal(mixed[:, [0, 1, 2, 5, 6, 7, 8, 9]], person[:, [0, 1, 2, 5, 6, 7, 8, 9]])
    assert torch.allclose(mixed[:, 3:5], 0.25 * other[:, 3:5] + 0.75 * person[:, 3:5])
    assert torch.equal(mixer.codes(State(1, 2, first=5, last=4)), person)


def test_a_picture_is_decoded_once(mixer):
    first = mixer.picture(State(1, 2, last=9))
    mixer.decoder = None
    assert mixer.picture(State(1, 2, last=9)) is first


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State(1, 2, 7, 9), "Person 1 with codes 7 to 9 of person 2."),
        (State(1, 2, 7, 7, 0.5), "Person 1 with code 7 of person 2, 50% of the way."),
        (State(1, 2, 7, 6), "Person 1 as they are: nothing is taken from person 2."),
        (State(1, 2, 7, 9, 0.0), "Person 1 as they are: nothing is taken from person 2."),
    ],
)
def test_describe_says_what_is_mixed(mixer, state, words):
    assert mixer.describe(state) == words


def test_every_state_has_three_pictures(mixer):
    fig = mixer.render(State(1, 2, last=9), State(3, 3, last=9))
    titles = [text.get_text() for text in fig.texts]
    assert titles == ["person 1", "the mix", "person 2", "person 3", "the mix", "person 3"]
    assert len(fig.images) == 6


def test_the_row_below_a_picture_marks_whose_codes_are_taken(mixer):
    fig = mixer.render(State(1, 2, first=7, last=9))
    rows = [square.get_alpha() for square in fig.artists if square.get_alpha()]  # without the white ones behind
    assert rows == [1] * 7 + [0.2] * 3 + [1] * 10 + [0.2] * 7 + [1] * 3


def test_while_a_control_moves_the_mix_alone_is_drawn_and_roughly(mixer, monkeypatch):
    mixer.portrait(1), mixer.portrait(2)
    mixer.decoder.readouts["128"] = Readout(16)
    monkeypatch.setattr(mixer.decoder, "synthesis", None)
    monkeypatch.setattr(mixer.decoder, "features", lambda codes, side: torch.zeros(1, 16, side, side))
    state = State(1, 2, last=9, alpha=0.5)
    assert mixer.rough(state).shape == (3, 128, 128)
    assert len(mixer.preview(state).images) == 3


def test_every_control_changes_the_page(mixer):
    page = mixer.explore()
    person, other = page.children[:2]
    (first, first_box), (last, last_box), (alpha, alpha_box) = (row.children for row in page.children[2:5])
    html = page.children[5]
    for control, value in ((person, 1), (other, 2), (first, 3), (last, 5), (alpha, 0.5)):
        before = html.value
        control.value = value
        assert html.value != before
    assert "Person 1 with codes 3 to 5 of person 2, 50% of the way." in html.value
    assert (first_box.value, last_box.value, alpha_box.value) == (3, 5, 0.5)
    first_box.value = 4
    assert first.value == 4
    assert "codes 4 to 5" in html.value
