"""Inference: what is written under which name, what is left out and why, and codes that draw the same again."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch.nn.functional import adaptive_avg_pool2d
from torchvision import tv_tensors

from pspkit import PspkitError
from pspkit.config import CONFIGS
from pspkit.data.heads import render, sample_factors
from pspkit.data.labels import LabelMap, from_face_parser, palette
from pspkit.data.pictures import open_picture, save_labels, to_picture
from pspkit.data.tasks import get_task
from pspkit.data.tasks.transforms import from_square, to_square
from pspkit.domains import Domain, get_domain
from pspkit.inference import (
    decode_files,
    encode_file,
    find_decoder,
    find_parts,
    find_psp,
    load_w_plus,
    parse_layers,
    project_file,
    translate,
)
from pspkit.inference.evaluation import decode
from pspkit.inference.inputs import PHOTOGRAPH, remark_on_photographs
from pspkit.losses.identity import IdentityLoss
from pspkit.models.encoders import Encoder
from pspkit.models.mobile_facenet import load_mobile_facenet
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP, load_encoder
from pspkit.storage.checkpoints import load_codes, save_codes
from tests.examples import SAMPLES, make_psp, write_photo


@pytest.fixture(scope="module")
def psp():
    return make_psp()


def pixels(path):
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.array(picture).astype(int)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


class TestNames:
    def test_folders_keep_their_shape_and_files_their_names(self, psp, tmp_path):
        for number, name in enumerate(("a/x/one.png", "a/two.v2.JPG", "a/.hidden.png", "b/three.bmp")):
            write_photo(tmp_path / name, number)
        (tmp_path / "a/notes.txt").write_text("no picture")
        out = tmp_path / "out"
        summary = translate(psp, [tmp_path / "a", tmp_path / "b/three.bmp"], out, task="encode")
        assert names(out) == ["three.png", "two.v2.png", "x/one.png"]
        assert sorted(summary.written) == [out / "three.png", out / "two.v2.png", out / "x/one.png"]
        assert str(summary) == "3 files written"
        assert pixels(out / "three.png").shape == (16, 16, 3)

    def test_an_answer_is_the_models_whatever_shares_its_batch(self, psp, tmp_path):
        for number in range(5):
            write_photo(tmp_path / f"in/{number}.png", number)
        (tmp_path / "in/2.png").write_bytes(b"bad")  # so that a batch in the middle is smaller, and the last one too
        summary = translate(psp, [tmp_path / "in"], tmp_path / "out", task="encode", batch=2)
        assert names(tmp_path / "out") == ["0.png", "1.png", "3.png", "4.png"]
        assert list(summary.failed) == [tmp_path / "in/2.png"]
        for name in names(tmp_path / "out"):
            with torch.no_grad(), Image.open(tmp_path / "in" / name) as picture:
                answer = psp(get_task("encode").inference_source(picture, 64)[None])[0]
            expected = (answer.clamp(-1, 1) + 1) * 127.5
            assert np.abs(pixels(tmp_path / "out" / name) - expected.movedim(0, -1).numpy()).max() < 1

    def test_a_model_in_training_mode_answers_as_in_evaluation(self, psp, tmp_path):
        given = write_photo(tmp_path / "a.png")
        translate(psp, [given], tmp_path / "out", task="encode")
        translate(psp.train(), [given, write_photo(tmp_path / "b.png", 1)], tmp_path / "again", task="encode")
        assert not psp.training
        assert np.abs(pixels(tmp_path / "out/a.png") - pixels(tmp_path / "again/a.png")).max() <= 1

    def test_results_are_left_alone_unless_told(self, psp, tmp_path):
        write_photo(tmp_path / "in/a.png")
        write_photo(tmp_path / "in/b.png", 1)
        write_photo(tmp_path / "out/a.png", 2)
        before = (tmp_path / "out/a.png").read_bytes()
        summary = translate(psp, [tmp_path / "in"], tmp_path / "out", task="encode")
        assert (tmp_path / "out/a.png").read_bytes() == before
        assert summary.existing == [tmp_path / "in/a.png"]
        assert "1 input skipped, the results are there already: " in str(summary)
        summary = translate(psp, [tmp_path / "in"], tmp_path / "out", task="encode", overwrite=True)
        assert len(summary.written) == 2
        assert (tmp_path / "out/a.png").read_bytes() != before

    def test_only_what_is_missing_is_added(self, psp, tmp_path):
        given = write_photo(tmp_path / "a.png")
        translate(psp, [given], tmp_path / "out", task="encode")
        summary = translate(psp, str(given), tmp_path / "out", task="encode", save_codes=True)
        assert summary.written == [tmp_path / "out/a.safetensors"]

    def test_a_file_given_twice_is_translated_once(self, psp, tmp_path):
        given = write_photo(tmp_path / "in/a.png")
        link = tmp_path / "a.jpg"
        os.symlink(given, link)
        summary = translate(psp, [given, tmp_path / "in", link], tmp_path / "out", task="encode")
        assert summary.written == [tmp_path / "out/a.png"]

    @pytest.mark.parametrize("others", [("a.jpg", "b/a.png"), ("a.jpg", "a.webp")])
    def test_two_inputs_of_one_result_are_refused(self, others, psp, tmp_path):
        first, second = (write_photo(tmp_path / name, number) for number, name in enumerate(others))
        with pytest.raises(PspkitError, match=rf"{first} and {second} would both become .*out/a.png. Rename one"):
            translate(psp, [first, second], tmp_path / "out", task="encode")
        assert not (tmp_path / "out").exists()

    def test_an_input_is_never_replaced(self, psp, tmp_path):
        given = [write_photo(tmp_path / "a.png"), write_photo(tmp_path / "a-1.png", 1)]
        before = [path.read_bytes() for path in given]
        for variants, name in ((0, "a"), (1, "a-1")):
            with pytest.raises(PspkitError, match=rf"/{name}.png: is an input, and a result would replace it"):
                translate(psp, given, tmp_path, task="encode", variants=variants, overwrite=True)
        assert [path.read_bytes() for path in given] == before

    def test_results_do_not_go_where_inputs_are_searched(self, psp, tmp_path):
        write_photo(tmp_path / "a.png")
        with pytest.raises(PspkitError, match=r"out: lies in .*, so that a second run would take results for inputs"):
            translate(psp, [tmp_path], tmp_path / "out", task="encode")

    def test_a_file_is_no_folder_for_results(self, psp, tmp_path):
        given = write_photo(tmp_path / "a.png")
        with pytest.raises(PspkitError, match=r"a.png: is a file, and the results need a folder"):
            translate(psp, [given], given, task="encode")


class TestWhatIsLeftOut:
    def test_bad_files_do_not_stop_the_rest(self, psp, tmp_path):
        write_photo(tmp_path / "in/good.png")
        cut = write_photo(tmp_path / "in/cut.jpg", 1)
        cut.write_bytes(cut.read_bytes()[:400])
        (tmp_path / "in/empty.png").touch()
        (tmp_path / "none").mkdir()
        given = [tmp_path / "in", tmp_path / "missing.png", tmp_path / "none"]
        summary = translate(psp, given, tmp_path / "out", task="encode")
        assert names(tmp_path / "out") == ["good.png"]
        reasons = {path.name: reason for path, reason in summary.failed.items()}
        assert reasons.keys() == {"cut.jpg", "empty.png", "missing.png", "none"}
        assert "cannot be read" in reasons["cut.jpg"]
        assert "it is empty" in reasons["empty.png"]
        assert "no such file" in reasons["missing.png"]
        assert "it holds no pictures" in reasons["none"]
        assert "4 inputs left out:" in str(summary)

    def test_wrong_labels_are_named(self, tmp_path):
        Image.new("L", (64, 64), 13).save(tmp_path / "good.png")
        Image.new("L", (64, 64), 77).save(tmp_path / "high.png")
        write_photo(tmp_path / "photo.png")
        write_photo(tmp_path / "map.jpg")
        given = [tmp_path / name for name in ("good.png", "high.png", "photo.png", "map.jpg")]
        summary = translate(make_psp("segmentation"), given, tmp_path / "out", task="segmentation")
        assert summary.written == [tmp_path / "out/good.png"]
        assert "77" in summary.failed[tmp_path / "high.png"]
        assert "a colour picture" in summary.failed[tmp_path / "photo.png"]
        assert "a label map stored as JPEG" in summary.failed[tmp_path / "map.jpg"]

    def test_a_result_that_cannot_be_written(self, psp, tmp_path):
        given = [write_photo(tmp_path / "in/sub/a.png"), write_photo(tmp_path / "in/b.png", 1)]
        (tmp_path / "out").mkdir()
        (tmp_path / "out/sub").touch()  # where a folder would have to be
        summary = translate(psp, [tmp_path / "in"], tmp_path / "out", task="encode")
        assert list(summary.failed) == [given[0]]
        assert "could not be written" in summary.failed[given[0]]
        assert summary.written == [tmp_path / "out/b.png"]


class TestRemarks:
    def remarks(self, task, path, tmp_path, **options):
        summary = translate(make_psp(task), [path], tmp_path / "out", task=task, **options)
        assert len(summary.written) == 1
        assert all(paths == [path] for paths in summary.remarks.values())
        assert all(text in str(summary) for text in summary.remarks)
        return " | ".join(summary.remarks)

    def test_a_usual_picture_has_none(self, tmp_path):
        assert self.remarks("encode", write_photo(tmp_path / "a.png"), tmp_path) == ""

    def test_not_square(self, tmp_path):
        assert "not square" in self.remarks("encode", write_photo(tmp_path / "a.png", side=(100, 64)), tmp_path)

    def test_small(self, tmp_path):
        assert "less than half the model's 64 px" in self.remarks(
            "encode", write_photo(tmp_path / "a.png", side=24), tmp_path
        )

    def test_small_is_what_super_resolution_is_for(self, tmp_path):
        assert self.remarks("super_resolution", write_photo(tmp_path / "a.png", side=24), tmp_path) == ""

    def test_label_map_for_a_photograph(self, tmp_path):
        Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64) % 19).save(tmp_path / "a.png")
        assert "at most 19 colours, as in a label map" in self.remarks("encode", tmp_path / "a.png", tmp_path)

    def test_photograph_for_a_sketch(self, tmp_path):
        assert "in colour, where a sketch" in self.remarks("sketch", write_photo(tmp_path / "a.png"), tmp_path)

    def test_a_grey_photograph_for_a_sketch(self, tmp_path):
        write_photo(tmp_path / "colour.png")
        with Image.open(tmp_path / "colour.png") as picture:
            picture.convert("L").convert("RGB").save(tmp_path / "a.png")
        assert "grey all over, as a photograph is" in self.remarks("sketch", tmp_path / "a.png", tmp_path)

    @pytest.mark.parametrize(
        ("paper", "ink", "remark"),
        [("white", "black", ""), ("black", "white", "light lines on dark"), ("white", "white", "nothing on it")],
    )
    def test_sketches(self, paper, ink, remark, tmp_path):
        picture = Image.new("RGB", (64, 64), paper)
        ImageDraw.Draw(picture).ellipse((8, 8, 56, 56), outline=ink, width=2)
        picture.save(tmp_path / "a.png")
        found = self.remarks("sketch", tmp_path / "a.png", tmp_path)
        assert (remark in found) if remark else not found

    def test_colour_for_a_grey_task(self, tmp_path):
        assert "only the brightness" in self.remarks("colorize", write_photo(tmp_path / "a.png"), tmp_path)

    def test_an_empty_sheet(self, tmp_path):
        Image.new("RGB", (64, 64), "grey").save(tmp_path / "a.png")
        assert "nothing on it" in self.remarks("encode", tmp_path / "a.png", tmp_path)

    @pytest.mark.parametrize(
        ("colour", "remark"), [("black", "no white, so nothing is missing"), ("white", "all over")]
    )
    def test_masks_that_hide_nothing_or_everything(self, colour, remark, tmp_path):
        Image.new("L", (64, 64), colour).save(tmp_path / "mask.png")
        found = self.remarks("inpaint", write_photo(tmp_path / "a.png"), tmp_path, mask=tmp_path / "mask.png")
        assert remark in found

    def test_an_animated_picture(self, tmp_path):
        frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green", "blue")]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
        assert "only the first of 3 frames is used" in self.remarks("encode", tmp_path / "a.gif", tmp_path)

    def test_a_label_map_in_the_order_of_face_parsers(self, tmp_path):
        labels = render(sample_factors(1, seed=3), 64).labels[0]
        order = torch.empty(19, dtype=torch.uint8)
        order[from_face_parser(torch.arange(19)).long()] = torch.arange(19, dtype=torch.uint8)
        save_labels(tmp_path / "a.png", labels)
        assert self.remarks("segmentation", tmp_path / "a.png", tmp_path) == ""
        save_labels(tmp_path / "b.png", order[labels.long()])
        assert "convert it with `pspkit labels --label-order parser`" in self.remarks(
            "segmentation", tmp_path / "b.png", tmp_path
        )

    def test_photographs_given_to_the_model_of_heads(self):
        heads = render(sample_factors(4, seed=3), 64).image
        pictures = [to_picture(head) for head in heads]
        pictures = [
            picture if picture.dtype == torch.uint8 else (picture * 255).to(torch.uint8) for picture in pictures
        ]
        assert not any(map(remark_on_photographs, pictures))
        assert remark_on_photographs(open_picture(SAMPLES / "face_3.jpg")) == [PHOTOGRAPH]

    def test_a_hundred_equal_complaints_are_one_line(self, psp, tmp_path):
        write_photo(tmp_path / "in/good.png")
        for number in range(100):
            (tmp_path / f"in/{number:03}.png").write_bytes(b"text")
        text = str(translate(psp, [tmp_path / "in"], tmp_path / "out"))
        assert text.count("it is no picture that Pillow knows") == 1
        assert "100 files: cannot be read, it is no picture" in text
        assert f"({tmp_path}/in/000.png, {tmp_path}/in/001.png, {tmp_path}/in/002.png and 97 more)" in text

    def test_files_of_formats_that_are_not_read_are_counted(self, psp, tmp_path):
        write_photo(tmp_path / "in/good.png")
        for name in ("a.HEIC", "b.heic", "c.cr2", "d.mp4", "note.txt", ".hidden.heic"):
            (tmp_path / "in" / name).touch()
        text = str(translate(psp, [tmp_path / "in"], tmp_path / "out"))
        assert "left out, because their formats are not read: 2 .heic, 1 .cr2, 1 .mp4. Convert them" in text


class TestFit:
    """The decoder's pictures have 16 px a side; a source of 96 x 64 has two thirds of that as its height."""

    @pytest.mark.parametrize(
        ("fit", "shape"), [(None, (16, 16)), ("pad", (11, 16)), ("crop", (16, 16)), ("stretch", (11, 16))]
    )
    def test_what_is_done_to_the_source_is_undone_on_the_answer(self, fit, shape, psp, tmp_path):
        summary = translate(psp, [write_photo(tmp_path / "a.png", side=(96, 64))], tmp_path / "out", fit=fit)
        assert pixels(tmp_path / "out/a.png").shape == (*shape, 3)
        assert bool(summary.remarks) == (fit is None)

    def test_a_strip_has_the_sources_shape(self, psp, tmp_path):
        source = write_photo(tmp_path / "a.png", side=(64, 96))
        translate(psp, [source], tmp_path / "out", fit="pad", side_by_side=True)
        assert pixels(tmp_path / "out/a.png").shape == (16, 22, 3)

    def test_padding_crops_back_what_was_there(self):
        picture = tv_tensors.Image(torch.rand(3, 40, 64))
        square = to_square(picture, "pad")
        assert square.shape == (3, 64, 64)
        assert torch.equal(
            from_square(square, 40, 64, "pad").as_subclass(torch.Tensor), picture.as_subclass(torch.Tensor)
        )
        labels = to_square(LabelMap(torch.ones(40, 64, dtype=torch.uint8)), "pad")
        assert isinstance(labels, LabelMap) and labels.shape == (64, 64) and not labels[0].any()
        assert to_square(tv_tensors.Image(torch.zeros(1, 40, 64)), "pad")[0, 0, 0] == 1  # paper

    def test_an_unknown_way_is_refused(self, psp, tmp_path):
        with pytest.raises(PspkitError, match="fit: got 'squash', needs one of None, 'pad', 'crop', 'stretch'"):
            translate(psp, [write_photo(tmp_path / "a.png")], tmp_path / "out", fit="squash")


class TestLegend:
    def test_what_is_drawn_from_a_map_is_shown_with_its_legend(self, tmp_path):
        save_labels(tmp_path / "a.png", torch.arange(64 * 64, dtype=torch.int64).reshape(64, 64).remainder(19).byte())
        translate(
            make_psp("segmentation"), [tmp_path / "a.png"], tmp_path / "out", task="segmentation", side_by_side=True
        )
        strip = pixels(tmp_path / "out/a.png")
        assert strip.shape == (256, 3 * 256, 3)
        legend = {tuple(colour) for colour in strip[:, :256].reshape(-1, 3)}
        assert {tuple(colour) for colour in palette().tolist()} <= legend


class TestReStyle:
    @pytest.fixture
    def restyle(self):
        config = CONFIGS["smoke"]
        torch.manual_seed(0)
        config = replace(config, encoder=replace(config.encoder, kind="last_map", input_nc=6), iterations=3)
        return PSP.from_config(config).eval()

    def test_its_last_answer_is_written_and_all_are_shown_side_by_side(self, restyle, tmp_path):
        source = write_photo(tmp_path / "a.png")
        translate(restyle, [source], tmp_path / "out", iterations=4)
        translate(restyle, [source], tmp_path / "strip", iterations=4, side_by_side=True, save_codes=True)
        strip = pixels(tmp_path / "strip/a.png")
        assert strip.shape == (16, 16 * 5, 3)
        assert abs(strip[:, -16:] - pixels(tmp_path / "out/a.png")).max() <= 1
        x = get_task("encode").inference_source(open_picture(source), 64)[None]
        with torch.no_grad():
            torch.testing.assert_close(load_codes(tmp_path / "strip/a.safetensors"), restyle.iterate(x, 4)[:, -1])

    def test_iterations_are_for_restyle(self, psp, restyle, tmp_path):
        source = write_photo(tmp_path / "a.png")
        with pytest.raises(PspkitError, match="iterations: the model is no ReStyle"):
            translate(psp, [source], tmp_path / "out", iterations=2)
        with pytest.raises(PspkitError, match="iterations: got 0, needs at least 1"):
            translate(restyle, [source], tmp_path / "out", iterations=0)


class TestOptions:
    def test_factor_changes_the_answer(self, tmp_path):
        given, psp = write_photo(tmp_path / "a.png"), make_psp("super_resolution")
        translate(psp, [given], tmp_path / "one", task="super_resolution")
        translate(psp, [given], tmp_path / "eight", task="super_resolution", factor=8, side_by_side=True)
        source = pixels(tmp_path / "eight/a.png")[:, :16]
        with Image.open(given) as picture:
            small = np.array(picture.resize((16, 16), Image.Resampling.BOX)).astype(int)
        assert np.abs(source - small).mean() > 10  # eight points a side are left of it
        assert (pixels(tmp_path / "eight/a.png")[:, 16:] != pixels(tmp_path / "one/a.png")).any()

    @pytest.mark.parametrize(
        ("task", "options", "message"),
        [
            ("encode", {"factor": 4}, r"factor: got 4, but encode has none"),
            ("encode", {"mask": "half"}, r"mask: got 'half', but encode has none"),
            ("super_resolution", {"factor": 0}, r"factor: got 0, needs a whole number from 1 to"),
            ("inpaint", {}, r"mask: none, and inpaint has to know what is missing"),
            ("inpaint", {"mask": "nowhere.png"}, r"nowhere.png: no such file"),
            ("encode", {"batch": 0}, r"batch: got 0, needs at least 1"),
            ("encode", {"variants": -1}, r"variants: got -1, needs at least 0"),
            ("encode", {"seed": -1}, r"seed: got -1, needs at least 0"),
            ("encode", {"layers": "7"}, r"layers: got '7'"),
            ("paint", {}, r"task: got 'paint', needs one of 'encode'"),
        ],
    )
    def test_refusals(self, task, options, message, tmp_path):
        given = write_photo(tmp_path / "a.png")
        with pytest.raises(PspkitError, match=message):
            translate(make_psp("encode" if task == "paint" else task), [given], tmp_path / "out", task=task, **options)
        assert not (tmp_path / "out").exists()

    def test_another_tasks_model(self, psp, tmp_path):
        with pytest.raises(PspkitError, match=r"sketch gives 1 channels, but the model takes 3. Name the task"):
            translate(psp, [write_photo(tmp_path / "a.png")], tmp_path / "out", task="sketch")

    def test_one_mask_for_all(self, tmp_path):
        Image.fromarray(np.repeat([[0, 255]], 32, 1).repeat(64, 0).astype(np.uint8)).save(tmp_path / "mask.png")
        given = [write_photo(tmp_path / "in/a.png"), write_photo(tmp_path / "in/b.png", 1)]
        options = {"task": "inpaint", "mask": tmp_path / "mask.png"}
        psp = make_psp("inpaint")
        translate(psp, given, tmp_path / "out", **options)
        for path in given:  # what is hidden cannot matter
            with Image.open(path) as picture:
                picture.paste((9, 200, 9), (32, 0, 64, 64))
                picture.save(path)
        translate(psp, given, tmp_path / "again", **options)
        for name in ("a.png", "b.png"):
            assert np.array_equal(pixels(tmp_path / "out" / name), pixels(tmp_path / "again" / name))

    def test_a_folder_of_masks(self, tmp_path):
        for number, name in enumerate(("x/a", "b")):
            write_photo(tmp_path / f"in/{name}.jpg", number)
        (tmp_path / "masks/x").mkdir(parents=True)
        Image.new("1", (64, 64), 1).save(tmp_path / "masks/x/a.png")
        summary = translate(
            make_psp("inpaint"), [tmp_path / "in"], tmp_path / "out", task="inpaint", mask=tmp_path / "masks"
        )
        assert summary.written == [tmp_path / "out/x/a.png"]
        assert "no mask of its name in" in summary.failed[tmp_path / "in/b.jpg"]
        assert "Add b.png" in summary.failed[tmp_path / "in/b.jpg"]

    def test_a_mask_drawn_by_name_follows_the_seed(self, tmp_path):
        given, psp = write_photo(tmp_path / "a.png"), make_psp("inpaint")
        sources = []
        for out, seed in (("one", 0), ("same", 0), ("other", 5)):
            translate(psp, [given], tmp_path / out, task="inpaint", mask="rectangles", seed=seed, side_by_side=True)
            sources.append(pixels(tmp_path / out / "a.png")[:, :16])
        assert np.array_equal(sources[0], sources[1])
        assert not np.array_equal(sources[0], sources[2])


class TestVariants:
    def test_they_follow_the_seed_and_nothing_else(self, psp, tmp_path):
        given = [write_photo(tmp_path / "a.png"), write_photo(tmp_path / "b.png", 1)]
        translate(psp, given, tmp_path / "out", task="encode", variants=2, seed=1)
        translate(psp, given[1:], tmp_path / "alone", task="encode", variants=3, seed=1, batch=1)
        translate(psp, given[1:], tmp_path / "other", task="encode", variants=2, seed=2)
        assert names(tmp_path / "out") == [f"{name}-{number}.png" for name in "ab" for number in range(3)]
        for number in range(3):
            alone = pixels(tmp_path / f"alone/b-{number}.png")
            assert np.abs(pixels(tmp_path / f"out/b-{number}.png") - alone).max() <= 1
        answers = [pixels(tmp_path / f"out/b-{number}.png") for number in range(3)]
        assert np.abs(answers[0] - answers[1]).max() > 1
        assert np.abs(answers[1] - answers[2]).max() > 1
        assert np.abs(pixels(tmp_path / "other/b-1.png") - answers[1]).max() > 1

    def test_only_the_layers_change_and_alpha_says_how_far(self, psp, tmp_path):
        given, options = write_photo(tmp_path / "a.png"), {"task": "encode", "variants": 1, "save_codes": True}
        codes = []
        for alpha in (1.0, 0.5):
            out = tmp_path / str(alpha)
            translate(psp, [given], out, layers="1,4-5", alpha=alpha, **options)
            codes.append(load_codes(out / "a.safetensors"))
        own, full, half = codes[0][0], codes[0][1], codes[1][1]
        assert [layer for layer in range(6) if not torch.equal(own[layer], full[layer])] == [1, 4, 5]
        torch.testing.assert_close(half, (own + full) / 2)

    def test_side_by_side_holds_source_and_answers(self, psp, tmp_path):
        given = write_photo(tmp_path / "a.png", side=16)
        translate(psp, [given], tmp_path / "out", task="encode", variants=2)
        translate(psp, [given], tmp_path / "sheet", task="encode", variants=2, side_by_side=True)
        assert names(tmp_path / "sheet") == ["a.png"]
        source, *answers = np.split(pixels(tmp_path / "sheet/a.png"), 4, 1)
        assert np.abs(source - pixels(given)).mean() < 20
        for number, answer in enumerate(answers):
            assert np.abs(answer - pixels(tmp_path / f"out/a-{number}.png")).max() <= 1


class TestCodes:
    def test_saved_codes_draw_the_same_pictures(self, psp, tmp_path):
        given = [write_photo(tmp_path / "a.png"), write_photo(tmp_path / "b.png", 1)]
        translate(psp, given, tmp_path / "out", task="encode", variants=2, save_codes=True)
        files = [tmp_path / "out/a.safetensors", tmp_path / "out/b.safetensors"]
        decode_files(psp.decoder, files, tmp_path / "again", batch=2)
        assert names(tmp_path / "again") == [f"{name}-{number}.png" for name in "ab" for number in range(3)]
        for name in names(tmp_path / "again"):
            assert np.abs(pixels(tmp_path / "again" / name) - pixels(tmp_path / "out" / name)).max() <= 1

    def test_one_row_of_many_and_what_cannot_be_drawn(self, psp, tmp_path):
        codes = tmp_path / "codes.safetensors"
        save_codes(codes, torch.randn(3, 64), "w")
        save_codes(tmp_path / "other.safetensors", torch.randn(1, 16, 512), "w_plus")
        (tmp_path / "broken.safetensors").write_bytes(b"nothing")
        psp.save_pretrained(tmp_path / "model")
        bad = [f"{codes}:7", tmp_path / "other.safetensors", tmp_path / "broken.safetensors"]
        bad.append(tmp_path / "model/model.safetensors")
        summary = decode_files(psp.decoder, [f"{codes}:1", *bad], tmp_path / "out")
        assert summary.written == [tmp_path / "out/codes-1.png"]
        reasons = list(summary.failed.values())
        assert "has rows 0 to 2, and no row 7" in reasons[0]
        assert "codes of shape (16, 512), but the decoder takes 6 of 64" in reasons[1]
        assert "neither a PyTorch nor a safetensors file" in reasons[2]
        assert "not a file of codes" in reasons[3]

    def test_a_code_for_all_layers_and_z_become_w_plus(self, psp, tmp_path):
        z = torch.randn(2, 64)
        with torch.no_grad():
            w = psp.decoder.mapping(z)
        for space, codes in (("z", z), ("w", w), ("w_plus", w[:, None].expand(-1, 6, -1))):
            save_codes(tmp_path / "codes.safetensors", codes, space)
            torch.testing.assert_close(
                load_w_plus(psp.decoder, tmp_path / "codes.safetensors"), w[:, None].expand(-1, 6, -1)
            )

    def test_pictures_are_there_already(self, psp, tmp_path):
        save_codes(tmp_path / "codes.safetensors", torch.randn(2, 64), "w")
        for overwrite, written in ((False, 2), (False, 0), (True, 2)):
            summary = decode_files(psp.decoder, [tmp_path / "codes.safetensors"], tmp_path / "out", overwrite=overwrite)
            assert len(summary.written) == written
        with pytest.raises(PspkitError, match=r"batch: got 0, needs at least 1"):
            decode_files(psp.decoder, [tmp_path / "codes.safetensors"], tmp_path / "out", batch=0)

    def test_too_many_at_once_for_the_device(self, psp, tmp_path, monkeypatch):
        def full(*_):
            raise torch.OutOfMemoryError("no memory left")

        monkeypatch.setattr(psp.decoder, "synthesis", full)
        with pytest.raises(PspkitError, match=r"batch: 4 pictures at once are too many for the device"):
            translate(psp, [write_photo(tmp_path / "a.png")], tmp_path / "out", task="encode", batch=4)

    def test_projection_begins_with_the_encoders_codes(self, psp, tmp_path):
        given = write_photo(tmp_path / "a.png", side=16)
        with torch.no_grad():
            target = get_task("encode").inference_source(Image.open(given), 16)
            start = (psp.decode(encode_file(psp, given, "encode")) - target).square().mean().item()
            average = (psp.decode(psp.latent_avg[None]) - target).square().mean().item()
        found = project_file(psp.decoder, given, 20, psp)
        assert found.start_error == pytest.approx(start, rel=1e-3)
        assert found.error < found.start_error
        assert found.codes.shape == (1, 6, 64)
        assert project_file(psp.decoder, given, 0).error == pytest.approx(average, rel=1e-3)

    def test_projection_needs_an_encoder_of_pictures(self, tmp_path):
        psp = make_psp("sketch")
        with pytest.raises(PspkitError, match=r"model: its encoder takes 1 channels, and a picture has 3"):
            project_file(psp.decoder, write_photo(tmp_path / "a.png"), 1, psp)


class TestLayers:
    @pytest.mark.parametrize(
        ("layers", "n_styles", "codes"),
        [
            ("coarse", 18, [0, 1, 2]),
            ("middle", 18, [3, 4, 5, 6]),
            ("fine", 10, [7, 8, 9]),
            ("8-15", 16, [8, 9, 10, 11, 12, 13, 14, 15]),
            ("Fine, 0", 10, [0, 7, 8, 9]),
            ("2,0-1,2", 10, [0, 1, 2]),
            ((4, 2), 10, [2, 4]),
            (None, 16, [8, 9, 10, 11, 12, 13, 14, 15]),
            (None, 6, [3, 4, 5]),
            ("middle", 6, [3, 4, 5]),
        ],
    )
    def test_codes_that_are_meant(self, layers, n_styles, codes):
        assert parse_layers(layers, n_styles) == codes

    @pytest.mark.parametrize("layers", ["", "10", "8-10", "5-3", "-1", "rough", "1;2", "1,,2", "0-999999999999", (-1,)])
    def test_others_are_refused(self, layers):
        with pytest.raises(PspkitError, match=r"layers: got .*, needs coarse, middle, fine, numbers from 0 to 9, or"):
            parse_layers(layers, 10)

    def test_a_small_decoder_has_no_fine_codes(self):
        with pytest.raises(PspkitError, match=r"needs coarse, middle, numbers from 0 to 5, or ranges such as 3-5"):
            parse_layers("fine", 6)


class TestModels:
    def test_the_domains_own(self, tmp_path, monkeypatch):
        monkeypatch.setattr("pspkit.domains.domain.WEIGHTS", tmp_path)
        for domain, task in (("heads", "sketch"), ("faces", "encode")):
            missing = rf"model: none is given, and the weights that come with pspkit are not at .*{domain}-{task}"
            with pytest.raises(PspkitError, match=missing):
                find_psp(domain, task)
        config = CONFIGS["cpu"]
        Encoder.from_config(replace(config.encoder, input_nc=1)).save_pretrained(tmp_path / "heads-sketch")
        Generator.from_config(config.decoder).save_pretrained(tmp_path / "heads-plain-64")
        psp = find_psp("heads", "sketch")
        assert (psp.config.encoder.input_nc, psp.config.decoder.size) == (1, 64)
        whole, decoder = find_parts("heads", "sketch")
        assert whole.decoder is decoder
        assert find_parts("heads", "encode")[0] is None

    def test_ones_own_model_or_the_folder_of_its_training(self, psp, tmp_path):
        psp.save_pretrained(tmp_path / "run/best")
        found = find_psp("heads", "encode", tmp_path / "run")
        assert not found.training
        assert not any(parameter.requires_grad for parameter in found.parameters())
        torch.testing.assert_close(found.latent_avg.cpu(), psp.latent_avg)
        whole, decoder = find_parts("faces", "encode", tmp_path / "run/best")
        assert whole.decoder is decoder
        assert find_decoder("heads", "encode", tmp_path / "run").n_styles == 6

    def test_a_decoder_alone(self, psp, tmp_path):
        psp.decoder.save_pretrained(tmp_path / "decoder")
        whole, decoder = find_parts("heads", "encode", tmp_path / "decoder")
        assert whole is None
        assert decoder.n_styles == 6
        with pytest.raises(PspkitError, match=r"holds the weights of Generator, not of PSP"):
            find_psp("heads", "encode", tmp_path / "decoder")

    def test_a_task_of_faces_without_an_encoder_and_the_command_that_trains_one_are_named(self):
        assert get_domain("faces").encoder_path("toonify") is None
        with pytest.raises(
            PspkitError,
            match=r"model: none is given, and no trained encoder for toonify comes with faces. Train one with"
            r" pspkit.Run or `pspkit train`, and give the folder of that training. It has those for encode, frontal",
        ):
            find_psp("faces", "toonify")
        with pytest.raises(PspkitError, match="Train one on a folder of pictures with"):
            find_psp("objects", "colorize")
        with pytest.raises(PspkitError, match="on a folder of sketches and one of pictures"):
            find_psp("objects", "sketch")

    @pytest.mark.parametrize("task", ["super_resolution", "colorize", "inpaint"])
    def test_tasks_of_faces_that_share_an_encoder_take_their_own_channels(self, task):
        psp = find_psp("faces", task, device="cpu")
        assert psp.encoder.input_nc == get_task(task).input_nc
        shared = load_encoder(get_domain("faces").encoder_path("inpaint"))
        source = torch.zeros(1, 4, 128, 128)
        with torch.no_grad():
            codes = psp.encoder(source[:, : psp.encoder.input_nc])
            torch.testing.assert_close(codes, shared.eval()(source))

    def test_an_encoder_alone_is_put_before_the_domain_s_decoder(self, psp, tmp_path, monkeypatch):
        psp.encoder.save_pretrained(tmp_path)
        monkeypatch.setattr(Domain, "decoder", lambda *_: (psp.decoder, psp.latent_avg))
        whole, decoder = find_parts("faces", "encode", tmp_path)
        assert whole.decoder is decoder is psp.decoder

    def test_photographs_are_inverted_by_the_encoder_that_comes_along(self):
        psp = find_psp("faces", "encode", device="cpu")
        codes = torch.cat([encode_file(psp, SAMPLES / f"{name}_aligned.jpg") for name in ("hopper", "collins")])
        assert codes.shape == (2, 16, 512)
        inputs = torch.stack([open_picture(SAMPLES / f"{name}_aligned.jpg") for name in ("hopper", "collins")])
        inputs = adaptive_avg_pool2d(inputs.as_subclass(torch.Tensor) / 127.5 - 1, 256)
        outputs = torch.cat([decode(psp.decoder, code[None]) for code in codes])
        identity = IdentityLoss(load_mobile_facenet())
        likeness = identity.embed(outputs) @ identity.embed(inputs).T
        assert likeness.diag().min() > 0.3
        assert (likeness.argmax(1) == torch.arange(2)).all()
