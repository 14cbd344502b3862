"""The commands that name the vertebrae of one scan: segment, reseed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..options import DEFAULT_STRUCTURES, DEVICES, METHODS, PARTS_MODEL, STRUCTURES, SURFACE_FORMATS, Options
from .arguments import add_edits, add_seed, correction_of, seed_of
from .console import Console

if TYPE_CHECKING:
    from ..spine.vertebra import SeedBox, Spine

NOTHING_FOUND = 3


def add_commands(commands: Any) -> None:
    """Add the commands of this file to the parser's sub-commands."""
    segment = commands.add_parser("segment", help="find, name and model the vertebrae in one scan")
    segment.add_argument("input", type=given, metavar="INPUT", help="NIfTI, NRRD, MetaImage, a DICOM folder or file")
    segment.add_argument("--output", type=given, required=True, metavar="DIR", help="folder for the results")
    segment.add_argument("--series", metavar="UID|N|NAME|stackN", help="DICOM series to read, or one stack of it")
    text = "size of a pixel, if INPUT is a picture of one sagittal slice (PNG, or another 2-D file)"
    segment.add_argument("--pixel-mm", type=float, metavar="MM", help=text)
    text = "INPUT is the folder of a DICOM study: segment its best sagittal series, and name the slices of the others"
    segment.add_argument("--study", action="store_true", help=text)
    segment.add_argument("--each", action="store_true", help="with --study: segment every sagittal series")
    text = "INPUT is DICOM: also write a DICOM segmentation and a structured report (needs the extra [dicom])"
    segment.add_argument("--dicom", action="store_true", help=text)
    add_seed(segment)
    add_run(segment)
    segment.add_argument("--json", action="store_true", help="print spine.json instead of the table")
    segment.set_defaults(run=run_segment)

    reseed = commands.add_parser("reseed", help="correct a result and recount its levels, without running the detector")
    reseed.add_argument("folder", type=given, metavar="DIR", help="result folder of segment")
    reseed.add_argument("--output", type=given, metavar="DIR", help="folder for the new results (default: the same)")
    reseed.add_argument("--input", type=given, metavar="INPUT", help="new path of the scan, if it was moved")
    add_edits(add_seed(reseed))
    _add_count(reseed, again=True)
    _add_structures(reseed, again=True)
    _add_display(reseed)
    reseed.add_argument("--json", action="store_true", help="print spine.json instead of the table")
    reseed.set_defaults(run=run_reseed)


def given(text: str) -> str:
    """Return the text of an argument; refuse an empty one, such as an unset variable, which would mean this folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a file or folder, got an empty text")
    return text


def _add_count(parser: argparse.ArgumentParser, again: bool = False) -> None:
    steps, method = (None, None) if again else ("auto", "fused")
    text = "vertebrae to name above the first one: 6 in a lumbar scan, 23 in a whole spine (default: {})"
    parser.add_argument("--steps", default=steps, metavar="auto|N", help=text.format(steps or "as before"))
    text = "how to name the vertebrae (default: {})"
    parser.add_argument("--method", default=method, choices=METHODS, help=text.format(method or "as before"))


def _add_structures(parser: argparse.ArgumentParser, again: bool = False) -> None:
    text = "vertebrae: bodies with their arches; all: also discs and dural sac (default: {})"
    default = None if again else DEFAULT_STRUCTURES
    parser.add_argument("--structures", default=default, choices=STRUCTURES, help=text.format(default or "as before"))


def _add_display(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--surface-format", default="stl", choices=SURFACE_FORMATS, help="(default: stl)")
    parser.add_argument("--quiet", action="store_true", help="hide progress, but still show warnings")
    parser.add_argument("--verbose", action="store_true", help="show the library's log")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the options of a segmentation."""
    _add_count(parser)
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where the networks run (default: auto)")
    _add_structures(parser)
    parser.add_argument("--model", default=PARTS_MODEL, help=argparse.SUPPRESS)
    _add_display(parser)


def run_segment(arguments: argparse.Namespace) -> int:
    """Segment one scan, or a study."""
    seed = seed_of(arguments)
    if arguments.study:
        return _segment_study(arguments, seed)
    if arguments.each:
        raise ValueError("--each segments every sagittal series of a study: give --study too.")
    console = Console(quiet=arguments.quiet)
    if arguments.dicom:
        _check_dicom(Path(arguments.input), arguments.series)
    from ..result_folder import segment_file

    spine = segment_file(
        Path(arguments.input),
        Path(arguments.output),
        seed,
        series=arguments.series,
        pixel_mm=arguments.pixel_mm,
        options=options_of(arguments),
        surface_format=arguments.surface_format,
        progress=console.progress,
    )
    if arguments.dicom and spine.vertebrae:
        _write_dicom(Path(arguments.output))
    return _report(spine, Path(arguments.output), console, arguments.json)


def _check_dicom(scan: Path, series: str | None) -> None:
    """Raise ValueError now, before minutes of work, if no DICOM could be written for a scan."""
    from ..files.dicom_seg import dicom_packages
    from ..scans.reader import series_files

    dicom_packages()
    series_files(scan, series)


def _write_dicom(folder: Path) -> None:
    """Write segmentation and structured report into a result folder."""
    from ..files.dicom_seg import add_dicom_seg
    from ..files.dicom_sr import add_dicom_sr

    add_dicom_seg(folder)
    add_dicom_sr(folder)


def _segment_study(arguments: argparse.Namespace, seed: SeedBox | None) -> int:
    if seed is not None:
        raise ValueError("--study takes no seed box: segment the sagittal series by itself to count from a box.")
    console = Console(quiet=arguments.quiet)
    if arguments.dicom:
        from ..files.dicom_seg import dicom_packages

        dicom_packages()
    from ..study import LEVELS_NAME, segment_study

    study = segment_study(
        Path(arguments.input),
        Path(arguments.output),
        each=arguments.each,
        series=arguments.series,
        options=options_of(arguments),
        surface_format=arguments.surface_format,
        progress=console.progress,
    )
    if arguments.dicom and study.spine.vertebrae:
        _write_dicom(study.folder)
    code = _report(study.spine, study.folder, console, arguments.json)
    if code == 0 and not arguments.json:
        for row in study.series:
            told = f"series {row.series or '?':<5} {row.plane:<9} {row.slices:>4} slices  {row.outcome}"
            print(f"{told}{f': {row.message}' if row.message else ''}  {row.description}".rstrip())
        print(f"Levels of all slices: {Path(arguments.output) / LEVELS_NAME}")
    return code


def run_reseed(arguments: argparse.Namespace) -> int:
    """Change a result and count its levels again."""
    correction = correction_of(arguments)
    count: dict[str, Any] = {}
    if arguments.steps is not None:
        count["steps"] = steps_of(arguments.steps)
    if arguments.method is not None:
        count["method"] = arguments.method
    if count and arguments.undo:
        raise ValueError("--undo takes back the last change and cannot be combined with --steps or --method.")
    console = Console(quiet=arguments.quiet)
    from ..result_folder import reseed_folder

    folder = Path(arguments.folder)
    output = Path(arguments.output) if arguments.output else folder
    spine = reseed_folder(
        folder,
        output,
        correction,
        scan=Path(arguments.input) if arguments.input else None,
        count=count,
        structures=arguments.structures,
        surface_format=arguments.surface_format,
        progress=console.progress,
    )
    return _report(spine, output, console, arguments.json)


def steps_of(text: str) -> int | None:
    """Return the number of steps, or None for ``"auto"``."""
    if text == "auto":
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"--steps takes auto or a whole number; got {text!r}.") from None


def options_of(arguments: argparse.Namespace) -> Options:
    """Return the pipeline's options from the command line."""
    return Options(
        steps=steps_of(arguments.steps),
        method=arguments.method,
        device=arguments.device,
        structures=arguments.structures,
        model=arguments.model,
    )


def _report(spine: Spine, folder: Path, console: Console, as_json: bool) -> int:
    """Show warnings and results; return the exit code."""
    console.clear()
    from ..spine.confidence import word_of
    from ..spine.summary import check_sentence, summary

    for warning in filter(None, (*spine.warnings, check_sentence(spine))):
        console.warn(warning)
    if not spine.vertebrae:
        console.line(f"spinaltap: no vertebra found; nothing was written to {folder}.")
        return NOTHING_FOUND
    if as_json:
        content = json.loads((folder / "spine.json").read_text(encoding="utf-8"))
        print(json.dumps(content, indent=1))
        return 0
    print(f"{'level':<12} {'confidence':<12} {'height mm':>10}  notes")
    for vertebra in reversed(spine.vertebrae):
        sure = f"{vertebra.confidence:.2f} {word_of(vertebra, spine)}"
        row = f"{vertebra.name:<12} {sure:<12} {vertebra.height_mm:>10.1f}  {', '.join(vertebra.flags)}"
        print(row.rstrip())
    print(summary(spine))
    print(f"Results: {folder}")
    return 0
