"""Segment a scan into a result folder, and recount the levels of a result folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .bodies.surfaces import part_surface, whole_surface
from .corrections import Correction, Count, History, Seed
from .evidence import Evidence
from .files.atomic import check_writable
from .files.changes_file import changes_bytes, read_changes
from .files.evidence_file import EVIDENCE_NAME, evidence_bytes, read_evidence
from .files.ownership import check_output
from .files.result_files import read_result, write_result
from .files.result_names import CHANGES_NAME, DICOM_NAME, JSON_NAME, SR_NAME
from .files.spine_json import read_spine_json
from .machine import in_threads
from .pipeline import Options, recount, segment_spine
from .progress import CancelledCallback, ProgressCallback, Stages
from .report.rendering import render_surfaces
from .report.style import BACKGROUND
from .scans.volume import SagittalVolume, load_volume
from .spine import levels
from .spine.segments import segment_of
from .spine.vertebra import SeedBox, Spine

_DICOM_WENT = {
    DICOM_NAME: f"{DICOM_NAME} showed the earlier levels and was removed; write it again with dicom-seg.",
    SR_NAME: f"{SR_NAME} showed the earlier levels and was removed; write it again with dicom-sr.",
}
_SOURCE_KEYS = ("path", "series", "pixel_mm")
"""Entries of spine.json's ``input`` from which the scan is read again."""
_SEGMENT_SHARES = {"read": 0.02, "segment": 0.7, "write": 0.28}
_RESEED_SHARES = {"read": 0.3, "segment": 0.3, "write": 0.4}
_WRITE_SHARES = {"surfaces": 0.4, "write": 0.6}
"""Expected share of the time of each stage."""

RENDERING_PX = (560, 1120)
"""Width and height of each 3-D view of the report."""
FRONT_DEG, BACK_DEG = 35.0, 145.0
"""Directions of the viewer in the 3-D views (see `render_surfaces`)."""


def segment_file(
    path: str | Path,
    output: str | Path,
    seed: SeedBox | None = None,
    *,
    series: str | int | None = None,
    pixel_mm: float | None = None,
    files: Sequence[Path] = (),
    options: Options | None = None,
    surface_format: str = "stl",
    extra: Mapping[str, bytes] | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> Spine:
    """Read a scan, segment it and write the result folder.

    Parameters
    ----------
    path, series, pixel_mm, files
        As for `load_volume`.
    output : path
        The result folder; checked before the segmentation starts.
    seed, options, progress, cancelled
        As for `segment_spine`.
    surface_format : str
        One of `options.SURFACE_FORMATS`.
    extra : mapping of str to bytes, optional
        More files of the result folder: relative name to content.

    Returns
    -------
    Spine
        The result; nothing is written if it has no vertebrae.

    Raises
    ------
    ValueError
        If the scan cannot be read, an option cannot be satisfied, or the folder cannot be written.
    Cancelled
        If `cancelled` returned True. As after any other exception, `output` is then unchanged.
    """
    check_output(output, path)
    check_writable(output)
    stages = Stages(_SEGMENT_SHARES, progress, cancelled)
    with stages.stage("read", "Reading the scan"):
        volume = load_volume(path, series, pixel_mm, files)
    with stages.stage("segment", "Preparing the slices") as report:
        spine = segment_spine(volume, seed, options=options, progress=_inner(report), cancelled=cancelled)
    source: dict[str, Any] = {"path": str(Path(path).resolve())}
    if series is not None:
        source["series"] = str(series)
    if pixel_mm is not None:
        source["pixel_mm"] = float(pixel_mm)
    options = options or Options()
    history = (Count(seed, options.steps, options.method),)
    return _finished(spine, volume, output, source, surface_format, stages, history, extra=extra)


def reseed_folder(
    folder: str | Path,
    output: str | Path | None = None,
    correction: Correction | None = None,
    *,
    scan: str | Path | None = None,
    count: Mapping[str, Any] | None = None,
    structures: str | None = None,
    surface_format: str = "stl",
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> Spine:
    """Apply a correction to a result folder and recount its levels, without running the detector.

    Parameters
    ----------
    folder : path
        A result folder, written by `segment_file` or by this function.
    output : path, optional
        Folder for the new result; `folder` if omitted.
    correction : Correction, optional
        Such as ``Seed(box)`` or ``Undo()``; without it, the levels are counted from the detections.
    scan : path, optional
        Present path of the scan, if it has moved.
    count : mapping, optional
        ``steps`` and ``method``, if they differ from those of the previous count.
    structures : str, optional
        One of `options.STRUCTURES`, if other structures are wanted than before.
    surface_format, progress, cancelled
        As for `segment_file`.

    Returns
    -------
    Spine
        The new result; nothing is written if it has no vertebrae.

    Raises
    ------
    ValueError
        If the folder is not a result folder, the scan is missing or a different one, or the correction does not apply.
    Cancelled
        If `cancelled` returned True. As after any other exception, `output` is then unchanged.
    """
    folder = Path(folder)
    output = folder if output is None else Path(output)
    read_spine_json(folder / JSON_NAME)  # "no result" is the first thing to say
    check_output(output, scan)
    check_writable(output)
    stages = Stages(_RESEED_SHARES, progress, cancelled)
    with stages.stage("read", "Reading the result"):
        stored = open_result(folder, scan, structures)
    with stages.stage("segment", "Counting the levels") as report:
        changed = stored.corrected(correction or Seed(), count, progress=_inner(report), cancelled=cancelled)
    return _finished(
        changed.spine, changed.volume, output, changed.source, surface_format, stages, changed.history,
        changed.evidence_bytes,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class StoredResult:
    """A result folder in memory, ready for corrections; nothing is written until `written`.

    Attributes
    ----------
    volume : SagittalVolume
        The scan.
    spine : Spine
        The present result.
    history : tuple of Count
        Its counts, the present one last.
    source : mapping
        Entries of spine.json about the input: its ``path`` and ``series``.
    seen : Evidence
        The detector's evidence, from before any edit.
    evidence_bytes : bytes
        The content of its file.
    """

    volume: SagittalVolume
    spine: Spine
    history: History
    source: Mapping[str, Any]
    seen: Evidence
    evidence_bytes: bytes

    def corrected(
        self,
        correction: Correction,
        count: Mapping[str, Any] | None = None,
        *,
        progress: ProgressCallback | None = None,
        cancelled: CancelledCallback | None = None,
    ) -> StoredResult:
        """Return the result after a correction; arguments and errors as for `reseed_folder`."""
        present = replace(self.spine, evidence=self.history[-1].applied(self.seen))
        history = correction.history(present, self.history)
        history = (*history[:-1], replace(history[-1], **(count or {})))
        spine = _counted(present, self.seen, history[-1], progress, cancelled)
        return replace(self, spine=replace(spine, earlier=None), history=history)  # the history is what undo needs

    def written(self, output: str | Path, surface_format: str = "stl") -> Spine:
        """Write the result folder as a whole; see `write_folder`."""
        return write_folder(
            self.spine, self.volume, output, self.source, history=self.history, evidence=self.evidence_bytes,
            surface_format=surface_format,
        )  # fmt: skip


def open_result(
    folder: str | Path, scan: str | Path | None = None, structures: str | None = None
) -> StoredResult:
    """Read a result folder with its scan and evidence; arguments and errors as for `reseed_folder`."""
    folder = Path(folder)
    source = {k: v for k, v in read_spine_json(folder / JSON_NAME)["input"].items() if k in _SOURCE_KEYS}
    volume = scan_of(source, scan)
    if scan is not None:
        source["path"] = str(Path(scan).resolve())
    spine = read_result(folder)
    history = read_changes(folder / CHANGES_NAME, spine.seed)
    seen = read_evidence(folder / EVIDENCE_NAME, volume, structures)
    content = (folder / EVIDENCE_NAME).read_bytes() if structures is None else evidence_bytes(seen)
    return StoredResult(volume, spine, history, source, seen, content)


def _counted(
    present: Spine, seen: Evidence, count: Count, progress: ProgressCallback | None, cancelled: CancelledCallback | None
) -> Spine:
    """Return a new count of the evidence `seen`, with the edits, seed and options of `count`."""
    options = Options(steps=count.steps, method=count.method)
    stages = Stages({"label": 0.5, "measure": 0.5}, progress, cancelled)
    return recount(replace(present, evidence=count.applied(seen)), present, count.seed, options, stages)


def _finished(
    spine: Spine,
    volume: SagittalVolume,
    output: str | Path,
    source: Mapping[str, Any],
    surface_format: str,
    stages: Stages,
    history: History,
    evidence: bytes | None = None,
    extra: Mapping[str, bytes] | None = None,
) -> Spine:
    """Write a spine to its result folder, unless it has no vertebrae, and return it with its seconds."""
    spine = replace(spine, seconds={"read": stages.seconds["read"], **spine.seconds})
    if not spine.vertebrae:
        return spine
    with stages.stage("write", "Making the surfaces") as report:
        return write_folder(
            spine, volume, output, source, history=history, evidence=evidence, surface_format=surface_format,
            extra=extra, progress=_inner(report),
        )  # fmt: skip


def write_folder(
    spine: Spine,
    volume: SagittalVolume,
    output: str | Path,
    source: Mapping[str, Any] | None = None,
    *,
    history: History | None = None,
    evidence: bytes | None = None,
    surface_format: str = "stl",
    extra: Mapping[str, bytes] | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> Spine:
    """Create the surfaces of a spine with evidence and write its result folder.

    Parameters
    ----------
    spine, volume
        From `segment_spine` and `load_volume`.
    output : path
        The result folder.
    source : mapping, optional
        Entries of spine.json about the input, besides its name and geometry: its ``path`` and ``series``.
    history : tuple of Count, optional
        The counts of the spine up to the present one.
    evidence : bytes, optional
        Content of the evidence file, from before any edit; the spine's own evidence if omitted.
    surface_format, extra, progress, cancelled
        As for `segment_file`.

    Returns
    -------
    Spine
        With the seconds of these two stages added, and a warning if an outdated DICOM segmentation was removed.
    """
    had_dicom = [name for name in _DICOM_WENT if (Path(output) / name).is_file()]
    stages = Stages(_WRITE_SHARES, progress, cancelled)
    with stages.stage("surfaces", "Making the surfaces") as report:
        surfaces: dict[int, Any] = {}
        wholes: dict[int, Any] = {}
        if len(volume.array) > 1 and isinstance(spine.evidence, Evidence):
            surfaces, wholes = _surfaces(spine, spine.evidence, report)
        rendering = _rendering(spine, surfaces, wholes)
    spine = replace(spine, seconds={**spine.seconds, **stages.seconds})
    with stages.stage("write", "Writing the files"):
        more = {**(extra or {}), CHANGES_NAME: changes_bytes(history or (Count(spine.seed),))}
        if evidence is not None:
            more[EVIDENCE_NAME] = evidence
        elif isinstance(spine.evidence, Evidence):
            more[EVIDENCE_NAME] = evidence_bytes(spine.evidence)
        write_result(
            spine,
            volume,
            output,
            surfaces=surfaces,
            wholes=wholes,
            surface_format=surface_format,
            rendering=rendering,
            source=source,
            extra=more,
        )
    gone = [_DICOM_WENT[name] for name in had_dicom if not (Path(output) / name).exists()]
    spine = replace(spine, warnings=(*spine.warnings, *gone))  # not stored, as they are no property of the spine
    return replace(spine, seconds={**spine.seconds, **stages.seconds})


def _surfaces(
    spine: Spine, evidence: Evidence, report: Callable[[float, str], None]
) -> tuple[dict[int, Any], dict[int, Any]]:
    """Return the closed surfaces (vtkPolyData, LPS, mm) of all structures, and of the vertebrae with their arches.

    Both by label value; a vertebra without an arch is in the first one only.
    """
    bodies = evidence.bodies
    values = bodies.values(evidence.values(spine.vertebrae))
    parts = [position for position, value in enumerate(values) if value]
    found = [v for v in spine.vertebrae if v.candidate is not None]
    jobs = [partial(part_surface, bodies, position) for position in parts]
    jobs += [partial(whole_surface, bodies, v.candidate) for v in found if v.candidate is not None]
    made: list[Any] = []
    for surface in in_threads(lambda job: job(), jobs):
        report(len(made) / len(jobs), "Making the surfaces")
        made.append(surface)
    surfaces = {values[position]: s for position, s in zip(parts, made) if s is not None}
    return surfaces, {v.label_value: s for v, s in zip(found, made[len(parts) :]) if s is not None}


def _rendering(spine: Spine, surfaces: Mapping[int, Any], wholes: Mapping[int, Any]) -> np.ndarray | None:
    """Return a 3-D picture of the structures for the report, or None if this machine cannot render it.

    Whole vertebrae are shown from the front and from behind.
    """
    names = {v.label_value: v.short_name for v in spine.vertebrae}
    shown = {**surfaces, **wholes}
    parts = [
        (surface, segment_of(value).colour, names.get(value, ""))
        for value, surface in shown.items()
        if not (levels.is_arch(value) and levels.owner_value(value) in wholes)
    ]
    views = [
        render_surfaces(parts, RENDERING_PX, azimuth_deg=azimuth, background=BACKGROUND)
        for azimuth in (FRONT_DEG, *((BACK_DEG,) if wholes else ()))
    ]
    pictures = [view for view in views if view is not None]
    return np.concatenate(pictures, axis=1) if pictures else None


def scan_of(source: Mapping[str, Any], scan: str | Path | None = None) -> SagittalVolume:
    """Read the scan that a result was made from: `source` as in its spine.json, `scan` its present path."""
    path = source.get("path") if scan is None else scan
    if path is None or not Path(path).exists():
        raise ValueError(f"The scan of this result is no longer at {path}; give its present path with --input.")
    return load_volume(path, source.get("series"), source.get("pixel_mm"))


def _inner(report: Callable[[float, str], None]) -> ProgressCallback:
    """Return a progress callback of the pipeline that reports to a stage of the whole run."""
    return lambda stage, fraction, message: report(fraction, message)
