"""Convert plain values to a settings dataclass, with one clear sentence for each invalid value."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def check(holds: bool, name: str, value: object, wanted: str) -> None:
    """Raise ValueError if the value of a setting is invalid."""
    if not holds:
        raise ValueError(f"The training setting {name!r} must be {wanted}; got {value!r}.")


def settings_from_dict(values: dict[str, Any], kind: type, where: str) -> Any:
    """Build a config from plain values.

    Raises
    ------
    ValueError
        If a key is unknown, or a value has the wrong type or is out of range.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where[:1].upper()}{where[1:]} must be a table of settings; got {type(values).__name__}.")
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ValueError(f"Unknown setting {unknown[0]!r} in {where}; known ones: {', '.join(sorted(hints))}.")
    return kind(**{name: _typed(value, hints[name], name, where) for name, value in values.items()})


def known_settings(values: dict[str, Any], kind: type) -> dict[str, Any]:
    """Return plain values without settings that a config does not have, such as those of another version."""
    if not isinstance(values, dict):
        return values  # `settings_from_dict` raises the error
    hints = get_type_hints(kind)
    return {
        name: known_settings(value, hints[name]) if dataclasses.is_dataclass(hints[name]) else value
        for name, value in values.items()
        if name in hints
    }


def _typed(value: Any, hint: Any, name: str, where: str) -> Any:
    """Return the value converted to the type of the setting; raise ValueError if it does not fit."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return settings_from_dict(value, hint, f"{name!r} of {where}")
    if get_origin(hint) in (Union, UnionType):
        if value is None:
            return None
        hint = next(option for option in get_args(hint) if option is not type(None))
    if get_origin(hint) is tuple:
        good = isinstance(value, (list, tuple)) and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
        check(good, name, value, "a list of whole numbers")
        return tuple(value)
    if hint is float:
        check(isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value), name, value,
              "a finite number")
        return float(value)
    check(isinstance(value, hint) and not (hint is int and isinstance(value, bool)), name, value,
          {int: "a whole number", str: "a text"}.get(hint, str(hint)))
    return value


def parsed(file: Path, text: str) -> dict[str, Any]:
    """Return the content of a config file."""
    try:
        if file.suffix.lower() == ".toml":
            import tomllib

            return tomllib.loads(text)
        return json.loads(text)
    except ValueError as error:  # both parsers raise subclasses of it
        raise ValueError(f"The training config {file} is not valid {file.suffix[1:].upper()}: {error}.") from error
