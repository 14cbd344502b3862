"""Find the files that ship beside the code: weights, icons, terminology."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent
_FOLDER = "Resources"


def resource_path(*parts: str) -> Path:
    """Return the path of a file or folder in ``Resources``, wherever the code runs.

    A wheel carries ``Resources`` inside the package; in the source tree and in 3D Slicer's install folder it stands
    beside the package.

    Parameters
    ----------
    *parts : str
        Names below ``Resources``, such as ``"Models", "parts.pt"``. Without parts: the folder itself.

    Returns
    -------
    Path
        Absolute. The folder ``Resources`` exists; the file itself need not, so that it can be written.

    Raises
    ------
    ValueError
        If there is no ``Resources`` folder, which means that the installation is not complete.
    """
    # Inside first: beside an installed wheel lies site-packages, where a "Resources" would be somebody else's.
    for root in (_HERE / _FOLDER, _HERE.parent / _FOLDER):
        if root.is_dir():
            return root.joinpath(*parts)
    raise ValueError(
        f"SpinalTap's {_FOLDER} folder is neither in {_HERE} nor beside it: the installation is not complete; "
        "install SpinalTap again."
    )
