"""Meshes in Wavefront OBJ files: vertices and faces; colours, normals and textures are not read."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lazycfg._atomic import atomic_write

__all__ = ["MeshFileError", "load_obj", "save_obj"]


class MeshFileError(ValueError):
    """Raised for a mesh file that cannot be read."""


def load_obj(path: str | os.PathLike[str]) -> tuple[Tensor, Tensor]:
    """Read a mesh. Polygons of more than three corners are cut into triangles around their first corner.

    Returns:
        vertices (V, 3) float32 and faces (F, 3) int64, counted from 0.

    Raises:
        FileNotFoundError: there is no such file.
        MeshFileError: it cannot be read as a mesh; the message names the line.
    """
    path = Path(path)
    text = path.read_bytes().decode("utf-8", errors="replace").replace("\\\r\n", " ").replace("\\\n", " ")
    lines = [line.lstrip() for line in text.splitlines()]
    v_at = [i for i, line in enumerate(lines) if line.startswith(("v ", "v\t"))]
    f_at = [i for i, line in enumerate(lines) if line.startswith(("f ", "f\t"))]
    verts = _vertices([lines[i] for i in v_at], path, v_at)
    faces = _faces([lines[i] for i in f_at], path, f_at, np.searchsorted(v_at, f_at), len(verts))
    return torch.from_numpy(verts), torch.from_numpy(faces)


def _vertices(lines: list[str], path: Path, numbers: list[int]) -> np.ndarray:
    words = [line.split() for line in lines]
    for number, own in zip(numbers, words, strict=True):
        if len(own) < 4:
            raise MeshFileError(f"{path}:{number + 1}: a vertex needs three numbers, got {' '.join(own)!r}")
    try:
        verts = np.array([own[1:4] for own in words], dtype=np.float64).reshape(-1, 3)
    except ValueError as error:
        raise MeshFileError(f"{path}: a vertex that is no numbers: {error}") from None
    if not np.isfinite(verts).all():
        bad = int(np.flatnonzero(~np.isfinite(verts).all(axis=1))[0])
        raise MeshFileError(f"{path}:{numbers[bad] + 1}: a vertex must be finite, got {lines[bad]!r}")
    return verts.astype(np.float32)


def _faces(lines: list[str], path: Path, numbers: list[int], known: np.ndarray, count: int) -> np.ndarray:
    """Args:
    numbers: of the lines, counted from 0.
    known: how many vertices come before each line, from where negative numbers count back.
    count: vertices of the file.
    """
    corners = [re.sub(r"/\S*", "", line).split()[1:] for line in lines]
    sizes = np.array([len(own) for own in corners], dtype=np.int64)
    if len(sizes) and sizes.min() < 3:
        bad = int(sizes.argmin())
        raise MeshFileError(f"{path}:{numbers[bad] + 1}: a face needs three corners, got {lines[bad]!r}")
    try:
        flat = np.array([word for own in corners for word in own], dtype=np.int64)
    except ValueError as error:
        raise MeshFileError(f"{path}: a face that is no whole numbers: {error}") from None
    flat = np.where(flat < 0, flat + np.repeat(known, sizes), flat - 1)
    wrong = (flat < 0) | (flat >= count)
    if wrong.any():
        bad = int(np.repeat(np.arange(len(sizes)), sizes)[wrong.argmax()])
        raise MeshFileError(
            f"{path}:{numbers[bad] + 1}: {lines[bad]!r} names a vertex that is not there; it has {count}"
        )
    starts = np.cumsum(sizes) - sizes
    triangles = sizes - 2
    first = np.repeat(starts, triangles)
    step = np.arange(triangles.sum()) - np.repeat(np.cumsum(triangles) - triangles, triangles)
    return flat[np.stack((first, first + step + 1, first + step + 2), axis=1)].reshape(-1, 3)


def save_obj(path: str | os.PathLike[str], verts: Tensor, faces: Tensor) -> None:
    """Write a mesh; `load_obj` reads the same float32 values. The file is whole or not there.

    Args:
        verts: (V, 3).
        faces: (F, 3) rows of `verts`, counted from 0.

    Raises:
        ValueError: tensors of another shape.
    """
    if verts.dim() != 2 or verts.shape[1:] != (3,) or faces.dim() != 2 or faces.shape[1:] != (3,):
        raise ValueError(
            f"save_obj: needs vertices (V, 3) and faces (F, 3), got {tuple(verts.shape)} and "
            f"{tuple(faces.shape)}"
        )
    rows = ["v {:.9g} {:.9g} {:.9g}\n".format(*v) for v in verts.detach().float().cpu().tolist()]
    rows += ["f {} {} {}\n".format(*f) for f in (faces + 1).tolist()]
    with atomic_write(path) as partial:
        partial.write_text("".join(rows))
