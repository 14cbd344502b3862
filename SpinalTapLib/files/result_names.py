"""Names of the files in a result folder."""

from __future__ import annotations

JSON_NAME = "spine.json"
LABEL_MAP_NAME = "vertebrae.nii.gz"
SEGMENTATION_NAME = "vertebrae.seg.nrrd"
CSV_NAME = "measurements.csv"
REPORT_NAME = "report.png"
MARKUPS_FOLDER = "markups"
SURFACES_FOLDER = "surfaces"
CHANGES_NAME = "changes.json"
DICOM_NAME = "vertebrae.dcm"
"""Written on demand (see `dicom_seg`); a new result makes it obsolete."""
SR_NAME = "measurements.dcm"
"""The same (see `dicom_sr`)."""
