"""Embeddings of the vertices of meshes (arXiv:2011.12438)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.projects.densepose.structures import MESH_NAMES

from .mesh import read_arrays

__all__ = [
    "Embedder",
    "VertexDirectEmbedder",
    "VertexEmbedder",
    "VertexFeatureEmbedder",
    "normalize_embeddings",
    "without_autocast",
]

LBO_URL = "https://dl.fbaipublicfiles.com/densepose/data/cse/lbo/"
"""Where the published features of vertices are."""


def normalize_embeddings(embeddings: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Divide embeddings (N, D) by their length, or by `epsilon` where it is less. In float32 at least."""
    if embeddings.dtype in (torch.float16, torch.bfloat16):
        embeddings = embeddings.float()
    return F.normalize(embeddings, dim=1, eps=epsilon)


def without_autocast(tensor: Tensor) -> AbstractContextManager[Any]:
    """Return a context in which products on the device of a tensor (...,) keep its type."""
    # the meta device knows no autocast
    return nullcontext() if tensor.is_meta else torch.autocast(tensor.device.type, enabled=False)


class VertexEmbedder(nn.Module):
    """What embedders of one mesh share: values that come from a file or a checkpoint.

    Args:
        num_vertices: V, of the mesh.
        embed_dim: D.
        init_file: a pickle of a dict with the arrays that `ARRAYS` names, read here if it is there. Without
            it, nothing can be computed until a checkpoint is loaded. None begins with random values.
        is_trainable: False keeps all values as they are in training.

    Raises:
        ValueError: the file lacks an array, or has one of another shape.
    """

    ARRAYS: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        num_vertices: int,
        embed_dim: int,
        init_file: str | os.PathLike[str] | None = None,
        is_trainable: bool = True,
    ) -> None:
        super().__init__()
        self.num_vertices, self.embed_dim = num_vertices, embed_dim
        self._missing_file: str | None = None
        self._make_arrays()
        self.reset_parameters()
        if init_file:
            self._initialize(os.fspath(init_file))
        if not is_trainable:
            self.requires_grad_(False)

    def _make_arrays(self) -> None:
        """Make the tensors that `ARRAYS` names."""
        raise NotImplementedError

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all values at random; rows are of length 1 in the mean."""
        for name in self.ARRAYS:
            array = getattr(self, name)
            nn.init.normal_(array, std=array.shape[1] ** -0.5)

    def _initialize(self, path: str) -> None:
        if next(self.buffers(), next(self.parameters())).is_meta:
            return
        if not os.path.isfile(path):
            self._missing_file = path
            return
        self.load(path)

    @torch.no_grad()
    def load(self, path: str | os.PathLike[str]) -> None:
        """Take all values from a file.

        Args:
            path: as `init_file`.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file lacks an array, or has one of another shape.
        """
        content = read_arrays(path)
        for name in self.ARRAYS:
            array = getattr(self, name)
            value = content.get(name) if isinstance(content, Mapping) else None
            if value is None or np.shape(value) != tuple(array.shape):
                got = "nothing" if value is None else f"an array {np.shape(value)}"
                raise ValueError(
                    f"{os.fspath(path)}: {type(self).__name__} of {self.num_vertices} vertices needs an "
                    f"array {name!r} {tuple(array.shape)}, got {got}"
                )
            array.copy_(torch.from_numpy(np.array(value)))
        self._missing_file = None

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        if all(prefix + name in state_dict for name in self.ARRAYS):
            self._missing_file = None

    def embed(self) -> Tensor:
        """Return the embeddings (V, D), not normalised.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def forward(self) -> Tensor:
        """Return the embeddings (V, D) of all vertices, each of length 1.

        Raises:
            FileNotFoundError: the initial values were not there, and no checkpoint was loaded.
        """
        if self._missing_file is not None:
            name = os.path.basename(self._missing_file)
            published = any(mesh in name for mesh in MESH_NAMES)
            where = f"It is published at {LBO_URL}{name}: download it to that place,"
            where = where if published else "Make it,"
            raise FileNotFoundError(
                f"no file {self._missing_file!r} (init_file) with the initial values of {self.num_vertices} "
                f"vertices. {where} give another init_file, or load a checkpoint"
            )
        return normalize_embeddings(self.embed())

    def extra_repr(self) -> str:
        """Return the arguments, for `repr`."""
        return f"num_vertices={self.num_vertices}, embed_dim={self.embed_dim}"


class VertexDirectEmbedder(VertexEmbedder):
    """Each vertex has an embedding of its own. Arguments as `VertexEmbedder`."""

    ARRAYS = ("embeddings",)

    def _make_arrays(self) -> None:
        self.embeddings = nn.Parameter(torch.empty(self.num_vertices, self.embed_dim))

    def embed(self) -> Tensor:
        """Return the embeddings (V, D), not normalised."""
        return self.embeddings


class VertexFeatureEmbedder(VertexEmbedder):
    """Embeddings are a linear map of features of the vertices, such as eigenfunctions of the Laplace-Beltrami
    operator, so that near vertices have near embeddings.

    Args:
        feature_dim: numbers that each vertex has.
        features_trainable: whether the features are trained, too.
        kwargs: the arguments of `VertexEmbedder`.
    """

    ARRAYS = ("features", "embeddings")

    def __init__(self, *, feature_dim: int, features_trainable: bool = False, **kwargs: Any) -> None:
        self.feature_dim = feature_dim
        self._features_trainable = features_trainable
        super().__init__(**kwargs)

    def _make_arrays(self) -> None:
        features = torch.empty(self.num_vertices, self.feature_dim)
        if self._features_trainable:
            self.features = nn.Parameter(features)
        else:
            self.register_buffer("features", features)
        self.embeddings = nn.Parameter(torch.empty(self.feature_dim, self.embed_dim))

    def embed(self) -> Tensor:
        """Return the embeddings (V, D), not normalised."""
        with without_autocast(self.features):
            return self.features @ self.embeddings


class Embedder(nn.Module):
    """The embeddings of the vertices of several meshes, in one space.

    Args:
        embedders: by name of the mesh, each a `VertexEmbedder` of the same number of dimensions.
        class_to_mesh_name: the mesh that objects of a class (0, 1, ...) show, where no annotation says it;
            keys may be text, as in files. None, with one mesh: all show that.
        mesh_names: names of all meshes that annotations may speak of, in the order of their ids; as those of
            `DensePoseDataRelative`.

    Raises:
        ValueError: a mesh is not among `mesh_names`, a class has a mesh without an embedder, or the embedders
            do not fit together.
    """

    def __init__(
        self,
        *,
        embedders: Mapping[str, VertexEmbedder],
        class_to_mesh_name: Mapping[int | str, str] | None = None,
        mesh_names: Sequence[str] = MESH_NAMES,
    ) -> None:
        super().__init__()
        unknown = [name for name in embedders if name not in mesh_names]
        if unknown or not embedders:
            raise ValueError(
                f"Embedder(embedders=) needs embedders of meshes among {list(mesh_names)}, got "
                f"{list(embedders)}"
            )
        dims = {name: embedder.embed_dim for name, embedder in embedders.items()}
        if len(set(dims.values())) > 1:
            raise ValueError(f"Embedder: embedders of one space have the same embed_dim, got {dims}")
        self.mesh_names = tuple(sorted(embedders))
        self.all_mesh_names = tuple(mesh_names)
        self.mesh_ids = {name: list(mesh_names).index(name) for name in self.mesh_names}
        self.embed_dim = next(iter(dims.values()))
        self.class_to_mesh_name = None
        if class_to_mesh_name is not None:
            self.class_to_mesh_name = {int(key): name for key, name in class_to_mesh_name.items()}
            missing = sorted(set(self.class_to_mesh_name.values()) - set(embedders))
            if missing:
                raise ValueError(
                    f"Embedder(class_to_mesh_name=) names {missing}; there are embedders of {list(embedders)}"
                )
        for name, embedder in embedders.items():
            self.add_module(f"embedder_{name}", embedder)

    def has_embeddings(self, mesh_name: str) -> bool:
        """Return whether there is an embedder of the mesh."""
        return mesh_name in self.mesh_names

    def mesh_names_of(self, classes: Sequence[int]) -> list[str]:
        """Return the mesh of each object by its class.

        Raises:
            ValueError: a class has no mesh.
        """
        names = self.class_to_mesh_name
        if names is None and len(self.mesh_names) == 1:
            return list(self.mesh_names) * len(classes)
        missing = sorted(set(classes) - set(names or ()))
        if missing:
            raise ValueError(
                f"no mesh for objects of classes {missing}: model.roi_heads.embedder.class_to_mesh_name is "
                f"{names}, and there are embedders of {', '.join(self.mesh_names)}"
            )
        return [names[number] for number in classes] if names else []

    def num_vertices(self, mesh_name: str) -> int:
        """Return the number of vertices of a mesh."""
        return self._embedder(mesh_name).num_vertices

    def forward(self, mesh_name: str) -> Tensor:
        """Return the embeddings (V, D) of all vertices of a mesh, each of length 1.

        Raises:
            KeyError: there is no embedder of the mesh.
        """
        return self._embedder(mesh_name)()

    def _embedder(self, mesh_name: str) -> VertexEmbedder:
        if mesh_name not in self.mesh_names:
            raise KeyError(
                f"no embedder of mesh {mesh_name!r}; there are those of {', '.join(self.mesh_names)}"
            )
        return self.get_submodule(f"embedder_{mesh_name}")
