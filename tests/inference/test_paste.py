"""Faces put back into their photographs: where, how softly, in which colours, and nothing besides."""

import pytest
import torch
from torchvision.transforms.v2 import functional

from pspkit.data.alignment.finder import FaceFinder
from pspkit.data.labels import LABELS
from pspkit.data.pictures import open_picture
from pspkit.errors import AssetError, PspkitError
from pspkit.inference import paste
from pspkit.inference.paste import MASK_SIDE, Paster, Placement, face_mask, paste_back
from pspkit.models.faces.parser import load_face_parser
from tests.examples import SAMPLES


@pytest.fixture(scope="module")
def parser():
    return load_face_parser()


@pytest.fixture(scope="module")
def placement() -> Placement:
    photo = open_picture(SAMPLES / "collins.jpg").as_subclass(torch.Tensor)
    return Placement(photo, FaceFinder()(photo)[0])


@pytest.fixture(scope="module")
def other() -> torch.Tensor:
    """Another person's face."""
    picture = open_picture(SAMPLES / "face_1.jpg").as_subclass(torch.Tensor)
    return functional.resize(picture, [512, 512]) / 127.5 - 1


def changed(placement, pasted):
    return (pasted != placement.photo).any(0)


def region(placement, mask):
    """The pixels of the photograph that a mask (1, S, S) of the aligned picture reaches, a little more than less."""
    height, width = placement.photo.shape[1:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = (placement.parts(torch.stack([x, y], -1).float()) * mask.shape[-1]).floor().long()
    inside = ((places >= 0) & (places < mask.shape[-1])).all(-1)
    grown = torch.nn.functional.max_pool2d(mask, 7, 1, 3)[0] > 0
    places = places.clamp(0, mask.shape[-1] - 1)
    return inside & grown[places[..., 1], places[..., 0]]


@pytest.mark.parametrize("parsed", [True, False])
def test_only_the_face_is_replaced(placement, other, parser, parsed):
    parser = parser if parsed else None
    pasted = paste_back(placement, other, parser=parser)
    assert pasted.shape == placement.photo.shape and pasted.dtype == torch.uint8
    source = placement.cut(512) / 127.5 - 1
    reach = region(placement, face_mask(placement, source, other, None, parser))
    assert not (changed(placement, pasted) & ~reach).any()
    assert changed(placement, pasted)[reach].float().mean() > 0.8


def test_the_same_face_comes_back_to_its_place(placement, parser):
    aligned = placement.cut(1024) / 127.5 - 1
    pasted = paste_back(placement, aligned, parser=parser).float()
    difference = (pasted - placement.photo).abs().mean(0)
    assert difference[changed(placement, pasted.to(torch.uint8))].mean() < 4, "only what resampling blurs"
    moved = paste_back(placement, aligned.roll(40, 2), parser=parser).float()
    assert (moved - placement.photo).abs().sum() > 4 * (pasted - placement.photo).abs().sum()


def test_colours_are_matched_at_the_border(placement, parser):
    aligned = placement.cut(512) / 127.5 - 1
    plain = paste_back(placement, aligned, parser=parser).float()
    tinted = paste_back(placement, aligned + torch.tensor([0.2, -0.1, 0.1])[:, None, None], parser=parser).float()
    assert (tinted - plain).abs().mean(0)[changed(placement, plain.to(torch.uint8))].mean() < 5, "of 255; it was 17"


def test_an_edit_changes_what_it_was_asked_to(placement, other, parser):
    before = placement.cut(512) / 127.5 - 1
    after = before.clone()
    after[:, 340:400, 190:320] = other[:, 340:400, 190:320]  # the mouth
    pasted = paste_back(placement, after, before=before, parser=parser)
    places = changed(placement, pasted).nonzero().flip(1).float()
    parts = placement.parts(places)
    assert len(parts) > 200
    assert parts.amin(0)[0] > 0.3 and parts.amin(0)[1] > 0.58 and parts.amax(0)[0] < 0.7 and parts.amax(0)[1] < 0.87
    assert torch.equal(paste_back(placement, before, before=before, parser=parser), placement.photo)


def test_of_inpainting_the_hole_is_filled_and_nothing_else(placement, other):
    hole = torch.zeros(placement.photo.shape[1:], dtype=torch.bool)
    left, top = placement.face.points.mean(0).int().tolist()
    hole[top : top + 30, left - 10 : left + 20] = True
    pasted = paste_back(placement, other, missing=placement.cut_mask(hole, 512))
    grown = torch.nn.functional.max_pool2d(hole[None].float(), 5, 1, 2)[0] > 0
    assert not (changed(placement, pasted) & ~grown).any()
    assert changed(placement, pasted)[hole].float().mean() > 0.9


def test_an_aligned_picture_is_pasted_into_by_the_parser_alone(other, parser):
    photo = open_picture(SAMPLES / "collins_aligned.jpg").as_subclass(torch.Tensor)
    placement = Placement(photo)
    share = changed(placement, paste_back(placement, other, parser=parser)).float().mean()
    assert 0.1 < share < 0.6
    with pytest.raises(PspkitError, match="parser: none, and the picture was not aligned here"):
        paste_back(placement, other)


def test_a_face_at_the_border_is_pasted_as_far_as_the_photograph_goes(placement, other, parser):
    cut = placement.photo[:, :, 200:]
    (face,) = FaceFinder()(cut)
    here = Placement(cut, face)
    assert here.square[:, 0].min() < 0
    pasted = paste_back(here, other, parser=parser)
    assert pasted.shape == cut.shape and changed(here, pasted).any()


def test_of_two_faces_the_neighbour_is_left_alone(placement, other, parser):
    photo = placement.photo
    pair = torch.cat([photo[:, :300, 100:330], photo[:, :300, 100:330]], 2)
    left, right = sorted(FaceFinder()(pair), key=lambda face: face.points[:, 0].mean())
    here = Placement(pair, left)
    assert not changed(here, paste_back(here, other, parser=parser))[:, 230:].any()
    assert right.points[:, 0].min() > 230


def test_where_the_parser_cannot_be_had_the_outline_is_used_and_it_is_said(placement, other, monkeypatch):
    def fail():
        raise AssetError("face-parsing: no network.")

    monkeypatch.setattr(paste, "load_face_parser", fail)
    paster = Paster()
    assert "face parser cannot be had: face-parsing: no network." in paster.remarks[0]
    assert torch.equal(paster(placement, other), paste_back(placement, other))


def test_refusals(placement, other):
    with pytest.raises(PspkitError, match=r"picture: .*\(3, S, S\)"):
        paste_back(placement, other[None])
    with pytest.raises(PspkitError, match="before, missing: got both"):
        paste_back(placement, other, before=other, missing=torch.zeros(MASK_SIDE, MASK_SIDE))


class RedIsHair(torch.nn.Module):
    """A parser that takes what is red for hair, and everything else for background."""

    def __init__(self):
        super().__init__()
        self.parameter = torch.nn.Parameter(torch.zeros(()))

    def forward(self, pictures):
        red = pictures[:, 0] > 0
        scores = torch.zeros(len(pictures), len(LABELS), *red.shape[1:])
        scores[:, LABELS["hair"].number] = red.float()
        scores[:, LABELS["background"].number] = 1 - red.float()
        return scores


def test_where_a_head_was_the_photograph_s_background_goes_on():
    def scene(left, background):
        picture = torch.tensor(background)[:, None, None].expand(3, 256, 256).clone()
        picture[:, 80:180, left : left + 80] = torch.tensor([1.0, -1.0, -1.0])[:, None, None]
        return picture

    green, blue = (-1.0, 0.5, -1.0), (-1.0, -1.0, 0.5)
    photo = ((scene(60, green) + 1) * 127.5).round().to(torch.uint8)
    pasted = paste_back(Placement(photo), scene(120, blue), before=scene(60, blue), parser=RedIsHair())
    wanted = ((scene(120, green) + 1) * 127.5).round()
    difference = (pasted - wanted).abs().amax(0)
    assert difference[90:170, 70:110].max() < 8, "where the head was"
    assert difference[90:170, 130:190].max() < 8, "where it is"
    assert not difference[:60].any() and not difference[200:].any(), "everywhere else"
