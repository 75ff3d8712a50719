"""One surface that points of objects lie on: its geometry, geodesic distances, symmetry and texture."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lazycfg.projects.densepose.structures import MESH_NAMES
from lazycfg.structures import Meshes, MeshFileError, load_obj
from lazycfg.utils import UnsafeFileError, load_numpy_pickle

__all__ = ["MESH_URL", "Mesh", "PublishedMesh", "read_arrays"]

MESH_URL = "https://dl.fbaipublicfiles.com/densepose/meshes/"
"""Where the files of the published meshes are."""

Kind = Literal["geometry", "geodists", "symmetry", "texcoords"]
FILES: dict[Kind, str] = {
    "geometry": "{name}.pkl",
    "geodists": "geodists/geodists_{name}.pkl",
    "symmetry": "symmetry/symmetry_{name}.pkl",
    "texcoords": "texcoords/texcoords_{name}.pkl",
}
CONTENT: dict[Kind, str] = {
    "geometry": "vertices and faces",
    "geodists": "geodesic distances",
    "symmetry": "left-right symmetry",
    "texcoords": "texture coordinates",
}
PathOrTensor = str | os.PathLike[str] | Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """A triangle mesh of V vertices, and what is known of it.

    What a use does not need may be left out. Paths are read at each call of a `read_` method, nothing is
    kept, so that a mesh is made without its files being there.

    Args:
        name: such as "smpl_27554"; what annotations call the mesh.
        geometry: a pickle of a dict with "vertices" (V, 3) and "faces" (F, 3), or an OBJ file.
        vertices, faces: in the place of `geometry`.
        geodists: (V, V) distances along the surface, or a pickle or ``.npy`` file of them.
        symmetry: (V,) for each vertex its counterpart in the mirror, or a pickle of a dict that has them as
            "vertex_transforms".
        texcoords: (V, 2) from 0 to 1, or a pickle or ``.npy`` file of them.
    """

    name: str
    geometry: str | os.PathLike[str] | None = None
    vertices: Tensor | None = None
    faces: Tensor | None = None
    geodists: PathOrTensor | None = None
    symmetry: PathOrTensor | None = None
    texcoords: PathOrTensor | None = None

    def __post_init__(self) -> None:
        if self.geometry is not None and (self.vertices is not None or self.faces is not None):
            raise ValueError(f"mesh {self.name!r}: give either geometry or vertices and faces, not both")

    # ------------------------------------------------------------------ reading

    def read_meshes(self) -> Meshes:
        """Return the geometry as a batch of one.

        Raises:
            FileNotFoundError: there is no such file; the message says where it is published.
            MeshFileError: the file holds no mesh.
            ValueError: the mesh has no geometry.
        """
        if self.vertices is not None and self.faces is not None:
            return Meshes([self.vertices], [self.faces])
        if self.geometry is None:
            raise self._not_given("geometry")
        path = Path(self.geometry)
        if path.suffix.lower() == ".obj":
            self._must_exist("geometry", path)
            verts, faces = load_obj(path)
        else:
            content = self._load("geometry", path)
            verts = self._array("geometry", path, content, "vertices", (-1, 3)).float()
            faces = self._array("geometry", path, content, "faces", (-1, 3)).long()
        try:
            return Meshes([verts], [faces])
        except ValueError as error:
            raise MeshFileError(f"{path}: {error}") from None

    def read_vertices(self) -> Tensor:
        """Return the vertices (V, 3) float32. Raises what `read_meshes` raises."""
        if self.vertices is not None:
            return self.vertices
        return self.read_meshes().verts_packed()

    def read_geodists(self) -> Tensor:
        """Return the geodesic distances (V, V) float32. Raises what `read_meshes` raises."""
        values = self._read("geodists", (-1, -1)).float()
        if values.shape[0] != values.shape[1]:
            raise MeshFileError(
                f"{self._where('geodists')}: geodesic distances must be (V, V), got {tuple(values.shape)}"
            )
        return values

    def read_symmetry(self) -> Tensor:
        """Return for each vertex its mirror image, (V,) int64. Raises what `read_meshes` raises."""
        values = self._read("symmetry", (-1,), "vertex_transforms")
        low, high = (int(values.min()), int(values.max())) if len(values) else (0, -1)
        if values.is_floating_point() or low < 0 or high >= len(values):
            raise MeshFileError(
                f"{self._where('symmetry')}: the symmetry must name vertices 0 to {len(values) - 1}, got "
                f"{low} to {high} ({values.dtype})"
            )
        return values.long()

    def read_texcoords(self) -> Tensor:
        """Return the texture coordinates (V, 2) float32. Raises what `read_meshes` raises."""
        return self._read("texcoords", (-1, 2)).float()

    # ------------------------------------------------------------------ inside

    def _read(self, kind: Kind, shape: tuple[int, ...], key: str | None = None) -> Tensor:
        value: PathOrTensor | None = getattr(self, kind)
        if value is None:
            raise self._not_given(kind)
        if isinstance(value, Tensor):
            return self._array(kind, Path(), {key: value}, key, shape)
        path = Path(value)
        content = self._load(kind, path)
        return self._array(kind, path, content if key else {None: content}, key, shape)

    def _load(self, kind: Kind, path: Path) -> Any:
        self._must_exist(kind, path)
        return read_arrays(path)

    def _must_exist(self, kind: Kind, path: Path) -> None:
        if not path.is_file():
            file = FILES[kind].format(name=self.name)
            where = f". It is published at {MESH_URL}{file}: download it to that place"
            raise FileNotFoundError(
                f"mesh {self.name!r}: no file {str(path)!r} with its {CONTENT[kind]}"
                + (where if self.name in MESH_NAMES else "")
            )

    def _array(self, kind: Kind, path: Path, content: Any, key: str | None, shape: tuple[int, ...]) -> Tensor:
        wanted = "(" + ", ".join("V" if n < 0 else str(n) for n in shape) + ")"
        where = self._where(kind)
        if not isinstance(content, dict) or key not in content:
            raise MeshFileError(f"{where}: expected a dict with {key!r}, got {_described(content)}")
        value = content[key]
        try:
            tensor = value if isinstance(value, Tensor) else torch.from_numpy(np.require(value, None, "W"))
        except (TypeError, ValueError):
            raise MeshFileError(f"{where}: {key or CONTENT[kind]} must be numbers") from None
        fits = tensor.dim() == len(shape) and all(
            n < 0 or n == m for n, m in zip(shape, tensor.shape, strict=True)
        )
        if not fits:
            raise MeshFileError(
                f"{where}: expected {key or CONTENT[kind]} of shape {wanted}, got {tuple(tensor.shape)}"
            )
        return tensor

    def _where(self, kind: Kind) -> str:
        value = getattr(self, kind)
        return f"mesh {self.name!r}" if isinstance(value, Tensor) else str(value)

    def _not_given(self, kind: Kind) -> ValueError:
        return ValueError(
            f"mesh {self.name!r} has no {kind} ({CONTENT[kind]}), which is needed here: "
            f"Mesh(name={self.name!r}, {kind}=<path>)"
        )


class PublishedMesh(Mesh):
    """A mesh whose files lie below a folder as they are published below `MESH_URL`.

    Args:
        name: such as "smpl_27554".
        root: the folder.
    """

    def __init__(self, *, name: str, root: str | os.PathLike[str]) -> None:
        paths = {kind: os.path.join(root, pattern.format(name=name)) for kind, pattern in FILES.items()}
        super().__init__(name=name, **paths)


def read_arrays(path: str | os.PathLike[str]) -> Any:
    """Read a file of numbers: a pickle of numpy arrays, of which nothing is run, or a ``.npy`` file.

    Raises:
        FileNotFoundError: there is no such file.
        MeshFileError: it is damaged, or holds something else.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            if path.suffix == ".npy":
                return np.load(file, allow_pickle=False)
            return load_numpy_pickle(file)
    except FileNotFoundError:
        raise
    except (UnsafeFileError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise MeshFileError(f"{path}: cannot be read as numbers: {error}") from error


def _described(content: Any) -> str:
    if isinstance(content, dict):
        return f"a dict with {sorted(map(str, content))}"
    return type(content).__name__
