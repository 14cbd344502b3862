"""Choose the device for the networks: processor, NVIDIA card or Apple silicon."""

from __future__ import annotations

import logging

import torch

from ..options import DEVICES

MIN_CUDA_MEMORY_BYTES = 1 << 30
"""Least free memory of a card that is used: the part network and its tiles need about 0.6 GB."""

_log = logging.getLogger(__name__)


def choose_device(choice: str = "auto") -> str:
    """Return the device that the networks will run on.

    Parameters
    ----------
    choice : str
        ``"auto"`` takes an NVIDIA card if it works and has enough free memory, else Apple silicon, else the processor.
        ``"cpu"``, ``"cuda"`` and ``"mps"`` take exactly that device.

    Returns
    -------
    str
        ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Raises
    ------
    ValueError
        If the choice is unknown, or names a device that this machine or this build of PyTorch does not have.
    """
    if choice not in DEVICES:
        raise ValueError(f"There is no device called {choice!r}; use one of {', '.join(DEVICES)}.")
    if choice == "cpu":
        return "cpu"
    if choice == "auto":
        return next((device for device in ("cuda", "mps") if _why_not(device) is None), "cpu")
    reason = _why_not(choice)
    if reason is not None:
        raise ValueError(f"The device {choice!r} cannot be used here: {reason}; use --device auto or cpu.")
    return choice


def describe(device: str) -> str:
    """Return a description of the device, such as ``"cuda (NVIDIA A100)"`` or ``"cpu (4 threads)"``."""
    if device == "cuda":
        return f"cuda ({torch.cuda.get_device_name()})"
    if device == "mps":
        return "mps (Apple silicon)"
    return f"cpu ({torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''})"


def arithmetic(precision: str, device: str) -> torch.dtype | None:
    """Return the data type of mixed-precision training.

    Parameters
    ----------
    precision : str
        ``"auto"``, ``"bf16"`` or ``"fp32"``.
    device : str
        ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Returns
    -------
    torch.dtype or None
        None for single precision throughout.
    """
    if precision == "bf16":
        return torch.bfloat16
    if precision == "fp32":
        return None
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    # On processors that emulate it, half precision is slower than single precision.
    has_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return torch.bfloat16 if has_bf16 is not None and has_bf16() else None


def _why_not(device: str) -> str | None:
    """Return the reason why a device cannot be used, or None if it can."""
    if device == "mps":
        return None if torch.backends.mps.is_available() else "PyTorch sees no Apple silicon"
    if not torch.cuda.is_available():
        built = torch.version.cuda is not None
        return "PyTorch sees no NVIDIA card" if built else "this build of PyTorch is for the processor only"
    try:  # a listed card may be unusable: driver too old, card too old for this build, in exclusive use
        torch.zeros(1, device="cuda").cpu()
        free, _ = torch.cuda.mem_get_info()
    except RuntimeError as error:
        _log.info("CUDA is present but not usable: %s", error)
        return f"the NVIDIA card does not answer ({str(error).splitlines()[0]})"
    if free < MIN_CUDA_MEMORY_BYTES:
        return f"the NVIDIA card has only {free / (1 << 30):.1f} GB of free memory"
    return None
