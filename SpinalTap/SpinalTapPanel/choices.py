"""The options in the Advanced section, and the labels of their values in the panel (see `options`)."""

from enum import Enum

from slicer.i18n import tr as _


class Device(Enum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"

    def label(self):
        return {
            "auto": _("Automatic"), "cpu": _("Processor"),
            "cuda": _("NVIDIA graphics card"), "mps": _("Apple graphics"),
        }[self.value]  # fmt: skip


class Structures(Enum):
    BODIES = "bodies"
    VERTEBRAE = "vertebrae"
    ALL = "all"

    def label(self):
        return {"bodies": _("Bodies"), "vertebrae": _("Whole vertebrae"), "all": _("Everything")}[self.value]


class Method(Enum):
    FUSED = "fused"
    DETECTOR = "detector"
    LADDER = "ladder"

    def label(self):
        return {
            "fused": _("Both together (best)"), "detector": _("Part detector only"), "ladder": _("Ladder only"),
        }[self.value]  # fmt: skip
