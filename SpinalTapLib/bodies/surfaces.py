"""Create closed triangle meshes of solids, suitable for 3-D printing and finite-element meshing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import VTK_UNSIGNED_CHAR
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkWindowedSincPolyDataFilter
from vtkmodules.vtkImagingStencil import vtkImageStencil, vtkPolyDataToImageStencil

from ..scans.sampling import on_parallel_grid
from ..spine.structures import Structure
from .segmentation import Bodies
from .solids import Solid
from .triangle_mesh import enclosed_volume, mesh_arrays, poly_data, surface_area, with_normals

EDGE_MM = 0.8
"""Default edge length of the triangles."""
EDGE_RANGE_MM = (0.3, 3.0)
"""Accepted edge lengths."""
MAX_TRIANGLES = 20_000
"""Default limit of the number of triangles of a vertebra."""
_LEAST_TRIANGLES = 100
"""Smallest accepted limit of the number of triangles."""

PASS_BAND = 0.05
"""Pass band of the windowed-sinc filter (Taubin et al., 1996): it removes ripples shorter than about eight edges and
preserves the volume."""
ITERATIONS = 20
"""Iterations of the windowed-sinc filter."""
MAX_OFFSET_MM = 0.1
"""Largest offset that restores the volume lost by meshing and smoothing, which flatten thin ridges."""
_JOIN_MM = 0.5
"""Step of the grid on which surfaces are joined, mm."""
_JOIN_BLUR = 1.2
"""Standard deviation of the blur that removes the steps of that grid, in such steps."""
_CLEAR = 0.08
"""Least distance of grid values from the wall, as a fraction of the edge length; it avoids needle-shaped triangles."""
_SHRINK = 1.03
"""Safety factor of the edge length against too many triangles."""
_TRIANGLES_PER_FACE = 2.0
"""Triangles of a mesh, times the square of its edge length, over the area of the faces of the solid's voxels: 1.96-2.05
on the bodies and arches of a lumbar spine."""


def surface_of(solid: Solid | None, is_ball: bool = True) -> vtkPolyData | None:
    """Return the closed surface of a solid (see `body_surface`), or None if there is no solid or it is empty."""
    return body_surface(solid, is_ball=is_ball) if solid is not None and (solid.field > 0).any() else None


def part_surface(bodies: Bodies, position: int) -> vtkPolyData | None:
    """Return the closed surface of one of `Bodies.solids` as it is shown, or None if it was not found."""
    is_ball = bodies.parts[position].kind in (Structure.BODY, Structure.DISC)
    return surface_of(bodies.shape(position), is_ball)


def whole_surface(bodies: Bodies, candidate: int) -> vtkPolyData | None:
    """Return the closed surface of a body with its arch, or None if there is no arch."""
    return surface_of(bodies.whole(candidate), is_ball=False)


def body_surface(
    solid: Solid, edge_mm: float = EDGE_MM, max_triangles: int = MAX_TRIANGLES, is_ball: bool = True
) -> vtkPolyData:
    """Return the closed surface of a solid as a triangle mesh.

    Parameters
    ----------
    solid : Solid
        From `segmentation.separate_bodies`.
    edge_mm : float
        Approximate edge length of the triangles, mm; increased if `max_triangles` requires it.
    max_triangles : int
        Largest number of triangles.
    is_ball : bool
        Whether the solid is one piece without tunnels. A vertebra with its arch is not: the canal passes through it.

    Returns
    -------
    vtkPolyData
        Triangles only, LPS, mm; closed, manifold, anticlockwise seen from outside; with point normals. The surface of a
        ball has no handles.

    Raises
    ------
    ValueError
        If an argument is out of its range, or the solid is empty.
    """
    if not EDGE_RANGE_MM[0] <= edge_mm <= EDGE_RANGE_MM[1]:
        low, high = EDGE_RANGE_MM
        raise ValueError(f"The edges of a surface's triangles must be {low}-{high} mm long; got {edge_mm:g} mm.")
    if max_triangles < _LEAST_TRIANGLES:
        raise ValueError(f"A surface needs at least {_LEAST_TRIANGLES} triangles; got {max_triangles}.")
    if not (solid.field > 0).any():
        raise ValueError("There is no surface: the solid is empty.")
    edge = max(edge_mm, _SHRINK * (_TRIANGLES_PER_FACE * _faces_mm2(solid) / max_triangles) ** 0.5)
    for _ in range(8):
        points, triangles = _meshed(solid, edge)
        if len(triangles) > max_triangles:
            edge *= _SHRINK * (len(triangles) / max_triangles) ** 0.5
        elif _is_ball(triangles) if is_ball else _is_closed(triangles):
            break
        else:
            edge *= _SHRINK  # another grid resolves voxels that touch only at corners differently
    return _finished(points, triangles, solid.volume_mm3)


def joined_surface(parts: Sequence[vtkPolyData]) -> vtkPolyData:
    """Return one closed surface around closed surfaces that overlap or touch, such as a body and its arch.

    Parameters
    ----------
    parts : sequence of vtkPolyData
        Triangles, LPS, mm. Parts that lie apart stay apart.

    Returns
    -------
    vtkPolyData
        As from `body_surface`. It is contoured anew on a grid of `_JOIN_MM`: on two real vertebrae, 95 % of its points
        lay within half of that of the surface that the solids themselves give.

    Raises
    ------
    ValueError
        If the parts are empty.
    """
    points = np.concatenate([mesh_arrays(part)[0] for part in parts])
    first = points.min(0) - 4 * _JOIN_MM
    shape = np.ceil((points.max(0) + 4 * _JOIN_MM - first) / _JOIN_MM).astype(int) + 1
    inside = np.any([_rasterised(part, first, shape) for part in parts], axis=0)
    # A blurred step is the distance to the wall near it: at the wall it rises by 1 / (sigma * sqrt(2 * pi)) a voxel.
    rise_mm = _JOIN_BLUR * np.sqrt(2 * np.pi) * _JOIN_MM
    field = (gaussian_filter(inside.astype(np.float32), _JOIN_BLUR) - 0.5) * np.float32(rise_mm)
    matrix = np.diag([_JOIN_MM] * 3 + [1.0])
    matrix[:3, 3] = first
    return body_surface(Solid(field, matrix), is_ball=False)


def _rasterised(surface: vtkPolyData, first: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Return which points of a grid of `_JOIN_MM` from `first`, mm, lie inside a closed surface, shape (x, y, z)."""
    image = vtkImageData()
    image.SetOrigin(*first)
    image.SetSpacing(*[_JOIN_MM] * 3)
    image.SetDimensions(*(int(n) for n in shape))
    image.AllocateScalars(VTK_UNSIGNED_CHAR, 1)
    image.GetPointData().GetScalars().Fill(1)
    cutter = vtkPolyDataToImageStencil()
    cutter.SetInputData(surface)
    cutter.SetOutputOrigin(image.GetOrigin())
    cutter.SetOutputSpacing(image.GetSpacing())
    cutter.SetOutputWholeExtent(image.GetExtent())
    cutter.SetTolerance(0.0)
    stencil = vtkImageStencil()
    stencil.SetInputData(image)
    stencil.SetStencilConnection(cutter.GetOutputPort())
    stencil.SetBackgroundValue(0)
    stencil.Update()
    flat = vtk_to_numpy(stencil.GetOutput().GetPointData().GetScalars())
    return flat.reshape(shape[::-1]).transpose(2, 1, 0) > 0


def _faces_mm2(solid: Solid) -> float:
    """Return the area, mm², of the faces between the voxels inside a solid and those outside."""
    inside, steps = solid.field > 0, np.linalg.norm(solid.matrix[:3, :3], axis=0)
    return float(sum(np.count_nonzero(np.diff(inside, axis=i)) * np.prod(steps) / steps[i] for i in range(3)))


def _meshed(solid: Solid, edge_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, 3), LPS, mm, and triangles (m, 3) of the wall, contoured on a grid with steps of `edge_mm`."""
    steps = np.linalg.norm(solid.matrix[:3, :3], axis=0)
    counts = np.ceil((np.array(solid.field.shape) - 1) * steps / edge_mm).astype(int) + 1
    factors = (np.array(solid.field.shape) - 1) / np.maximum(counts - 1, 1)
    field = on_parallel_grid(solid.field, np.zeros(3), factors, counts)
    clear = _CLEAR * edge_mm
    field = np.where(np.abs(field) < clear, np.where(field > 0, clear, -clear), field)
    field[[0, -1]] = field[:, [0, -1]] = field[:, :, [0, -1]] = -clear
    image = vtkImageData()
    image.SetDimensions(*(int(n) for n in counts[::-1]))
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(field, np.float32).ravel(), deep=1))
    contour = vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.0)
    contour.ComputeNormalsOff()
    contour.ComputeGradientsOff()
    contour.ComputeScalarsOff()
    contour.Update()
    points, triangles = mesh_arrays(contour.GetOutput())
    index = points[:, ::-1] * factors
    return index @ solid.matrix[:3, :3].T + solid.matrix[:3, 3], triangles


def _finished(points: np.ndarray, triangles: np.ndarray, volume_mm3: float) -> vtkPolyData:
    """Return the mesh smoothed, offset to the given volume, facing outwards, with normals."""
    if enclosed_volume(points, triangles) < 0:
        triangles = triangles[:, ::-1]
    smoother = vtkWindowedSincPolyDataFilter()
    smoother.SetInputData(poly_data(points, triangles))
    smoother.SetNumberOfIterations(ITERATIONS)
    smoother.SetPassBand(PASS_BAND)
    smoother.BoundarySmoothingOff()
    smoother.FeatureEdgeSmoothingOff()
    smoother.NormalizeCoordinatesOn()
    smoother.Update()
    points, triangles = mesh_arrays(smoother.GetOutput())
    lacking = volume_mm3 - enclosed_volume(points, triangles)
    normals = with_normals(poly_data(points, triangles))
    thickness = np.clip(lacking / surface_area(points, triangles), -MAX_OFFSET_MM, MAX_OFFSET_MM)
    out = poly_data(points + thickness * vtk_to_numpy(normals.GetPointData().GetNormals()), triangles)
    out.GetPointData().SetNormals(normals.GetPointData().GetNormals())
    return out


def _is_ball(triangles: np.ndarray) -> bool:
    """Return whether triangles (m, 3) form one closed surface without handles: closed, Euler number 2."""
    return _is_closed(triangles) and len(np.unique(triangles)) - len(triangles) // 2 == 2


def _is_closed(triangles: np.ndarray) -> bool:
    """Return whether triangles (m, 3) form closed surfaces: every edge belongs to two of them."""
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges[:, 0].astype(np.int64) * (int(edges.max()) + 1) + edges[:, 1], return_counts=True)
    return bool((counts == 2).all())
