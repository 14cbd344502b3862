"""Measure a network on real development slices during training. Nothing is selected by the result."""

from __future__ import annotations

import copy
from pathlib import Path

from torch import nn

from ..detection.detector import PartDetector
from .evaluation.spider_evaluation import detector_finder, evaluate_spider
from .evaluation.spider_masks import load_masked_slices
from .evaluation.spider_slices import load_slices
from .run_log import append_line

_TIMES = 10
_RATES = {"found_once": "once", "twice": "double", "missed": "missed", "false_a_slice": "false"}


class Validation:
    """Measures a network on the SPIDER slices after every tenth of a run.

    Parameters
    ----------
    spider : path
        The slices; see `spider_slices.py`.
    log : path
        File to which each measurement is appended.

    Raises
    ------
    ValueError
        If the slices cannot be read. They are read at once, so that the run does not fail after its first tenth.
    """

    def __init__(self, spider: str | Path, log: str | Path) -> None:
        self.spider, self.log = Path(spider), Path(log)
        load_slices(self.spider)
        if (self.spider / "masks").is_dir():
            load_masked_slices(self.spider)
        self._done: int | None = None

    def after(self, step: int, progress: float, network: nn.Module) -> None:
        """Measure if another tenth of the run is done; `progress` is the fraction done, 0-1."""
        tenths = int(progress * _TIMES)
        if self._done is not None and self._done < tenths < _TIMES:  # the end is measured with the final statistics
            self.measure(step, network)
        self._done = tenths

    def measure(self, step: int, network: nn.Module) -> dict[str, float]:
        """Measure the network without changing it, append a line to the log, and return the figures by name."""
        device = next(network.parameters()).device
        found = evaluate_spider(self.spider, detector_finder(PartDetector(copy.deepcopy(network).eval(), device)))
        figures = {name: round(found.rate(what).value, 4) for name, what in _RATES.items()}
        if found.masked:
            figures["overlap"] = round(found.dice().value, 4)
        append_line(self.log, {"step": step, **figures})
        return figures
