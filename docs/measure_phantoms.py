"""Measure a whole run on 20 phantoms of unseen seeds: the tables of docs/results.md.

    python docs/measure_phantoms.py FOLDER [--model FILE]

FOLDER stores scans, true label maps and results; existing files are reused. About ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from SpinalTapLib.cli.main import main as spinaltap  # noqa: E402

SEEDS = range(901, 921)
"""Seeds that are not used for training or calibration."""


def recipe(seed):
    """Return the arguments of `spinaltap phantom`: eight lumbar, eight whole and four cervical scans."""
    region, slice_mm = ("cervical", 3) if seed > 916 else ("whole", 5) if seed % 2 == 0 else ("lumbar", 4)
    sequence = ("t1", "t2", "stir")[seed % 3]
    chosen = ["--seed", seed, "--region", region, "--sequence", sequence, "--slice-mm", slice_mm]
    return [str(word) for word in chosen] + (["--pathology"] if seed % 4 == 1 else [])


def main():
    """Draw and segment the phantoms, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--model", default="parts", metavar="NAME|FILE", help="weights; default: the shipped ones")
    arguments = parser.parse_args()
    scans, truth, results = (arguments.folder / name for name in ("scans", "truth", "results"))
    for seed in SEEDS:
        if not list(truth.glob(f"phantom-{seed}-*")):
            spinaltap(["phantom", "--output", str(scans), *recipe(seed)])
            truth.mkdir(parents=True, exist_ok=True)
            for labels in scans.glob("*_labels.nii.gz"):
                labels.rename(truth / labels.name)
        scan = next(scans.glob(f"phantom-{seed}-*.nii.gz"))
        output = results / scan.name.removesuffix(".nii.gz")
        if not output.exists():
            with contextlib.redirect_stdout(io.StringIO()):  # its own table
                spinaltap(["segment", str(scan), "--output", str(output), "--model", arguments.model, "--quiet"])
    for group in ("sequence", "region"):
        spinaltap(["evaluate", str(truth), str(results), "--by", group])


if __name__ == "__main__":
    main()
