"""Simulate the acquisition in k-space: resolution, Gibbs ringing, ghosting, motion and noise."""

from __future__ import annotations

import torch

from ..config import AppearanceConfig
from .random_numbers import Chance


def acquire(image: torch.Tensor, reference: torch.Tensor, config: AppearanceConfig, chance: Chance) -> torch.Tensor:
    """Return magnitude images as a scanner would record them.

    Parameters
    ----------
    image : Tensor, shape (n, side, side)
        The object.
    reference : Tensor, shape (n,)
        Reference signal of the signal-to-noise ratio (mean of the bodies).
    config : AppearanceConfig
    chance : Chance

    Notes
    -----
    Complex white noise is added before the k-space filter, so that it is coloured as in interpolated scans. Taking the
    magnitude makes it Rician (Gudbjartsson and Patz, Magn Reson Med 34, 1995).
    """
    n, side = len(image), image.shape[-1]
    noisy = torch.complex(image, torch.zeros_like(image))
    chosen = chance.happens(config.noise, n)
    if len(chosen):
        snr = chance.uniform(1.6, 4.3, len(chosen)).exp()  # 5-74
        sd = (reference[chosen] / snr)[:, None, None]
        noise = chance.field(len(chosen), 2, side, side)
        noisy[chosen] += torch.complex(noise[:, 0] * sd, noise[:, 1] * sd)
    spectrum = torch.fft.fft2(noisy) * _transfer(n, side, config, chance)
    for probability, factor in ((config.ghosting, _ghosting), (config.motion, _motion)):
        chosen = chance.happens(probability, n)
        if len(chosen):
            spectrum[chosen] *= factor(len(chosen), side, chance)
    return torch.fft.ifft2(spectrum).abs()


def _frequencies(side: int, device: torch.device) -> torch.Tensor:
    """Return spatial frequencies in cycles per pixel, in the order of the FFT."""
    return torch.fft.fftfreq(side, device=device)


def _transfer(n: int, side: int, config: AppearanceConfig, chance: Chance) -> torch.Tensor:
    """Return the modulation transfer function of each tile: blur, and for some a k-space cut-off or edge filter."""
    frequency = _frequencies(side, chance.device).abs()
    blurred = torch.zeros(n, device=chance.device)
    chosen = chance.happens(config.blur, n)
    blurred[chosen] = chance.uniform(0.2, 1.1, len(chosen))
    ratio = chance.uniform(-0.35, 0.35, n).exp()
    cut = torch.full((n, 2), 0.75, device=chance.device)  # beyond Nyquist: no cut-off
    chosen = chance.happens(config.gibbs, n)
    cut[chosen] = chance.uniform(0.28, 0.52, len(chosen), 2)
    lines = []
    for axis, sigma in enumerate((blurred * ratio, blurred / ratio)):
        gaussian = torch.exp(-2 * (torch.pi * frequency[None] * sigma[:, None]).square())
        lines.append(gaussian * torch.sigmoid((cut[:, axis, None] - frequency[None]) / 0.004))
    transfer = lines[0][:, :, None] * lines[1][:, None, :]
    chosen = chance.happens(config.sharpening, n)
    if len(chosen):
        squared = (frequency[:, None].square() + frequency[None].square())[None]
        reach = chance.uniform(0.8, 3.0, len(chosen), 1, 1)
        boost = 1 - torch.exp(-2 * torch.pi**2 * squared * reach.square())
        transfer[chosen] *= 1 + chance.uniform(0.2, 1.3, len(chosen), 1, 1) * boost
    return transfer


def _along_phase(lines: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Expand factors per k-space line, shape (n, side), along rows or columns at random, to (n, side, side)."""
    head_feet = (chance.uniform(0, 1, len(lines)) < 0.5)[:, None, None]
    side = lines.shape[1]
    return torch.where(head_feet, lines[:, :, None].expand(-1, -1, side), lines[:, None, :].expand(-1, side, -1))


def _ghosting(n: int, side: int, chance: Chance) -> torch.Tensor:
    """Return a periodic modulation of the lines; as with breathing and pulsation, it gives ghosts along phase."""
    line = torch.fft.ifftshift(torch.arange(side, device=chance.device, dtype=torch.float32))  # as the FFT stores them
    period, phase = chance.uniform(2.2, 12, n, 1), chance.uniform(0, 6.28, n, 1)
    wave = (6.283 * line / period + phase).cos() * chance.uniform(0.02, 0.22, n, 1)
    return _along_phase(1 + wave, chance)


def _motion(n: int, side: int, chance: Chance) -> torch.Tensor:
    """Return the phase errors of an object that drifts and jumps during the acquisition."""
    jumps = chance.field(n, side) * (chance.field(n, side) > 1.6)
    walk = (jumps + 0.2 * chance.field(n, side)).cumsum(1)
    walk = walk - walk[:, :1]
    walk = walk / walk.abs().amax(1, keepdim=True).clamp(min=1) * chance.uniform(0.3, 2.2, n, 1)
    shift = torch.fft.ifftshift(walk, dim=1)  # the centre of k-space is acquired in the middle of the scan
    frequency = _frequencies(side, chance.device)
    angle = -2 * torch.pi * frequency[None] * shift
    return _along_phase(torch.polar(torch.ones_like(angle), angle), chance)
