"""The contact sheet: synthetic tiles on the left, real slices on the right."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from SpinalTapLib.training.config import load_config
from SpinalTapLib.training.experiments.contact_sheet import real_tiles, synthetic_tiles, write_contact_sheet

TINY = replace(load_config("tiny"), pool_canvases=1, planes_per_spine=1)  # one drawn plane serves all the tiles
SIDE = TINY.placement.tile_px


def grey(path, shape=(150, 100), value=90):
    """Write a slice with a bright band in its lower half."""
    picture = np.full(shape, value, np.uint8)
    picture[shape[0] // 2 :] = 200
    sitk.WriteImage(sitk.GetImageFromArray(picture), str(path))


def test_real_slices_stand_beside_the_synthetic_ones(tmp_path):
    grey(tmp_path / "a.png")
    path = write_contact_sheet(tmp_path / "sheets" / "sheet.png", TINY, tmp_path, count=3, columns=2)
    rows, columns = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).shape
    assert rows >= 2 * SIDE and columns >= 4 * SIDE, "two rows of two tiles in each half"


def test_without_real_slices_there_is_one_half(tmp_path):
    path = write_contact_sheet(tmp_path / "sheet.png", TINY, count=2, columns=2)
    rows, columns = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).shape
    assert SIDE <= rows < 2 * SIDE and 2 * SIDE <= columns < 3 * SIDE


def test_the_seed_chooses_the_tiles():
    first, again, other = (synthetic_tiles(TINY, 2, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_lumbar_tiles_show_tissue_and_differ_from_those_of_training():
    lumbar, training = synthetic_tiles(TINY, 2, 0, lumbar=True), synthetic_tiles(TINY, 2, 0)
    assert not np.allclose(lumbar, training)
    assert all(tile.shape == (SIDE, SIDE) and np.isfinite(tile).all() and tile.std() > 0.3 for tile in lumbar)


def test_a_real_slice_is_shown_at_about_a_millimetre_a_pixel(tmp_path):
    grey(tmp_path / "a.png", (600, 600))  # 300 mm tall, as all are taken to be
    tile = real_tiles(tmp_path, 1, np.random.default_rng(0), 300)[0]
    edge = np.abs(np.diff(tile[:, 150])).argmax()
    assert edge in (148, 149, 150), "the band starts at half the height"


def test_a_folder_without_pictures_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"no PNG picture in {tmp_path}"):
        write_contact_sheet(tmp_path / "sheet.png", TINY, tmp_path, count=1)
    assert not (tmp_path / "sheet.png").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match="Could not write the contact sheet"):
        write_contact_sheet(tmp_path / "file" / "sheet.png", TINY, count=1)
