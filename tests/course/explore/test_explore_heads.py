from dataclasses import asdict, fields

import pytest
import torch

from pspkit.course.explore import heads
from pspkit.course.explore.heads import State
from pspkit.data.heads import sample_factors


def test_a_state_sets_its_factors_and_leaves_the_person_all_others():
    state = State(5, hair_style="bob", yaw=33.0)
    found, own = heads.factors_of(state), sample_factors(6, heads.SEED)[5]
    everything = found.identity.as_dict(0) | found.scene.as_dict(0)
    for name, value in asdict(state).items():
        if name != "person":
            assert everything[name] == pytest.approx(value)
    assert torch.equal(found.person, own.person)
    for name in ("nose_width", "iris_colour", "chin_size"):
        assert torch.equal(getattr(found.identity, name), getattr(own.identity, name))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State(), "Person 0: brown hair (curls); turned 25° to the left, smiling."),
        (
            State(3, "bob", "teal", "goatee", "round", yaw=0.0, smile=-0.2, mouth_open=0.5),
            "Person 3: teal hair (bob), round glasses, a goatee; facing us, frowning, mouth open.",
        ),
        (State(yaw=10.0, smile=0.1), "Person 0: brown hair (curls); turned 10° to the right, calm."),
    ],
)
def test_describe_says_what_is_set(state, words):
    assert heads.describe(state) == words


def test_every_state_has_four_pictures():
    fig = heads.render(State(), State(1, glasses="square"))
    assert [text.get_text() for text in fig.texts] == ["as set", "its front view", "its toon look", "its label map"] * 2
    assert len(fig.images) == 8


def test_the_preview_has_the_picture_and_its_labels():
    fig = heads.preview(State())
    assert [text.get_text() for text in fig.texts] == ["as set", "its label map"]
    assert len(fig.images) == 2


def test_the_front_view_stays_while_the_head_turns():
    image, front, *_ = heads.pictures(State(yaw=-40.0, smile=0.9))
    turned, still, *_ = heads.pictures(State(yaw=40.0, smile=0.0))
    assert torch.equal(front, still)
    assert not torch.equal(image, turned)


def test_every_control_changes_the_page(monkeypatch):
    drawn = []
    blank = (*[torch.zeros(3, 4, 4)] * 3, torch.zeros(4, 4, dtype=torch.uint8))
    monkeypatch.setattr(heads, "pictures", lambda state: drawn.append(state) or blank)
    *controls, html = heads.explore().children
    names = [field.name for field in fields(State)]
    assert len(controls) == len(names)
    for name, control in zip(names, controls, strict=True):
        source = getattr(control, "value_source", control)
        new = source.options[-1] if hasattr(source, "options") else source.max
        source.value = new
        assert getattr(drawn[-1], name) == new
        assert new != getattr(State(), name)
    slider, box = controls[names.index("yaw")].children
    box.value = -11.0
    assert slider.value == -11.0
    assert "turned 11° to the left" in html.value
