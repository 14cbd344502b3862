"""Compute the true surface of a synthetic body, and compare surfaces and solids with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from skimage.measure import marching_cubes
from vtkmodules.util.numpy_support import numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkCellArray
from vtkmodules.vtkFiltersGeneral import vtkDistancePolyDataFilter

from ...bodies.solids import Solid
from ...bodies.triangle_mesh import enclosed_volume, poly_data
from ..evaluation.overlap import dice
from ..synthetic.body_shape import Body, body_distance

FINE_MM = 0.5
"""Voxel edge of the true field."""
_ROOM_MM = 12.0
"""Margin around the body: at least two slices on either side."""
_SAMPLES = 4000


@dataclass(frozen=True, eq=False)
class TrueBody:
    """A body and its true surface.

    Attributes
    ----------
    body : Body
        In a frame with the axes of the stack: LPS, mm, slices along x.
    field : ndarray, shape (x, row, column)
        Signed distance to the wall, mm, positive inside, on a grid of 0.5 mm.
    matrix : ndarray, shape (4, 4)
        (x, row, column, 1) of the grid to LPS mm.
    points, triangles : ndarray
        The surface.
    """

    body: Body
    field: np.ndarray
    matrix: np.ndarray
    points: np.ndarray
    triangles: np.ndarray


def true_body(body: Body, rim_mm: float = 0.0) -> TrueBody:
    """Return a body with its true surface, or with the surface `rim_mm` inside it (the marrow)."""
    reach = float(np.linalg.norm([body.half_width, body.depth / 2, body.height / 2])) + _ROOM_MM
    count = int(2 * reach / FINE_MM) + 1
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]) * FINE_MM
    matrix[:3, 3] = body.centre + reach * np.array([-1, -1, 1])
    steps = np.stack(np.meshgrid(*[np.arange(count, dtype=np.float32)] * 3, indexing="ij"), -1)
    points = steps @ matrix[:3, :3].T.astype(np.float32) + matrix[:3, 3].astype(np.float32)
    field = body_distance(body, *body.local(points)) - np.float32(rim_mm)
    room = int(_ROOM_MM / FINE_MM)
    box = tuple(slice(max(int(i.min()) - room, 0), int(i.max()) + room + 1) for i in np.nonzero(field > 0))
    field, matrix[:3, 3] = field[box], points[tuple(part.start for part in box)]
    vertices, triangles, _, _ = marching_cubes(field, 0.0)
    return TrueBody(body, field, matrix, vertices @ matrix[:3, :3].T + matrix[:3, 3], triangles)


def compare_surface(points: np.ndarray, triangles: np.ndarray, truth: TrueBody) -> tuple[float, float, float]:
    """Return mean and 95th percentile of the distance, mm, and the volume error, %, of a closed surface (LPS, mm)."""
    one = _distances(_spread(points, triangles), truth.points, truth.triangles)
    two = _distances(_spread(truth.points, truth.triangles), points, triangles)
    both = np.concatenate((one, two))
    true_volume = abs(enclosed_volume(truth.points, truth.triangles))
    error = 100 * (abs(enclosed_volume(points, triangles)) / true_volume - 1)
    return float(both.mean()), float(np.percentile(both, 95)), error


def overlap(solid: Solid, truth: TrueBody) -> float:
    """Return the 3-D Dice of a solid with the true body."""
    return dice(solid.sample(truth.matrix, truth.field.shape) > 0, truth.field > 0)


def _spread(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return random points, uniformly distributed over a surface."""
    rng = np.random.default_rng(0)
    corners = points[triangles]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = corners[rng.choice(len(corners), _SAMPLES, p=areas / areas.sum())]
    return (chosen * rng.dirichlet((1, 1, 1), _SAMPLES)[..., None]).sum(1)


def _distances(points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return the distances of points to a surface, mm."""
    cloud = poly_data(points, np.zeros((0, 3), np.int64))
    cells = vtkCellArray()
    cells.SetData(1, numpy_to_vtkIdTypeArray(np.arange(len(points), dtype=np.int64), deep=1))
    cloud.SetVerts(cells)
    measure = vtkDistancePolyDataFilter()
    measure.SetInputData(0, cloud)
    measure.SetInputData(1, poly_data(vertices, triangles))
    measure.SignedDistanceOff()
    measure.ComputeSecondDistanceOff()
    measure.Update()
    return vtk_to_numpy(measure.GetOutput().GetPointData().GetArray("Distance"))
