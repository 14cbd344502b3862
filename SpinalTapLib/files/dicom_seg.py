"""Write a label map as a DICOM segmentation of the series that it was made from.

Needs the optional package ``highdicom`` (``pip install "SpinalTapLib[dicom]"``).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from .. import __version__
from ..scans.reader import series_files
from ..spine.segments import CATEGORY, Segment, segments_in
from .atomic import write_whole
from .result_names import DICOM_NAME, JSON_NAME, LABEL_MAP_NAME
from .spine_json import read_spine_json

SERIES_DESCRIPTION = "SpinalTap vertebrae"
_SERIES_NUMBER = 7300
_SAME_PLACE = 0.1
_GAP = 1.5  # a step between slices that is larger than so many usual ones lacks a slice
"""Largest offset of a DICOM slice from the label map's grid, as a fraction of a voxel."""


def write_dicom_seg(path: str | Path, label_image: sitk.Image, files: Sequence[str | Path]) -> tuple[Segment, ...]:
    """Write a label map as a DICOM segmentation object with one binary segment per structure.

    Parameters
    ----------
    path : path
        The file to write, usually ending in ``.dcm``.
    label_image : sitk.Image
        Label values, in the geometry of the series.
    files : sequence of path
        The series' DICOM files, in any order; or one multi-frame file.

    Returns
    -------
    tuple of Segment
        What was written.

    Raises
    ------
    ValueError
        If highdicom is missing, the label map is empty, the files are not the series that the label map lies on, or
        the file cannot be written; no partial file remains.
    """
    highdicom, pydicom = dicom_packages()
    labels = sitk.GetArrayFromImage(label_image)
    segments = segments_in(labels)
    if not segments:
        raise ValueError("There is no vertebra in the label map, so there is nothing to write as DICOM SEG.")
    datasets = read_headers(pydicom, files)
    numbers = np.zeros(int(labels.max()) + 1, np.uint8 if len(segments) < 256 else np.uint16)
    numbers[[segment.value for segment in segments]] = np.arange(1, len(segments) + 1)
    frames = numbers[labels[_slices_of(label_image, datasets)]]
    try:
        seg = highdicom.seg.Segmentation(
            source_images=datasets,
            pixel_array=frames,
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[_description(highdicom, s, i + 1) for i, s in enumerate(segments)],
            series_instance_uid=highdicom.UID(),
            series_number=_SERIES_NUMBER,
            series_description=SERIES_DESCRIPTION,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="SpinalTap",
            manufacturer_model_name="SpinalTap",
            software_versions=__version__,
            device_serial_number="0",
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The DICOM files cannot be referred to by a segmentation: {error}.") from error
    buffer = io.BytesIO()
    seg.save_as(buffer)
    write_whole(path, buffer.getvalue())
    return segments


def add_dicom_seg(folder: str | Path, scan: str | Path | None = None) -> Path:
    """Write the label map of a result folder as a DICOM segmentation of the series that it was made from.

    Parameters
    ----------
    folder : path
        Result folder of a scan that was read from DICOM; gets `result_names.DICOM_NAME`.
    scan : path, optional
        Where the DICOM folder or file is now, if it was moved.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        In one sentence, if the folder is no result, the scan is gone or was not DICOM, and as for `write_dicom_seg`.
    """
    folder = Path(folder)
    files = source_files(folder, scan)
    try:
        image = sitk.ReadImage(str(folder / LABEL_MAP_NAME))
    except RuntimeError:
        raise ValueError(f"{folder / LABEL_MAP_NAME} is missing or damaged; segment the scan again.") from None
    write_dicom_seg(folder / DICOM_NAME, image, files)
    return folder / DICOM_NAME


def source_files(folder: Path, scan: str | Path | None = None) -> tuple[Path, ...]:
    """Return the DICOM files that a result folder was made from; `scan` is their present path, if they were moved.

    Raises
    ------
    ValueError
        If the folder is no result, or the scan is gone or was not DICOM.
    """
    source = read_spine_json(folder / JSON_NAME)["input"]
    path = Path(source.get("path", "") if scan is None else scan)
    if not path.exists():
        raise ValueError(f"The scan of this result is no longer at {path}; say where it is now with --input.")
    return series_files(path, source.get("series"))


def dicom_packages() -> tuple[Any, Any]:
    """Return the packages highdicom and pydicom; raise ValueError if highdicom is not installed."""
    try:
        import highdicom
        import pydicom
    except ImportError as error:
        raise ValueError(
            'Writing DICOM needs the package highdicom: install it with pip install "SpinalTapLib[dicom]".'
        ) from error
    return highdicom, pydicom


def read_headers(pydicom: Any, files: Sequence[str | Path]) -> list[Any]:
    """Return the headers of DICOM files; raise ValueError if there are none, or one cannot be read."""
    if not files:
        raise ValueError("Writing DICOM needs the files of the series; none were given.")
    try:
        return [pydicom.dcmread(str(file), stop_before_pixels=True) for file in files]
    except (OSError, pydicom.errors.InvalidDicomError) as error:
        raise ValueError(f"The DICOM series cannot be read again: {error}.") from error


def _slices_of(image: sitk.Image, datasets: Sequence[Any]) -> list[int]:
    """Return the label map's slice for every frame of the series, in the order of the frames."""
    series = {str(getattr(dataset, "SeriesInstanceUID", "")) for dataset in datasets}
    if len(series) > 1:
        raise ValueError(f"DICOM SEG refers to one series; the files are of {len(series)}.")
    size = image.GetSize()
    _check_distances(datasets)
    slices = []
    for dataset in datasets:
        if (int(dataset.Columns), int(dataset.Rows)) != size[:2]:
            shown = f"{dataset.Columns} x {dataset.Rows}"
            raise ValueError(f"The DICOM files show {shown} pixels, but the label map {size[0]} x {size[1]}.")
        for position, along in _places(dataset):
            index = np.array(image.TransformPhysicalPointToContinuousIndex(position))
            next_column = np.array(image.GetDirection()).reshape(3, 3)[:, 0]
            if np.abs(index - [0, 0, round(index[2])]).max() > _SAME_PLACE or next_column @ along < 0.999:
                raise ValueError("The DICOM files do not lie on the label map's grid; they are another series.")
            slices.append(round(index[2]))
    if min(slices) < 0 or max(slices) >= size[2]:
        raise ValueError("The DICOM files do not lie on the label map's grid; they are another series.")
    return slices


def _check_distances(datasets: Sequence[Any]) -> None:
    """Raise ValueError where a slice is missing, as a label map has its slices at one distance."""
    found = [(np.array(position), along) for dataset in datasets for position, along in _places(dataset)]
    if len(found) < 3:
        return
    order = datasets[0].get("ImageOrientationPatient")
    if order is None:
        return
    normal = np.cross(_numbers(order[:3]), _numbers(order[3:]))
    along_mm = np.sort([float(position @ normal) for position, _ in found])
    steps = np.diff(along_mm)
    widest = int(steps.argmax())
    if steps[widest] > _GAP * np.median(steps):
        raise ValueError(
            f"A slice is missing from the DICOM files, between slice {widest + 1} and slice {widest + 2} of "
            f"{len(along_mm)} ({steps[widest]:.3g} mm apart, the others {np.median(steps):.3g} mm), so that a DICOM "
            "segmentation cannot refer to them; export the series again and segment it."
        )


def _places(dataset: Any) -> list[tuple[list[float], np.ndarray]]:
    """Return the position of the first pixel (LPS, mm) and the row direction of every frame of a file."""
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return [(_numbers(dataset.ImagePositionPatient), np.array(_numbers(dataset.ImageOrientationPatient[:3])))]
    places = []
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        home = frame if "PlaneOrientationSequence" in frame else shared
        along = home.PlaneOrientationSequence[0].ImageOrientationPatient[:3]
        places.append((_numbers(frame.PlanePositionSequence[0].ImagePositionPatient), np.array(_numbers(along))))
    return places


def _numbers(values: Sequence[Any]) -> list[float]:
    return [float(value) for value in values]


def _description(highdicom: Any, segment: Segment, number: int) -> Any:
    """Return the DICOM description of one segment."""
    concept = highdicom.sr.CodedConcept
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.name,
        segmented_property_category=concept(CATEGORY[1], CATEGORY[0], CATEGORY[2]),
        segmented_property_type=concept(segment.code, "SCT", segment.meaning),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="SpinalTap",
            version=__version__,
            family=concept("123110", "DCM", "Artificial Intelligence"),
        ),
        display_color=highdicom.color.CIELabColor.from_rgb(*segment.colour),
    )
