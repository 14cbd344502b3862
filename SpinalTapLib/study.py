"""Segment the sagittal series of a DICOM study, and name the slices of its other series by it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import sentence_for
from .files.atomic import check_writable, staged_folder, write_whole
from .files.result_names import LABEL_MAP_NAME
from .options import Options
from .progress import Cancelled, CancelledCallback, ProgressCallback
from .result_folder import segment_file
from .scans.dicom_headers import DicomSlice, scan_folder
from .scans.dicom_series import choose_series, is_localiser, is_sagittal, plane_name
from .scans.dicom_stacks import DicomStack, check_stack, place_image, stacks_of
from .scans.label_resampling import on_grid
from .spine.level_at import LevelMap, Plane
from .spine.vertebra import Spine

LEVELS_NAME, STUDY_NAME = "levels.csv", "study.csv"
"""The tables of a study: one row a slice, and one row a series."""

SEGMENTED, LABELLED, EMPTY = "segmented", "label map", "no vertebra found"
OTHER_FRAME, NO_OVERLAP, FAILED = "another frame of reference", "no overlap", "failed"
"""Outcomes of a series, as written to the table."""

SAME_BODY_MM = 10.0
"""Largest distance of two centroids, from two series of a study, that are taken for the same vertebra."""


@dataclass(frozen=True)
class SeriesRow:
    """One line of ``study.csv``.

    Attributes
    ----------
    series, description, plane : str
        Number and description of the series, and the plane of its slices.
    slices : int
        Number of slices; a series with several angles has one line for each of them.
    outcome : str
        ``"segmented"``, ``"label map"``, ``"no vertebra found"``, ``"another frame of reference"``, ``"no overlap"``
        or ``"failed"``.
    folder : str
        Folder of its files, relative to the output; empty if there are none.
    message : str
        One sentence where something must be known about it.
    """

    series: str
    description: str
    plane: str
    slices: int
    outcome: str
    folder: str = ""
    message: str = ""


@dataclass(frozen=True)
class SliceRow:
    """One line of ``levels.csv``: what a slice shows. Distances in mm, angles in degrees.

    Attributes
    ----------
    series, description, instance, instance_uid : str
        Of the series and of the image.
    frame, slice : int
        Index of the frame in its file, and of the slice in its stack, from 0.
    shows : str
        ``"L4-L5 disc"``, ``"L4, upper half"``, ``"T12 to S1"``; empty where nothing is known.
    level : str
        The vertebra, if the slice shows a single one.
    disc : str
        The disc whose centre is nearest to the slice.
    distance_mm, angle_deg : str
        Distance of that centre from the slice, and angle between the slice and the disc's plane.
    certainty : str
        ``"sure"``, ``"likely"`` or ``"check"``.
    """

    series: str
    description: str
    instance: str
    instance_uid: str
    frame: int
    slice: int
    shows: str = ""
    level: str = ""
    disc: str = ""
    distance_mm: str = ""
    angle_deg: str = ""
    certainty: str = ""


@dataclass(frozen=True)
class Study:
    """The result of a study: its `spine`, the `folder` of the segmented series, and the lines of its tables."""

    spine: Spine
    folder: Path
    series: tuple[SeriesRow, ...]
    slices: tuple[SliceRow, ...]


def segment_study(
    path: str | Path,
    output: str | Path,
    *,
    each: bool = False,
    series: str | int | None = None,
    options: Options | None = None,
    surface_format: str = "stl",
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> Study:
    """Segment the best sagittal series of a study, and give every other series its label map and levels.

    Parameters
    ----------
    path : path
        A folder with the DICOM files of one patient, searched with its sub-folders.
    output : path
        Gets one folder a series, ``study.csv`` and ``levels.csv``.
    each : bool
        Segment every other sagittal series too, instead of giving it a label map.
    series : str or int, optional
        The series to segment, as for `load_volume`; the best sagittal one if omitted.
    options, surface_format, progress, cancelled
        As for `result_folder.segment_file`.

    Returns
    -------
    Study
        Without vertebrae and with no tables written, if none was found in the segmented series.

    Raises
    ------
    ValueError
        If the folder holds no DICOM image, scans of several patients, or no sagittal series that can be segmented.
    Cancelled
        If `cancelled` returned True.
    """
    path, output = Path(path), Path(output)
    check_writable(output)
    stacks = _stacks_in(path)
    main = _main_stack(stacks, series, path)
    names = _folder_names(stacks)
    run = _Run(path, output, stacks, names, options, surface_format, progress, cancelled)
    spine = run.segment(main)
    folder = output / names[stacks.index(main)]
    if not spine.vertebrae:
        return Study(spine, folder, (run.row(main, EMPTY),), ())
    rows, slices = [run.row(main, SEGMENTED)], list(_slice_rows(main, spine))
    image = sitk.ReadImage(str(folder / LABEL_MAP_NAME))
    with staged_folder(output) as stage:
        for stack in stacks:
            if _belongs_to(stack, main):
                continue
            row, named_by = run.other(stack, main, spine, image, stage, each)
            rows.append(row)
            if named_by is not None:
                slices += _slice_rows(stack, named_by)
        write_whole(stage / STUDY_NAME, _table(SeriesRow, rows))
        write_whole(stage / LEVELS_NAME, _table(SliceRow, slices))
    return Study(spine, folder, tuple(rows), tuple(slices))


class _Run:
    """What the series of one run share."""

    def __init__(
        self,
        path: Path,
        output: Path,
        stacks: list[DicomStack],
        names: list[str],
        options: Options | None,
        surface_format: str,
        progress: ProgressCallback | None,
        cancelled: CancelledCallback | None,
    ) -> None:
        self._path, self._output, self._stacks, self._names = path, output, stacks, names
        self._options, self._surface_format = options, surface_format
        self._progress, self._cancelled = progress, cancelled

    def segment(self, stack: DicomStack) -> Spine:
        """Segment one series into its folder."""
        return segment_file(
            self._path,
            self._output / self._name(stack),
            series=self._choice(stack),
            options=self._options,
            surface_format=self._surface_format,
            progress=self._progress,
            cancelled=self._cancelled,
        )

    def _choice(self, stack: DicomStack) -> str:
        """Return what chooses the stack among all: the UID of its series if that is enough, else its index."""
        chosen, _ = choose_series(self._stacks, stack.first.uid, str(self._path))
        return stack.first.uid if chosen is stack else f"stack{self._stacks.index(stack) + 1}"

    def row(self, stack: DicomStack, outcome: str, message: str = "") -> SeriesRow:
        """Return the line of a series."""
        folder = self._name(stack) if outcome in (SEGMENTED, LABELLED) else ""
        first = stack.first
        return SeriesRow(
            first.number, first.description, plane_name(stack), stack.slices, outcome, folder, message
        )

    def other(
        self, stack: DicomStack, main: DicomStack, spine: Spine, labels: sitk.Image, stage: Path, each: bool
    ) -> tuple[SeriesRow, Spine | None]:
        """Do one of the other series; return its line, and the spine that names its slices, if any."""
        if each and _can_be_segmented(stack):
            return self._segmented(stack, main, spine)
        if not _share_frame(stack, main):
            text = "Its positions cannot be compared with those of the segmented series, so it is not named."
            return self.row(stack, OTHER_FRAME, text), None
        try:
            warnings = check_stack(stack, f"{self._path} ({stack.title})")
            resampled = on_stack(labels, stack)
        except ValueError as error:
            return self.row(stack, FAILED, sentence_for(error)), None
        if not sitk.GetArrayViewFromImage(resampled).any():
            return self.row(stack, NO_OVERLAP, "It shows none of the vertebrae that were found."), None
        folder = stage / self._name(stack)
        folder.mkdir(exist_ok=True)
        sitk.WriteImage(resampled, str(folder / LABEL_MAP_NAME), useCompression=True)
        return self.row(stack, LABELLED, " ".join(warnings)), spine

    def _segmented(self, stack: DicomStack, main: DicomStack, spine: Spine) -> tuple[SeriesRow, Spine | None]:
        try:
            own = self.segment(stack)
        except Cancelled:
            raise
        except (ValueError, OSError) as error:
            return self.row(stack, FAILED, sentence_for(error)), None
        if not own.vertebrae:
            return self.row(stack, EMPTY), None
        message = disagreement(spine, own) if _share_frame(stack, main) else ""
        return self.row(stack, SEGMENTED, message), own

    def _name(self, stack: DicomStack) -> str:
        return self._names[self._stacks.index(stack)]


def on_stack(labels: sitk.Image, stack: DicomStack) -> sitk.Image:
    """Return a label map on the grid of a stack of slices, without its pixels; interpolated between thick slices."""
    station = stack.stations[0]
    grid = sitk.Image(*station[0].size, len(station), sitk.sitkUInt8)
    place_image(grid, station)
    return on_grid(labels, grid)


def disagreement(one: Spine, other: Spine) -> str:
    """Return one sentence if two results of the same frame of reference name a vertebra differently, else ""."""
    for mine in one.vertebrae:
        for theirs in other.vertebrae:
            near = float(np.linalg.norm(mine.centroid_lps_mm - theirs.centroid_lps_mm)) < SAME_BODY_MM
            if near and mine.level and theirs.level and mine.level != theirs.level:
                return (
                    f"This series calls {theirs.level} what the first one calls {mine.level}; check the levels of both."
                )
    return ""


def plane_of_slice(picture: DicomSlice) -> Plane:
    """Return the plane and the area of a DICOM slice, LPS, mm."""
    spacing, size = np.array(picture.spacing), np.array(picture.size)
    axes = picture.direction[:, :2].T
    centre = picture.origin + ((size - 1) / 2 * spacing) @ axes
    half = size * spacing / 2
    return Plane(centre, picture.direction[:, 2], axes, (float(half[0]), float(half[1])))


def _stacks_in(path: Path) -> list[DicomStack]:
    """Return the stacks of a study folder."""
    if not path.is_dir():
        raise ValueError(f"There is no folder {path}; a study is a folder of DICOM files.")
    found = scan_folder(path).slices
    if not found:
        raise ValueError(f"{path} holds no DICOM image; a study is a folder of DICOM files.")
    patients = sorted({picture.patient for picture in found})
    if len(patients) > 1:
        raise ValueError(
            f"{path} holds scans of {len(patients)} patients ({', '.join(repr(p) for p in patients)}); give a folder "
            "with the scans of one."
        )
    return stacks_of(found)


def _main_stack(stacks: list[DicomStack], series: str | int | None, path: Path) -> DicomStack:
    if series is not None:
        return choose_series(stacks, series, str(path))[0]
    usable = [stack for stack in stacks if _can_be_segmented(stack)]
    if not usable:
        localisers = all(is_localiser(stack) for stack in stacks)
        what = "localisers only" if localisers else "no sagittal series of several slices"
        raise ValueError(f"{path} holds {what}; levels need a sagittal series, or name a series with --series.")
    return choose_series(usable, None, str(path))[0]


def _can_be_segmented(stack: DicomStack) -> bool:
    return stack.is_volume and is_sagittal(stack) and not is_localiser(stack)


def _belongs_to(stack: DicomStack, main: DicomStack) -> bool:
    """Return whether a stack shows only slices of the segmented one, or joins stations that come by themselves."""
    if len(stack.stations) > 1:
        return True
    done = {(picture.path, picture.frame) for picture in main.pictures}
    return all((picture.path, picture.frame) in done for picture in stack.pictures)


def _share_frame(stack: DicomStack, main: DicomStack) -> bool:
    one, other = stack.first, main.first
    if one.frame_of_reference or other.frame_of_reference:
        return one.frame_of_reference == other.frame_of_reference
    return one.study == other.study


def _folder_names(stacks: list[DicomStack]) -> list[str]:
    """Return a folder name for each stack: number and description of its series, and an index if it has several."""
    names: list[str] = []
    for stack in stacks:
        words = re.sub(r"[^\w-]+", "_", f"{stack.first.number}_{stack.first.description}").strip("_") or "series"
        same = sum(name == words or name.startswith(f"{words}-stack") for name in names)
        names.append(words if not same else f"{words}-stack{same + 1}")
    return names


def _slice_rows(stack: DicomStack, spine: Spine) -> Iterator[SliceRow]:
    """Yield what each slice of a stack shows, in the order of the slices."""
    known = LevelMap(spine)
    for index, picture in enumerate(stack.pictures):
        row = SliceRow(
            picture.number, picture.description, picture.instance, picture.instance_uid, picture.frame, index
        )
        shown = known.at(plane_of_slice(picture))
        if shown is not None:
            single = not shown.is_disc and len(shown.levels) == 1
            row = replace(
                row, shows=shown.text, level=shown.levels[0] if single else "", disc=shown.nearest_disc,
                distance_mm=_number(shown.distance_mm), angle_deg=_number(shown.angle_deg), certainty=shown.words,
            )  # fmt: skip
        yield row


def _number(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else ""


def _table(kind: type[SeriesRow] | type[SliceRow], rows: Sequence[SeriesRow] | Sequence[SliceRow]) -> bytes:
    """Return rows as CSV with a heading."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(kind)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue().encode()
