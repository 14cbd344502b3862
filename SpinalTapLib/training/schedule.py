"""The schedule: how far a run is, by steps or by the clock, and the learning rate that follows from it."""

from __future__ import annotations

import math

from .config import TrainConfig


def progress_of(step: int, minutes: float, config: TrainConfig) -> float:
    """Return the fraction done of a run, 0-1: by steps, or by minutes where that is further on."""
    by_clock = minutes / config.deadline_minutes if config.deadline_minutes else 0.0
    return min(1.0, max(step / config.steps, by_clock))


def learning_rate(step: int, progress: float, config: TrainConfig) -> float:
    """Return the learning rate: a linear warm-up over the first steps, then half a cosine down to the final one."""
    warm = min(1.0, (step + 1) / config.warmup_steps)
    cosine = 0.5 + 0.5 * math.cos(math.pi * progress)
    return warm * (config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * cosine)
