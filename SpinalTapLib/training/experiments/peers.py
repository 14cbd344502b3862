"""Compare the speed of the part network with that of larger networks, and with the processor's own rate.

All networks but ours have random weights, because speed does not depend on them. One pass is timed, and multiplied by
the number of passes that a scan needs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from ...detection.inference import CPU_BATCH, fused
from ...detection.tiling import tile_grid
from ...detection.weights import load_network
from ...options import PARTS_MODEL
from ...scans.resampling import working_volume
from ...scans.volume import SagittalVolume

MATRIX = 2048
"""Side of the square matrices whose multiplication gives the processor's rate."""
PATCH = (192, 192, 192)
"""Patch of the 3-D network, voxels of 1 mm: that of the public nnU-Net ResEnc-L of nnInteractive (plans of Dataset 225,
configuration 3d_fullres_ps192)."""
PATCH_STEP = 0.5
"""Distance of neighbouring patches in patches: nnU-Net's default in prediction."""


@dataclass(frozen=True)
class Peer:
    """A network, and how often it runs on a scan.

    Attributes
    ----------
    name : str
        For the table.
    build : callable
        Returns the network.
    shape : tuple of int
        Shape of the input of one pass.
    passes : float
        Number of passes that a scan needs.
    """

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    passes: float


@dataclass(frozen=True)
class PeerTiming:
    """What a peer costs: parameters, GFLOP a scan, seconds a scan (minimum of several passes), share of the rate."""

    name: str
    parameters: int
    gflop: float
    seconds: float
    share: float


def matrix_rate(repeats: int = 5) -> float:
    """Return the rate, GFLOP/s, at which PyTorch multiplies square matrices in single precision on all its threads."""
    a, b = torch.randn(2, MATRIX, MATRIX)
    return 2e-9 * MATRIX**3 / _least_seconds(lambda: a @ b, repeats)


def peers_for(volume: SagittalVolume) -> tuple[Peer, ...]:
    """Return our part network, and the networks that it is compared with, for a scan."""
    working = working_volume(volume)
    count, *size = working.array.shape
    windows = tile_grid(size)
    tile = tuple(side.stop - side.start for side in windows[0])
    passes = count * len(windows) / CPU_BATCH
    ours = load_network(PARTS_MODEL)[0]
    size_mm = np.array(working.array.shape) * working.spacing_mm
    return (
        Peer("SpinalTap, parts", partial(fused, ours), (CPU_BATCH, 2 * ours.slices - 1, *tile), passes),
        Peer("U-Net of SpineNetV2's size, 2-D", ResNetUNet, (CPU_BATCH, 1, *tile), passes),
        Peer("nnU-Net ResEnc-L, 3-D", residual_encoder, (1, 1, *PATCH), patches(size_mm)),
    )


def patches(size_mm: Sequence[float] | np.ndarray) -> int:
    """Return the number of patches of nnU-Net's sliding window in a scan of this size, mm, at 1 mm a voxel."""
    over = (max(0.0, float(size) - side) / (PATCH_STEP * side) for size, side in zip(size_mm, PATCH))
    return math.prod(math.ceil(n) + 1 for n in over)


def compare(peers: Sequence[Peer], rate: float, repeats: int = 3) -> list[PeerTiming]:
    """Time each of the peers; `rate` is that of `matrix_rate`."""
    return [_timed(peer, rate, repeats) for peer in peers]


@torch.inference_mode()
def _timed(peer: Peer, rate: float, repeats: int) -> PeerTiming:
    network = peer.build().eval()
    operations = gflop(network, peer.shape) * peer.passes
    channels_last = torch.channels_last if len(peer.shape) == 4 else torch.channels_last_3d
    network.to(memory_format=channels_last)  # type: ignore[call-overload]
    image = torch.randn(peer.shape).to(memory_format=channels_last)
    seconds = _least_seconds(lambda: network(image), repeats) * peer.passes
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return PeerTiming(peer.name, parameters, operations, seconds, operations / seconds / rate)


def gflop(network: nn.Module, shape: Sequence[int]) -> float:
    """Return the GFLOP of one pass, counted on tensors without data."""
    with FakeTensorMode(allow_non_fake_inputs=True), FlopCounterMode(display=False) as counter:
        network(torch.empty(*shape))
    return counter.get_total_flops() / 1e9


def _least_seconds(call: Callable[[], object], repeats: int) -> float:
    """Return the least wall-clock time of several calls after one that warms up."""
    call()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def peers_table(timings: Sequence[PeerTiming], rate: float) -> str:
    """Return the comparison as a Markdown table; the first row is ours."""
    lines = [
        "| network | parameters, M | GFLOP a scan | s a scan | times ours | share of the rate |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for t in timings:
        lines.append(
            f"| {t.name} | {t.parameters / 1e6:.1f} | {t.gflop:.0f} | {t.seconds:.2f} | "
            f"{t.seconds / timings[0].seconds:.1f} | {t.share:.0%} |"
        )
    threads = torch.get_num_threads()
    return "\n".join([*lines, "", f"Matrices of {MATRIX}: {rate:.0f} GFLOP/s with {threads} thread(s)."])


def residual_encoder() -> nn.Module:
    """Return nnU-Net's ResEnc-L 3-D network, as its planner configures it for isotropic voxels; two classes."""
    try:
        from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
    except ImportError as error:
        raise ValueError(
            f"The 3-D network for comparison cannot be built ({error}); install pip install 'SpinalTapLib[benchmark]'."
        ) from error
    return ResidualEncoderUNet(
        input_channels=1,
        n_stages=6,
        features_per_stage=(32, 64, 128, 256, 320, 320),
        conv_op=nn.Conv3d,
        kernel_sizes=3,
        strides=(1, 2, 2, 2, 2, 2),
        n_blocks_per_stage=(1, 3, 4, 6, 6, 6),
        num_classes=2,
        n_conv_per_stage_decoder=1,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )


class ResNetUNet(nn.Module):
    """A U-Net with a ResNet-50 encoder (He et al., 2016) and 139 M parameters, the size published for SpineNetV2.

    Written from its description (Windsor et al., arXiv 2205.01683): 13 outputs; on the way up, bilinear up-sampling, a
    1 x 1 convolution, and two rounds of 3 x 3 convolution, batch normalisation and ReLU; the image itself as the last
    skip connection. Two convolutions at the lowest level bring it to the published number of parameters.

    Parameters
    ----------
    width : int
        Channels of the first level.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.stem = _unit(1, width, 7, 2)
        outputs = [4 * width * 2**k for k in range(4)]
        self.down = nn.ModuleList()
        for k, (blocks, n_in) in enumerate(zip((3, 4, 6, 3), (width, *outputs[:-1]))):
            stride = 1 if k == 0 else 2
            first = _Bottleneck(n_in, width * 2**k, stride)
            self.down.append(nn.Sequential(first, *(_Bottleneck(outputs[k], width * 2**k) for _ in range(blocks - 1))))
        self.bridge = nn.Sequential(_unit(outputs[-1], outputs[-1], 3), _unit(outputs[-1], outputs[-1], 3))
        levels = (outputs[-1], *outputs[-2::-1], width, width // 2)
        skips = (*outputs[-2::-1], width, 1)
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(levels, levels[1:]))
        self.up = nn.ModuleList(
            nn.Sequential(_unit(n + skip, n, 3), _unit(n, n, 3)) for n, skip in zip(levels[1:], skips)
        )
        self.head = nn.Conv2d(width // 2, 13, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the maps of a batch, (n, 1, rows, columns) -> (n, 13, rows, columns)."""
        x = self.stem(image)
        skips = [image, x]
        x = functional.max_pool2d(x, 3, 2, 1)
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        x = self.bridge(skips.pop())
        for narrow, up in zip(self.narrow, self.up):
            skip = skips.pop()
            x = functional.interpolate(narrow(x), skip.shape[-2:], mode="bilinear", align_corners=False)
            x = up(torch.cat((x, skip), 1))
        return self.head(x)


class _Bottleneck(nn.Module):
    """A residual block of 1 x 1, 3 x 3 and 1 x 1 convolutions."""

    def __init__(self, n_in: int, width: int, stride: int = 1) -> None:
        super().__init__()
        n_out = 4 * width
        self.way = nn.Sequential(
            _unit(n_in, width, 1), _unit(width, width, 3, stride), nn.Conv2d(width, n_out, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )  # fmt: skip
        same = n_in == n_out and stride == 1
        short = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
        self.short: nn.Module = nn.Identity() if same else short

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.way(x) + self.short(x))


def _unit(n_in: int, n_out: int, size: int, stride: int = 1) -> nn.Sequential:
    """Return convolution, batch normalisation and ReLU."""
    convolution = nn.Conv2d(n_in, n_out, size, stride, size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True))
