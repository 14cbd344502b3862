"""Checks of triangle meshes that use nothing of the library's own. Shared by several tests."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from vtkmodules.vtkFiltersCore import vtkFeatureEdges


def open_edges(surface) -> int:
    """Return the number of edges that VTK takes for boundary or non-manifold ones."""
    edges = vtkFeatureEdges()
    edges.SetInputData(surface)
    edges.BoundaryEdgesOn()
    edges.NonManifoldEdgesOn()
    edges.FeatureEdgesOff()
    edges.ManifoldEdgesOff()
    edges.Update()
    return edges.GetOutput().GetNumberOfCells()


def crossings(points: np.ndarray, triangles: np.ndarray) -> int:
    """Return the number of edges that run through a triangle they share no corner with."""
    corners = points[triangles]
    centres = corners.mean(1)
    reach = np.linalg.norm(corners - centres[:, None], axis=2).max()
    pairs = cKDTree(centres).query_pairs(2 * reach, output_type="ndarray")
    pairs = np.concatenate((pairs, pairs[:, ::-1]))
    shared = (triangles[pairs[:, 0], :, None] == triangles[pairs[:, 1], None, :]).any((1, 2))
    pairs = pairs[~shared]
    found = 0
    for k in range(3):
        start, end = corners[pairs[:, 0], k], corners[pairs[:, 0], (k + 1) % 3]
        found += int(_pierces(start, end, corners[pairs[:, 1]]).sum())
    return found


def _pierces(start: np.ndarray, end: np.ndarray, triangle: np.ndarray) -> np.ndarray:
    """Return which segments cross which triangles (Moeller and Trumbore, 1997)."""
    one, two = triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]
    along = end - start
    p = np.cross(along, two)
    det = np.einsum("ij,ij->i", one, p)
    safe = np.where(np.abs(det) < 1e-12, np.inf, det)
    s = start - triangle[:, 0]
    u = np.einsum("ij,ij->i", s, p) / safe
    q = np.cross(s, one)
    v = np.einsum("ij,ij->i", along, q) / safe
    t = np.einsum("ij,ij->i", two, q) / safe
    return np.isfinite(safe) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t >= 0) & (t <= 1)
