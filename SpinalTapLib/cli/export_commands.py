"""The commands that write a result for other programs: dicom-seg and dicom-sr."""

from __future__ import annotations

import argparse
from typing import Any


def add_commands(commands: Any) -> None:
    """Add the commands of this file to the parser's sub-commands."""
    text = "write a DICOM segmentation of a result made from DICOM (needs the extra [dicom])"
    seg = commands.add_parser("dicom-seg", help=text)
    seg.add_argument("folder", metavar="DIR", help="result folder; vertebrae.dcm is written into it")
    seg.add_argument("--input", metavar="INPUT", help="new path of the DICOM folder or file, if it was moved")
    seg.set_defaults(run=run_dicom_seg)

    text = "write its measurements as a DICOM structured report (needs the extra [dicom])"
    sr = commands.add_parser("dicom-sr", help=text)
    sr.add_argument("folder", metavar="DIR", help="result folder; measurements.dcm is written into it")
    sr.add_argument("--input", metavar="INPUT", help="new path of the DICOM folder or file, if it was moved")
    sr.set_defaults(run=run_dicom_sr)


def run_dicom_seg(arguments: argparse.Namespace) -> int:
    """Write the DICOM segmentation and print where it is."""
    from ..files.dicom_seg import add_dicom_seg

    print(add_dicom_seg(arguments.folder, arguments.input))
    return 0


def run_dicom_sr(arguments: argparse.Namespace) -> int:
    """Write the structured report and print where it is."""
    from ..files.dicom_sr import add_dicom_sr

    print(add_dicom_sr(arguments.folder, arguments.input))
    return 0
