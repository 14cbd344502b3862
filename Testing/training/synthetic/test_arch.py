"""Arches: each belongs to its body, meets its neighbours at joints, leaves the canal free, and may be missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from SpinalTapLib.spine.structures import Structure
from SpinalTapLib.training.synthetic import arch as arch_module
from SpinalTapLib.training.synthetic.arch import Arch, random_arches
from SpinalTapLib.training.synthetic.drawing import draw_slice
from SpinalTapLib.training.synthetic.random_spine import SyntheticSpine, random_spine
from SpinalTapLib.training.synthetic.tissues import Tissue

STEP_MM = 1.6


@pytest.fixture(scope="module")
def spine() -> SyntheticSpine:
    return random_spine(np.random.default_rng(5), healthy=True)


def _block(spine: SyntheticSpine, name: str, reach: float = 45.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return structure, instance and tissue around a level, each (plane, row, column), STEP_MM apart."""
    x, y, z = spine.vertebrae[spine.index(name)].centre
    planes = [
        draw_slice(spine, x + offset, z_range_mm=(z - reach, z + reach), y_range_mm=(y - 35, y + 65), pixel_mm=STEP_MM)
        for offset in np.arange(-52, 52, STEP_MM)
    ]
    return tuple(np.stack(arrays) for arrays in zip(*((p.structure, p.instance, p.tissue[0]) for p in planes)))


@pytest.fixture(scope="module")
def blocks(spine: SyntheticSpine) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return {name: _block(spine, name) for name in ("L3", "T7", "C5")}


@pytest.mark.parametrize("name", ["L3", "T7", "C5"])
def test_a_vertebra_is_one_piece_with_its_arch(spine, blocks, name):
    structure, instance, _ = blocks[name]
    own = (instance == spine.index(name) + 1) & np.isin(structure, (Structure.BODY, Structure.ARCH))
    pieces, _ = ndimage.label(own, np.ones((3, 3, 3)))
    assert np.bincount(pieces.ravel())[1:].max() > 0.995 * own.sum()
    arch, body = ((own & (structure == kind)).sum() for kind in (Structure.ARCH, Structure.BODY))
    assert 0.25 < arch / body < 3  # lumbar arches are small beside their bodies, cervical ones large


@pytest.mark.parametrize("name", ["L3", "T7", "C5"])
def test_the_arch_surrounds_the_dural_sac_and_leaves_it_free(spine, blocks, name):
    structure, _, tissue = blocks[name]
    sac = structure == Structure.CANAL
    assert np.isin(tissue[sac], (Tissue.CSF, Tissue.CORD, Tissue.ROOTS)).mean() > 0.98
    arch = structure == Structure.ARCH
    planes, _, columns = np.nonzero(sac)
    for side in (-1, 1):  # bone on both sides of the sac, and behind it
        beside = arch[: int(planes.min())] if side < 0 else arch[int(planes.max()) + 1 :]
        assert beside.any()
    assert np.nonzero(arch)[2].max() > columns.max()


def test_marrow_runs_from_the_body_into_the_pedicles(spine, blocks):
    structure, instance, tissue = blocks["L3"]
    own = instance == spine.index("L3") + 1
    body, arch = own & (structure == Structure.BODY), own & (structure == Structure.ARCH)
    face = ndimage.binary_dilation(arch) & body
    marrow = np.isin(tissue, (Tissue.MARROW, Tissue.POSTERIOR_MARROW, Tissue.BASIVERTEBRAL))
    assert face.sum() > 30 and marrow[face].mean() > 0.6


def test_articular_processes_of_neighbours_face_each_other_without_touching(spine, blocks):
    structure, instance, _ = blocks["L3"]
    arch = structure == Structure.ARCH
    low, high = (arch & (instance == spine.index(name) + 1) for name in ("L3", "L2"))
    gap_mm = ndimage.distance_transform_edt(~low, sampling=STEP_MM)[high].min()
    assert 0 < gap_mm < 6


def test_ribs_are_bone_but_no_arch(spine):
    x, _, z = spine.vertebrae[spine.index("T7")].centre
    person = replace(spine, arches=tuple(replace(a, rods=()) for a in spine.arches))
    plane = draw_slice(person, x + 22, z_range_mm=(z - 40, z + 40), y_range_mm=(-90, 90), pixel_mm=0.8)
    assert (plane.tissue[0] == Tissue.POSTERIOR_MARROW).sum() > 50
    assert not (plane.structure == Structure.ARCH).any()


def test_the_sacrum_is_one_piece_with_wings(spine):
    structure, _, _ = _block(spine, "S1", 70.0)
    bone = np.isin(structure, (Structure.S1, Structure.SACRUM))
    pieces, _ = ndimage.label(bone, np.ones((3, 3, 3)))
    assert np.bincount(pieces.ravel())[1:].max() > 0.93 * bone.sum()  # without the coccyx
    wings = np.nonzero(structure == Structure.SACRUM)[0]
    assert (wings.max() - wings.min()) * STEP_MM > 80


def test_regions_have_the_processes_that_they_are_known_for(spine):
    def reach(name: str) -> np.ndarray:
        ends = np.array([rod.end for rod in spine.arches[spine.index(name)].rods])
        return np.array([np.ptp(ends[:, 0]), ends[:, 1].max(), ends[:, 2].min()])

    assert reach("C7")[1] > reach("C5")[1] + 5  # the prominent vertebra
    assert reach("T7")[2] < reach("T1")[2] - 10  # slanted spinous processes in the middle of the chest
    assert reach("L3")[0] > reach("T12")[0] + 10  # long transverse processes


def _arches(spine: SyntheticSpine, bodies, seed: int = 0, healthy: bool = False) -> tuple[Arch, ...]:
    rng = np.random.default_rng(seed)
    return random_arches(rng, bodies, spine.discs, spine.canal_depth, spine.canal_width, healthy=healthy)


def test_the_same_chance_builds_the_same_arches(spine):
    assert _arches(spine, spine.vertebrae, 3) == _arches(spine, spine.vertebrae, 3)
    assert _arches(spine, spine.vertebrae, 3) != _arches(spine, spine.vertebrae, 4)


def test_some_slips_leave_the_arch_behind(spine):
    place = spine.index("L5")
    body = spine.vertebrae[place]
    moved = replace(body, centre=body.centre - 9 * body.axes[:, 1])
    bodies = [*spine.vertebrae[:place], moved, *spine.vertebrae[place + 1 :]]
    tips = [max(rod.end[1] for rod in _arches(spine, bodies, seed)[place].rods) for seed in range(12)]
    assert max(tips) - min(tips) > 6  # in its body's frame the spinous process lies further back where it was left


def test_healthy_people_have_whole_arches_and_others_not_always(spine):
    full = len(_arches(spine, spine.vertebrae, healthy=True)[2].rods)
    counts = [len(_arches(spine, spine.vertebrae, seed)[2].rods) for seed in range(150)]
    assert {len(_arches(spine, spine.vertebrae, seed, True)[2].rods) for seed in range(20)} == {full}
    assert min(counts) < full and np.mean(np.array(counts) == full) > 0.8


@pytest.mark.parametrize("change", ["_opened", "_cleft"])
def test_a_laminectomy_and_a_cleft_leave_the_canal_open_behind(spine, change):
    place = spine.index("L3")
    whole = spine.arches[place]
    altered = arch_module._opened(whole, False) if change == "_opened" else arch_module._cleft(whole)
    x = float(spine.vertebrae[place].centre[0])
    z, y = spine.vertebrae[place].centre[2], spine.vertebrae[place].centre[1]

    def behind(arch: Arch) -> int:
        person = replace(spine, arches=(*spine.arches[:place], arch, *spine.arches[place + 1 :]))
        plane = draw_slice(person, x, z_range_mm=(z - 30, z + 20), y_range_mm=(y, y + 80), pixel_mm=1.0)
        return int(((plane.instance == place + 1) & (plane.structure == Structure.ARCH)).sum())

    assert behind(whole) > 100 and behind(altered) < 0.25 * behind(whole)


def test_fused_arches_share_their_marrow(spine):
    place = spine.index("L3")
    grown = replace(spine.arches[place], fused=True)
    person = replace(spine, arches=(*spine.arches[:place], grown, *spine.arches[place + 1 :]))
    joint = spine.vertebrae[place].centre + spine.vertebrae[place].axes @ [14.0, 30.0, 12.0]
    x, y, z = (float(value) for value in joint)
    window = {"z_range_mm": (z - 15, z + 15), "y_range_mm": (y - 15, y + 15), "pixel_mm": 0.6}
    cuts = [draw_slice(p, x, **window) for p in (spine, person)]
    marrow = [(c.tissue[0] == Tissue.POSTERIOR_MARROW).sum() for c in cuts]
    assert marrow[1] > marrow[0]
