"""Long life: many segmentations and recounts in one worker process; its memory and its open files stay flat.

``python Testing/benchmarks/long_life.py`` (Linux; ``PYTHONPATH`` as the repository and ``Testing/support``) runs 200
segmentations and 500 recounts of a small scan of blocks with a stand-in for the network; with ``--scan FILE`` the real
networks run on a scan. It prints memory and open files of the worker and of this process after the tenth command, at
intervals and at the end, and exits with 1 if the worker's memory has grown by more than 5 % since the tenth
segmentation, or if more files are open.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from block_spine import BlockSpine

from SpinalTapLib.corrections import Count
from SpinalTapLib.options import Options
from SpinalTapLib.scans.volume import load_volume
from SpinalTapLib.session.jobs import Jobs, Purpose
from SpinalTapLib.worker.exchange import Result
from SpinalTapLib.worker.link import WorkerLink

WARM = 10
"""Memory is compared with that after this segmentation: libraries load and caches fill before it."""
MOST_GROWTH = 0.05


def state_of(pid: int) -> tuple[float, int]:
    """Return the resident memory of a process, MB, and its number of open files."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def outcome(jobs: Jobs):
    """Wait for the end of a job and return its result."""
    while True:
        _, found = jobs.poll()
        if found is not None:
            jobs.end("")
            if not isinstance(found, Result):
                raise SystemExit(f"A command failed: {found}")
            jobs.keep_only([found])  # as the session does
            return found
        time.sleep(0.005)


def main() -> int:
    """Run the commands; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--segmentations", type=int, default=200)
    parser.add_argument("--recounts", type=int, default=500)
    parser.add_argument("--scan", type=Path, help="run the real networks on this scan")
    given = parser.parse_args()
    link = WorkerLink(arguments=() if given.scan else ("--road", "worker_road"))
    jobs = Jobs(link)
    volume = load_volume(given.scan) if given.scan else BlockSpine(count=3).volume()
    volume = replace(volume, source=None)
    print(f"{'command':<16}{'number':>7}{'worker MB':>11}{'files':>7}{'parent MB':>11}{'files':>7}")
    warm: tuple[float, int] = (0.0, 0)
    now = warm
    result: Result | None = None
    try:
        for kind, whole in (("segmentation", given.segmentations), ("recount", given.recounts)):
            for number in range(1, whole + 1):
                if kind == "segmentation":
                    jobs.segment(volume, None, Options(), Purpose(fresh=True))
                elif result is not None:
                    jobs.recount(result, Count(None), Options(), Purpose())
                result = outcome(jobs)
                if number in (WARM, whole) or number % 50 == 0:
                    now, here = state_of(link.pid), state_of(os.getpid())
                    print(f"{kind:<16}{number:>7}{now[0]:>11.1f}{now[1]:>7}{here[0]:>11.1f}{here[1]:>7}", flush=True)
                if kind == "segmentation" and number == min(WARM, whole):
                    warm = now
    finally:
        jobs.close()
    growth = now[0] / warm[0] - 1
    print(f"Since segmentation {WARM}: memory {growth:+.1%}, open files {now[1] - warm[1]:+d}")
    return 0 if growth <= MOST_GROWTH and now[1] <= warm[1] else 1


if __name__ == "__main__":
    sys.exit(main())
