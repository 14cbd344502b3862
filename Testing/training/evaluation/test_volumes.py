"""Volumes with masks of whole vertebrae: perfect detectors, detectors without arches, folders that do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from block_spine import DEPTH, FRONT, HEIGHT, BlockSpine

from SpinalTapLib.detection.detector import Detections
from SpinalTapLib.spine.structures import Structure
from SpinalTapLib.training.evaluation.volumes import evaluate_volumes, find_volumes, overlap_by_side, read_reference

SPINE = BlockSpine(count=4)
DEEP = slice(FRONT + 55, FRONT + 65)  # columns of the arches, behind the canal


def _arch_rows(index: int) -> slice:
    return slice(SPINE.top(index) + 8, SPINE.top(index) + HEIGHT)


def _arches() -> np.ndarray:
    mask = np.zeros(SPINE.shape[1:], bool)
    for i in range(1, SPINE.count):
        mask[_arch_rows(i), DEEP] = True
    return mask


def _homes() -> np.ndarray:
    """Return the offset from each pixel of an arch to the middle of its block."""
    rows, columns = np.indices(SPINE.shape[1:])
    homes = np.zeros((2, *SPINE.shape[1:]), np.float16)
    for i in range(1, SPINE.count):
        here = _arch_rows(i), DEEP
        homes[0][here] = SPINE.top(i) + (HEIGHT - 1) / 2 - rows[here]
        homes[1][here] = FRONT + (DEPTH - 1) / 2 - columns[here]
    return homes


class PerfectDetector:
    """Sees the blocks and, if asked to, their arches."""

    def __init__(self, arches: bool = True) -> None:
        self.arches = arches

    def detect(self, working) -> Detections:
        found = SPINE.detections(working)
        if self.arches:
            there = np.broadcast_to(_arches(), found.probabilities[1:-1, 0].shape)
            found.probabilities[1:-1, Structure.BACKGROUND][there] = 0
            found.probabilities[1:-1, Structure.ARCH][there] = 1
            found = replace(found, homes=np.broadcast_to(_homes(), (len(found.probabilities), *_homes().shape)))
        return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stack whose experts marked L5 to L3, but not S1."""
    volume, flat = SPINE.volume(), SPINE.structures()
    whole, bodies = np.zeros((2, *SPINE.shape), np.uint8)
    for i in range(1, SPINE.count):
        rows = slice(SPINE.top(i), SPINE.top(i) + HEIGHT)
        bodies[1:-1, rows, FRONT : FRONT + 34] = i
    whole[1:-1][np.broadcast_to(_arches(), whole[1:-1].shape)] = 1
    whole[bodies > 0] = 1
    whole[1:-1][np.broadcast_to(flat == Structure.DISC, whole[1:-1].shape)] = 2
    whole[1:-1][np.broadcast_to(flat == Structure.CANAL, whole[1:-1].shape)] = 3
    for array, kind in ((volume.array, "image"), (whole, "classes"), (bodies, "bodies")):
        sitk.WriteImage(volume.to_source(array), str(tmp_path / f"007_{kind}.nii.gz"))
    return tmp_path


def test_a_perfect_detector_finds_nearly_all_of_it(folder):
    found = evaluate_volumes(folder, PerfectDetector())
    assert not found.synthetic and len(found.scores) == 1
    for structure in ("bodies", "vertebrae", "arches", "discs", "canal"):
        assert found.dice(structure).value > 0.9, structure
    score = found.scores[0]
    assert len(score.removed) == len(score.filled) == 3  # S1 is not the experts'
    assert max(score.removed) < 0.15 and max(score.filled) < 0.01  # blocks lose their sharp edges and no more


def test_irregular_bodies_with_a_sure_outline_are_counted(folder):
    found = evaluate_volumes(folder, PerfectDetector())
    score = replace(found.scores[0], removed=(0.2, 0.2, 0.0), filled=(0.0,) * 3, outline_confidence=(0.95, 0.5, 0.95))
    assert score.regular == 1 and score.irregular_and_sure == 1
    assert "sure: 1." in replace(found, scores=(score,)).markdown()


def test_without_arches_whole_vertebrae_lack_them(folder):
    whole, bare = (evaluate_volumes(folder, PerfectDetector(arches)) for arches in (True, False))
    assert bare.dice("arches").value == 0
    assert bare.dice("bodies").value == whole.dice("bodies").value
    assert bare.dice("vertebrae").value < whole.dice("vertebrae").value - 0.05


def test_the_table_and_the_numbers_tell_the_same(folder):
    found = evaluate_volumes(folder, PerfectDetector())
    text, numbers = found.markdown(), found.as_json()
    assert "1 real scans" in text and "Arches" in text and "Regular" in text
    assert numbers["dice"]["canal"]["value"] == pytest.approx(found.dice("canal").value, abs=1e-4)
    assert numbers["scans"][0]["name"] == "007"


def test_folders_without_such_scans_and_mixed_ones_are_refused(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="There is no NAME_image"):
        find_volumes(empty)
    image = sitk.ReadImage(str(folder / "007_image.nii.gz"))
    sitk.WriteImage(image, str(folder / "phantom-1-lumbar-t2_labels.nii.gz"))
    with pytest.raises(ValueError, match="holds phantoms and real stacks"):
        find_volumes(folder)


def test_masks_on_another_grid_and_phantoms_without_arches_are_refused(folder):
    image = sitk.ReadImage(str(folder / "007_bodies.nii.gz"))
    image.SetOrigin([x + 3 for x in image.GetOrigin()])
    sitk.WriteImage(image, str(folder / "007_bodies.nii.gz"))
    with pytest.raises(ValueError, match="does not lie on the grid"):
        read_reference(folder, "007")
    scan = sitk.ReadImage(str(folder / "007_image.nii.gz"))
    sitk.WriteImage(scan, str(folder / "phantom-1.nii.gz"))
    sitk.WriteImage(sitk.Cast(scan * 0, sitk.sitkUInt16), str(folder / "phantom-1_labels.nii.gz"))
    with pytest.raises(ValueError, match="has no arches: draw it with"):
        read_reference(folder, "phantom-1")


def test_overlap_from_the_middle_to_the_sides_leaves_out_bodies_that_the_image_cuts():
    truth = np.zeros((20, 30, 12), int)
    truth[5:15, 2:12, 2:10] = 1  # half width: five slices
    truth[0:8, 16:26, 2:10] = 2  # cut by the first slice
    found = np.where(truth == 1, 2, np.where(truth == 2, 1, 0))
    found[13:15] = 0  # the last two slices of the body are missed
    found[:, 28] = 7  # not a body
    middle, between, side = overlap_by_side(found, truth, 2)
    area = 10 * 8
    assert middle == (4 * area, 8 * area)
    assert between == (3 * area, 7 * area)
    assert side == (1 * area, 3 * area)
