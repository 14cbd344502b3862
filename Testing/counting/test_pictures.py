"""Pictures that mislead a count, drawn and read with the networks as they are shipped: no wrong name is ever sure."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from SpinalTapLib.counting.turns import Turn
from SpinalTapLib.options import Options
from SpinalTapLib.pipeline import segment_spine
from SpinalTapLib.scans.volume import SagittalVolume, load_volume
from SpinalTapLib.spine.confidence import LIKELY, WORDS, word_of
from SpinalTapLib.spine.notes import Note
from SpinalTapLib.spine.vertebra import Spine
from SpinalTapLib.training.synthetic import random_spine
from SpinalTapLib.training.synthetic.phantom import Phantom, draw_phantom

FAR_MM = 12.0
"""A body further than this from a vertebra is not that vertebra."""


@cache
def _drawn(seed: int, region: str = "lumbar") -> Phantom:
    return draw_phantom(seed, region=region, sequence="t2")


def _read(array: np.ndarray, phantom: Phantom) -> Spine:
    scan = SagittalVolume(np.ascontiguousarray(array), phantom.image.matrix, "scan")
    return segment_spine(scan, options=Options(structures="bodies"))


def _place(phantom: Phantom, level: str) -> np.ndarray:
    """Return where the centre of a vertebra lies, LPS, mm."""
    return np.array(phantom.truth()[level]["centroid_lps_mm"])


def _row(phantom: Phantom, level: str) -> np.ndarray:
    """Return where the centre of a vertebra lies, (row, column)."""
    return phantom.image.to_index(_place(phantom, level))[1:]


def _with_void(phantom: Phantom, level: str, radius_mm: float) -> np.ndarray:
    """Return the scan with a signal void over a vertebra, through all slices."""
    row, column = _row(phantom, level)
    rows, columns = np.indices(phantom.image.array.shape[1:])
    height, width = phantom.image.spacing_mm[1:]
    return np.where(np.hypot((rows - row) * height, (columns - column) * width) < radius_mm, 0, phantom.image.array)


def _true_names(spine: Spine, phantom: Phantom) -> list[str]:
    """Return the level of the nearest vertebra that was drawn, or an empty text, for each one that was named."""
    drawn = {name: np.array(place["centroid_lps_mm"]) for name, place in phantom.truth().items()}
    out = []
    for vertebra in (v for v in spine.vertebrae if v.level):
        name, apart = min(
            ((name, float(np.linalg.norm(vertebra.centroid_lps_mm - centre))) for name, centre in drawn.items()),
            key=lambda item: item[1],
        )
        out.append(name if apart < FAR_MM else "")
    return out


def _wrong(spine: Spine, phantom: Phantom) -> list[str]:
    named = [v.level for v in spine.vertebrae if v.level]
    return [name for name, true in zip(named, _true_names(spine, phantom), strict=True) if true and name != true]


def test_a_dens_behind_a_bright_band_does_not_move_the_neck():
    phantom = _drawn(5, "cervical")
    c2 = phantom.spine.vertebrae[phantom.spine.index("C2")]
    places = phantom.image.to_lps(np.moveaxis(np.indices(phantom.image.array.shape), 0, -1))
    across, forward, up = c2.local(places.reshape(-1, 3))
    base = (np.abs(up - 0.25 * c2.height) < 2) & (np.abs(forward) < 0.6 * c2.depth) & (np.abs(across) < c2.half_width)
    array = phantom.image.array.copy()
    array.reshape(-1)[base] = np.quantile(array, 0.99)
    spine = _read(array, phantom)
    assert spine.anchor == "C2" and not _wrong(spine, phantom)
    assert Note.DENS_APART in spine["C2"].flags


def test_a_body_in_metal_is_never_sure_and_moves_no_name():
    phantom = _drawn(21)
    spine = _read(_with_void(phantom, "L5", 22), phantom)
    assert spine.anchor == "S1" and not _wrong(spine, phantom)
    assert Note.NO_SIGNAL in spine["L5"].flags and spine["L5"].confidence < LIKELY


def test_an_s1_in_metal_is_no_start():
    phantom = _drawn(31)
    spine = _read(_with_void(phantom, "S1", 18), phantom)
    assert spine.anchor == "none" and any("no signal (metal?) where S1" in warning for warning in spine.warnings)
    assert Note.NO_SIGNAL in spine.vertebrae[0].flags


@pytest.mark.parametrize("seed", [21, 31])
def test_no_wrong_name_is_sure_beyond_a_black_seam_that_hides_how_much_is_missing(seed):
    phantom = _drawn(seed)
    row, pitch = _row(phantom, "L2")[0], _row(phantom, "L2")[0] - _row(phantom, "L1")[0]
    # L2 is lost, and the seam is half as high as it was.
    first, last, seam = round(row - pitch / 2), round(row + pitch / 2), round(pitch / 2)
    above, below = np.split(phantom.image.array, [last], axis=1)
    moved = last - first - seam
    array = np.concatenate([0 * above[:, :moved], above[:, :first], 0 * above[:, :seam], below], axis=1)
    spine = _read(array, phantom)
    down = phantom.image.matrix[:3, 1] * moved
    true = {name: _place(phantom, name) + down * (name in ("L1", "T12", "T11")) for name in phantom.truth()}
    named = [v for v in spine.vertebrae if v.level]
    sure = [v for v in named if word_of(v, spine) == WORDS[0]]
    assert {"S1", "L5", "L4"} <= {v.level for v in sure}
    for vertebra in sure:
        nearest = min(true, key=lambda name: np.linalg.norm(true[name] - vertebra.centroid_lps_mm))
        assert nearest == vertebra.level


def test_bodies_that_touch_across_collapsed_discs_stay_apart(monkeypatch):
    drawn = random_spine._random_discs

    def collapsed(rng, names, size):
        low = {"L4": 0.0, "L3": 0.5, "L1": 1.0}
        return [replace(d, height=low.get(name, d.height)) for name, d in zip(names, drawn(rng, names, size))]

    monkeypatch.setattr(random_spine, "_random_discs", collapsed)
    phantom = draw_phantom(1, region="lumbar", sequence="t2")
    spine = _read(phantom.image.array, phantom)
    for level in ("S1", "L5", "L4", "L3", "L2", "L1", "T12"):
        found, true = (labels == spine[level].label_value for labels in (spine.label_map, phantom.labels))
        assert 2 * (found & true).sum() > 0.9 * (found.sum() + true.sum()), level
    heights = [x for v in spine.vertebrae for key, x in v.measurements.items() if key.startswith("disc_height")]
    assert heights and min(heights) >= 0
    low, whole = (spine[level].measurements["disc_height_middle_mm"] for level in ("L4", "L5"))
    assert low < whole / 2


@pytest.mark.parametrize(
    ("turn", "words"),
    [(Turn(1), "lying on its side"), (Turn(3), "lying on its side"), (Turn(2), "upside down"),
     (Turn(0, True), "mirrored from front to back"), (Turn(2, True), "mirrored from top to bottom")],
)  # fmt: skip
def test_a_turned_picture_has_no_names_and_says_why(turn, words):
    phantom = _drawn(21)
    spine = _read(turn(phantom.image.array), phantom)
    assert spine.anchor == "none" and not any(v.level for v in spine.vertebrae)
    assert words in spine.warnings[0]


@pytest.mark.parametrize("quarters", [1, 3])
def test_a_real_picture_on_its_side_is_said_to_be_on_its_side_although_it_has_no_sacrum(data_folder, quarters):
    scan = load_volume(data_folder / "sct" / "t2_lumbar.nii.gz")
    turned = np.ascontiguousarray(np.rot90(scan.array, quarters, axes=(1, 2)))
    spine = segment_spine(SagittalVolume(turned, scan.matrix, "scan"), options=Options(structures="bodies"))
    assert spine.anchor == "none" and "lying on its side" in spine.warnings[0]
