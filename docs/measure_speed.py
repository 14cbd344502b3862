"""Measure what a run costs: processor seconds, memory, and counts that do not depend on the machine's load.

    python docs/measure_speed.py bench.json [earlier.json]

`make bench` runs it. It draws two synthetic scans, segments each in a process of its own, as the command line does,
and writes the numbers as JSON; with an earlier file, it prints both and their ratio. Processor time hardly depends on
other programs, but compare only files of one machine.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])

import SimpleITK as sitk  # noqa: E402

from SpinalTapLib.pipeline import reseed_spine, segment_spine  # noqa: E402
from SpinalTapLib.scans.volume import load_volume  # noqa: E402
from SpinalTapLib.spine.vertebra import SeedBox  # noqa: E402
from SpinalTapLib.training.experiments.peers import gflop, peers_for  # noqa: E402
from SpinalTapLib.training.experiments.scaling import cost_of  # noqa: E402
from SpinalTapLib.training.synthetic.phantom import draw_phantom  # noqa: E402

REPEATS = 3
REGIONS = ("lumbar", "whole")
IMPORT = "import sys, SpinalTapLib.result_folder"


def cold(name: str, command: list[str]) -> dict[str, float]:
    """Return the least processor time, s, and peak memory, MB, of a few runs of a command."""
    costs = [cost_of(command) for _ in range(REPEATS)]
    return {
        f"{name}: processor s": round(min(cost.processor_s for cost in costs), 2),
        f"{name}: peak MB": round(min(cost.peak_mb for cost in costs)),
    }


def recount(scan: Path) -> float:
    """Return the least processor time of a recount from the lowest vertebra, s."""
    spine = segment_spine(load_volume(scan))
    lowest = spine.vertebrae[0]
    seed = SeedBox(lowest.centroid_lps_mm, [30.0] * 3, level=lowest.level or "S1")
    seconds = []
    for _ in range(REPEATS):
        began = time.process_time()
        reseed_spine(spine, seed)
        seconds.append(time.process_time() - began)
    return min(seconds)


def measured(folder: Path) -> dict[str, float]:
    """Return all numbers."""
    numbers = cold("imports", [sys.executable, "-c", IMPORT])
    counted = [sys.executable, "-c", f"{IMPORT}; print(len(sys.modules))"]
    numbers["imports: modules"] = int(subprocess.run(counted, capture_output=True, check=True, cwd=ROOT).stdout)
    for region in REGIONS:
        image = draw_phantom(1, region=region).image
        scan = folder / f"{region}.nii.gz"
        sitk.WriteImage(image.to_source(image.array), str(scan))
        command = ["-m", "SpinalTapLib", "segment", str(scan), "--output", str(folder / region), "--quiet"]
        numbers |= cold(f"segment, {region}", [sys.executable, *command])
        ours = peers_for(load_volume(scan))[0]
        numbers[f"segment, {region}: GFLOP"] = round(gflop(ours.build(), ours.shape) * ours.passes)
    numbers["recount, whole: processor s"] = round(recount(folder / "whole.nii.gz"), 3)
    return numbers


def main(path: Path, earlier: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="spinaltap-") as folder:
        numbers = measured(Path(folder))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    path.write_text(json.dumps({"machine": machine, "numbers": numbers}, indent=1) + "\n", encoding="utf-8")
    before = json.loads(earlier.read_text(encoding="utf-8"))["numbers"] if earlier else {}
    for name, value in numbers.items():
        ratio = f"   before {before[name]:g}, ratio {value / before[name]:.2f}" if before.get(name) else ""
        print(f"{name:<34} {value:>8g}{ratio}")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else None)
