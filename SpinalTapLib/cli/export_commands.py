"""The command that writes a result for other programs: dicom-seg."""

from __future__ import annotations

import argparse
from typing import Any


def add_commands(commands: Any) -> None:
    """Add the command of this file to the parser's sub-commands."""
    text = "write a DICOM segmentation of a result made from DICOM (needs the extra [dicom])"
    seg = commands.add_parser("dicom-seg", help=text)
    seg.add_argument("folder", metavar="DIR", help="result folder; vertebrae.dcm is written into it")
    seg.add_argument("--input", metavar="INPUT", help="new path of the DICOM folder or file, if it was moved")
    seg.set_defaults(run=run_dicom_seg)


def run_dicom_seg(arguments: argparse.Namespace) -> int:
    """Write the DICOM segmentation and print where it is."""
    from ..files.dicom_seg import add_dicom_seg

    print(add_dicom_seg(arguments.folder, arguments.input))
    return 0
