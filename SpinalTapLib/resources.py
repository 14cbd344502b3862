"""Find the files that ship with the code: weights, icons, terminology."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent
_FOLDER = "Resources"


def resource_path(*parts: str) -> Path:
    """Return the path of a file or folder in ``Resources``.

    A wheel has ``Resources`` inside the package; in the source tree and in 3D Slicer's install folder it is next to
    the package.

    Parameters
    ----------
    *parts : str
        Names below ``Resources``, such as ``"Models", "parts.pt"``. Without parts: the folder itself.

    Returns
    -------
    Path
        Absolute path. The folder ``Resources`` exists; the file need not exist, so that it can be written.

    Raises
    ------
    ValueError
        If there is no ``Resources`` folder, because the installation is incomplete.
    """
    # Look inside the package first: next to an installed wheel, a "Resources" folder would belong to another package.
    for root in (_HERE / _FOLDER, _HERE.parent / _FOLDER):
        if root.is_dir():
            return root.joinpath(*parts)
    raise ValueError(
        f"SpinalTap's {_FOLDER} folder is neither in {_HERE} nor next to it: the installation is incomplete; "
        "install SpinalTap again."
    )
