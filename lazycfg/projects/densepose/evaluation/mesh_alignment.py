"""How well the embeddings of different meshes lie on each other."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lazycfg.evaluation import DatasetEvaluator
from lazycfg.projects.densepose.cse.embedders import Embedder
from lazycfg.projects.densepose.cse.mesh import Mesh

__all__ = ["KEYVERTICES_URL", "MeshAlignmentEvaluator", "read_keyvertices"]

KEYVERTICES_URL = "https://dl.fbaipublicfiles.com/densepose/data/cse/mesh_keyvertices_v0.json"
MEAN_DISTANCE = 0.255


def read_keyvertices(path: str | os.PathLike[str]) -> dict[str, dict[str, int]]:
    """Read the named vertices of meshes: by name of the mesh, then of the vertex.

    Raises:
        FileNotFoundError: there is no such file; the message says where it is published.
        ValueError: it holds something else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no file {os.fspath(path)!r} with the named vertices of meshes. It is published at "
            f"{KEYVERTICES_URL}: download it to that place"
        ) from None
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: no JSON file: {error}") from None
    sound = isinstance(content, dict) and all(
        isinstance(named, dict) and all(type(v) is int and v >= 0 for v in named.values())
        for named in content.values()
    )
    if not sound:
        raise ValueError(f"{os.fspath(path)}: expected the names of meshes, of each a dict of named vertices")
    return content


class MeshAlignmentEvaluator(DatasetEvaluator):
    """Finds the named vertices of each mesh on every other one by their embeddings, and measures how far off
    they are along its surface. The images are not looked at.

    The result is {"densepose_cse_mesh_alignment": {"GE", "GPS", "GE-<mesh>", "GPS-<mesh>"}}: geodesic error
    and similarity, times 100; the mean over the other meshes, and over all meshes.

    Args:
        embedder: of the vertices; the one of the model.
        meshes: by name, with geodesic distances.
        keyvertices: of each mesh by name, or the path of a JSON file of them.
        mesh_names: meshes to compare; all that the embedder has if there are none.

    Raises:
        ValueError: a mesh without geodesic distances is compared, or there are less than two.
    """

    def __init__(
        self,
        *,
        embedder: Embedder,
        meshes: Mapping[str, Mesh],
        keyvertices: Mapping[str, Mapping[str, int]] | str | os.PathLike[str],
        mesh_names: Sequence[str] = (),
    ) -> None:
        self.embedder = embedder
        self.meshes = dict(meshes)
        self.mesh_names = list(mesh_names) or list(embedder.mesh_names)
        self._keyvertices = keyvertices
        missing = [name for name in self.mesh_names if name not in self.meshes]
        if missing or len(self.mesh_names) < 2:
            raise ValueError(
                "MeshAlignmentEvaluator compares two or more meshes, each with geodesic distances: "
                f"mesh_names is {self.mesh_names}, meshes has {list(self.meshes)}"
            )

    def try_out(
        self, inputs: Sequence[dict[str, Any]], outputs: Sequence[Any]
    ) -> dict[str, dict[str, float]]:
        """See `DatasetEvaluator.try_out`; raises what `evaluate` raises."""
        return self.evaluate()

    def evaluate(self) -> dict[str, dict[str, float]]:
        """Return the result; every process finds the same.

        Raises:
            FileNotFoundError: a file is missing; the message says where it is published.
            ValueError: a mesh lacks named vertices of another one.
        """
        keyvertices = self._keyvertices
        if isinstance(keyvertices, (str, os.PathLike)):
            keyvertices = read_keyvertices(keyvertices)
        self._check(keyvertices)
        errors = {name: [] for name in self.mesh_names}
        similarities = {name: [] for name in self.mesh_names}
        with torch.no_grad():
            embeddings = {name: self.embedder(name).float() for name in self.mesh_names}
            for target in self.mesh_names:
                geodists = self.meshes[target].read_geodists()
                if len(geodists) != len(embeddings[target]):
                    raise ValueError(
                        f"mesh {target!r}: geodesic distances of {len(geodists)} vertices, and embeddings of "
                        f"{len(embeddings[target])}"
                    )
                for source in self.mesh_names:
                    if source == target:
                        continue
                    names = list(keyvertices[source])
                    wanted = [keyvertices[target][name] for name in names]
                    similarity = (
                        embeddings[source][list(keyvertices[source].values())] @ embeddings[target].t()
                    )
                    found = similarity.argmax(dim=1).cpu()
                    distances = geodists[found, wanted]
                    errors[source].append(distances.mean().item())
                    gps = torch.exp(-distances.square() / (2 * MEAN_DISTANCE**2))
                    similarities[source].append(gps.mean().item())
        results = {}
        for key, values in (("GE", errors), ("GPS", similarities)):
            means = {name: 100 * sum(column) / len(column) for name, column in values.items()}
            results[key] = sum(means.values()) / len(means)
            results |= {f"{key}-{name}": mean for name, mean in means.items()}
        return {"densepose_cse_mesh_alignment": results}

    def _check(self, keyvertices: Mapping[str, Mapping[str, int]]) -> None:
        for mesh in self.mesh_names:
            named = keyvertices.get(mesh)
            if not named:
                raise ValueError(
                    f"mesh {mesh!r} has no named vertices; there are those of {list(keyvertices)}"
                )
            count, last = self.embedder.num_vertices(mesh), max(named.values())
            if last >= count:
                raise ValueError(f"mesh {mesh!r} has {count} vertices, but a named one is number {last}")
            for other in self.mesh_names:
                missing = sorted(set(keyvertices.get(other) or ()) - set(named))
                if missing:
                    raise ValueError(f"mesh {mesh!r} lacks named vertices of mesh {other!r}: {missing}")
