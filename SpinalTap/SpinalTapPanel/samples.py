"""Sample scans: a synthetic one, drawn on request, and a real one downloaded by Slicer's Sample Data module."""

from __future__ import annotations

import slicer

CATEGORY = "SpinalTap"

# Spinal Cord Toolbox, tutorial data, MIT licence. A commit, not a branch, so that the checksum stays valid.
LUMBAR_URL = (
    "https://raw.githubusercontent.com/spinalcordtoolbox/sct_tutorial_data/"
    "0904d9f97441c48e23523d74b4a694665d15905e/single_subject/data/t2_lumbar/t2_lumbar.nii.gz"
)
LUMBAR_SHA256 = "380bbd7ad8c90fdfc5f43ab297190fe49b8b7e8eea69fabba42b4b30d28c844f"


def register():
    """Add both to the Sample Data module; nothing is downloaded or drawn before the user clicks."""
    import SampleData

    from SpinalTapLib.resources import resource_path

    from .practice import make_practice_scan

    add = SampleData.SampleDataLogic.registerCustomSampleDataSource
    add(
        category=CATEGORY,
        sampleName="Practice spine (drawn in about 10 s)",
        uris="",
        fileNames="",
        nodeNames="SpinalTap practice scan",
        customDownloader=lambda source=None: [make_practice_scan(slicer.util.showStatusMessage)],
        thumbnailFileName=str(resource_path("Icons", "SpinalTapPractice.png")),
    )
    add(
        category=CATEGORY,
        sampleName="Lumbar spine T2",
        uris=LUMBAR_URL,
        fileNames="t2_lumbar.nii.gz",
        nodeNames="t2_lumbar",
        checksums=f"SHA256:{LUMBAR_SHA256}",
        thumbnailFileName=str(resource_path("Icons", "SpinalTap.png")),
    )
