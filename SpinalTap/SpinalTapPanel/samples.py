"""Sample scans: a synthetic one, drawn on the spot, and a real one that Slicer's Sample Data module downloads."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

CATEGORY = "SpinalTap"
PRACTICE_SEED = 7
SHOWN_PERCENTILE = 98.0  # the little that is brighter (fluid) would leave the bone dark
PRACTICE_SLICE_MM = 5.0  # as thick as clinical slices get: fewer to draw

# Spinal Cord Toolbox, tutorial data, MIT licence. A commit, not a branch, so that the checksum stays true.
LUMBAR_URL = (
    "https://raw.githubusercontent.com/spinalcordtoolbox/sct_tutorial_data/"
    "0904d9f97441c48e23523d74b4a694665d15905e/single_subject/data/t2_lumbar/t2_lumbar.nii.gz"
)
LUMBAR_SHA256 = "380bbd7ad8c90fdfc5f43ab297190fe49b8b7e8eea69fabba42b4b30d28c844f"


def register():
    """Put both into the Sample Data module. Nothing is downloaded or drawn before the user clicks there."""
    import SampleData

    from SpinalTapLib.resources import resource_path

    add = SampleData.SampleDataLogic.registerCustomSampleDataSource
    add(
        category=CATEGORY,
        sampleName="SpinalTapPractice",
        uris="",
        fileNames="",
        nodeNames="SpinalTap practice scan",
        customDownloader=lambda source=None: [make_practice_scan()],
        thumbnailFileName=str(resource_path("Icons", "SpinalTapPractice.png")),
    )
    add(
        category=CATEGORY,
        sampleName="SpinalTapLumbarT2",
        uris=LUMBAR_URL,
        fileNames="t2_lumbar.nii.gz",
        nodeNames="t2_lumbar",
        checksums=f"SHA256:{LUMBAR_SHA256}",
        thumbnailFileName=str(resource_path("Icons", "SpinalTap.png")),
    )


def make_practice_scan(progress=None):
    """Draw a synthetic lumbar spine, add it to the scene as a volume, show it, and return the node.

    ``progress`` is called with the fraction drawn: it takes some seconds.
    """
    import numpy as np

    from SpinalTapLib.training.phantom import draw_phantom

    image = draw_phantom(PRACTICE_SEED, region="lumbar", slice_mm=PRACTICE_SLICE_MM, progress=progress).image
    name = _("SpinalTap practice scan")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", slicer.mrmlScene.GenerateUniqueName(name))
    slicer.util.updateVolumeFromArray(node, image.array.astype("int16"))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(_ijk_to_ras(image.matrix)))
    node.CreateDefaultDisplayNodes()
    brightest = float(np.percentile(image.array, SHOWN_PERCENTILE))
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevelMinMax(0.0, brightest)
    show(node)
    return node


def _ijk_to_ras(slice_row_column_to_lps):
    """Turn (slice, row, column) -> LPS into (column, row, slice) -> RAS: a volume's own index order and frame."""
    import numpy as np

    swapped = slice_row_column_to_lps[:, [2, 1, 0, 3]]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ swapped


def show(node):
    """Show the volume in the slice views, as loading a file would."""
    if hasattr(slicer.util, "setSliceViewerLayers") and slicer.app.layoutManager() is not None:
        slicer.util.setSliceViewerLayers(background=node, fit=True)
