"""Every kind of picture file that `data/PICTURES.md` promises something about."""

import os
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from pspkit import PspkitError
from pspkit.data import pictures
from pspkit.data.labels import LabelMap
from pspkit.data.pictures import (
    MAX_MEGAPIXELS,
    Budget,
    check_header,
    open_picture,
    picture_formats,
    save_picture,
    to_picture,
)
from pspkit.errors import shown

RED, WHITE = [255, 0, 0], [255, 255, 255]


def noise(side=64, channels=(3,)):
    return np.random.default_rng(0).integers(0, 256, (side, side, *channels), dtype=np.uint8)


def save(picture, path, **options):
    picture.save(path, **options)
    return path


def greyscale(at):
    return save(Image.new("L", (8, 8), 100), at / "a.png"), [[100] * 3] * 2


def one_bit(at):
    picture = Image.new("1", (8, 8), 0)
    picture.putpixel((7, 7), 1)
    return save(picture, at / "a.png"), [[0] * 3, WHITE]


def palette_picture(transparent=None):
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 255, 255, 0, 0, 9, 9, 9])
    picture.putpixel((7, 7), 0)
    if transparent is not None:
        picture.info["transparency"] = transparent
    return picture


def palette(at):
    return save(palette_picture(), at / "a.png"), [RED, [0, 0, 255]]


def palette_with_transparency(at):
    return save(palette_picture(transparent=0), at / "a.png", transparency=0), [RED, WHITE]


def alpha(at):
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 255))
    picture.putpixel((7, 7), (255, 0, 0, 0))
    return save(picture, at / "a.webp", lossless=True, exact=True), [RED, WHITE]


def greyscale_with_alpha(at):
    picture = Image.new("LA", (8, 8), (100, 255))
    picture.putpixel((7, 7), (100, 0))
    return save(picture, at / "a.png"), [[100] * 3, WHITE]


def cmyk(at):
    picture = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    picture.putpixel((7, 7), (0, 0, 0, 0))
    return save(picture, at / "a.tif"), [RED, WHITE]


def sixteen_bit(at):
    values = np.full((8, 8), 100 * 257, np.uint16)
    values[7, 7] = 65535
    return save(Image.fromarray(values), at / "a.png"), [[100] * 3, WHITE]


def float_within(at):
    values = np.full((8, 8), 0.2, np.float32)
    values[7, 7] = 1
    return save(Image.fromarray(values), at / "a.tif"), [[51] * 3, WHITE]


def exif_rotation(at):
    picture = Image.new("RGB", (8, 8), tuple(WHITE))
    picture.paste((255, 0, 0), (0, 4, 8, 8))  # red below; orientation 3 turns it above
    exif = Image.Exif()
    exif[0x0112] = 3
    return save(picture, at / "a.png", exif=exif), [RED, WHITE]


def animated(at):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    return save(frames[0], at / "a.gif", save_all=True, append_images=frames[1:]), [RED, RED]


PICTURES = {
    "greyscale": greyscale,
    "one bit": one_bit,
    "palette": palette,
    "palette with transparency": palette_with_transparency,
    "alpha": alpha,
    "greyscale with alpha": greyscale_with_alpha,
    "CMYK": cmyk,
    "16 bit": sixteen_bit,
    "32-bit float in [0, 1]": float_within,
    "EXIF rotation": exif_rotation,
    "animated": animated,
}


@pytest.mark.parametrize("kind", PICTURES)
def test_picture(kind, tmp_path):
    path, (first, last) = PICTURES[kind](tmp_path)
    check_header(path)
    picture = open_picture(path)
    assert isinstance(picture, tv_tensors.Image)
    assert picture.dtype == torch.uint8 and picture.shape == (3, 8, 8)
    assert [picture[:, 0, 0].tolist(), picture[:, 7, 7].tolist()] == [first, last]


def test_rotation_changes_height_and_width(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(Image.new("RGB", (8, 4)), tmp_path / "a.jpg", exif=exif)
    assert open_picture(path).shape == (3, 8, 4)


def float_beyond(at):
    return save(Image.fromarray(np.full((8, 8), 3.5, np.float32)), at / "a.tif"), "has values from 3.5 to 3.5"


def empty_file(at):
    path = at / "a.png"
    path.touch()
    return path, "it is empty"


def text_named_png(at):
    path = at / "a.png"
    path.write_text("<html>not found</html>")
    return path, "it is no picture that Pillow knows"


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def truncated_jpeg(at):
    return cut_in_half(save(Image.fromarray(noise()), at / "a.jpg")), "cannot be read, .*truncated"


def truncated_png(at):
    return cut_in_half(save(Image.fromarray(noise()), at / "a.png")), "cannot be read, .*truncated"


def damaged_png(at):
    path = save(Image.fromarray(noise()), at / "a.png")
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    return path, "cannot be read"


def huge_png(at, side):
    path = at / "a.png"
    chunks = (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b""))
    written = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(written))
    return path


def too_large(at):
    return huge_png(at, 9100), f"83 megapixels, and {MAX_MEGAPIXELS} is the most"


def link_to_nothing(at):
    path = at / "a.png"
    path.symlink_to(at / "gone.png")
    return path, "no such file"


def link_to_itself(at):
    path = at / "a.png"
    path.symlink_to(path)
    return path, "cannot be read, Too many levels of symbolic links"


def pipe(at):
    os.mkfifo(at / "a.png")
    return at / "a.png", "it is a pipe or a device, not a file"


def name_that_cannot_be_shown(at):
    path = at / "a\n\x1b[31m\udcff.png"
    save(Image.new("RGB", (8, 8)), at / "b.png").rename(path)
    return path, r"/a\\n\\x1b\[31m\\udcff\.png: its name holds characters"


UNUSABLE = {
    "32-bit float beyond [0, 1]": float_beyond,
    "empty file": empty_file,
    "text named .png": text_named_png,
    "truncated JPEG": truncated_jpeg,
    "truncated PNG": truncated_png,
    "damaged PNG": damaged_png,
    "too large": too_large,
    "link to nothing": link_to_nothing,
    "link to itself": link_to_itself,
    "pipe or device named .png": pipe,
    "line break, escape sequence or no UTF-8 in its name": name_that_cannot_be_shown,
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_unusable_picture_is_named(kind, tmp_path):
    path, reason = UNUSABLE[kind](tmp_path)
    with pytest.raises(PspkitError, match=reason) as raised:
        open_picture(path)
    assert shown(path) in str(raised.value)


def test_a_large_jpeg_is_decoded_at_half_its_size(tmp_path, monkeypatch):
    path = save(Image.fromarray(noise(8)).resize((200, 100)), tmp_path / "a.jpg")
    whole = open_picture(path)
    monkeypatch.setattr(pictures, "MAX_MEGAPIXELS", 0.01)
    monkeypatch.setattr(pictures, "MAX_HALVED", 0.02)
    half = open_picture(path)
    assert half.shape == (3, 50, 100)
    assert (half.float() - whole.float().unfold(1, 2, 2).unfold(2, 2, 2).mean((-1, -2))).abs().mean() < 3
    monkeypatch.setattr(pictures, "MAX_HALVED", 0.019)
    with pytest.raises(PspkitError, match=r"0 megapixels, and 0\.019 is the most"):
        open_picture(path)


@pytest.mark.parametrize("make", [alpha, sixteen_bit, cmyk, palette_with_transparency])
def test_strips_make_no_difference(make, tmp_path, monkeypatch):
    path, _ = make(tmp_path)
    whole = open_picture(path)
    monkeypatch.setattr(pictures, "STRIP", 24)  # three rows of eight
    assert torch.equal(open_picture(path), whole)


def test_threads_together_stay_below_the_bound():
    budget, now, most = Budget(10), [], []

    def work(amount):
        with budget.share(amount):
            now.append(amount)
            most.append(sum(now))
            time.sleep(0.002)
            now.remove(amount)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [3, 4, 9, 2, 12, 5, 1, 6] * 4))
    assert max(most) == 12 and sum(amount > 10 for amount in most) == 4  # one too large goes alone


def test_a_decompression_bomb_is_not_unpacked(tmp_path):
    with pytest.raises(PspkitError, match="far more than 40 megapixels"):
        check_header(huge_png(tmp_path, 50_000))


SKETCHES = {
    "coloured sketch": (Image.new("RGB", (8, 8), (255, 0, 0)), 76),
    "sketch with alpha": (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), 255),
}


@pytest.mark.parametrize("kind", SKETCHES)
def test_sketch(kind, tmp_path):
    picture, value = SKETCHES[kind]
    sketch = open_picture(save(picture, tmp_path / "a.png"), "sketch")
    assert sketch.shape == (1, 8, 8)
    assert sketch.unique().tolist() == [value]


CLASSES = (np.arange(64) % 19).astype(np.uint8).reshape(8, 8)


def label_palette():
    picture = Image.fromarray(CLASSES).convert("P")
    picture.putdata(CLASSES.flatten().tolist())
    picture.putpalette(list(noise(16).flatten()))
    return picture


LABEL_MAPS = {
    "label map, greyscale": lambda: Image.fromarray(CLASSES),
    "label map, palette": label_palette,
    "label map, 16 bit": lambda: Image.fromarray(CLASSES.astype(np.uint16)),
    "label map, RGB with equal channels": lambda: Image.fromarray(np.stack([CLASSES] * 3, -1)),
}


@pytest.mark.parametrize("kind", LABEL_MAPS)
def test_label_map(kind, tmp_path):
    labels = open_picture(save(LABEL_MAPS[kind](), tmp_path / "a.png"), "labels")
    assert isinstance(labels, LabelMap) and labels.dtype == torch.uint8
    assert np.array_equal(labels.numpy(), CLASSES)


BAD_LABEL_MAPS = {
    "label map, RGB in colours": (Image.new("RGB", (8, 8), (1, 2, 3)), "a.png", "a colour picture"),
    "label map, a number above 18": (
        Image.new("L", (8, 8), 19),
        "a.png",
        "the value 19; 19 classes are numbered 0 to 18",
    ),
    "label map, JPEG": (Image.new("L", (8, 8), 3), "a.jpg", "changes class numbers"),
}


@pytest.mark.parametrize("kind", BAD_LABEL_MAPS)
def test_bad_label_map_is_named(kind, tmp_path):
    picture, name, reason = BAD_LABEL_MAPS[kind]
    path = save(picture, tmp_path / name)
    with pytest.raises(PspkitError, match=reason) as raised:
        open_picture(path, "labels")
    assert str(path) in str(raised.value)


def test_tensors_are_taken_in_the_house_ranges():
    image = torch.rand(3, 8, 8) * 2 - 1
    assert torch.allclose(to_picture(image), (image + 1) / 2)
    assert torch.equal(to_picture(torch.ones(1, 8, 8), "sketch"), torch.ones(1, 8, 8))
    assert isinstance(to_picture(torch.zeros(8, 8, dtype=torch.int64), "labels"), LabelMap)
    assert to_picture(Image.new("L", (8, 8), 7)).shape == (3, 8, 8)
    with pytest.raises(PspkitError, match=r"picture: got \(1, 8, 8\), needs a PIL image or a tensor \(3, H, W\)"):
        to_picture(torch.zeros(1, 8, 8))
    with pytest.raises(PspkitError, match="picture: got str"):
        to_picture("face.png")
    with pytest.raises(PspkitError, match="kind: got 'photo'"):
        to_picture(image, "photo")


def test_formats_that_run_other_programs_are_left_out():
    assert {".png", ".jpg", ".webp", ".tif", ".bmp", ".gif"} <= set(picture_formats())
    assert not {".eps", ".ps", ".wmf", ".mpg"} & set(picture_formats())


@pytest.mark.parametrize(
    ("name", "picture_format", "tolerance"),
    [("a.png", "PNG", 0.5), ("a.PNG", "PNG", 0.5), ("b/a.jpg", "JPEG", 8), ("a.WebP", "WEBP", 8)],
)
def test_a_picture_is_saved_in_the_format_of_its_name(name, picture_format, tolerance, tmp_path):
    picture = torch.linspace(-1, 1, 16).expand(3, 16, 16)
    save_picture(tmp_path / name, picture)
    with Image.open(tmp_path / name) as file:
        assert file.format == picture_format
    assert (open_picture(tmp_path / name).float() - (picture + 1) * 127.5).abs().max() <= tolerance


def test_a_saved_picture_is_clamped(tmp_path):
    save_picture(tmp_path / "a.png", torch.tensor([-7.0, -1, 0, 1, 7]).expand(3, 2, 5))
    assert open_picture(tmp_path / "a.png")[0, 0].tolist() == [0, 0, 128, 255, 255]


def test_several_pictures_are_saved_side_by_side(tmp_path):
    save_picture(tmp_path / "a.png", torch.stack([torch.full((3, 4, 4), value) for value in (-1.0, 1.0)]))
    assert open_picture(tmp_path / "a.png")[0, 0].tolist() == [0] * 4 + [255] * 4


@pytest.mark.parametrize(
    ("name", "picture", "message"),
    [
        ("a", torch.zeros(3, 4, 4), "its name has no ending of a picture format"),
        ("a.psd", torch.zeros(3, 4, 4), "its name has no ending of a picture format"),
        ("a.png", torch.zeros(1, 4, 4), r"picture: got float32 of shape \(1, 4, 4\)"),
        ("a.png", torch.zeros(3, 4, 4, dtype=torch.uint8), "Convert it to float first"),
        ("a.png", Image.new("RGB", (4, 4)), "picture: got Image"),
    ],
)
def test_what_cannot_be_saved_as_a_picture(name, picture, message, tmp_path):
    with pytest.raises(PspkitError, match=message):
        save_picture(tmp_path / name, picture)
    assert list(tmp_path.iterdir()) == []
