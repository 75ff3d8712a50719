"""Distances along the surface of a person, between points that are given by their charts."""

from __future__ import annotations

import os
import pickle
from functools import cached_property
from pathlib import Path

import numpy as np

from lazycfg.utils import UnsafeFileError, load_numpy_pickle

from ..structures.symmetry import DATA_URL, DensePoseFileError, find_file, load_mat

__all__ = ["ChartSurface", "kappa_of_parts"]

MEAN_DISTANCES = np.array([0, 0.351, 0.107, 0.126, 0.237, 0.173, 0.142, 0.128, 0.150])
COARSE_PARTS = np.array([0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8])


def kappa_of_parts(parts: np.ndarray) -> np.ndarray:
    """Return for parts 1 to 24 the distance in metres that counts as far: the mean one between two points of
    head, torso, hands and so on.
    """
    return MEAN_DISTANCES[COARSE_PARTS[parts]]


class ChartSurface:
    """The surface that the charts of 24 parts make up, and geodesic distances on it.

    The files are read at the first use.

    Args:
        folder: with SMPL_subdiv.mat, SMPL_SUBDIV_TRANSFORM.mat and Pdist_matrix.pkl, as they are published.
        distances_file: the distances in another place, such as an array of them in a ``.npy`` file, which is
            not read into memory: the published pickle takes 1.5 GB of each process.
    """

    def __init__(
        self, *, folder: str | os.PathLike[str], distances_file: str | os.PathLike[str] | None = None
    ) -> None:
        self.folder = Path(folder)
        self.distances_file = self.folder / "Pdist_matrix.pkl" if distances_file is None else distances_file

    @cached_property
    def _charts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each part the places (K, 2) of its vertices, and which vertex of the mesh each is, from 1."""
        keys = ("Part_ID_subdiv", "U_subdiv", "V_subdiv")
        path = self.folder / "SMPL_subdiv.mat"
        part, u, v = (np.asarray(each).ravel() for each in load_mat(path, keys).values())
        transform = self.folder / "SMPL_SUBDIV_TRANSFORM.mat"
        index = np.asarray(load_mat(transform, ("index",))["index"]).ravel().astype(np.int64)
        if not len(part) == len(u) == len(v) == len(index):
            raise DensePoseFileError(
                f"{path} has {len(part)} parts, {len(u)} and {len(v)} coordinates, and {transform} "
                f"{len(index)} vertices"
            )
        missing = sorted(set(range(1, 25)) - set(part.tolist()))
        if missing:
            raise DensePoseFileError(f"{path}: parts {missing} have no vertices")
        places = np.stack((u, v), axis=1).astype(np.float64)
        return [(places[part == k], index[part == k]) for k in range(1, 25)]

    @cached_property
    def _distances(self) -> np.ndarray:
        path = find_file(self.distances_file, DATA_URL + "Pdist_matrix.pkl")
        try:
            if path.suffix == ".npy":
                values = np.load(path, mmap_mode="r", allow_pickle=False)
            else:
                with open(path, "rb") as file:
                    values = load_numpy_pickle(file)["Pdist_matrix"]
        except (pickle.UnpicklingError, UnsafeFileError, EOFError, ValueError, KeyError, TypeError) as error:
            raise DensePoseFileError(f"{path} holds no array 'Pdist_matrix': {error!r}") from error
        values = values.reshape(-1)
        most = max(int(vertices.max()) for _, vertices in self._charts)
        if len(values) < most * (most - 1) // 2:
            raise DensePoseFileError(
                f"{path} has {len(values)} distances; between {most} vertices there are "
                f"{most * (most - 1) // 2}"
            )
        return values

    def closest_vertices(self, i: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the vertices next to points in their charts.

        Args:
            i: (P,) parts; 0 is the background. u, v: (P,), 0 to 1.

        Returns:
            (P,) int64, numbers from 1; 0 for the background.
        """
        found = np.zeros(len(i), dtype=np.int64)
        for part in np.unique(i[i > 0]):
            places, vertices = self._charts[int(part) - 1]
            rows = np.flatnonzero(i == part)
            for some in np.array_split(rows, 1 + len(rows) // 4096):
                points = np.stack((u[some], v[some]), axis=1).astype(np.float64)
                away = ((points[:, None] - places) ** 2).sum(axis=2)
                found[some] = vertices[away.argmin(axis=1)]
        return found

    def distances(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the geodesic distances of vertices (P,) and (P,), numbered from 1; infinite where one is 0.

        Raises:
            FileNotFoundError, DensePoseFileError: the file of distances is not there, or something else.
        """
        low, high = np.minimum(first, second) - 1, np.maximum(first, second) - 1
        result = np.where(low == high, 0.0, np.inf)
        apart = (low >= 0) & (low != high)
        # The rows of the lower triangle, one after another
        place = high[apart] * (high[apart] - 1) // 2 + low[apart]
        result[apart] = self._distances[place]
        result[low < 0] = np.inf
        return result
