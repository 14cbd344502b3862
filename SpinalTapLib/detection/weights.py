"""Save network weights with a model card, and verify the weights against the card on loading."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import DAMAGE
from ..installation import CARD_SUFFIX, WEIGHTS_SUFFIX, are_genuine, weights_path
from ..options import PARTS_MODEL
from .networks import NETWORKS


def save_network(path: Path | str, network: nn.Module, card: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write a network's weights, in half precision, with their model card beside them.

    Parameters
    ----------
    path : Path or str
        The weights file; its suffix is set to ``.pt``, that of the card to ``.json``. Missing folders are created.
    network : nn.Module
        One of `networks.NETWORKS`, on any device, in any precision.
    card : mapping, optional
        Information for the reader: data recipe, steps, hardware, time, scores. ``name``, ``network`` and ``sha256``
        are added.

    Returns
    -------
    dict
        The card as written.

    Raises
    ------
    ValueError
        If a weight is not finite in half precision (the training has diverged).
    OSError
        If the files cannot be written; none is then left behind.
    """
    weights = Path(path).with_suffix(WEIGHTS_SUFFIX)
    state = {name: _halved(name, value) for name, value in network.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    full_card = {
        **(card or {}),
        "name": weights.stem,
        "network": network.arguments,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    weights.parent.mkdir(parents=True, exist_ok=True)
    _write_together(
        {
            weights: content,
            weights.with_suffix(CARD_SUFFIX): (json.dumps(full_card, indent=2, ensure_ascii=False) + "\n").encode(),
        }
    )
    return full_card


def load_network(
    name_or_path: Path | str = PARTS_MODEL, device: torch.device | str = "cpu", *, pixel_mm: float | None = None
) -> tuple[Any, dict[str, Any]]:
    """Load a network and its model card, and verify the weights against the card.

    Parameters
    ----------
    name_or_path : Path or str
        A name (``"parts"``: ``Resources/Models/parts.pt``) or the path of a ``.pt`` file with its ``.json`` beside it.
    device : torch.device or str
        Device that the network is moved to.
    pixel_mm : float, optional
        Pixel size of the images for this network, mm; weights trained at another size are refused. None: not checked.

    Returns
    -------
    network : nn.Module
        One of `networks.NETWORKS`, in single precision and evaluation mode.
    card : dict
        At least ``name``, ``network`` and ``sha256``.

    Raises
    ------
    ValueError
        If the weights or the card are missing, unreadable or do not match each other, or if the weights were trained
        at another pixel size.
    """
    path = weights_path(name_or_path)
    card = _read_card(path.with_suffix(CARD_SUFFIX))
    trained_mm = card.get("pixel_mm", 1.0)  # older cards lack this key; all those networks were trained at 1 mm
    if pixel_mm is not None and trained_mm != pixel_mm:
        raise ValueError(
            f"The weights {path} were trained at {trained_mm} mm a pixel, but are used at {pixel_mm:g} mm a pixel "
            f"here, where every structure has another size; use weights trained at {pixel_mm:g} mm a pixel."
        )
    content = _read(path, "weights")
    if not are_genuine(content, card):
        found = hashlib.sha256(content).hexdigest()
        raise ValueError(
            f"The weights {path} are not the ones that their card describes (SHA-256 {found[:12]}… instead of "
            f"{str(card['sha256'])[:12]}…): the file was altered or cut short; install SpinalTap again."
        )
    network = _build(card["network"], path, len(content))
    try:
        network.load_state_dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, TypeError, AttributeError, EOFError) as error:
        raise ValueError(
            f"The weights {path} do not fit the network that their model card describes ({_first_words(error)}); "
            "install SpinalTap again, or use other weights."
        ) from error
    return network.float().eval().to(device), card


def _first_words(error: Exception) -> str:
    """Return the first line of an error message; PyTorch's have a line for each tensor."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".:")


def _halved(name: str, value: torch.Tensor) -> torch.Tensor:
    """Return a tensor of the state dict in half precision, on the CPU; integer counters keep their type."""
    value = value.detach().cpu()
    half = value.half() if value.is_floating_point() else value
    if not torch.isfinite(half).all():
        raise ValueError(
            f"The weights {name!r} are not finite in half precision: the training has diverged; train again with a "
            "lower learning rate."
        )
    return half.contiguous()


def _write_together(files: Mapping[Path, bytes]) -> None:
    """Write every file under a temporary name, then rename all of them; on failure, leave no temporary file."""
    staged = {path: path.with_name(f".{path.name}.{os.getpid()}.part") for path in files}
    try:
        for path, content in files.items():
            staged[path].write_bytes(content)
        for path, temporary in staged.items():
            temporary.replace(path)
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"The network's {what} cannot be read from {path} ({error.strerror}): install SpinalTap again, or use "
            "another weights file."
        ) from error


def _read_card(path: Path) -> dict[str, Any]:
    """Return a model card; raise ValueError unless it is JSON with the entries that loading needs."""
    try:
        card = json.loads(_read(path, "model card"))
    except ValueError as error:
        if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
            raise ValueError(f"The model card {path} is not valid JSON ({error}); install SpinalTap again.") from error
        raise
    except RecursionError as error:
        raise ValueError(f"The model card {path} is not valid JSON ({error}); install SpinalTap again.") from error
    if not isinstance(card, dict) or not isinstance(card.get("network"), dict) or "sha256" not in card:
        raise ValueError(
            f"The model card {path} does not name a network and the SHA-256 of its weights; install SpinalTap again."
        )
    return card


USUAL_WIDTH, USUAL_LEVELS, USUAL_SIDE = 512, 8, 512
"""A network of at most so many channels and levels, whose input has at most so many pixels a side, fits in memory."""


def _is_usual(options: Mapping[str, Any]) -> bool:
    """Return whether a network is small enough to be built without counting its parameters first."""
    widths = options.get("widths", ())
    sides = [value for name, value in options.items() if name != "widths"]
    return (
        isinstance(widths, list)
        and len(widths) <= USUAL_LEVELS
        and all(isinstance(width, int) and 0 < width <= USUAL_WIDTH for width in widths)
        and all(isinstance(side, int) and 0 <= side <= USUAL_SIDE for side in sides)
    )


def _size(kind: type[nn.Module], options: Mapping[str, Any]) -> int:
    """Return the number of parameters of a network, without memory for them; the first call takes seconds."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in kind(**options).parameters())


def _build(arguments: Mapping[str, Any], path: Path, weights_bytes: int) -> nn.Module:
    """Return an untrained network with the arguments of a model card, unless it is much larger than its weights."""
    options = dict(arguments)
    kind = NETWORKS.get(str(options.pop("class", None)))
    if kind is None:
        raise ValueError(
            f"The model card of {path} names an unknown network {arguments.get('class')!r}; use one of "
            f"{', '.join(NETWORKS)}."
        )
    try:
        size = 0 if _is_usual(options) else _size(kind, options)
        network: nn.Module | None = kind(**options) if size <= weights_bytes else None  # two bytes each in the file
    except (*DAMAGE, RuntimeError, ZeroDivisionError) as error:
        raise ValueError(
            f"The model card of {path} describes a network that cannot be built ({_first_words(error)}); install "
            "SpinalTap again."
        ) from error
    if network is None:
        raise ValueError(
            f"The weights {path} do not fit the network that their model card describes ({size} parameters in "
            f"{weights_bytes} bytes); install SpinalTap again, or use other weights."
        )
    return network
