"""Measure how time and memory of a run grow with the area, the number of slices and of vertebrae."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...scans.volume import SagittalVolume, volume_from_array

SHARES = (0.4, 0.55, 0.7, 0.85, 1.0)
"""Shares of the scan that are segmented, along each axis in turn."""
AXES = ("slices", "rows", "columns")
"""Axes along which the scan is cut: columns change the area alone, rows the area and the number of vertebrae."""


@dataclass(frozen=True)
class Cost:
    """What one run of the command ``segment`` costs.

    Attributes
    ----------
    seconds, processor_s : float
        On the wall, and of processor time (user and system), s.
    peak_mb : float
        Peak resident memory, MB.
    """

    seconds: float
    processor_s: float
    peak_mb: float


@dataclass(frozen=True)
class ScaledRun:
    """A run on a part of a scan: the axis that was cut, the size of the part, what was found, and the cost."""

    axis: str
    slices: int
    area_mm2: float
    vertebrae: int
    cost: Cost

    @property
    def size(self) -> float:
        """Area of all slices together, cm²."""
        return self.slices * self.area_mm2 / 100


def cost_of(command: Sequence[str]) -> Cost:
    """Run a command to its end and return what it cost; its output is thrown away.

    Raises
    ------
    ValueError
        If the system does not report the use of resources by a child process (Windows), or the command failed.
    """
    if not hasattr(os, "wait4"):
        raise ValueError("Windows does not report what a process has used; measure on Linux or macOS.")
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ValueError(f"The command {' '.join(command)} ended with {process.returncode}.")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere (getrusage(2))
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 1e6)


def measure_scaling(
    volume: SagittalVolume,
    *,
    shares: Sequence[float] = SHARES,
    repeats: int = 1,
    progress: Callable[[float], None] | None = None,
) -> list[ScaledRun]:
    """Segment parts of a scan, each in a process of its own.

    Parameters
    ----------
    volume : SagittalVolume
        A scan, such as a synthetic whole spine.
    shares : sequence of float
        Shares of the scan, 0-1, along each of `AXES`.
    repeats : int
        Number of runs on each part; the one with the least processor time counts.
    progress : callable, optional
        Called with the fraction done.
    """
    parts = [(axis, part) for axis in AXES for part in cuts(volume, axis, shares)]
    runs = []
    for done, (axis, part) in enumerate(parts):
        runs.append(_measured(axis, part, repeats))
        if progress is not None:
            progress((done + 1) / len(parts))
    return runs


def cuts(volume: SagittalVolume, axis: str, shares: Sequence[float]) -> Iterator[SagittalVolume]:
    """Yield parts of a scan: the middle slices, the lowest rows, or the middle columns."""
    number = AXES.index(axis)
    length = volume.array.shape[number]
    for share in shares:
        kept = max(1, round(share * length))
        start = length - kept if axis == "rows" else (length - kept) // 2
        where = [slice(None)] * 3
        where[number] = slice(start, start + kept)
        matrix = volume.matrix.copy()
        matrix[:3, 3] += matrix[:3, number] * start
        yield volume_from_array(volume.array[tuple(where)], matrix, volume.name)


def _measured(axis: str, part: SagittalVolume, repeats: int) -> ScaledRun:
    with tempfile.TemporaryDirectory(prefix="spinaltap-") as folder:
        scan, out = Path(folder, "scan.nii.gz"), Path(folder, "result")
        sitk.WriteImage(part.to_source(part.array), str(scan))
        command = [sys.executable, "-m", "SpinalTapLib", "segment", str(scan), "--output", str(out), "--quiet"]
        costs = [cost_of(command) for _ in range(repeats)]
        found = json.loads((out / "spine.json").read_text(encoding="utf-8"))["vertebrae"]
    slices, rows, columns = part.array.shape
    area = float(rows * columns * part.spacing_mm[1] * part.spacing_mm[2])
    return ScaledRun(axis, slices, area, len(found), min(costs, key=lambda cost: cost.processor_s))


def straightness(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Return slope, value at zero and largest relative deviation of the straight line through points."""
    slope, start = np.polyfit(x, y, 1)
    line = slope * np.asarray(x) + start
    return float(slope), float(start), float(np.abs(np.asarray(y) / line - 1).max())


def scaling_table(runs: Sequence[ScaledRun]) -> str:
    """Return the runs as a Markdown table, and how far each axis is from a straight line."""
    lines = [
        "| cut along | slices | area of a slice, cm² | vertebrae | processor, s | wall, s | peak memory, MB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for run in runs:
        cost = run.cost
        lines.append(
            f"| {run.axis} | {run.slices} | {run.area_mm2 / 100:.0f} | {run.vertebrae} | {cost.processor_s:.2f} | "
            f"{cost.seconds:.2f} | {cost.peak_mb:.0f} |"
        )
    lines.append("")
    for axis in AXES:
        own = [run for run in runs if run.axis == axis]
        slope, start, off = straightness([run.size for run in own], [run.cost.processor_s for run in own])
        words = f"{start:.1f} s and {1000 * slope:.2f} ms for each cm², a straight line within {off:.0%}"
        lines.append(f"- {axis}: {words}")
    return "\n".join(lines)
