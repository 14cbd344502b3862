"""Options of a run and their permitted values, for library, command line and panel."""

from __future__ import annotations

from dataclasses import dataclass

METHODS = ("fused", "detector", "ladder")
"""Methods of counting: detector and ladder together, or one of them alone."""

DEVICES = ("auto", "cpu", "cuda", "mps")
"""Devices of the networks: the best one available, the processor, an NVIDIA card or Apple silicon."""

STRUCTURES = ("bodies", "vertebrae", "all")
"""Structures to segment: vertebral bodies; whole vertebrae, with their arches; or also the discs and the dural sac."""

DEFAULT_STRUCTURES = "vertebrae"
"""Structures that are segmented unless others are requested, in the panel, on the command line and in scripts."""

MAX_STEPS = 26
"""Largest number of vertebrae to name above the first one: S1 to C2 is 23 steps, and T13, L6 and C1 make 26."""

SURFACE_FORMATS = ("stl", "obj", "ply")
"""File formats of surfaces; `files.meshes` has a writer for each."""

PARTS_MODEL, LADDER_MODEL, LEVELS_MODEL = "parts", "ladder", "levels"
"""Names of the shipped weights of the part network, the ladder and the level network, in Resources/Models."""


@dataclass(frozen=True)
class Options:
    """Options of a run.

    Attributes
    ----------
    steps : int or None
        Number of vertebrae to name above the one that the count starts from, at most `MAX_STEPS`; None: all.
    method : str
        One of `METHODS`.
    device : str
        One of `DEVICES`.
    structures : str
        One of `STRUCTURES`.
    model : str
        Name or path of the part network's weights.
    ladder : str
        Name or path of the ladder's weights.
    levels : str
        Name or path of the level network's weights.

    Raises
    ------
    ValueError
        If a value is not permitted.
    """

    steps: int | None = None
    method: str = "fused"
    device: str = "auto"
    structures: str = DEFAULT_STRUCTURES
    model: str = PARTS_MODEL
    ladder: str = LADDER_MODEL
    levels: str = LEVELS_MODEL

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("method", self.method, METHODS),
            ("device", self.device, DEVICES),
            ("structures", self.structures, STRUCTURES),
        ):
            if value not in allowed:
                raise ValueError(f"There is no {name} {value!r}; use one of {', '.join(allowed)}.")
        if self.steps is not None and not 0 <= self.steps <= MAX_STEPS:
            raise ValueError(f"The number of steps must be auto or between 0 and {MAX_STEPS}; got {self.steps}.")
