"""The neural networks, as plain PyTorch modules: part network, ladder network and level network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from ..spine.structures import N_STRUCTURES

N_CORNERS = 4
N_HEATMAPS = N_CORNERS + 1
CENTROID = 4
"""Index of the centroid among the heatmaps; 0-3 are the corners in the order of `vertebra.CORNERS`."""

VECTOR_UNIT_PX = 16.0
"""One unit of the vector outputs, px: about half a lumbar body, so that targets are close to 1."""

N_PARTS = N_HEATMAPS + 2 * N_CORNERS
"""Number of output channels before those of the mask: heatmaps and vectors."""
OUTPUT_CHANNELS = N_PARTS + N_STRUCTURES
HOME_UNIT_PX = 32.0
"""One unit of the two outputs that point from an arch to its body, px: about the distance between the two."""

OLD_STRUCTURES = 7
"""Number of structures of networks whose cards do not give it: all but arches, from single slices."""
DEFAULT_WIDTHS = (16, 32, 64, 128, 192)


def _double_convolution(n_in: int, n_out: int) -> nn.Sequential:
    """Return a VGG block: two rounds of 3 x 3 convolution, batch normalisation and ReLU."""
    layers: list[nn.Module] = []
    for n in (n_in, n_out):
        layers += [nn.Conv2d(n, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _initialise(module: nn.Module) -> None:
    """Initialise the weights of a convolution after He et al. (2015); leave other modules unchanged."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class PartNetwork(nn.Module):
    """U-Net of VGG blocks with batch normalisation that detects the parts of every vertebra in a sagittal tile.

    Each level has two 3 x 3 convolutions; levels are connected by 2 x 2 max-pooling on the way down and by bilinear
    up-sampling and concatenation on the way up. One 1 x 1 convolution computes all outputs.

    Parameters
    ----------
    widths : sequence of int
        Channels of each level, finest first. The number of levels sets the multiple that sides are padded to
        (16 px for five levels).
    slices : int
        1, or 3 if the input includes the two neighbouring slices.
    structures : int
        Number of mask classes: the first ones of `spine.structures.Structure`.
    homes : bool
        Whether it also outputs, on arches, the offset to the body of the same vertebra.

    Notes
    -----
    `forward` takes a tensor of shape (n, 2 * slices - 1, rows, columns), z-scored, at 1 mm per pixel, of any size: see
    `tiling.network_input`. It returns (n, 13 + structures, rows, columns), or two channels more: see `split_output`.
    """

    def __init__(
        self,
        widths: Sequence[int] = DEFAULT_WIDTHS,
        slices: int = 1,
        structures: int = OLD_STRUCTURES,
        homes: bool = False,
    ) -> None:
        super().__init__()
        if slices not in (1, 3) or not 2 <= structures <= N_STRUCTURES or (homes and structures < N_STRUCTURES):
            raise ValueError(
                f"A part network takes 1 or 3 slices and has 2-{N_STRUCTURES} structures (all {N_STRUCTURES} of them "
                f"if it assigns arches to bodies); got {slices} slices and {structures} structures."
            )
        if len(widths) < 2 or any(w < 1 for w in widths):
            raise ValueError(f"A part network needs two or more positive level widths; got {tuple(widths)}.")
        self.widths = tuple(int(w) for w in widths)
        self.slices, self.structures, self.homes = int(slices), int(structures), bool(homes)
        w = self.widths
        first = 2 * self.slices - 1
        self.down = nn.ModuleList(_double_convolution(a, b) for a, b in zip((first, *w[:-1]), w))
        self.up = nn.ModuleList(_double_convolution(a + b, a) for a, b in zip(w[:-1], w[1:]))
        self.head = nn.Conv2d(w[0], N_PARTS + self.structures + 2 * self.homes, 1)
        self.apply(_initialise)
        # The head is linear and its targets are small, so start near zero rather than with He's gain for ReLU.
        nn.init.normal_(self.head.weight, std=0.01)

    @property
    def arguments(self) -> dict[str, object]:
        """What a model card must hold to build the same network again."""
        arguments: dict[str, object] = {"class": type(self).__name__, "widths": list(self.widths)}
        if (self.slices, self.structures) != (1, OLD_STRUCTURES):
            arguments |= {"slices": self.slices, "structures": self.structures, "homes": self.homes}
        return arguments

    @property
    def multiple_px(self) -> int:
        """Multiple, px, that the sides of the input are padded to."""
        return 2 ** (len(self.widths) - 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the raw part maps of a batch of tiles, (n, channels, rows, columns) -> (n, outputs, rows, columns)."""
        rows, columns = image.shape[-2:]
        x = _padded(image, self.multiple_px)
        skips = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else functional.max_pool2d(x, 2))
            skips.append(x)
        for i in reversed(range(len(self.up))):
            x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = self.up[i](torch.cat((skips[i], x), dim=1))
        # Peaks are located to a fraction of a pixel, so the last, cheap layer stays in single precision even if the
        # others run in half precision.
        with torch.autocast(x.device.type, enabled=False):
            return self.head(x[..., :rows, :columns].to(self.head.weight.dtype))


def _padded(image: torch.Tensor, multiple: int) -> torch.Tensor:
    """Return the image with its last rows and columns repeated until both sides are multiples of `multiple`."""
    rows, columns = image.shape[-2:]
    below, right = -rows % multiple, -columns % multiple
    return functional.pad(image, (0, right, 0, below), mode="replicate") if below or right else image


def split_output(output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Split the output of a `PartNetwork` by kind (views, no copy).

    Parameters
    ----------
    output : Tensor, shape (n, channels, rows, columns)
        With 20, 21 or 23 channels.

    Returns
    -------
    heatmaps : Tensor, shape (n, 5, rows, columns)
        Corners in the order of `vertebra.CORNERS`, then the centroid; raw outputs with peaks near 1.
    vectors : Tensor, shape (n, 4, 2, rows, columns)
        For each corner, (row, column) offset from the pixel to the centroid of the corner's vertebra, in units of
        `VECTOR_UNIT_PX`. Meaningful near a corner only.
    logits : Tensor, shape (n, structures, rows, columns)
        Mask classes in the order of `spine.structures.Structure`, before the softmax; older networks lack the last.
    homes : Tensor, shape (n, 2, rows, columns), or None
        (row, column) offset from the pixel to the middle of the body that an arch belongs to, in units of
        `HOME_UNIT_PX`; None if the network lacks this output.

    Raises
    ------
    ValueError
        If the tensor does not have four axes, or its number of channels is not one of a part network.
    """
    known = (N_PARTS + OLD_STRUCTURES, OUTPUT_CHANNELS, OUTPUT_CHANNELS + 2)
    if output.ndim != 4 or output.shape[1] not in known:
        channels = ", ".join(map(str, known[:2]))
        raise ValueError(
            f"Part maps must have shape (n, {channels} or {known[2]}, rows, columns); got {tuple(output.shape)}."
        )
    heatmaps, vectors = output[:, :N_HEATMAPS], output[:, N_HEATMAPS:N_PARTS].unflatten(1, (N_CORNERS, 2))
    homes = output[:, OUTPUT_CHANNELS:] if output.shape[1] > OUTPUT_CHANNELS else None
    return heatmaps, vectors, output[:, N_PARTS:OUTPUT_CHANNELS], homes


LADDER_CHANNELS = 4
"""Input channels of the ladder: slice through the current vertebra, its two neighbours, mask of the vertebra."""
RUNG_OUTPUTS = 2 * N_CORNERS + 2
"""Outputs of the ladder for one neighbour: four corners (row, column), lateral shift, and logit of its presence."""


class LadderNetwork(nn.Module):
    """Small VGG network that takes one vertebra in its own frame and locates the next one above and below.

    Parameters
    ----------
    widths : sequence of int
        Channels of each level; every level halves the sides.
    side_px : int
        Side of the square crop, px, a multiple of ``2 ** len(widths)``.

    Notes
    -----
    `forward` takes (n, 4, side, side) and returns (n, 2, 10): for the neighbour above and the one below, the four
    corners relative to the crop's centre as (row, column) in units of the current vertebra's size, in the order of
    `vertebra.CORNERS`, the lateral shift of its middle in the same unit, and the logit of its presence.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 48, 64, 96), side_px: int = 96) -> None:
        super().__init__()
        if side_px % 2 ** len(widths) or side_px < 2 ** len(widths):
            raise ValueError(f"The ladder's crop side must be a multiple of {2 ** len(widths)} px; got {side_px}.")
        self.widths = tuple(int(w) for w in widths)
        self.side_px = int(side_px)
        w = self.widths
        self.blocks = nn.ModuleList(_double_convolution(a, b) for a, b in zip((LADDER_CHANNELS, *w[:-1]), w))
        cells = (side_px // 2 ** len(w)) ** 2
        last = nn.Linear(128, 2 * RUNG_OUTPUTS)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(w[-1] * cells, 128), nn.ReLU(inplace=True), last)
        self.apply(_initialise)
        nn.init.normal_(last.weight, std=0.01)

    @property
    def arguments(self) -> dict[str, object]:
        """What a model card must hold to build the same network again."""
        return {"class": type(self).__name__, "widths": list(self.widths), "side_px": self.side_px}

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        """Return the outputs for the neighbours above and below, (n, 4, side, side) -> (n, 2, 10)."""
        x = crop
        for block in self.blocks:
            x = functional.max_pool2d(block(x), 2)
        return self.head(x).unflatten(1, (2, RUNG_OUTPUTS))


VIEW_CHANNELS = 2 + N_STRUCTURES - 1
"""Input channels of the level network: mask of the candidate, mask of the image, and the part network's structures
without the background."""
VIEW_NUMBERS = 5
"""Number of scalar inputs: the candidate's size and tilt, and whether each is known (see `level_view`)."""
LEVEL_CLASSES = 26
"""Number of classes: S1 up to C2, the sacrum below S1, and no vertebra (see `levels.COMMON`)."""


class LevelNetwork(nn.Module):
    """Small VGG network that classifies the level of one candidate from the candidate and its surroundings.

    Parameters
    ----------
    widths : sequence of int
        Channels of each level; every level halves the sides.
    rows, columns : int
        Sides of the view, px, multiples of ``2 ** len(widths)``.

    Notes
    -----
    `forward` takes views (n, 9, rows, columns) and numbers (n, 5) and returns logits (n, 26).
    """

    def __init__(
        self, widths: Sequence[int] = (24, 32, 48, 64, 96), rows: int = 128, columns: int = 96
    ) -> None:
        super().__init__()
        step = 2 ** len(widths)
        if rows % step or columns % step or min(rows, columns) < step:
            sides = f"{rows} x {columns}"
            raise ValueError(f"The sides of a level network's view must be multiples of {step} px; got {sides}.")
        self.widths = tuple(int(w) for w in widths)
        self.rows, self.columns = int(rows), int(columns)
        w = self.widths
        stem = nn.Conv2d(VIEW_CHANNELS, w[0], 5, stride=2, padding=2, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(w[0]), nn.ReLU(inplace=True))
        self.blocks = nn.ModuleList(_double_convolution(a, b) for a, b in zip(w, w[1:]))
        cells = (rows // step) * (columns // step)
        self.dense = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(w[-1] * cells, 128), nn.ReLU(inplace=True))
        last = nn.Linear(96, LEVEL_CLASSES)
        self.head = nn.Sequential(nn.Linear(128 + VIEW_NUMBERS, 96), nn.ReLU(inplace=True), last)
        self.apply(_initialise)
        nn.init.normal_(last.weight, std=0.01)

    @property
    def arguments(self) -> dict[str, object]:
        """What a model card must hold to build the same network again."""
        return {
            "class": type(self).__name__, "widths": list(self.widths), "rows": self.rows, "columns": self.columns,
        }  # fmt: skip

    def forward(self, view: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Return the logits of the classes, (n, 9, rows, columns) and (n, 5) -> (n, 26)."""
        x = self.stem(view)
        for block in self.blocks:
            x = functional.max_pool2d(block(x), 2)
        return self.head(torch.cat((self.dense(x), numbers), dim=1))


NETWORKS: dict[str, type[nn.Module]] = {
    "PartNetwork": PartNetwork, "LadderNetwork": LadderNetwork, "LevelNetwork": LevelNetwork,
}  # fmt: skip
"""Networks that a model card may name."""
