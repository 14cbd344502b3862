"""The command line with a detector that looks at the first slice until it is cancelled: ``python -m endless_run``."""

from __future__ import annotations

import sys
import time

from SpinalTapLib import pipeline
from SpinalTapLib.cli.main import main
from SpinalTapLib.progress import Cancelled


class EndlessDetector:
    """In place of `detector.PartDetector`."""

    def __init__(self, *_, **__):
        pass

    def detect(self, working, progress=None, cancelled=None):
        """Look until it is cancelled."""
        print("Looking at slice 1 for ever", file=sys.stderr, flush=True)
        while cancelled is None or not cancelled():
            time.sleep(0.01)
        raise Cancelled


if __name__ == "__main__":
    pipeline.PartDetector = EndlessDetector
    sys.exit(main())
