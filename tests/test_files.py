"""Every row of `data/FILES.md` names tests that exist; they make the files that the row speaks of."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
RELATIVES, CODES = "storage/test_relatives.py", "storage/test_foreign_codes.py"
LABELS, TRANSLATE, FOLDERS = (
    "inference/test_label_files.py",
    "inference/test_translate.py",
    "training/test_own_folders.py",
)

# By the beginning of a row.
TESTED = {
    "pSp": ("storage/test_checkpoints.py", "test_encoders_of_every_kind"),
    "e4e": (RELATIVES, "test_its_codes_are_offsets_from_the_first"),
    "ReStyle": (RELATIVES, "test_it_runs_by_its_own_formula"),
    "HyperStyle's encoder into W": (RELATIVES, "test_hyperstyles_encoder_into_w"),
    "an encoder without a decoder": (RELATIVES, "test_it_loads_and_says_which_decoder_it_wants"),
    "SAM": (RELATIVES, "test_sam_is_no_inpainting_model"),
    "HyperStyle, HFGI": (RELATIVES, "test_a_stranger_is_named_and_its_decoder_taken"),
    "a decoder of StyleGAN3": (RELATIVES, "test_a_decoder_of_stylegan3"),
    "no `encoder_type`": (RELATIVES, "test_without_its_options_nobody_can_tell_and_that_is_said"),
    "an `encoder_type`": (RELATIVES, "test_an_encoder_type_that_is_not_known_is_read_by_its_tensors_and_noted"),
    "a file that lacks tensors": (RELATIVES, "test_a_file_that_is_whole_is_never_to_be_got_again"),
    "`module.`": (RELATIVES, "test_whatever_a_training_wraps_around_a_psp"),
    "GANInverter": (RELATIVES, "test_whatever_a_training_wraps_around_a_psp"),
    "a bare state dict": (RELATIVES, "test_whatever_a_training_wraps_around_a_generator"),
    "a state dict under NVIDIA's names": (RELATIVES, "test_their_names_load_as_ours"),
    "NVIDIA's pickle": (RELATIVES, "test_a_pickle_is_refused_with_the_lines_that_export_it"),
    "a class-conditional model": (RELATIVES, "test_classes_and_channels_of_a_converted_file"),
    "GFPGAN": (RELATIVES, "test_generators_of_other_homes"),
    "plain arrays": (CODES, "test_codes_of_others"),
    "a pickled": (CODES, "test_a_pickled_array_is_refused_with_the_lines_that_store_it_again"),
    "18 codes": (CODES, "test_eighteen_codes_onto_the_photographic_decoder"),
    "codes of another decoder": (CODES, "test_what_are_no_codes"),
    "a direction of others": (CODES, "test_directions_of_others"),
    "a direction of another": (CODES, "test_directions_of_another_decoder"),
    "CelebAMask-HQ's colours": (LABELS, "test_known_colours_are_their_classes"),
    "a picture reduced": (LABELS, "test_maps_that_do_not_say_their_classes_are_refused_by_the_reason"),
    "the order of face parsers": (LABELS, "test_order"),
    "a mask for each part": (LABELS, "test_a_mask_for_each_part"),
    "a sheet with nothing": (TRANSLATE, "test_an_empty_sheet"),
    "light lines": (TRANSLATE, "test_sketches"),
    "a mask that hides": (TRANSLATE, "test_masks_that_hide_nothing_or_everything"),
    "an animated picture": (TRANSLATE, "test_an_animated_picture"),
    "a photograph for": (TRANSLATE, "test_photographs_given_to_the_model_of_heads"),
    "HEIC": (TRANSLATE, "test_files_of_formats_that_are_not_read_are_counted"),
    "a hundred": (TRANSLATE, "test_a_hundred_equal_complaints_are_one_line"),
    "one folder": (FOLDERS, "test_one_folder_as_source_and_target"),
    "a folder of its own": (FOLDERS, "test_a_folder_of_their_own_and_its_partners"),
    "several pictures": (FOLDERS, "test_nobody_is_on_both_sides"),
    "one picture": (FOLDERS, "test_one_picture_can_be_learned_by_heart"),
    "pictures that are not square": (TRANSLATE, "test_what_is_done_to_the_source_is_undone_on_the_answer"),
    "an encoder that was made": (FOLDERS, "test_an_encoder_of_another_output_size"),
    "another decoder": (FOLDERS, "test_it_draws_in_place_of_the_models"),
    "an encoder for larger": (FOLDERS, "test_the_size_of_the_input"),
}


def test_every_row_is_tested():
    lines = (ROOT / "data/FILES.md").read_text(encoding="utf-8").splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    rows = [row for row in rows if row != "what you bring"]
    named = {row: [start for start in TESTED if row.startswith(start)] for row in rows}
    assert {row: starts for row, starts in named.items() if len(starts) != 1} == {}
    assert {start for starts in named.values() for start in starts} == TESTED.keys()


def test_every_test_that_is_named_exists():
    for file, name in TESTED.values():
        assert re.search(rf"def {name}\(", (ROOT / "tests" / file).read_text(encoding="utf-8")), (file, name)
