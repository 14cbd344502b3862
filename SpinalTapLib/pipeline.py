"""Segment a volume and count its levels: the entry points `segment_spine` and `reseed_spine`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from .bodies.centring import recentred
from .counting.labelling import label, without_levels
from .counting.ladder import LadderLook, Look
from .counting.level_evidence import LevelLook
from .counting.turns import FEW, better_turn
from .detection.detector import Detections, PartDetector
from .detection.device import choose_device
from .detection.linking import Candidate, link
from .detection.weights import load_network
from .evidence import Evidence, gather, slices_of
from .options import Options
from .progress import Cancelled, CancelledCallback, ProgressCallback, Stages
from .scans.resampling import WORKING_PIXEL_MM, working_volume
from .scans.volume import SagittalVolume
from .spine.confidence import SURE, Calibration, calibration_of
from .spine.measurements import measure_spine
from .spine.vertebra import SeedBox, Spine, Vertebra

__all__ = ["Cancelled", "Options", "reseed_spine", "segment_spine"]

_WEIGHTS = {"prepare": 0.01, "load": 0.01, "detect": 0.68, "link": 0.01, "bodies": 0.26, "label": 0.01, "measure": 0.01,
            "turn": 0.01}  # fmt: skip
"""Expected share of the time of each stage, measured on a lumbar spine on one core."""

EARLIER_BYTES = 256 * 2**20
"""Memory limit of the earlier results reachable through `Spine.earlier`; the last one is always kept."""

_log = logging.getLogger(__name__)


def segment_spine(
    volume: SagittalVolume,
    seed: SeedBox | None = None,
    *,
    options: Options | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> Spine:
    """Find, name and segment every vertebra in a scan.

    Parameters
    ----------
    volume : SagittalVolume
        A scan from `load_volume` or `volume_from_array`.
    seed : SeedBox, optional
        A box around a vertebra of known level, from which the levels are counted.
    options : Options, optional
        Options of the run; the defaults if omitted.
    progress, cancelled : callable, optional
        See `progress.ProgressCallback` and `progress.CancelledCallback`.

    Returns
    -------
    Spine
        The result; without vertebrae if none was found. Its label map is on the grid of `volume`.

    Raises
    ------
    ValueError
        If weights are missing, the device is not available, or the box contains no vertebra.
    Cancelled
        If `cancelled` returned True.

    Examples
    --------
    >>> spine = segment_spine(load_volume("scan.nii.gz"))
    >>> spine["L4"].centroid_lps_mm
    """
    options = options or Options()
    device = choose_device(options.device)
    stages = Stages(_WEIGHTS, progress, cancelled)
    for look in _LOOKS:  # they hold the earlier scan and its mask, for recounts
        look.cache_clear()
    with stages.stage("prepare", "Preparing the slices"):
        working = working_volume(volume)
    with stages.stage("load", "Loading the network"):
        network, card = _part_network(options.model, device)
    with stages.stage("detect", "Looking for vertebrae") as report:
        detections, device = _detect(network, device, working, report)
    with stages.stage("link", "Joining the slices"):
        candidates = calibrated(link(detections), calibration_of(card))
    with stages.stage("bodies", f"Outlining {len(candidates)} vertebrae"):
        evidence = gather(volume, detections, candidates, options.structures)
        evidence = replace(evidence, candidates=recentred(evidence.candidates, evidence.bodies.solids, working))
    spine = Spine(
        vertebrae=(),
        model={"name": str(card["name"]), "sha256": str(card["sha256"])},
        device=device,
        evidence=evidence,
    )
    spine = _name(spine, seed, options, stages)
    # Steps that the user asks for leave vertebrae out; those that were found are judged then.
    found = spine.vertebrae if options.steps is None else evidence.counted
    if seed is not None or (min(_probabilities(spine), default=0.0) >= SURE and len(found) > FEW):
        return spine
    with stages.stage("turn", "Checking the orientation") as report:
        spine = _doubted(spine, network, card, options, report)
    return replace(spine, seconds={**spine.seconds, **stages.seconds})


def reseed_spine(
    spine: Spine,
    seed: SeedBox | None,
    *,
    options: Options | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> Spine:
    """Count the levels of a spine again, without running the detector.

    Parameters
    ----------
    spine : Spine
        A result of `segment_spine` or of this function, with its evidence.
    seed : SeedBox or None
        The box to count from; None counts from the detections.
    options : Options, optional
        Only `steps`, `method`, `ladder` and `levels` are used.
    progress, cancelled : callable, optional
        As for `segment_spine`.

    Raises
    ------
    ValueError
        If the spine has no evidence, or the box contains no vertebra.
    Cancelled
        If `cancelled` returned True.
    """
    return recount(spine, spine, seed, options, Stages({"label": 0.5, "measure": 0.5}, progress, cancelled))


def recount(
    changed: Spine, earlier: Spine, seed: SeedBox | None, options: Options | None = None, stages: Stages | None = None
) -> Spine:
    """Count the levels of a changed spine, and keep the result before the change for undo.

    Parameters
    ----------
    changed : Spine
        The spine with its changed evidence.
    earlier : Spine
        The `Spine.earlier` of the new result.
    seed : SeedBox or None
        The box to count from; None counts from the detections.
    options : Options, optional
        As for `reseed_spine`.
    stages : Stages, optional
        Stages ``"label"`` and ``"measure"``, for progress and cancelling.
    """
    stages = stages or Stages({"label": 0.5, "measure": 0.5}, None, None)
    return replace(_name(changed, seed, options or Options(), stages), earlier=_as_many_as_fit(earlier))


def _as_many_as_fit(spine: Spine) -> Spine:
    """Return a spine with as many of its earlier results as `EARLIER_BYTES` allows."""
    chain: list[Spine] = []
    seen: dict[int, int] = {}
    before: Spine | None = spine
    while before is not None:
        seen.update((id(array), array.nbytes) for array in _arrays(before))
        if chain and sum(seen.values()) > EARLIER_BYTES:
            break
        chain.append(before)
        before = before.earlier
    kept: Spine | None = None
    for answer in reversed(chain):
        kept = answer if answer.earlier is kept else replace(answer, earlier=kept)
    return kept or spine


def _arrays(spine: Spine) -> list[np.ndarray]:
    """Return the large arrays of a result; several results may share them."""
    arrays = [] if spine.label_map is None else [spine.label_map]
    if isinstance(spine.evidence, Evidence):
        detections = spine.evidence.detections
        arrays += [spine.evidence.bodies.index, detections.probabilities]
        arrays += [] if detections.homes is None else [detections.homes]
    return arrays


def calibrated(candidates: Iterable[Candidate], calibration: Calibration | None) -> tuple[Candidate, ...]:
    """Return the candidates with calibrated scores (probabilities), or unchanged without a calibration.

    The detector's own score is kept as `Candidate.raw_score`.
    """
    if calibration is None:
        return tuple(candidates)
    return tuple(replace(c, score=calibration(c.score), raw_score=c.score) for c in candidates)


def _detect(
    network: Any, device: str, working: SagittalVolume, report: Callable[[float, str], None]
) -> tuple[Detections, str]:
    """Run the detector; if a graphics card runs out of memory, run it again on the processor."""

    def progress(stage: str, fraction: float, message: str) -> None:
        report(fraction, message)  # raises Cancelled, so the detector needs no cancelled callback

    try:
        return PartDetector(network, device).detect(working, progress), device
    except torch.cuda.OutOfMemoryError:  # PyTorch before 2.5 has no torch.OutOfMemoryError
        _log.warning("The graphics card has too little free memory; running on the processor.")
    torch.cuda.empty_cache()
    return PartDetector(deepcopy(network).cpu(), "cpu").detect(working, progress), "cpu"


def _doubted(
    spine: Spine, network: Any, card: Mapping[str, Any], options: Options, report: Callable[..., None]
) -> Spine:
    """Return a spine without levels, and why, if the picture lies in another way than the scan's header says."""
    evidence: Any = spine.evidence

    def found(volume: SagittalVolume) -> tuple[Detections, tuple[Candidate, ...]]:
        detections, _ = _detect(network, spine.device, volume, lambda *_: report(0.0))
        return detections, calibrated(link(detections), calibration_of(card))

    def named(detections: Detections, candidates: tuple[Candidate, ...]) -> tuple[float, ...]:
        look = _levels_look(options.levels, detections)
        vertebrae = label(
            candidates, None, options.steps, working=detections.working, levels_look=look, method="detector"
        ).vertebrae
        return tuple(v.level_probability or 0.0 for v in vertebrae if v.level)

    turn = better_turn(evidence.detections.working, evidence.counted, found, named, _probabilities(spine))
    if turn is None:
        return spine
    vertebrae = without_levels(spine.vertebrae)
    spine = replace(
        spine,
        vertebrae=vertebrae,
        anchor="none",
        alternatives=(),
        label_map=evidence.label_map(vertebrae),
        warnings=(turn.sentence, *evidence.volume.warnings, *evidence.warnings, *evidence.bodies.warnings),
    )
    return measure_spine(spine, evidence.volume.matrix)


def _probabilities(spine: Spine) -> tuple[float, ...]:
    """Return the probability of each name."""
    return tuple(v.level_probability or 0.0 for v in spine.vertebrae if v.level)


def _name(spine: Spine, seed: SeedBox | None, options: Options, stages: Stages) -> Spine:
    """Return a spine with evidence completed by its vertebrae: levels, label map and measurements."""
    evidence = spine.evidence
    if not isinstance(evidence, Evidence):
        raise ValueError("This result has no evidence (the detections), which a recount needs; segment the scan again.")
    with stages.stage("label", "Counting the levels"):
        working = evidence.detections.working
        look = _look(options, working) if evidence.counted else None
        levels_look = _levels_look(options.levels, evidence.detections)
        named = label(
            evidence.counted, seed, options.steps, working=working, look=look, levels_look=levels_look,
            method=options.method, dropped=evidence.dropped,
        )  # fmt: skip
        label_map = evidence.label_map(named.vertebrae)
        vertebrae = tuple(_with_body(v, evidence, label_map) for v in named.vertebrae)
    answer = replace(
        spine,
        vertebrae=vertebrae,
        anchor=named.anchor,
        alternatives=named.alternatives,
        label_map=label_map,
        seed=seed,
        warnings=(*evidence.volume.warnings, *evidence.warnings, *named.warnings, *evidence.bodies.warnings),
        model=_models(spine.model, options),
    )
    with stages.stage("measure", "Measuring"):
        answer = measure_spine(answer, evidence.volume.matrix, evidence.bodies.canal)
    return replace(answer, seconds={**spine.seconds, **stages.seconds})


@lru_cache(maxsize=2)
def _part_network(name: str, device: str) -> tuple[Any, dict[str, Any]]:
    """Return the part network and its card; cached, so that a process that segments many scans loads it once."""
    return load_network(name, device, pixel_mm=WORKING_PIXEL_MM)


@lru_cache(maxsize=4)
def _counting_network(name: str) -> tuple[Any, dict[str, Any]]:
    """Return a network used for counting and its card; cached, so that a recount does not load it again."""
    return load_network(name)


@lru_cache(maxsize=1)
def _ladder_look(name: str, working: SagittalVolume) -> LadderLook:
    """Return the ladder's view of a volume; the last one is cached, with its network outputs, for recounts."""
    return LadderLook(_counting_network(name)[0], working)


@lru_cache(maxsize=1)
def _levels_look(name: str, detections: Detections) -> LevelLook:
    """Return the level network's view of a scan; cached like `_ladder_look`."""
    network, card = _counting_network(name)
    return LevelLook(network, card, detections)


_LOOKS = (_ladder_look, _levels_look)


def _look(options: Options, working: SagittalVolume) -> Look | None:
    """Return the ladder's view of a volume, or None if the method uses the detector alone."""
    if options.method == "detector":
        return None
    return _ladder_look(options.ladder, working)


def _models(model: Mapping[str, str], options: Options) -> dict[str, str]:
    """Return the networks of a result (`Spine.model`): the part network in `model`, and those used by this count.

    An empty `model` (a spine restored from its evidence, whose part network is unknown) stays empty.
    """
    if not model:
        return {}
    parts = {key: value for key, value in model.items() if not key.startswith(("ladder", "levels"))}
    used = {"levels": options.levels, **({} if options.method == "detector" else {"ladder": options.ladder})}
    for kind, name in used.items():
        card = _counting_network(name)[1]
        parts |= {kind: str(card["name"]), f"{kind}_sha256": str(card["sha256"])}
    return parts


def _with_body(vertebra: Vertebra, evidence: Evidence, label_map: np.ndarray) -> Vertebra:
    """Return a vertebra with the properties of its body: centroid, slices that show it, and notes on its shape."""
    vertebra = replace(vertebra, slices=slices_of(label_map, vertebra.label_value))
    if vertebra.candidate is None:
        return vertebra
    flags = tuple(dict.fromkeys((*vertebra.flags, *evidence.bodies.flags[vertebra.candidate])))
    return replace(
        vertebra,
        centroid_lps_mm=evidence.centroids_lps_mm[vertebra.candidate],
        flags=flags,
        outline_confidence=evidence.bodies.outline_confidence[vertebra.candidate],
    )
