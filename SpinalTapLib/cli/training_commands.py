"""The commands phantom and train."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..options import DEVICES
from ..progress import CancelledCallback
from ..training.images.sequences import IN_PHANTOMS
from .console import Console

CANCELLED = 130
DEFAULT_RECIPE = "parts"


def add_commands(commands: Any) -> None:
    """Add the commands of this file to the parser's sub-commands."""
    phantom = commands.add_parser("phantom", help="draw a synthetic scan with its true label map and corners")
    phantom.add_argument("--output", required=True, metavar="DIR", help="folder for the files")
    phantom.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed draws the same scan")
    phantom.add_argument("--region", default="whole", choices=("whole", "lumbar", "thoracic", "cervical"))
    phantom.add_argument("--sequence", default="t2", choices=IN_PHANTOMS)
    phantom.add_argument("--plane", default="sagittal", choices=("sagittal", "axial", "coronal"))
    phantom.add_argument("--slice-mm", type=float, default=4.0, metavar="MM", help="slice distance (default: 4)")
    phantom.add_argument("--pixel-mm", type=float, default=1.0, metavar="MM", help="size of a pixel (default: 1)")
    phantom.add_argument("--pathology", action="store_true", help="with fractures, slips, lesions and unusual counts")
    phantom.add_argument("--arches", action="store_true", help="also label arches (300 + value) and the sacrum (29)")
    phantom.set_defaults(run=run_phantom)

    train = commands.add_parser("train", help="train a network on synthetic spines")
    train.add_argument(
        "--config", metavar="NAME|FILE", help="recipe: parts (or the checkpoint's own), ladder, levels, tiny or a file"
    )
    train.add_argument("--output", required=True, metavar="DIR", help="folder for weights, card, log and checkpoint")
    train.add_argument("--resume", metavar="PATH", help="checkpoint, or its folder, to resume")
    train.add_argument("--seed", type=int, metavar="N", help="override the recipe's seed")
    train.add_argument("--steps", type=int, metavar="N", help="override the recipe's number of steps")
    train.add_argument("--minutes", type=float, metavar="M", help="stop after M minutes")
    train.add_argument("--device", choices=DEVICES, help="override the recipe's device")
    train.add_argument("--spider", metavar="DIR", help="SPIDER slices to measure on, never to train on")
    train.set_defaults(run=run_train)


def run_phantom(arguments: argparse.Namespace) -> int:
    """Draw a synthetic scan."""
    if arguments.seed < 0:
        raise ValueError(f"--seed takes a number from 0 up; got {arguments.seed}.")
    console = Console()
    from ..files.atomic import check_writable, staged_folder

    output = Path(arguments.output)
    check_writable(output)
    from ..training.synthetic.phantom import draw_phantom, write_phantom

    phantom = draw_phantom(
        arguments.seed,
        region=arguments.region,
        sequence=arguments.sequence,
        slice_mm=arguments.slice_mm,
        pixel_mm=arguments.pixel_mm,
        healthy=not arguments.pathology,
        arches=arguments.arches,
        plane=arguments.plane,
        progress=lambda done: console.progress("draw", done, "Drawing the slices"),
    )
    console.clear()
    with staged_folder(output) as folder:
        names = [path.name for path in write_phantom(phantom, folder)]
    for name in names:
        print(output / name)
    return 0


def run_train(arguments: argparse.Namespace) -> int:
    """Train a network."""
    console = Console()
    from ..progress import Cancelled

    try:
        with _interrupt_as_flag() as interrupted:
            weights = _train(arguments, console, interrupted)
    except Cancelled:
        console.line(f"Stopped; if {arguments.output} holds a checkpoint, continue with --resume {arguments.output}")
        return CANCELLED
    console.clear()
    print(weights)
    return 0


def _train(arguments: argparse.Namespace, console: Console, interrupted: CancelledCallback) -> Path:
    """Train the network of the recipe."""
    from ..training.config import TrainConfig
    from ..training.train import train
    from ..training.train_ladder import train_ladder
    from ..training.train_levels import LevelConfig, train_levels

    recipe = _recipe(arguments)
    where = (arguments.output, arguments.resume, console.progress, interrupted)
    if isinstance(recipe, TrainConfig):
        return train(recipe, *where, spider=arguments.spider)
    if arguments.spider or arguments.device not in (None, "auto", "cpu"):
        raise ValueError(
            f"The network {recipe.name!r} is trained on the processor and not measured on SPIDER slices meanwhile: "
            "leave --device and --spider out."
        )
    return train_levels(recipe, *where) if isinstance(recipe, LevelConfig) else train_ladder(recipe, *where)


def _recipe(arguments: argparse.Namespace) -> Any:
    """Return the named config, or that of the checkpoint, with the overrides of the command line."""
    from ..training.checkpoint import stored_config
    from ..training.config import TrainConfig, load_config
    from ..training.train_ladder import LadderConfig
    from ..training.train_levels import LevelConfig

    if arguments.resume is not None and arguments.config is None:
        recipe: Any = stored_config(Path(arguments.resume))
    else:
        kinds = {"parts": TrainConfig, "ladder": LadderConfig, "levels": LevelConfig}
        recipe = load_config(arguments.config or DEFAULT_RECIPE, kinds)
    given = {"seed": arguments.seed, "steps": arguments.steps, "deadline_minutes": arguments.minutes}
    if isinstance(recipe, TrainConfig):
        given["device"] = arguments.device
    return replace(recipe, **{name: value for name, value in given.items() if value is not None})


@contextmanager
def _interrupt_as_flag() -> Iterator[CancelledCallback]:
    """Turn the first Ctrl+C into a flag, so that a checkpoint is written; the second one ends the run at once."""
    pressed = False

    def press(number: int, frame: Any) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = {number: signal.signal(number, press) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
