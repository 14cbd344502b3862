"""Surfaces that can be printed: closed, without handles or crossings, outward, in LPS millimetres, not too fine."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from drawn_bodies import Box, detect, spine
from mesh_checks import crossings, open_edges
from scipy import ndimage

from SpinalTapLib.bodies.segmentation import separate_bodies
from SpinalTapLib.bodies.solids import Solid, _one_ball
from SpinalTapLib.bodies.surfaces import body_surface, joined_surface
from SpinalTapLib.bodies.triangle_mesh import enclosed_volume, mesh_arrays


def solids(slice_mm: float = 4.0, **shape: float):
    detections, candidates, volume = detect(spine(2, **shape), slice_mm)
    return separate_bodies(detections, candidates, volume), volume


def assert_printable(surface) -> None:
    points, triangles = mesh_arrays(surface)
    mesh = trimesh.Trimesh(points, triangles, process=False)
    assert mesh.is_watertight and mesh.is_winding_consistent
    assert mesh.euler_number == 2
    assert mesh.volume > 0, "the triangles face outwards"
    assert open_edges(surface) == 0
    assert crossings(points, triangles) == 0
    assert mesh.area_faces.min() > 0


@pytest.mark.parametrize("slice_mm", [2.0, 4.0, 8.0])
def test_every_body_can_be_printed(slice_mm):
    for solid in solids(slice_mm)[0].solids:
        assert_printable(body_surface(solid))


def test_a_body_seen_in_one_slice_can_be_printed():
    detections, candidates, volume = detect([Box()])
    index = candidates[0].members[4].slice
    detections.probabilities[:index] = detections.probabilities[index + 1 :] = 0
    candidates[0].members = candidates[0].members[4:5]
    assert_printable(body_surface(separate_bodies(detections, candidates, volume).solids[0]))


@pytest.mark.parametrize("seed", range(6))
def test_ragged_bodies_can_be_printed_too(seed):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(26, 30, 28)), 2)
    reach = np.linalg.norm(np.indices(noise.shape).T - np.array(noise.shape) / 2, axis=-1).T
    field = _one_ball((9 - reach + 40 * noise).astype(np.float32))
    assert_printable(body_surface(Solid(field, np.diag([1.0, 1.0, 1.0, 1.0]))))


def test_volume_is_that_of_the_solid_and_the_label_map():
    bodies, volume = solids()
    for position, solid in enumerate(bodies.solids):
        enclosed = enclosed_volume(*mesh_arrays(body_surface(solid)))
        assert enclosed == pytest.approx(Box().volume, rel=0.02)
        assert enclosed == pytest.approx((bodies.index == position + 1).sum() * np.prod(volume.spacing_mm), rel=0.02)


def test_surface_lies_on_the_label_map_in_lps():
    bodies, volume = solids(3.0, roll_degrees=10.0)
    for position, solid in enumerate(bodies.solids):
        points = volume.to_index(mesh_arrays(body_surface(solid))[0])
        voxels = np.argwhere(bodies.index == position + 1)
        assert np.abs(points.min(0) - voxels.min(0)).max() <= 1
        assert np.abs(points.max(0) - voxels.max(0)).max() <= 1


@pytest.mark.parametrize("edge_mm", [0.5, 0.8, 1.0])
def test_edges_are_about_as_long_as_asked_for(edge_mm):
    points, triangles = mesh_arrays(body_surface(solids()[0].solids[0], edge_mm, max_triangles=10**6))
    lengths = np.linalg.norm(points[triangles] - points[np.roll(triangles, 1, axis=1)], axis=-1)
    assert 0.6 * edge_mm < lengths.mean() < 1.4 * edge_mm


def test_no_more_triangles_than_allowed():
    solid = solids()[0].solids[0]
    assert len(mesh_arrays(body_surface(solid))[1]) <= 20_000
    small = body_surface(solid, max_triangles=2000)
    assert 1000 < len(mesh_arrays(small)[1]) <= 2000
    assert_printable(small)


def test_a_mirrored_grid_still_faces_outwards():
    solid = solids()[0].solids[0]
    mirrored = Solid(solid.field, np.diag([-1.0, 1.0, 1.0, 1.0]) @ solid.matrix)
    assert_printable(body_surface(mirrored))


def test_normals_point_outwards():
    from vtkmodules.util.numpy_support import vtk_to_numpy

    surface = body_surface(solids()[0].solids[0])
    points, _ = mesh_arrays(surface)
    normals = vtk_to_numpy(surface.GetPointData().GetNormals())
    assert (np.einsum("ij,ij->i", normals, points - points.mean(0)) > 0).mean() > 0.95


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"edge_mm": 0.0}, "0 mm"), ({"edge_mm": 50.0}, "0.3-3.0 mm"), ({"max_triangles": 10}, "at least 100")],
)
def test_impossible_wishes_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        body_surface(solids()[0].solids[0], **arguments)


def test_an_empty_solid_is_refused():
    with pytest.raises(ValueError, match="the solid is empty"):
        body_surface(Solid(np.full((5, 5, 5), -1.0, np.float32), np.eye(4)))


def _block(low, high):
    """A closed cuboid between two corners, mm, as a surface whose edges are rounded by meshing."""
    shape = np.array(high) - low + 5
    inside = np.zeros(shape, bool)
    inside[2:-2, 2:-2, 2:-2] = True
    field = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    matrix = np.eye(4)
    matrix[:3, 3] = np.array(low) - 2
    return body_surface(Solid(field.astype(np.float32), matrix))


def test_surfaces_that_overlap_become_one():
    body, arch = _block([0, 0, 0], [40, 30, 25]), _block([15, 25, 5], [22, 60, 20])
    one = joined_surface([body, arch])
    assert_printable(one)
    points, triangles = mesh_arrays(one)
    assert len(trimesh.Trimesh(points, triangles).split()) == 1
    alone = [enclosed_volume(*mesh_arrays(part)) for part in (body, arch)]
    assert alone[0] < enclosed_volume(points, triangles) < sum(alone)
    for part in (body, arch):  # away from where they meet, it follows them
        corners = mesh_arrays(part)[0]
        low, high = corners.min(0), corners.max(0)
        assert np.all(points.min(0) < low + 0.6) and np.all(points.max(0) > high - 0.6)
    assert np.allclose(points.min(0), np.minimum(*[mesh_arrays(p)[0].min(0) for p in (body, arch)]), atol=0.6)


def test_surfaces_that_lie_apart_stay_apart():
    one = joined_surface([_block([0, 0, 0], [20, 20, 20]), _block([30, 0, 0], [45, 20, 20])])
    assert open_edges(one) == 0
    assert len(trimesh.Trimesh(*mesh_arrays(one)).split()) == 2
