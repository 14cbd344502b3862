"""Measure the time of each stage on this machine, and the memory of a run."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from ..counting.ladder import LadderLook
from ..counting.rungs import rung_from_points
from ..detection.weights import load_network
from ..evidence import Evidence
from ..pipeline import Options, reseed_spine, segment_spine
from ..result_folder import write_folder
from ..scans.volume import SagittalVolume
from ..spine.vertebra import SeedBox, Spine

RUNGS = 24
"""Vertebrae of a whole spine, S1 to C2."""


@dataclass(frozen=True)
class Timing:
    """Result of a benchmark.

    Attributes
    ----------
    what : str
        ``"segment"`` or ``"reseed"``.
    scan : str
        Name and size of the scan.
    device : str
        Where the network ran.
    vertebrae : int
        Number found; a scan without any skips work.
    seconds : dict of str to float
        Median of each stage, and of the ``"total"``.
    repeats : int
        Number of runs in the median, after one warm-up run.
    peak_mb : float or None
        Peak resident memory of the process, MB; None where the system does not report it.
    """

    what: str
    scan: str
    device: str
    vertebrae: int
    seconds: dict[str, float]
    repeats: int
    peak_mb: float | None


def time_segment(volume: SagittalVolume, options: Options, repeats: int = 3) -> Timing:
    """Time a whole run, including writing to a temporary folder but not reading the scan."""

    def run() -> Spine:
        spine = segment_spine(volume, options=options)
        with tempfile.TemporaryDirectory(prefix="spinaltap-") as folder:
            return write_folder(spine, volume, Path(folder) / "result") if spine.vertebrae else spine

    return _timing("segment", volume, run, repeats)


def time_reseed(volume: SagittalVolume, options: Options, repeats: int = 10) -> Timing:
    """Time a recount from a box around the lowest vertebra that was found, and 24 rungs of the ladder by themselves.

    A recount looks only at vertebrae that it has not looked at before, so after the first one it is faster than those
    24 rungs, which are looked at as if nothing had been seen yet.
    """
    spine = segment_spine(volume, options=options)
    if not spine.vertebrae:
        raise ValueError(f"No vertebra was found in {volume.name}, so there is nothing to recount.")
    lowest = spine.vertebrae[0]
    edge = 1.2 * max(lowest.height_mm, lowest.depth_mm)
    seed = SeedBox(lowest.centroid_lps_mm, np.full(3, edge), level=lowest.level or "S1")
    timing = _timing(
        "reseed", volume, lambda: reseed_spine(spine, seed, options=options), repeats, ("label", "measure")
    )
    return replace(timing, seconds={**timing.seconds, f"{RUNGS} rungs": time_rungs(spine, options, repeats)})


def time_rungs(spine: Spine, options: Options, repeats: int = 10) -> float:
    """Return the median seconds that the ladder takes for `RUNGS` looks at the vertebrae of a spine, once warm."""
    assert isinstance(spine.evidence, Evidence)
    working = spine.evidence.detections.working
    network, _ = load_network(options.ladder)
    rungs = [rung_from_points(working, v.corners_lps_mm) for v in spine.vertebrae]
    seconds = []
    for _ in range(repeats + 1):
        look = LadderLook(network, working)
        began = time.perf_counter()
        for k in range(RUNGS):
            start = rungs[k % len(rungs)]
            look(replace(start, slice=start.slice + 1e-6 * k))  # a shorter spine is climbed again without the cache
        seconds.append(time.perf_counter() - began)
    return median(seconds[1:])


def _timing(
    what: str,
    volume: SagittalVolume,
    run: Callable[[], Spine],
    repeats: int,
    stages: tuple[str, ...] | None = None,
) -> Timing:
    run()
    spines, totals = [], []
    for _ in range(repeats):
        began = time.perf_counter()
        spines.append(run())
        totals.append(time.perf_counter() - began)
    seconds = {name: median(s.seconds[name] for s in spines) for name in stages or spines[0].seconds}
    slices, rows, columns = volume.array.shape
    across, down, along = volume.spacing_mm
    return Timing(
        what=what,
        scan=f"{volume.name}: {slices} slices {across:.1f} mm apart, {rows * down:.0f} x {columns * along:.0f} mm",
        device=spines[0].device,
        vertebrae=len(spines[0].vertebrae),
        seconds={**seconds, "total": median(totals)},
        repeats=repeats,
        peak_mb=peak_memory_mb(),
    )


def peak_memory_mb() -> float | None:
    """Return the peak resident memory of this process, MB, or None on systems that do not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere (getrusage(2))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
