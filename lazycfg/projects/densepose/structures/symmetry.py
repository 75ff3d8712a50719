"""What becomes of DensePose labels in a mirrored image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["DensePoseFileError", "DensePoseTransformData", "find_file", "load_mat"]

DATA_URL = "https://dl.fbaipublicfiles.com/densepose/data/"
"""Where the files of the surface are published; nobody may pass them on."""


class DensePoseFileError(ValueError):
    """A file of the surface that is not what it should be; the message names file and reason."""


def find_file(path: str | os.PathLike[str], url: str) -> Path:
    """Return the path of a published file.

    Raises:
        FileNotFoundError: it is not there; the message tells where it is published and where to put it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}. It is published at {url}: put it there")
    return path


def load_mat(path: str | os.PathLike[str], keys: tuple[str, ...]) -> dict[str, Any]:
    """Read arrays of a published MATLAB file, see `find_file`.

    Raises:
        ImportError: scipy is not installed.
        FileNotFoundError: no such file.
        DensePoseFileError: no MATLAB file, or it lacks one of the arrays.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError("DensePose's data are MATLAB files: pip install scipy") from error
    path = find_file(path, DATA_URL + Path(path).name)
    try:
        arrays = loadmat(str(path))
    except Exception as error:
        raise DensePoseFileError(f"{path} is no MATLAB file: {error}") from error
    missing = [key for key in keys if key not in arrays]
    if missing:
        have = ", ".join(key for key in arrays if not key.startswith("__"))
        raise DensePoseFileError(f"{path} has no array {' and no '.join(missing)} (it has {have or 'none'})")
    return {key: arrays[key] for key in keys}


class DensePoseTransformData:
    """Which part, and which place of its chart, takes the place of another in a mirrored image.

    Attributes:
        MASK_LABEL_SYMMETRIES: of the coarse parts 0 to 14.
        POINT_LABEL_SYMMETRIES: of the parts 0 to 24.
        uv_symmetries: "U_transforms" and "V_transforms", each (24, 256, 256) float32: for the place (u, v) of
            part i the coordinate in the chart of the other part, at [i - 1, 255 v, 255 u].

    Args:
        uv_symmetries: as above.
    """

    MASK_LABEL_SYMMETRIES = (0, 1, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 14)
    POINT_LABEL_SYMMETRIES = (
        0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 18, 17, 20, 19, 22, 21, 24, 23,
    )  # fmt: skip

    def __init__(self, uv_symmetries: dict[str, Tensor]) -> None:
        for key in ("U_transforms", "V_transforms"):
            if key not in uv_symmetries or uv_symmetries[key].shape != (24, 256, 256):
                raise ValueError(f"DensePoseTransformData needs {key}, a tensor (24, 256, 256)")
        self.uv_symmetries = uv_symmetries

    @staticmethod
    def load(path: str | os.PathLike[str]) -> DensePoseTransformData:
        """Read the published file, UV_symmetry_transforms.mat.

        Raises:
            FileNotFoundError, DensePoseFileError, ImportError: see `load_mat`.
        """
        arrays = load_mat(path, ("U_transforms", "V_transforms"))
        tables = {}
        for key, value in arrays.items():
            try:
                # MATLAB's cell arrays come as (1, 24) arrays of arrays
                cells = list(value.ravel()) if value.dtype == object else list(value)
                table = np.stack([np.asarray(cell, dtype=np.float32) for cell in cells])
            except (TypeError, ValueError) as error:
                raise DensePoseFileError(f"{path}: {key} holds no arrays of equal size") from error
            if table.shape != (24, 256, 256):
                raise DensePoseFileError(f"{path}: {key} is {table.shape}, expected 24 tables of 256 x 256")
            tables[key] = torch.from_numpy(table)
        return DensePoseTransformData(tables)

    def __repr__(self) -> str:
        return "DensePoseTransformData()"

    def to(self, *args: Any, **kwargs: Any) -> DensePoseTransformData:
        """Return a copy whose tables are moved to a device."""
        return DensePoseTransformData(
            {name: table.to(*args, **kwargs) for name, table in self.uv_symmetries.items()}
        )

    @staticmethod
    def mirror_masks(labels: Tensor) -> Tensor:
        """Return coarse labels, of any shape and type, as they are in the mirrored image."""
        return _look_up(DensePoseTransformData.MASK_LABEL_SYMMETRIES, labels)

    def mirror_points(self, i: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return parts 0 to 24 and chart coordinates as they are in the mirrored image.

        Args:
            i: (P,) int64. u, v: (P,) float32, 0 to 1.
        """
        row, column = ((255 * each.clamp(0, 1)).to(torch.int64) for each in (v, u))
        part = (i - 1).clamp(min=0)
        new_u, new_v = (
            torch.where(i > 0, self.uv_symmetries[key].to(u.device)[part, row, column], old)
            for key, old in (("U_transforms", u), ("V_transforms", v))
        )
        return _look_up(self.POINT_LABEL_SYMMETRIES, i), new_u, new_v


def _look_up(table: tuple[int, ...], labels: Tensor) -> Tensor:
    return torch.tensor(table, device=labels.device)[labels.to(torch.int64)].to(labels.dtype)
