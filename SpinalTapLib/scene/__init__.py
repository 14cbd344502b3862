"""Adapter to the MRML scene of 3D Slicer: convert results to nodes, and nodes to volumes and boxes.

The files of this package are the only ones in the library that import `slicer`. RAS coordinates are used only here.
"""

from __future__ import annotations

from .adapter import SlicerScene
from .slicer_python import worker_python

__all__ = ["SlicerScene", "worker_python"]
