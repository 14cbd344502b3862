"""Settings of a training run, read from JSON or TOML."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .images.sequences import KINDS, SEQUENCES
from .settings import check, parsed, settings_from_dict

CONFIG_FOLDER = Path(__file__).parent / "configs"


@dataclass(frozen=True)
class PlacementConfig:
    """Where tiles are placed on a spine, and how they are deformed. Lengths in working pixels (`pixel_mm`)."""

    tile_px: int = 224
    pixel_mm: float = 1.0
    near_sacrum: float = 0.45  # fraction of tiles centred near S1-L4, where the count starts
    near_dens: float = 0.20  # fraction near C4-C2
    along_spine: float = 0.25  # fraction near any vertebra; the rest is placed anywhere
    jitter_mm: float = 28.0  # sd of the tile's centre around the vertebra
    scale_sd: float = 0.10
    wide_scale: float = 0.10  # fraction of tiles with a scale drawn uniformly from 0.75-1.35
    rotation_sd_deg: float = 9.0
    wide_rotation: float = 0.05  # fraction of tiles rotated by up to 30 degrees
    shear_sd: float = 0.03
    elastic_px: float = 4.0  # largest typical displacement of the elastic field
    alone: float = 0.1  # fraction of tiles without neighbouring slices, if the network uses them
    one_sided: float = 0.1  # fraction of the remaining tiles with only one neighbour

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(self.tile_px >= 32 and self.tile_px % 16 == 0, "tile_px", self.tile_px, "a multiple of 16, 32 or more")
        check(0.2 <= self.pixel_mm <= 3, "pixel_mm", self.pixel_mm, "between 0.2 and 3 mm")
        shares = (self.near_sacrum, self.near_dens, self.along_spine)
        check(min(shares) >= 0 and sum(shares) <= 1, "near_sacrum + near_dens + along_spine", sum(shares), "0 to 1")
        for name in ("jitter_mm", "scale_sd", "rotation_sd_deg", "shear_sd", "elastic_px"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "zero or more")
        # Above 8 px `warp` can no longer invert the deformation at the corners.
        check(self.elastic_px <= 8, "elastic_px", self.elastic_px, "8 or less")
        for name in ("wide_scale", "wide_rotation", "alone", "one_sided"):
            check(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a probability, 0 to 1")


# One setting for each kind of sequence, named after it.
_SequenceWeights = dataclasses.make_dataclass(
    "_SequenceWeights", [(kind.name, float, kind.parts_weight) for kind in SEQUENCES], frozen=True
)


@dataclass(frozen=True)
class AppearanceConfig(_SequenceWeights):  # type: ignore[misc, valid-type]
    """How often a tile gets each kind of sequence (`sequences.SEQUENCES`) and each artefact.

    Probabilities, unless the name says otherwise.
    """

    texture: float = 1.0  # strength of tissue texture, 1 = as in real scans
    partial_volume: float = 1.0  # tiles that average all planes of a thick slice instead of using the middle one
    coil: float = 0.65
    bias: float = 0.7
    saturation_band: float = 0.4
    seam: float = 0.06
    chemical_shift: float = 0.4
    flow_void: float = 0.25
    blur: float = 0.75  # point spread and coarser acquisition
    gibbs: float = 0.4
    sharpening: float = 0.2  # edge-enhancing filter of the scanner
    ghosting: float = 0.15
    motion: float = 0.12
    zipper: float = 0.03
    wrap: float = 0.03
    noise: float = 1.0
    gamma: float = 0.7
    inversion: float = 0.03
    border: float = 0.25
    clip: float = 0.5

    def __post_init__(self) -> None:
        """Check the ranges."""
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            top = 4 if item.name == "texture" else 1
            check(0 <= value <= top, item.name, value, f"between 0 and {top}")
        check(sum(self.kind_weights) > 0, " ... ".join((KINDS[0], KINDS[-1])), self.kind_weights,
              "above zero for at least one contrast")

    @property
    def kind_weights(self) -> list[float]:
        """Weights of the kinds of sequence, in the order of `sequences.SEQUENCES`."""
        return [float(getattr(self, name)) for name in KINDS]


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms of the loss."""

    heatmap: float = 4.0
    heatmap_peak: float = 40.0  # the weight of a pixel is 1 + this x target
    vector: float = 1.0
    mask: float = 0.7
    home: float = 1.0  # offset from each arch pixel to its body

    def __post_init__(self) -> None:
        """Check the ranges."""
        for item in dataclasses.fields(self):
            check(getattr(self, item.name) >= 0, item.name, getattr(self, item.name), "zero or more")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one training run.

    Attributes
    ----------
    name : str
        Name of the resulting weights.
    slices : int
        Slices that the network sees at once: 1, or 3 for a slice and its two neighbours.
    steps : int
        Optimiser steps of the whole run.
    deadline_minutes : float or None
        If set, the run (with all its resumed parts) ends after this many minutes even if `steps` is not reached. The
        learning rate follows whichever of the two limits is closer.
    initial_weights : str or None
        Weights to fine-tune, with a new schedule; None starts from random weights.
    workers : int
        Processes that draw canvases and, on a CPU, make tiles; 0 does all of it in the training process.
    tiles_on : {"auto", "worker", "device"}
        Where tiles are rendered: in the workers, or in batches on the training device. "auto": workers on a CPU.
    tiles_per_canvas : float
        Average number of tiles cut from one canvas.
    pool_canvases : int
        Canvases that a worker keeps in memory, so that a batch mixes spines.
    planes_per_spine : int
        Planes drawn of each random spine.
    canvas_folder : str or None
        Folder where workers store canvases for later runs; None draws new ones for every run.
    """

    name: str = "parts"
    slices: int = 1
    widths: tuple[int, ...] = (16, 32, 64, 128, 192)
    seed: int = 2020
    steps: int = 6000
    deadline_minutes: float | None = None
    initial_weights: str | None = None
    batch: int = 10
    learning_rate: float = 3e-3
    final_learning_rate: float = 2e-5
    warmup_steps: int = 60
    weight_decay: float = 1e-4
    gradient_clip: float = 5.0
    ema_decay: float = 0.998
    recalibration_batches: int = 30
    device: str = "auto"
    precision: str = "auto"
    workers: int = 1
    worker_niceness: int = 0
    tiles_on: str = "auto"
    tiles_per_canvas: float = 10.0
    pool_canvases: int = 60
    planes_per_spine: int = 3
    canvas_folder: str | None = None
    checkpoint_minutes: float = 5.0
    log_every: int = 10
    placement: PlacementConfig = field(default_factory=PlacementConfig)
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(self.slices in (1, 3), "slices", self.slices, "1 or 3")
        check(len(self.widths) >= 2 and min(self.widths) >= 1, "widths", self.widths, "two or more widths above zero")
        for name in ("steps", "batch", "log_every", "pool_canvases", "planes_per_spine", "warmup_steps"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("learning_rate", "checkpoint_minutes", "gradient_clip"):
            check(getattr(self, name) > 0, name, getattr(self, name), "above zero")
        for name in ("weight_decay", "recalibration_batches", "workers", "final_learning_rate", "seed"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "zero or more")
        check(self.final_learning_rate <= self.learning_rate, "final_learning_rate", self.final_learning_rate,
              "at most the learning rate")
        check(self.tiles_per_canvas >= 1, "tiles_per_canvas", self.tiles_per_canvas, "1 or more")
        check(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "0 or more and below 1")
        check(0 <= self.worker_niceness <= 19, "worker_niceness", self.worker_niceness, "0 to 19")
        deadline = self.deadline_minutes
        check(deadline is None or deadline > 0, "deadline_minutes", deadline, "above zero, or left out")
        check(self.precision in ("auto", "fp32", "bf16"), "precision", self.precision, "auto, fp32 or bf16")
        check(self.tiles_on in ("auto", "worker", "device"), "tiles_on", self.tiles_on, "auto, worker or device")
        multiple = 2 ** (len(self.widths) - 1)
        check(self.placement.tile_px % multiple == 0, "tile_px", self.placement.tile_px,
              f"a multiple of {multiple} for {len(self.widths)} widths")

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values; `config_from_dict` reads them back."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


PARTS_ALONE = {"parts": TrainConfig}


def config_from_dict(values: dict[str, Any], kind: type = TrainConfig, where: str = "the training config") -> Any:
    """Build a config, or a part of one, from plain values; errors as in `settings.settings_from_dict`."""
    return settings_from_dict(values, kind, where)


def load_config(path: str | Path, kinds: Mapping[str, type] = PARTS_ALONE) -> Any:
    """Read a config file (``.json`` or ``.toml``), or a config of the library by its name, such as ``"parts"``.

    Parameters
    ----------
    path : path
        The file or the name.
    kinds : mapping of str to type
        Accepted networks and their config types. The file names its network under the key ``"network"`` (default:
        ``"parts"``).

    Returns
    -------
    TrainConfig
        Or another type of `kinds`.

    Raises
    ------
    ValueError
        If the file is missing or malformed, is for another network, or has an unknown or invalid setting.
    """
    file = Path(path)
    if not file.suffix and not file.exists():
        file = CONFIG_FOLDER / f"{file.name}.json"
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        known = ", ".join(sorted(p.stem for p in CONFIG_FOLDER.glob("*.json")))
        raise ValueError(
            f"Cannot read the training config {file} ({error.strerror}); known by name: {known}."
        ) from error
    values = parsed(file, text)
    network = values.pop("network", "parts") if isinstance(values, dict) else "parts"
    if network not in tuple(kinds):
        raise ValueError(f"The training config {file} is for the network {network!r}; wanted: {' or '.join(kinds)}.")
    return settings_from_dict(values, kinds[network], str(file))
