"""SpinalTap finds, names and models every vertebra in a spine MRI.

>>> from SpinalTapLib import load_volume, segment_spine
>>> spine = segment_spine(load_volume("scan.nii.gz"))  # doctest: +SKIP
>>> [vertebra.level for vertebra in spine.vertebrae]  # doctest: +SKIP
['S1', 'L5', 'L4', 'L3', 'L2', 'L1']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .options import Options
    from .pipeline import reseed_spine, segment_spine
    from .progress import Cancelled
    from .scans.volume import SagittalVolume, load_volume
    from .spine.vertebra import SeedBox, Spine, Vertebra

__version__ = "0.1.0"

__all__ = [
    "Cancelled",
    "Options",
    "SagittalVolume",
    "SeedBox",
    "Spine",
    "Vertebra",
    "load_volume",
    "reseed_spine",
    "segment_spine",
]

_HOME = {
    "Cancelled": "progress",
    "Options": "options",
    "SagittalVolume": "scans.volume",
    "SeedBox": "spine.vertebra",
    "Spine": "spine.vertebra",
    "Vertebra": "spine.vertebra",
    "load_volume": "scans.volume",
    "reseed_spine": "pipeline",
    "segment_spine": "pipeline",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that importing the package itself is fast."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
