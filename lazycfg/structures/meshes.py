"""A batch of triangle meshes of different sizes."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Meshes"]


class Meshes:
    """N triangle meshes, each with its own number of vertices and faces; either may be 0.

    The meshes lie one after another in two tensors, the *packed* view, on which most operations work::

        meshes = Meshes([verts_a, verts_b], [faces_a, faces_b])
        meshes.verts_packed()     # (V, 3), V of all meshes together
        meshes.faces_packed()     # (F, 3) int64, rows of verts_packed()
        meshes.verts_padded()     # (N, V_max, 3), zeros behind the last vertex of a mesh
        meshes[0], meshes[1:], len(meshes), Meshes.cat([meshes, others])

    A `Meshes` is not changed: operations return new ones, which share the faces where they can. How many
    vertices and faces a mesh has is known on the host, so that no view waits for the device. It can be a
    field of `Instances`.
    """

    def __init__(self, verts: Sequence[Tensor], faces: Sequence[Tensor]) -> None:
        """Hold meshes.

        Args:
            verts: of each mesh (V_i, 3), floating point.
            faces: of each mesh (F_i, 3), rows of its vertices, any integer type.

        Raises:
            ValueError: the lists are of different lengths, a tensor of another shape or type, or, where the
                faces are on the CPU, a face names a vertex that there is not.
        """
        if len(verts) != len(faces):
            raise ValueError(f"Meshes: {len(verts)} tensors of vertices and {len(faces)} of faces")
        for i, (v, f) in enumerate(zip(verts, faces, strict=True)):
            _check(v, f, i)
        self._verts_per_mesh = [len(v) for v in verts]
        self._faces_per_mesh = [len(f) for f in faces]
        if not len(verts):
            self._verts, self._faces = torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64)
            return
        self._verts = torch.cat(list(verts))
        local = torch.cat([f.long() for f in faces])
        if local.device.type == "cpu" and bool(self._missing(local).any()):
            number = int(self.faces_packed_to_mesh_idx()[self._missing(local).any(1)][0])
            low, high = faces[number].min().item(), faces[number].max().item()
            raise ValueError(
                f"mesh {number}: its faces name vertices {low} to {high}, and it has {len(verts[number])}"
            )
        self._faces = local + self._of_faces(self.mesh_to_verts_packed_first_idx()).unsqueeze(1)

    @classmethod
    def from_packed(
        cls, verts: Tensor, faces: Tensor, verts_per_mesh: Sequence[int], faces_per_mesh: Sequence[int]
    ) -> Meshes:
        """Make meshes of their packed view; faces are not checked.

        Args:
            verts: (V, 3) of all meshes, one after another.
            faces: (F, 3) int64 rows of `verts`.
            verts_per_mesh, faces_per_mesh: how many of them are of each mesh.

        Raises:
            ValueError: the counts do not add up to the rows.
        """
        counts = (sum(verts_per_mesh), sum(faces_per_mesh))
        if counts != (len(verts), len(faces)) or len(verts_per_mesh) != len(faces_per_mesh):
            raise ValueError(
                f"Meshes.from_packed: {len(verts)} vertices and {len(faces)} faces; the counts, of "
                f"{len(verts_per_mesh)} and {len(faces_per_mesh)} meshes, are {counts[0]} and {counts[1]}"
            )
        out = cls.__new__(cls)
        out._verts, out._faces = verts, faces
        out._verts_per_mesh, out._faces_per_mesh = list(verts_per_mesh), list(faces_per_mesh)
        return out

    # ------------------------------------------------------------------ what there is

    def __len__(self) -> int:
        return len(self._verts_per_mesh)

    @property
    def device(self) -> torch.device:
        """Return the device of the tensors."""
        return self._verts.device

    @property
    def verts_per_mesh(self) -> list[int]:
        """Return the number of vertices of each mesh."""
        return list(self._verts_per_mesh)

    @property
    def faces_per_mesh(self) -> list[int]:
        """Return the number of faces of each mesh."""
        return list(self._faces_per_mesh)

    @property
    def valid(self) -> Tensor:
        """Return (N,) bool: whether a mesh has a face."""
        return self._upload([count > 0 for count in self._faces_per_mesh], torch.bool)

    def isempty(self) -> bool:
        """Return whether no mesh has a face."""
        return not any(self._faces_per_mesh)

    def __repr__(self) -> str:
        return f"Meshes({len(self)} meshes, {len(self._verts)} vertices, {len(self._faces)} faces)"

    # ------------------------------------------------------------------ views

    def verts_packed(self) -> Tensor:
        """Return the vertices (V, 3) of all meshes."""
        return self._verts

    def faces_packed(self) -> Tensor:
        """Return the faces (F, 3) int64 of all meshes, as rows of `verts_packed`."""
        return self._faces

    def verts_list(self) -> list[Tensor]:
        """Return the vertices (V_i, 3) of each mesh."""
        return list(self._verts.split(self._verts_per_mesh))

    def faces_list(self) -> list[Tensor]:
        """Return the faces (F_i, 3) int64 of each mesh, as rows of its own vertices."""
        local = self._faces - self._of_faces(self.mesh_to_verts_packed_first_idx()).unsqueeze(1)
        return list(local.split(self._faces_per_mesh))

    def verts_padded(self) -> Tensor:
        """Return the vertices (N, V_max, 3), with zeros after the last one of a mesh."""
        return self.pad_verts(self._verts)

    def faces_padded(self) -> Tensor:
        """Return the faces (N, F_max, 3) int64, rows of a mesh's own vertices; -1 after the last face."""
        local = self._faces - self._of_faces(self.mesh_to_verts_packed_first_idx()).unsqueeze(1)
        return self.pad_faces(local, value=-1)

    def pad_verts(self, values: Tensor) -> Tensor:
        """Turn values of vertices (V, ...) into (N, V_max, ...), zeros behind the last one of a mesh."""
        return _pad(values, self._verts_per_mesh, self._slots(self._verts_per_mesh), 0)

    def pack_verts(self, values: Tensor) -> Tensor:
        """Turn padded values of vertices (N, V_max, ...) into (V, ...)."""
        if len(set(self._verts_per_mesh)) == 1:
            return values.flatten(0, 1)  # there is no padding
        return values.flatten(0, 1)[self._slots(self._verts_per_mesh)]

    def pad_faces(self, values: Tensor, value: float = 0) -> Tensor:
        """Turn values of faces (F, ...) into (N, F_max, ...), `value` behind the last one of a mesh."""
        return _pad(values, self._faces_per_mesh, self._slots(self._faces_per_mesh), value)

    def verts_packed_to_mesh_idx(self) -> Tensor:
        """Return (V,) int64: the mesh of each vertex."""
        return self._upload(np.repeat(np.arange(len(self)), self._verts_per_mesh))

    def faces_packed_to_mesh_idx(self) -> Tensor:
        """Return (F,) int64: the mesh of each face."""
        return self._upload(np.repeat(np.arange(len(self)), self._faces_per_mesh))

    def mesh_to_verts_packed_first_idx(self) -> Tensor:
        """Return (N,) int64: the row of each mesh's first vertex."""
        return self._upload(_starts(self._verts_per_mesh))

    def mesh_to_faces_packed_first_idx(self) -> Tensor:
        """Return (N,) int64: the row of each mesh's first face."""
        return self._upload(_starts(self._faces_per_mesh))

    def edges(self) -> tuple[Tensor, Tensor]:
        """Return the undirected edges, and those of each face. Found anew at each call; waits for the device.

        Returns:
            edges (E, 2) int64 rows of `verts_packed`, the smaller one first, each edge once, in ascending
            order (so those of one mesh lie together); and faces_to_edges (F, 3) int64: of a face (a, b, c)
            its edges bc, ca and ab.
        """
        a, b, c = self._faces.unbind(1)
        ends = torch.stack((torch.cat((b, c, a)), torch.cat((c, a, b))), dim=1).sort(dim=1).values
        count = max(len(self._verts), 1)
        keys, inverse = torch.unique(ends[:, 0] * count + ends[:, 1], return_inverse=True)
        edges = torch.stack((keys.div(count, rounding_mode="floor"), keys % count), dim=1)
        return edges, inverse.view(3, -1).t()

    def edges_packed(self) -> Tensor:
        """Return the undirected edges (E, 2) int64, as `edges` does."""
        return self.edges()[0]

    def get_bounding_boxes(self) -> Tensor:
        """Return (N, 3, 2): the smallest and largest x, y and z of each mesh; (inf, -inf) if it is empty."""
        index = self.verts_packed_to_mesh_idx().unsqueeze(1).expand(-1, 3)
        low = self._verts.new_full((len(self), 3), float("inf"))
        low = low.scatter_reduce(0, index, self._verts, "amin")
        high = self._verts.new_full((len(self), 3), -float("inf"))
        return torch.stack((low, high.scatter_reduce(0, index, self._verts, "amax")), dim=2)

    def face_normals(self) -> Tensor:
        """Return the normals (F, 3) of the faces; the length of each is twice the area of its face."""
        a, b, c = self._verts[self._faces].unbind(1)
        return torch.linalg.cross(b - a, c - b)

    def face_areas(self) -> Tensor:
        """Return the areas (F,) of the faces."""
        return self.face_normals().norm(dim=1) / 2

    def vertex_normals(self) -> Tensor:
        """Return unit normals (V, 3): the mean of adjacent faces' normals, by area; zero without faces."""
        normals = self.face_normals()
        total = torch.zeros_like(self._verts)
        total = total.index_add(0, self._faces.flatten(), normals.repeat_interleave(3, dim=0))
        return F.normalize(total, dim=1)

    # ------------------------------------------------------------------ other meshes made of these

    def with_verts(self, verts: Tensor) -> Meshes:
        """Return the same faces with other vertices (V, 3), packed.

        Raises:
            ValueError: there are more or fewer vertices.
        """
        if verts.shape != self._verts.shape:
            raise ValueError(f"Meshes: got vertices {tuple(verts.shape)}, need {tuple(self._verts.shape)}")
        return Meshes.from_packed(verts, self._faces, self._verts_per_mesh, self._faces_per_mesh)

    def offset_verts(self, offsets: Tensor) -> Meshes:
        """Move vertices by (V, 3), packed, or all of them by (3,)."""
        return self.with_verts(self._verts + offsets)

    def scale_verts(self, scale: float | Tensor) -> Meshes:
        """Multiply coordinates by one number, or by one number (N,) for each mesh."""
        if isinstance(scale, Tensor) and scale.dim() == 1:
            scale = scale[self.verts_packed_to_mesh_idx()].unsqueeze(1)
        return self.with_verts(self._verts * scale)

    def extend(self, times: int) -> Meshes:
        """Repeat each mesh: meshes a, b by 2 become a, a, b, b."""
        return self[np.repeat(np.arange(len(self)), times)]

    def split(self, sizes: Sequence[int]) -> list[Meshes]:
        """Split into batches with the given numbers of meshes.

        Raises:
            ValueError: the sizes do not add up to the number of meshes.
        """
        if sum(sizes) != len(self):
            raise ValueError(f"Meshes.split: sizes {list(sizes)} of {len(self)} meshes")
        return [self[start : start + size] for start, size in zip(_starts(sizes), sizes, strict=True)]

    def __getitem__(self, item: int | slice | Sequence[int] | Sequence[bool] | np.ndarray | Tensor) -> Meshes:
        """Select meshes by a number, a slice, numbers or a mask of bools. Always returns `Meshes`.

        A tensor on another device than the CPU is waited for.
        """
        rows = self._rows(item)
        verts_per_mesh = np.asarray(self._verts_per_mesh, dtype=np.int64)
        faces_per_mesh = np.asarray(self._faces_per_mesh, dtype=np.int64)
        first = _starts(self._verts_per_mesh)[rows]
        verts = self._upload(_ranges(first, verts_per_mesh[rows]))
        faces = self._upload(_ranges(_starts(self._faces_per_mesh)[rows], faces_per_mesh[rows]))
        shift = np.repeat(_starts(verts_per_mesh[rows]) - first, faces_per_mesh[rows])
        return Meshes.from_packed(
            self._verts[verts],
            self._faces[faces] + self._upload(shift).unsqueeze(1),
            verts_per_mesh[rows].tolist(),
            faces_per_mesh[rows].tolist(),
        )

    def __iter__(self) -> Iterator[Meshes]:
        return (self[i] for i in range(len(self)))

    @staticmethod
    def cat(meshes: Sequence[Meshes]) -> Meshes:
        """Concatenate batches of meshes."""
        if not meshes:
            return Meshes([], [])
        shifts = _starts([len(m._verts) for m in meshes]).tolist()
        return Meshes.from_packed(
            torch.cat([m._verts for m in meshes]),
            torch.cat([m._faces + shift for m, shift in zip(meshes, shifts, strict=True)]),
            [count for m in meshes for count in m._verts_per_mesh],
            [count for m in meshes for count in m._faces_per_mesh],
        )

    def to(self, *args: Any, **kwargs: Any) -> Meshes:
        """Move as a tensor moves; a dtype is that of the vertices."""
        verts = self._verts.to(*args, **kwargs)
        faces = self._faces.to(verts.device, non_blocking=kwargs.get("non_blocking", False))
        return Meshes.from_packed(verts, faces, self._verts_per_mesh, self._faces_per_mesh)

    def detach(self) -> Meshes:
        """Return the meshes without the history of their vertices."""
        return self.with_verts(self._verts.detach())

    # ------------------------------------------------------------------ inside

    def _upload(self, values: Any, dtype: torch.dtype = torch.int64) -> Tensor:
        host = torch.as_tensor(values, dtype=dtype)
        return (
            host.pin_memory().to(self.device, non_blocking=True)
            if self._verts.is_cuda
            else host.to(self.device)
        )

    def _missing(self, faces: Tensor) -> Tensor:
        """(F, 3) whether corners, rows of a mesh's own vertices, are not there."""
        counts = self._of_faces(torch.tensor(self._verts_per_mesh, dtype=torch.int64))
        return (faces < 0) | (faces >= counts.unsqueeze(1))

    def _of_faces(self, of_meshes: Tensor) -> Tensor:
        """Values of meshes (N,) for each face (F,)."""
        return of_meshes.to(self.device)[self.faces_packed_to_mesh_idx()]

    def _slots(self, counts: Sequence[int]) -> Tensor:
        """Return where each packed row is in the padded view, its first two dimensions flattened."""
        width = max(counts, default=0)
        return self._upload(_ranges(np.arange(len(counts), dtype=np.int64) * width, counts))

    def _rows(self, item: Any) -> np.ndarray:
        """Return an index as numbers (R,)."""
        if isinstance(item, Tensor):
            item = item.cpu().numpy()
        if isinstance(item, slice):
            return np.arange(len(self))[item]
        rows = np.asarray(item)
        if rows.ndim == 0 and rows.dtype != bool:
            number = operator.index(item)
            if not -len(self) <= number < len(self):
                raise IndexError(f"index {number} is out of range for {len(self)} meshes")
            rows = np.array([number])
        if rows.size == 0:
            rows = rows.astype(np.int64)
        if rows.ndim != 1 or (rows.dtype == bool and len(rows) != len(self)) or rows.dtype.kind not in "biu":
            raise IndexError(f"{len(self)} meshes cannot be indexed by {rows.dtype} of shape {rows.shape}")
        return np.arange(len(self))[rows]


def _check(verts: Tensor, faces: Tensor, number: int) -> None:
    if verts.dim() != 2 or verts.shape[1] != 3 or not verts.is_floating_point():
        raise ValueError(
            f"mesh {number}: vertices must be (V, 3) floats, got {tuple(verts.shape)} {verts.dtype}"
        )
    if faces.dim() != 2 or faces.shape[1] != 3 or faces.is_floating_point() or faces.dtype == torch.bool:
        raise ValueError(
            f"mesh {number}: faces must be (F, 3) integers, got {tuple(faces.shape)} {faces.dtype}"
        )


def _starts(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return where each of several ranges begins that follow one another."""
    ends = np.cumsum(np.asarray(counts, dtype=np.int64))
    return ends - np.asarray(counts, dtype=np.int64)


def _ranges(firsts: Sequence[int] | np.ndarray, counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Join ranges that begin at `firsts`, each so many numbers long."""
    counts = np.asarray(counts, dtype=np.int64)
    shift = np.repeat(np.asarray(firsts, dtype=np.int64) - _starts(counts), counts)
    return np.arange(counts.sum(), dtype=np.int64) + shift


def _pad(values: Tensor, counts: Sequence[int], slots: Tensor, value: float) -> Tensor:
    width = max(counts, default=0)
    flat = values.new_full((len(counts) * width, *values.shape[1:]), value)
    return flat.index_copy(0, slots, values).unflatten(0, (len(counts), width))
