"""Write the measurements of a result as a DICOM structured report (TID 1500), tied to its DICOM segmentation.

Needs the optional package ``highdicom`` (``pip install "SpinalTapLib[dicom]"``).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..spine.angles import spine_curves
from ..spine.confidence import word_of
from ..spine.segments import CATEGORY, segment_of
from ..spine.vertebra import Spine, Vertebra
from .atomic import write_whole
from .dicom_seg import add_dicom_seg, dicom_packages, read_headers, source_files
from .measurements_csv import MEASUREMENTS
from .result_files import read_result
from .result_names import DICOM_NAME, SR_NAME

SERIES_DESCRIPTION = "SpinalTap measurements"
SCHEME = "99SPINALTAP"
"""Private coding scheme of the measurements; their codes are the columns of ``measurements.csv``, see `code_of`."""
_SHORTER = {
    "anterior": "ant", "middle": "mid", "posterior": "post", "biconcavity": "biconcav", "index": "ix",
    "lordosis": "lord", "kyphosis": "kyph",
}  # fmt: skip

_SERIES_NUMBER = 7301
_CERTAINTY = ("111012", "DCM", "Certainty of Finding")
_IMAGING = ("113091000", "SCT", "Magnetic resonance imaging")
_DEVICE_UID = "2.25.146823905113687425210904512787463018817"
"""Identifies the program as an observer; made once, at random, from a UUID (DICOM PS3.5, B.2)."""
_UNITS = {
    "_mm": ("mm", "UCUM", "millimeter"),
    "_mm2": ("mm2", "UCUM", "square millimeter"),
    "_deg": ("deg", "UCUM", "degree"),
    "_percent": ("%", "UCUM", "percent"),
}
_NO_UNIT = ("1", "UCUM", "no units")


def write_dicom_sr(path: str | Path, spine: Spine, segmentation: str | Path, files: Sequence[str | Path]) -> None:
    """Write a structured report with a group of measurements for each vertebra, and one for each angle of the spine.

    Parameters
    ----------
    path : path
        The file to write, usually ending in ``.dcm``.
    spine : Spine
        Measured.
    segmentation : path
        The DICOM segmentation of the same result, to whose segments the groups refer.
    files : sequence of path
        The DICOM files of the series that was segmented. Patient and study are copied from them.

    Raises
    ------
    ValueError
        If highdicom is missing, the spine has no vertebrae, the files cannot be read, the segmentation is of another
        series, or the file cannot be written; no partial file remains.
    """
    highdicom, pydicom = dicom_packages()
    if not spine.vertebrae:
        raise ValueError("There is no vertebra in this result, so there is nothing to write as DICOM SR.")
    images = read_headers(pydicom, files)
    (segments,) = read_headers(pydicom, [segmentation])
    source = str(images[0].SeriesInstanceUID)
    if source not in {str(entry.SeriesInstanceUID) for entry in segments.ReferencedSeriesSequence}:
        raise ValueError(f"{segmentation} is the segmentation of another series; write it again with dicom-seg.")
    writer = _Writer(highdicom, segments, source)
    try:
        report = highdicom.sr.Comprehensive3DSR(
            evidence=[segments, *images],
            content=writer.content(spine),
            series_instance_uid=highdicom.UID(),
            series_number=_SERIES_NUMBER,
            series_description=SERIES_DESCRIPTION,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="SpinalTap",
            is_complete=True,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The DICOM files cannot be referred to by a report: {error}.") from error
    buffer = io.BytesIO()
    report.save_as(buffer)
    write_whole(path, buffer.getvalue())


def add_dicom_sr(folder: str | Path, scan: str | Path | None = None) -> Path:
    """Write the measurements of a result folder as a DICOM structured report; write its segmentation too if missing.

    Parameters
    ----------
    folder : path
        Result folder of a scan that was read from DICOM; gets `result_names.SR_NAME`.
    scan : path, optional
        Where the DICOM folder or file is now, if it was moved.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        As for `dicom_seg.add_dicom_seg` and `write_dicom_sr`.
    """
    folder = Path(folder)
    files = source_files(folder, scan)
    if not (folder / DICOM_NAME).is_file():
        add_dicom_seg(folder, scan)
    write_dicom_sr(folder / SR_NAME, read_result(folder), folder / DICOM_NAME, files)
    return folder / SR_NAME


def code_of(name: str) -> str:
    """Return the code of a measurement: ``"height_ant"`` for ``"height_anterior_mm"``.

    Codes have at most 16 characters; many programs do not read DICOM's long code values.
    """
    words = (_SHORTER.get(word, word) for word in name.split("_") if word not in ("mm", "mm2", "deg"))
    return "_".join(words)[:16]


class _Writer:
    """Makes the content of one report.

    Parameters
    ----------
    highdicom : module
        The package.
    segments : pydicom.Dataset
        The segmentation.
    source : str
        Instance UID of the series that was segmented.
    """

    def __init__(self, highdicom: Any, segments: Any, source: str) -> None:
        self._sr = highdicom.sr
        self._uid = highdicom.UID
        self._segments, self._source = segments, source
        self._numbers = {str(item.SegmentLabel): int(item.SegmentNumber) for item in segments.SegmentSequence}

    def content(self, spine: Spine) -> Any:
        """Return the report's content: TID 1500."""
        sr = self._sr
        observer = sr.ObserverContext(
            observer_type=self._code(("121007", "DCM", "Device")),
            observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
                uid=_DEVICE_UID, name="SpinalTap", manufacturer_name="SpinalTap", model_name=__version__
            ),
        )
        groups = [self._vertebra(vertebra, spine) for vertebra in spine.vertebrae]
        groups += [self._angle(curve.title, curve.levels, curve.name, curve.angle_deg) for curve in spine_curves(spine)]
        return sr.MeasurementReport(
            observation_context=sr.ObservationContext(observer_device_context=observer),
            procedure_reported=self._code(_IMAGING),
            imaging_measurements=groups,
            title=self._code(("126000", "DCM", "Imaging Measurement Report")),
        )

    def _vertebra(self, vertebra: Vertebra, spine: Spine) -> Any:
        about = segment_of(vertebra.label_value)
        kind = self._code((about.code, "SCT", about.meaning))
        values = {
            "tracking_identifier": self._sr.TrackingIdentifier(uid=self._uid(), identifier=vertebra.name),
            "finding_type": kind,
            "finding_category": self._code((CATEGORY[1], CATEGORY[0], CATEGORY[2])),
            "finding_sites": [self._sr.FindingSite(anatomic_location=kind)],
            "algorithm_id": self._algorithm(),
            "measurements": [
                self._measurement(_CERTAINTY, 100 * vertebra.confidence, ("%", "UCUM", "percent")),
                *self._measurements(vertebra.measurements),
            ],
            "qualitative_evaluations": self._words(vertebra, spine),
        }
        number = self._numbers.get(vertebra.name)
        if number is None:  # a vertebra that was not outlined
            return self._sr.MeasurementsAndQualitativeEvaluations(**values)
        segment = self._sr.ReferencedSegment(
            sop_class_uid=self._segments.SOPClassUID,
            sop_instance_uid=self._segments.SOPInstanceUID,
            segment_number=number,
            source_series=self._sr.SourceSeriesForSegmentation(self._source),
        )
        return self._sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **values)

    def _words(self, vertebra: Vertebra, spine: Spine) -> list[Any]:
        """Return the level and how sure it is, as coded name and coded value."""
        level = vertebra.level or "not known"
        words = word_of(vertebra, spine)
        pairs = (("level", "Level", level), ("certainty", "Certainty of the level", words))
        return [
            self._sr.QualitativeEvaluation(
                name=self._code((name, SCHEME, title)), value=self._code((value, SCHEME, value))
            )
            for name, title, value in pairs
        ]

    def _angle(self, title: str, levels: str, name: str, angle_deg: float) -> Any:
        return self._sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=self._sr.TrackingIdentifier(uid=self._uid(), identifier=f"{title} {levels}"),
            finding_type=self._code(("421060004", "SCT", "Vertebral column")),
            algorithm_id=self._algorithm(),
            measurements=[self._measurement((code_of(name), SCHEME, title), angle_deg, _UNITS["_deg"])],
        )

    def _measurements(self, values: Mapping[str, float]) -> list[Any]:
        found = []
        for name in MEASUREMENTS:
            if name in values:
                unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), _NO_UNIT)
                found.append(self._measurement((code_of(name), SCHEME, _title(name)), values[name], unit))
        return found

    def _measurement(self, name: tuple[str, str, str], value: float, unit: tuple[str, str, str]) -> Any:
        return self._sr.Measurement(name=self._code(name), value=round(float(value), 3), unit=self._code(unit))

    def _algorithm(self) -> Any:
        return self._sr.AlgorithmIdentification(name="SpinalTap", version=__version__)

    def _code(self, parts: tuple[str, str, str]) -> Any:
        return self._sr.CodedConcept(*parts)


def _title(name: str) -> str:
    """Return the meaning of a measurement: ``"Disc height anterior"`` for ``"disc_height_anterior_mm"``."""
    words = [word for word in name.split("_") if word not in ("mm", "mm2", "deg")]
    return " ".join(words).capitalize()
