"""The commands benchmark and doctor."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..options import DEVICES
from .console import Console

if TYPE_CHECKING:
    from ..scans.volume import SagittalVolume


def add_commands(commands: Any) -> None:
    """Add the commands of this file to the parser's sub-commands."""
    benchmark = commands.add_parser("benchmark", help="measure run times on this machine")
    text = "segment, reseed: their stages; peers: other networks; scaling: parts of a scan (default: segment)"
    benchmark.add_argument("what", nargs="?", default="segment", choices=(*_STAGES, *_STUDIES), help=text)
    benchmark.add_argument("--scan", metavar="INPUT", help="scan to time (default: a synthetic one)")
    text = "region of the synthetic scan (default: whole for reseed and scaling, else lumbar)"
    benchmark.add_argument("--region", choices=("lumbar", "whole"), help=text)
    benchmark.add_argument("--repeats", type=int, default=3, metavar="N", help="runs of each (default: 3)")
    benchmark.add_argument("--device", default="auto", choices=DEVICES, help="where the networks run (default: auto)")
    benchmark.add_argument("--picture", metavar="PNG", help="write the picture of peers or scaling")
    benchmark.add_argument("--json", action="store_true", help="print the numbers as JSON")
    benchmark.set_defaults(run=run_benchmark)

    doctor = commands.add_parser("doctor", help="check versions, device and weights, and run a short self-check")
    doctor.add_argument("--device", default="auto", choices=DEVICES, help="where the networks run (default: auto)")
    doctor.add_argument("--json", action="store_true", help="print the report as JSON")
    doctor.set_defaults(run=run_doctor)


def run_benchmark(arguments: argparse.Namespace) -> int:
    """Time segment or reseed, or make one of the studies."""
    if arguments.repeats < 1:
        raise ValueError(f"--repeats takes a number from 1 up; got {arguments.repeats}.")
    if arguments.picture and arguments.what not in _STUDIES:
        raise ValueError(f"--picture goes with {' or '.join(_STUDIES)}; benchmark {arguments.what} draws none.")
    console = Console()
    volume = _benchmark_volume(arguments, console)
    return _STUDIES.get(arguments.what, _time_stages)(volume, arguments, console)


def _time_stages(volume: SagittalVolume, arguments: argparse.Namespace, console: Console) -> int:
    from ..pipeline import Options
    from .benchmark import time_reseed, time_segment

    run = time_reseed if arguments.what == "reseed" else time_segment
    console.line(f"Timing {arguments.what}, {arguments.repeats} times after a warm-up ...")
    timing = run(volume, Options(device=arguments.device), arguments.repeats)
    if arguments.json:
        print(json.dumps(asdict(timing), indent=1))
        return 0
    print(f"{timing.what} on {timing.device}, {timing.vertebrae} vertebrae; {timing.scan}")
    for stage, seconds in timing.seconds.items():
        print(f"  {stage:<10} {seconds:8.3f} s")
    if timing.peak_mb is not None:
        print(f"  peak memory {timing.peak_mb:.0f} MB")
    return 0


def _compare_peers(volume: SagittalVolume, arguments: argparse.Namespace, console: Console) -> int:
    from ..training.experiments.peers import compare, matrix_rate, peers_for, peers_table

    console.line(f"Timing the networks, {arguments.repeats} times after a warm-up; this takes minutes ...")
    rate = matrix_rate()
    timings = compare(peers_for(volume), rate, arguments.repeats)
    if arguments.picture:
        from ..training.experiments.speed_pictures import write_peers

        write_peers(timings, arguments.picture)
    content = {"matrix_gflop_s": rate, "peers": [asdict(timing) for timing in timings]}
    print(json.dumps(content, indent=1) if arguments.json else peers_table(timings, rate))
    return 0


def _measure_scaling(volume: SagittalVolume, arguments: argparse.Namespace, console: Console) -> int:
    from ..training.experiments.scaling import measure_scaling, scaling_table

    runs = measure_scaling(
        volume, repeats=arguments.repeats, progress=lambda done: console.progress("run", done, "Segmenting parts")
    )
    console.clear()
    if arguments.picture:
        from ..training.experiments.speed_pictures import write_scaling

        write_scaling(runs, arguments.picture)
    print(json.dumps([asdict(run) for run in runs], indent=1) if arguments.json else scaling_table(runs))
    return 0


_STAGES = ("segment", "reseed")
_STUDIES = {"peers": _compare_peers, "scaling": _measure_scaling}


def _benchmark_volume(arguments: argparse.Namespace, console: Console) -> SagittalVolume:
    if arguments.scan:
        from ..scans.volume import load_volume

        return load_volume(Path(arguments.scan))
    from ..training.synthetic.phantom import draw_phantom

    region = arguments.region or ("whole" if arguments.what in ("reseed", "scaling") else "lumbar")
    phantom = draw_phantom(
        1, region=region, progress=lambda done: console.progress("draw", done, "Drawing a synthetic scan")
    )
    console.clear()
    return phantom.image


def run_doctor(arguments: argparse.Namespace) -> int:
    """Check the installation."""
    from .doctor import examine

    checks = examine(arguments.device)
    healthy = all(check.ok for check in checks)
    if arguments.json:
        print(json.dumps({"ok": healthy, "checks": [asdict(check) for check in checks]}, indent=1))
    else:
        for check in checks:
            print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<24} {check.detail}")
    return 0 if healthy else 2
