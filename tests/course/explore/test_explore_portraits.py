import pytest
import torch

from pspkit import PspkitError
from pspkit.course.explore.portraits import PortraitWalker, State
from pspkit.inference.directions.attributes import ATTRIBUTES
from pspkit.inference.edit import People
from pspkit.inference.paste import Placement
from pspkit.models.mobile_stylegan import MobileStyleGAN, Readout


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    decoder = MobileStyleGAN(style_dim=16, n_mlp=1, channels=(16,) * 7).eval().requires_grad_(False)
    decoder.readouts["128"] = Readout(16)
    return decoder


@pytest.fixture
def people(decoder):
    photo = Placement(torch.full((3, 64, 64), 200, dtype=torch.uint8))
    return People(decoder, torch.randn(2, decoder.n_styles, 16), [photo, None])


@pytest.fixture
def walker(people):
    ways = torch.randn(2, people.decoder.n_styles, 16, generator=torch.Generator().manual_seed(2))
    return PortraitWalker(people, ["Anna", "Berta"], {"smile": ways[0], "hair length": ways[1]})


def test_steps_add_up(walker):
    moved = walker.codes(State(1, smile=0.5, hair_length=-1.0, yaw=1.0))  # there is no yaw among its directions
    wanted = walker.people[1] + 0.5 * walker.directions["smile"] - walker.directions["hair length"]
    assert torch.allclose(moved[0], wanted, atol=1e-6)


def test_every_direction_of_faces_has_a_field():
    assert all(State().step(name) == 0 for name in ATTRIBUTES)


def test_a_photograph_stands_before_its_inversion(walker):
    assert walker.pictures[0].mean().item() == pytest.approx(200 / 127.5 - 1, abs=1e-3)
    assert torch.equal(walker.pictures[1], walker.starts[1])


def test_describe_names_the_steps(walker):
    said = walker.describe(State(0, smile=0.5, hair_length=-1.0))
    assert said == "Anna: smile +0.5 (smiling), hair length -1.0 (short hair)."
    assert walker.describe(State(1)).startswith("Berta: the photograph")


def test_the_preview_draws_the_moved_face_alone(walker, monkeypatch):
    monkeypatch.setattr(walker.decoder, "synthesis", None)
    assert len(walker.preview(State(1, smile=0.3)).images) == 3


def test_strip_moves_everybody(walker):
    html = walker.strip().data
    assert "Anna: smile +0.6" in html
    assert "Berta:" in html


def test_every_control_changes_the_page(walker):
    person, *sliders, html = walker.explore().children
    for control, value in zip((person, *(row.children[0] for row in sliders)), (1, -0.5, 1.0), strict=True):
        before = html.value
        control.value = value
        assert html.value != before
    assert "Berta: smile -0.5 (serious), hair length +1.0 (long hair)." in html.value


def test_what_does_not_fit_is_refused(people):
    way = torch.zeros(people.decoder.n_styles, 16)
    with pytest.raises(PspkitError, match="names: got 1, needs one for each of 2 people"):
        PortraitWalker(people, ["Anna"], {"smile": way})
    with pytest.raises(PspkitError, match="directions: got 'beard', needs some of yaw"):
        PortraitWalker(people, ["Anna", "Berta"], {"beard": way})
    with pytest.raises(PspkitError, match=r"smile: got .*Name the directions of this decoder"):
        PortraitWalker(people, ["Anna", "Berta"], {"smile": way[1:]})
