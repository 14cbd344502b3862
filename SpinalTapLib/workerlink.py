"""The documented address of `WorkerLink`, which lives in `worker.link`."""

from __future__ import annotations

from .worker.link import WorkerLink

__all__ = ["WorkerLink"]
