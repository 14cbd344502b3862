"""Measure the ladder and the confidence, and write docs/ladder.md and docs/pictures/calibration.png.

    python docs/make_ladder.py FOLDER [--scans N] [--fit]

FOLDER stores the phantoms for later runs. With --fit, the confidence curve is first fitted on phantoms of other seeds
and written to the card of the weights. Five phantoms per region take about five minutes on one core, ten with --fit.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from SpinalTapLib.cli.benchmark import RUNGS, time_rungs  # noqa: E402
from SpinalTapLib.cli.console import Console  # noqa: E402
from SpinalTapLib.detection.detector import PartDetector  # noqa: E402
from SpinalTapLib.detection.weights import load_network  # noqa: E402
from SpinalTapLib.pipeline import Options, segment_spine  # noqa: E402
from SpinalTapLib.resources import resource_path  # noqa: E402
from SpinalTapLib.result_folder import segment_file  # noqa: E402
from SpinalTapLib.scans.volume import load_volume  # noqa: E402
from SpinalTapLib.training.experiments.calibration import put_into_card, study_calibration  # noqa: E402
from SpinalTapLib.training.experiments.calibration_picture import write_picture  # noqa: E402
from SpinalTapLib.training.experiments.poster import FIRST_SEED, REGIONS, draw_subject, run_poster  # noqa: E402

FIT_SEED = 80_000
"""First seed of the phantoms that the curve is fitted on; the table is made on others."""


def study(folder, first_seed, scans, console):
    """Segment phantoms with the current weights and compare the results with the ground truth."""
    scan_folder, results = folder / f"from-{first_seed}", folder / f"results-from-{first_seed}"
    for region in REGIONS:
        for seed in range(first_seed, first_seed + scans):
            console.line(f"Segmenting {region} phantom {seed} ...")
            draw_subject(region, seed, scan_folder)
            path = next(scan_folder.glob(f"phantom-{seed}-{region}-*[!s].nii.gz"))
            segment_file(path, results / path.name.removesuffix(".nii.gz"))
    return study_calibration(results, scan_folder)


def document(poster, reliability, seconds, scans):
    """Return the text of docs/ladder.md."""
    return f"""# The ladder and the confidence

Made by `python docs/make_ladder.py FOLDER --scans {scans}`, weights `parts` {reliability.model["sha256"][:8]}.

## The poster's experiment

`spinaltap experiment poster --scans {scans}`

{poster.markdown()}
`spinaltap experiment poster --rungs FILE.png` draws the picture in the README.

## Confidence

Vertebrae of the same {reliability.scans} scans. "Right" means that the centroid lies in a true body and that the level,
if one is given, is that of the body. The curve in the model card turns the detector's score into a probability. It was
fitted on scans of other people (`spinaltap experiment calibration RESULTS TRUTH --card CARD`). Confidence is lower
where ladder and detector disagree. In words: "sure" from 0.9, "likely" from 0.6, "check" below.

{reliability.markdown()}
![Share of vertebrae that are right, by confidence and by score](pictures/calibration.png)

## Time

{RUNGS} steps of the ladder, after a first run, without cached views: {seconds:.2f} s (`spinaltap benchmark reseed`).
"""


def main():
    """Measure, draw the picture and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--scans", type=int, default=5, metavar="N", help="phantoms a region; default: 5")
    parser.add_argument("--fit", action="store_true", help="fit the curve of confidence first")
    arguments = parser.parse_args()
    folder, scans, console = arguments.folder, arguments.scans, Console()
    if arguments.fit:
        fitted = study(folder, FIT_SEED, scans, console)
        put_into_card(fitted, resource_path("Models", "parts.json"))
    network, card = load_network("parts")
    ladder, ladder_card = load_network("ladder")
    seen = {"detector": card["trained_on"], "ladder": ladder_card["trained_on"]}
    cache = folder / f"from-{FIRST_SEED}"
    found = run_poster(
        PartDetector(network), ladder, seen, scans=scans, cache=cache, progress=lambda _, text: console.line(text)
    )
    reliability = study(folder, FIRST_SEED, scans, console)
    write_picture(reliability, ROOT / "docs" / "pictures" / "calibration.png")
    spine = segment_spine(load_volume(next(cache.glob(f"phantom-{FIRST_SEED}-whole-*[!s].nii.gz"))))
    page = document(found, reliability, time_rungs(spine, Options()), scans)
    (ROOT / "docs" / "ladder.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
