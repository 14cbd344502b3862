"""Public import location of `WorkerLink`, which is defined in `worker.link`."""

from __future__ import annotations

from .worker.link import WorkerLink

__all__ = ["WorkerLink"]
