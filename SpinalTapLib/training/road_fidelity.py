"""Fidelity of the whole road: synthetic scans go through the trained detector, and come out as surfaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..detector import PartDetector
from ..linking import link
from ..segmentation import separate_bodies
from ..surfaces import body_surface
from ..trianglemesh import mesh_arrays
from ..volume import working_volume
from .drawing import EXPERT_RIM
from .fidelity import Fidelity, plain_stack
from .phantom import draw_phantom
from .true_surface import compare_surface, overlap, true_body

NEAR_MM = 8.0
"""A candidate this near to a true body's centre is that body."""
LEFT_OUT = ("C2",)
"""Its mask holds the dens, which the true body lacks."""


def network_fidelity(
    network: Any,
    seeds: Sequence[int],
    *,
    region: str = "lumbar",
    sequence: str = "t2",
    slice_mm: float = 4.0,
    pixel_mm: float = 0.8,
    progress: Callable[[float], None] | None = None,
) -> list[tuple[str, Fidelity, Fidelity]]:
    """Measure the surfaces that a network's masks give on synthetic scans.

    Parameters
    ----------
    network : PartNetwork
        Trained.
    seeds : sequence of int
        Synthetic people; for an honest figure, ones never trained on.
    region, sequence, slice_mm, pixel_mm
        As for `phantom.draw_phantom`.
    progress : callable, optional
        Called with the fraction done.

    Returns
    -------
    list of (str, Fidelity, Fidelity)
        For every body wholly in view that was found: its level, this library's fidelity, and that of plain
        marching cubes on the network's own masks, slice by slice.
    """
    detector = PartDetector(network)
    found = []
    for done, seed in enumerate(seeds):
        phantom = draw_phantom(seed, region=region, sequence=sequence, slice_mm=slice_mm, pixel_mm=pixel_mm)
        detections = detector.detect(working_volume(phantom.image))
        candidates = link(detections)
        bodies = separate_bodies(detections, candidates, phantom.image)
        centres = np.array([c.centroid_lps_mm for c in candidates]).reshape(-1, 3)
        for name in phantom.names:
            body = phantom.spine.vertebrae[phantom.spine.index(name)]
            far = np.linalg.norm(centres - body.centre, axis=1)
            solid = bodies.solids[int(far.argmin())] if len(far) and far.min() < NEAR_MM else None
            if solid is None or name in LEFT_OUT:
                continue
            truth = true_body(body, EXPERT_RIM * phantom.spine.habit["cortex"])
            mesh = mesh_arrays(body_surface(solid))
            ours = Fidelity(overlap(solid, truth), *compare_surface(*mesh, truth))
            mask = bodies.index == int(far.argmin()) + 1
            found.append((name, ours, plain_stack(mask, phantom.image, truth)))
        if progress is not None:
            progress((done + 1) / len(seeds))
    return found
