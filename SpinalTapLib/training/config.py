"""TrainConfig: everything that decides what a training run does, read from JSON or TOML."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

CONFIG_FOLDER = Path(__file__).parent / "configs"

_KINDS = ("t1", "t2", "stir", "pd", "dixon_water", "t2star", "random")


def _check(holds: bool, name: str, value: object, wanted: str) -> None:
    """Raise ValueError unless the value of a setting is possible."""
    if not holds:
        raise ValueError(f"The training setting {name!r} must be {wanted}; got {value!r}.")


@dataclass(frozen=True)
class PlacementConfig:
    """Where tiles lie on a spine, and how they are deformed. Lengths in working pixels (`pixel_mm`)."""

    tile_px: int = 224
    pixel_mm: float = 1.0
    near_sacrum: float = 0.45  # share of tiles centred near S1-L4, where the anchor is
    near_dens: float = 0.20  # share near C4-C2
    along_spine: float = 0.25  # share near any other vertebra; what is left lies anywhere
    jitter_mm: float = 28.0  # sd of the tile's centre around the vertebra
    scale_sd: float = 0.10
    wide_scale: float = 0.10  # share of tiles with a scale drawn evenly from 0.75-1.35
    rotation_sd_deg: float = 9.0
    wide_rotation: float = 0.05  # share of tiles turned by up to 30 degrees
    shear_sd: float = 0.03
    elastic_px: float = 4.0  # largest typical displacement of the elastic field

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check(self.tile_px >= 32 and self.tile_px % 16 == 0, "tile_px", self.tile_px, "a multiple of 16, 32 or more")
        _check(0.2 <= self.pixel_mm <= 3, "pixel_mm", self.pixel_mm, "between 0.2 and 3 mm")
        shares = (self.near_sacrum, self.near_dens, self.along_spine)
        _check(min(shares) >= 0 and sum(shares) <= 1, "near_sacrum + near_dens + along_spine", sum(shares), "0 to 1")
        for name in ("jitter_mm", "scale_sd", "rotation_sd_deg", "shear_sd", "elastic_px"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), "zero or more")
        for name in ("wide_scale", "wide_rotation"):
            _check(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a probability, 0 to 1")


@dataclass(frozen=True)
class AppearanceConfig:
    """How often a tile gets each contrast and each artefact (probabilities, unless the name says otherwise)."""

    t1: float = 0.28
    t2: float = 0.28
    stir: float = 0.12
    pd: float = 0.04
    dixon_water: float = 0.03
    t2star: float = 0.03
    random: float = 0.22
    texture: float = 1.0  # strength of texture in tissues, 1 = as seen in real scans
    partial_volume: float = 1.0  # tiles that average all planes of a thick slice, instead of the middle one
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
            _check(0 <= value <= top, item.name, value, f"between 0 and {top}")
        _check(sum(self.kind_weights) > 0, "t1 ... random", self.kind_weights, "above zero for at least one contrast")

    @property
    def kind_weights(self) -> list[float]:
        """Weights of the kinds of contrast, in the order of `contrast.KINDS`."""
        return [float(getattr(self, name)) for name in _KINDS]


@dataclass(frozen=True)
class LossConfig:
    """Weights of the parts of the loss."""

    heatmap: float = 4.0
    heatmap_peak: float = 40.0  # a pixel counts 1 + this x target
    vector: float = 1.0
    mask: float = 0.7

    def __post_init__(self) -> None:
        """Check the ranges."""
        for item in dataclasses.fields(self):
            _check(getattr(self, item.name) >= 0, item.name, getattr(self, item.name), "zero or more")


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes
    ----------
    name : str
        Name of the weights that come out.
    steps : int
        Optimiser steps of the whole run.
    deadline_minutes : float or None
        If set, the run (with all its resumed parts) ends after this many minutes even if `steps` is not reached, and
        the learning rate falls with whichever of the two is further on.
    initial_weights : str or None
        Weights to start from, with a fresh schedule (fine-tuning); None starts from random weights.
    workers : int
        Processes that draw canvases (and, on a CPU, make tiles); 0 does it all in the training process.
    tiles_on : {"auto", "worker", "device"}
        Where labels become tiles: in the workers, or batched on the training device. "auto": workers for a CPU.
    tiles_per_canvas : float
        How many tiles are cut from one drawn canvas, on average.
    pool_canvases : int
        Canvases that a worker keeps to choose from, so that a batch mixes spines.
    planes_per_spine : int
        Planes drawn of one random spine.
    canvas_folder : str or None
        Folder where workers keep drawn canvases for later runs; None draws all of them anew.
    """

    name: str = "parts"
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
        _check(len(self.widths) >= 2 and min(self.widths) >= 1, "widths", self.widths, "two or more widths above zero")
        for name in ("steps", "batch", "log_every", "pool_canvases", "planes_per_spine", "warmup_steps"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("learning_rate", "checkpoint_minutes", "gradient_clip"):
            _check(getattr(self, name) > 0, name, getattr(self, name), "above zero")
        for name in ("weight_decay", "recalibration_batches", "workers", "final_learning_rate", "seed"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), "zero or more")
        _check(self.final_learning_rate <= self.learning_rate, "final_learning_rate", self.final_learning_rate,
               "at most the learning rate")
        _check(self.tiles_per_canvas >= 1, "tiles_per_canvas", self.tiles_per_canvas, "1 or more")
        _check(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "0 or more and below 1")
        _check(0 <= self.worker_niceness <= 19, "worker_niceness", self.worker_niceness, "0 to 19")
        deadline = self.deadline_minutes
        _check(deadline is None or deadline > 0, "deadline_minutes", deadline, "above zero, or left out")
        _check(self.precision in ("auto", "fp32", "bf16"), "precision", self.precision, "auto, fp32 or bf16")
        _check(self.tiles_on in ("auto", "worker", "device"), "tiles_on", self.tiles_on, "auto, worker or device")
        multiple = 2 ** (len(self.widths) - 1)
        _check(self.placement.tile_px % multiple == 0, "tile_px", self.placement.tile_px,
               f"a multiple of {multiple} for {len(self.widths)} widths")

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values; `config_from_dict` reads them back."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def config_from_dict(values: dict[str, Any], kind: type = TrainConfig, where: str = "the training config") -> Any:
    """Build a config from plain values.

    Raises
    ------
    ValueError
        If a key is unknown, a value has the wrong type, or it lies outside what is possible.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where[:1].upper()}{where[1:]} must be a table of settings; got {type(values).__name__}.")
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ValueError(f"Unknown setting {unknown[0]!r} in {where}; known ones: {', '.join(sorted(hints))}.")
    return kind(**{name: _typed(value, hints[name], name, where) for name, value in values.items()})


def known_settings(values: dict[str, Any], kind: type = TrainConfig) -> dict[str, Any]:
    """Return plain values without the settings that a config does not know, such as those of an older version."""
    if not isinstance(values, dict):
        return values  # reading it will say what is wrong
    hints = get_type_hints(kind)
    return {
        name: known_settings(value, hints[name]) if dataclasses.is_dataclass(hints[name]) else value
        for name, value in values.items()
        if name in hints
    }


def _typed(value: Any, hint: Any, name: str, where: str) -> Any:
    """Return the value as the type that the setting wants."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return config_from_dict(value, hint, f"{name!r} of {where}")
    if get_origin(hint) in (Union, UnionType):
        if value is None:
            return None
        hint = next(option for option in get_args(hint) if option is not type(None))
    if get_origin(hint) is tuple:
        good = isinstance(value, (list, tuple)) and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
        _check(good, name, value, "a list of whole numbers")
        return tuple(value)
    if hint is float:
        _check(isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value), name, value,
               "a finite number")
        return float(value)
    _check(isinstance(value, hint) and not (hint is int and isinstance(value, bool)), name, value,
           {int: "a whole number", str: "a text"}.get(hint, str(hint)))
    return value


def load_config(path: str | Path) -> TrainConfig:
    """Read a config file (``.json`` or ``.toml``), or one that ships with the library by its name (``"parts"``).

    Raises
    ------
    ValueError
        If the file is missing or broken, or a setting is unknown or impossible.
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
    return config_from_dict(_parsed(file, text), where=str(file))


def _parsed(file: Path, text: str) -> dict[str, Any]:
    """Return the content of a config file."""
    try:
        if file.suffix.lower() == ".toml":
            import tomllib

            return tomllib.loads(text)
        return json.loads(text)
    except ValueError as error:  # both parsers raise subclasses of it
        raise ValueError(f"The training config {file} is not valid {file.suffix[1:].upper()}: {error}.") from error
