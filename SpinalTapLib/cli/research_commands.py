"""The commands evaluate and experiment."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..options import DEVICES, LADDER_MODEL, LEVELS_MODEL, PARTS_MODEL
from .console import Console

if TYPE_CHECKING:
    from ..detection.detector import PartDetector
    from ..training.evaluation.protocol import Evaluation
    from ..training.evaluation.spider_evaluation import SpiderEvaluation
    from ..training.evaluation.spider_names import NamesEvaluation
    from ..training.evaluation.volumes import VolumeEvaluation


def add_commands(commands: Any) -> None:
    """Add the commands of this file to the parser's sub-commands."""
    evaluate = commands.add_parser("evaluate", help="compare results with reference labels")
    evaluate.add_argument("references", nargs="?", metavar="REFERENCES", help="folder of true label maps")
    evaluate.add_argument("predictions", nargs="?", metavar="PREDICTIONS", help="folder of label maps or of results")
    evaluate.add_argument("--table", metavar="CSV", help="columns name, group and subject")
    evaluate.add_argument("--conversion", metavar="CSV", help="columns from (the references' values) and to (ours)")
    evaluate.add_argument("--by", default="sequence", choices=("sequence", "region"), help="(default: sequence)")
    evaluate.add_argument("--spider", metavar="DIR", help="evaluate the detector on these SPIDER slices instead")
    evaluate.add_argument(
        "--volumes", metavar="DIR", help="evaluate vertebrae, arches, discs and dural sac of these scans instead"
    )
    evaluate.add_argument("--slice-mm", type=float, metavar="MM", help="for --volumes: average slices to this first")
    evaluate.add_argument(
        "--cut", choices=("s1", "l5s1", "top3"), help="with --spider: evaluate only the names, on slices that end there"
    )
    text = "evaluate the names on these T2-SPACE stacks with numbered bodies instead"
    evaluate.add_argument("--stacks", metavar="DIR", help=text)
    evaluate.add_argument("--ladder", default=LADDER_MODEL, metavar="NAME|FILE", help="the ladder's weights")
    evaluate.add_argument("--levels", default=LEVELS_MODEL, metavar="NAME|FILE", help="the level network's weights")
    evaluate.add_argument("--model", default=PARTS_MODEL, metavar="NAME|FILE", help="the detector's weights")
    evaluate.add_argument("--device", default="auto", choices=DEVICES, help="where the networks run (default: auto)")
    evaluate.add_argument("--json", action="store_true", help="print JSON instead of a Markdown table")
    evaluate.set_defaults(run=run_evaluate)

    experiment = commands.add_parser("experiment", help="repeat one of the project's experiments")
    kinds = experiment.add_subparsers(title="experiments", metavar="EXPERIMENT", required=True)
    fidelity = kinds.add_parser("fidelity", help="surfaces of synthetic bodies against their true shape")
    fidelity.add_argument("--spines", type=int, default=4, metavar="N")
    fidelity.add_argument("--seed", type=int, default=0, metavar="N")
    fidelity.add_argument("--slice-mm", type=float, nargs="+", metavar="MM", help="slice distances (default: 1 3 4 5)")
    fidelity.add_argument("--pixel-mm", type=float, nargs="+", metavar="MM", help="pixels (default: 0.5 0.8 1.2)")
    fidelity.set_defaults(run=run_fidelity)
    calibration = kinds.add_parser("calibration", help="compare the stated confidence with the share that is right")
    calibration.add_argument("predictions", metavar="PREDICTIONS", help="folder of result folders")
    calibration.add_argument("references", metavar="REFERENCES", help="folder of true label maps of the same names")
    calibration.add_argument("--picture", metavar="PNG", help="draw the curve (needs matplotlib)")
    calibration.add_argument("--card", metavar="JSON", help="store the curve in this model card")
    calibration.add_argument("--json", action="store_true", help="print only the entry for the model card")
    calibration.set_defaults(run=run_calibration)
    text = "compare the probabilities of levels with the share that is right, on hard synthetic scans"
    odds = kinds.add_parser("levels", help=text)
    odds.add_argument("--scans", type=int, default=200, metavar="N")
    odds.add_argument("--seed", type=int, default=901, metavar="N", help="of the first person (default: 901)")
    odds.add_argument("--model", default=PARTS_MODEL, metavar="NAME|FILE", help="the detector's weights")
    odds.add_argument("--levels", default=LEVELS_MODEL, metavar="NAME|FILE", help="the level network's weights")
    odds.add_argument("--picture", metavar="PNG", help="write the reliability picture (needs matplotlib)")
    odds.add_argument("--json", action="store_true", help="print JSON instead of a Markdown table")
    odds.set_defaults(run=run_odds)
    text = "how much the measurements of one phantom differ between scans in other grids, with other noise"
    repeat = kinds.add_parser("repeatability", help=text)
    repeat.add_argument("--seeds", type=int, nargs="+", default=[951, 952, 953], metavar="N", help="one phantom each")
    repeat.add_argument("--repetitions", type=int, default=6, metavar="N", help="scans of each (default: 6)")
    repeat.add_argument("--region", default="lumbar", choices=("whole", "lumbar", "thoracic", "cervical"))
    repeat.add_argument("--slice-mm", type=float, default=4.0, metavar="MM", help="(default: 4)")
    repeat.add_argument("--pixel-mm", type=float, default=1.0, metavar="MM", help="(default: 1)")
    repeat.set_defaults(run=run_repeatability)
    text = "how many axial slices are named rightly by the sagittal scan of the same synthetic person"
    slices = kinds.add_parser("slices", help=text)
    slices.add_argument("--seeds", type=int, nargs="+", default=[961, 962, 963, 964], metavar="N", help="the people")
    slices.add_argument("--region", default="whole", choices=("whole", "lumbar", "thoracic", "cervical"))
    slices.set_defaults(run=run_slices)
    arches = kinds.add_parser("arches", help="share of the arches' voxels that go to the right vertebra, on phantoms")
    arches.add_argument("--scans", type=int, default=10, metavar="N")
    arches.set_defaults(run=run_arches)
    poster = kinds.add_parser("poster", help="table of the detector (squeezed, and on tiles), the ladder, and both")
    poster.add_argument("--scans", type=int, default=5, metavar="N", help="phantoms per region (default: 5)")
    poster.add_argument("--seed", type=int, default=90_000, metavar="N", help="of the first phantom (default: 90000)")
    poster.add_argument("--cache", metavar="DIR", help="cache for the phantoms")
    poster.add_argument("--model", default=PARTS_MODEL, metavar="NAME|FILE", help="the detector's weights")
    poster.add_argument("--ladder", default=LADDER_MODEL, metavar="NAME|FILE", help="the ladder's weights")
    poster.add_argument("--rungs", metavar="PNG", help="draw the ladder climbing a whole synthetic spine instead")
    poster.add_argument("--json", action="store_true", help="print JSON instead of Markdown tables")
    poster.set_defaults(run=run_poster)
    ablation = kinds.add_parser("ablation", help="train without each ingredient in turn, and measure on real slices")
    ablation.add_argument("--spider", required=True, metavar="DIR", help="the SPIDER slices")
    ablation.add_argument("--output", required=True, metavar="DIR", help="one folder per row; finished ones are kept")
    ablation.add_argument("--config", default="small", metavar="NAME|FILE", help="recipe with all training ingredients")
    ablation.add_argument("--canvases", metavar="DIR", help="cache for drawn canvases")
    ablation.set_defaults(run=run_ablation)
    taught = kinds.add_parser("self-training", help="self-training on unlabelled real slices, measured on others")
    taught.add_argument("--spider", required=True, metavar="DIR", help="the SPIDER slices")
    taught.add_argument("--output", required=True, metavar="DIR", help="one folder for each half of the patients")
    taught.add_argument("--config", default="self_training", metavar="NAME|FILE", help="recipe of the self-training")
    taught.add_argument("--canvases", metavar="DIR", help="cache for drawn canvases")
    taught.set_defaults(run=run_self_training)
    sheet = kinds.add_parser("contact-sheet", help="synthetic training tiles beside tiles of real slices, as a picture")
    sheet.add_argument("--output", required=True, metavar="PNG")
    sheet.add_argument("--real", metavar="DIR", help="folder of upright real slices (PNG)")
    sheet.add_argument("--config", default="parts", metavar="NAME|FILE")
    sheet.add_argument("--lumbar", action="store_true", help="synthetic tiles framed and weighted like lumbar scans")
    sheet.add_argument("--count", type=int, default=32, metavar="N")
    sheet.add_argument("--seed", type=int, default=0, metavar="N")
    sheet.set_defaults(run=run_contact_sheet)


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Print the protocol's table."""
    folders = arguments.references is not None and arguments.predictions is not None
    kinds = [folders, bool(arguments.spider), bool(arguments.stacks), bool(arguments.volumes)]
    if sum(kinds) != 1 or (arguments.references is None) != (arguments.predictions is None):
        raise ValueError(
            "evaluate takes two folders, REFERENCES and PREDICTIONS, or --spider, --stacks or --volumes and one folder."
        )
    if arguments.cut and not arguments.spider:
        raise ValueError("--cut is for the slices of --spider; give --spider and their folder too.")
    if arguments.slice_mm is not None and not (arguments.volumes and 0.5 <= arguments.slice_mm <= 8):
        raise ValueError(f"--slice-mm takes 0.5-8 mm, with --volumes; got {arguments.slice_mm:g}.")
    console = Console()
    found: list[Any]
    if arguments.volumes:
        found = [_evaluate_volumes(arguments, console)]
    elif arguments.stacks or arguments.cut:
        found = [_evaluate_names(arguments, console)]
    elif arguments.spider:
        found = [_evaluate_spider(arguments, console), _evaluate_names(arguments, console)]
    else:
        found = [_evaluate_folders(arguments, console)]
    console.clear()
    if arguments.json:
        content = found[0].as_json() if len(found) == 1 else {**found[0].as_json(), "names": found[1].as_json()}
        print(json.dumps(content, indent=1))
    else:
        print("\n\n".join(part.markdown().rstrip() for part in found))
    return 0


def _evaluate_folders(arguments: argparse.Namespace, console: Console) -> Evaluation:
    from ..training.evaluation.protocol import evaluate_folders

    return evaluate_folders(
        arguments.references,
        arguments.predictions,
        table=arguments.table,
        conversion=arguments.conversion,
        by_region=arguments.by == "region",
        progress=lambda done, name: console.progress("evaluate", done, f"Comparing {name}"),
    )


def _detector(arguments: argparse.Namespace) -> PartDetector:
    from ..detection.detector import PartDetector
    from ..detection.device import choose_device
    from ..detection.weights import load_network
    from ..scans.resampling import WORKING_PIXEL_MM

    device = choose_device(arguments.device)
    network, _ = load_network(arguments.model, device, pixel_mm=WORKING_PIXEL_MM)
    return PartDetector(network, device)


def _evaluate_volumes(arguments: argparse.Namespace, console: Console) -> VolumeEvaluation:
    from ..training.evaluation.volumes import evaluate_volumes

    return evaluate_volumes(
        arguments.volumes,
        _detector(arguments),
        arguments.slice_mm,
        lambda done, name: console.progress("evaluate", done, f"Looking at {name}"),
    )


def _evaluate_spider(arguments: argparse.Namespace, console: Console) -> SpiderEvaluation:
    from ..training.evaluation.spider_evaluation import detector_finder, evaluate_spider

    return evaluate_spider(
        arguments.spider,
        detector_finder(_detector(arguments)),
        lambda done, name: console.progress("evaluate", done, f"Looking at {name}"),
    )


def _evaluate_names(arguments: argparse.Namespace, console: Console) -> NamesEvaluation:
    from ..detection.device import choose_device
    from ..training.evaluation.spider_names import evaluate_slices, evaluate_stacks, make_namer

    namer = make_namer(arguments.model, arguments.ladder, arguments.levels, choose_device(arguments.device))

    def progress(done: float, name: str) -> None:
        console.progress("names", done, f"Naming {name}")

    if arguments.stacks:
        return evaluate_stacks(arguments.stacks, namer, progress)
    return evaluate_slices(arguments.spider, namer, arguments.cut, progress)


def run_fidelity(arguments: argparse.Namespace) -> int:
    """Print the distance of the surfaces from the true shape."""
    if arguments.spines < 1:
        raise ValueError(f"--spines takes a number from 1 up; got {arguments.spines}.")
    from ..training.experiments.fidelity import PIXELS_MM, SLICES_MM, fidelity_table, measure_fidelity

    slices, pixels = arguments.slice_mm or SLICES_MM, arguments.pixel_mm or PIXELS_MM
    if not (0.5 <= min(slices) <= max(slices) <= 8 and 0.3 <= min(pixels) <= max(pixels) <= 1.6):
        raise ValueError("--slice-mm takes distances of 0.5-8 mm, --pixel-mm edges of 0.3-1.6 mm.")
    console = Console()
    found = measure_fidelity(
        slices,
        pixels,
        spines=arguments.spines,
        seed=arguments.seed,
        progress=lambda done: console.progress("fidelity", done, "Measuring surfaces"),
    )
    console.clear()
    print(fidelity_table(found).rstrip())
    return 0


def run_repeatability(arguments: argparse.Namespace) -> int:
    """Measure the repeatability of the measurements and print a table."""
    console = Console()
    from ..training.experiments.repeatability import measure_repeatability, repeatability_table

    rows = measure_repeatability(
        arguments.seeds,
        arguments.repetitions,
        region=arguments.region,
        slice_mm=arguments.slice_mm,
        pixel_mm=arguments.pixel_mm,
        progress=lambda done: console.progress("repeat", done, "Segmenting the phantoms"),
    )
    console.clear()
    print(repeatability_table(rows))
    return 0


def run_slices(arguments: argparse.Namespace) -> int:
    """Name axial slices by sagittal scans and print how many are right."""
    console = Console()
    from ..training.experiments.slice_levels import score_slices

    score = score_slices(
        arguments.seeds,
        region=arguments.region,
        progress=lambda done: console.progress("slices", done, "Naming axial slices"),
    )
    console.clear()
    print(f"{score.slices} axial slices: {score.right} right ({score.largest} by the largest structure), "
          f"{score.one_off} one off, {score.far} further off, {score.empty} not named")  # fmt: skip
    return 0


def run_arches(arguments: argparse.Namespace) -> int:
    """Print how many voxels of the arches each method gives to the right vertebra."""
    if arguments.scans < 1:
        raise ValueError(f"--scans takes a number from 1 up; got {arguments.scans}.")
    from ..training.experiments.arch_owners import study_owners

    console = Console()
    table = study_owners(arguments.scans, lambda done, name: console.progress("arches", done, f"Measuring {name}"))
    console.clear()
    print(table.rstrip())
    return 0


def run_calibration(arguments: argparse.Namespace) -> int:
    """Print the calibration of the confidence, and the curve for the model card."""
    console = Console()
    from ..spine.confidence import CARD_KEY
    from ..training.experiments.calibration import put_into_card, study_calibration
    from ..training.experiments.calibration_picture import write_picture

    study = study_calibration(
        arguments.predictions,
        arguments.references,
        lambda done, name: console.progress("calibration", done, f"Comparing {name}"),
    )
    console.clear()
    entry = json.dumps({CARD_KEY: study.as_json()}, indent=1)
    if arguments.card:
        put_into_card(study, arguments.card)
    if arguments.picture:
        write_picture(study, arguments.picture)
    print(entry if arguments.json else f"{study.markdown()}\nFor the model card:\n\n{entry}")
    return 0


def run_odds(arguments: argparse.Namespace) -> int:
    """Print the reliability of the odds of names on hard synthetic scans."""
    for name in ("scans", "seed"):
        if getattr(arguments, name) < 1:
            raise ValueError(f"--{name} takes a number from 1 up; got {getattr(arguments, name)}.")
    console = Console()
    from ..detection.detector import PartDetector
    from ..detection.weights import load_network
    from ..scans.resampling import WORKING_PIXEL_MM
    from ..training.experiments.calibration_picture import write_odds
    from ..training.experiments.level_odds import study_odds

    network, _ = load_network(arguments.model, pixel_mm=WORKING_PIXEL_MM)
    study = study_odds(
        PartDetector(network),
        load_network(arguments.levels),
        scans=arguments.scans,
        seed=arguments.seed,
        progress=lambda done, sentence: console.progress("levels", done, sentence),
    )
    console.clear()
    if arguments.picture:
        write_odds(study, arguments.picture)
    print(json.dumps(study.as_json(), indent=1) if arguments.json else study.markdown().rstrip())
    return 0


def run_poster(arguments: argparse.Namespace) -> int:
    """Print the poster's table, or draw the rungs."""
    for name in ("scans", "seed"):
        if getattr(arguments, name) < 1:
            raise ValueError(f"--{name} takes a number from 1 up; got {getattr(arguments, name)}.")
    console = Console()
    from ..detection.weights import load_network

    ladder, ladder_card = load_network(arguments.ladder)
    if arguments.rungs:
        from ..training.experiments.rungs_picture import write_rungs

        print(write_rungs(arguments.rungs, ladder, arguments.seed))
        return 0
    from ..detection.detector import PartDetector
    from ..scans.resampling import WORKING_PIXEL_MM
    from ..training.experiments import poster

    network, card = load_network(arguments.model, pixel_mm=WORKING_PIXEL_MM)
    seen = {"detector": str(card.get("trained_on", "?")), "ladder": str(ladder_card.get("trained_on", "?"))}
    found = poster.run_poster(
        PartDetector(network),
        ladder,
        seen,
        scans=arguments.scans,
        first_seed=arguments.seed,
        cache=arguments.cache,
        progress=lambda done, sentence: console.progress("poster", done, sentence),
    )
    console.clear()
    print(json.dumps(found.as_json(), indent=1) if arguments.json else found.markdown().rstrip())
    return 0


def run_contact_sheet(arguments: argparse.Namespace) -> int:
    """Write synthetic tiles beside real ones."""
    if arguments.count < 1:
        raise ValueError(f"--count takes a number from 1 up; got {arguments.count}.")
    from ..training.config import load_config
    from ..training.experiments.contact_sheet import write_contact_sheet

    config = load_config(arguments.config)
    real = Path(arguments.real) if arguments.real else None
    print(write_contact_sheet(arguments.output, config, real, arguments.count, arguments.seed, lumbar=arguments.lumbar))
    return 0


def run_ablation(arguments: argparse.Namespace) -> int:
    """Print the effect of each training ingredient."""
    from ..training.experiments.ablation import run_all

    return _print_comparison(arguments, run_all, "Taken out or changed")


def run_self_training(arguments: argparse.Namespace) -> int:
    """Print the effect of self-training on unlabelled real slices."""
    from ..training.experiments.self_training import run_self_training

    return _print_comparison(arguments, run_self_training, "Taught with")


def _print_comparison(arguments: argparse.Namespace, run: Callable[..., Mapping[str, Any]], title: str) -> int:
    """Run the training of an experiment, and print its results on the SPIDER slices."""
    from dataclasses import replace

    from ..training.config import load_config
    from ..training.evaluation.spider_evaluation import comparison_table

    console = Console()
    config = load_config(arguments.config)
    if arguments.canvases:
        config = replace(config, canvas_folder=arguments.canvases)
    found = run(config, Path(arguments.output), Path(arguments.spider), console.progress)
    console.clear()
    print(comparison_table(title, found).rstrip())
    return 0
