"""A sphere of triangles."""

import torch
import torch.nn.functional as F

from lazycfg.structures import Meshes

from .graph import SubdivideMeshes

__all__ = ["ico_sphere"]

_A, _B = 0.5257, 0.8507
_VERTS = (
    (-_A, _B, 0), (_A, _B, 0), (-_A, -_B, 0), (_A, -_B, 0),
    (0, -_A, _B), (0, _A, _B), (0, -_A, -_B), (0, _A, -_B),
    (_B, 0, -_A), (_B, 0, _A), (-_B, 0, -_A), (-_B, 0, _A),
)  # fmt: skip
_FACES = (
    (0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4), (11, 10, 2), (10, 7, 6),
    (7, 1, 8), (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9), (4, 9, 5), (2, 4, 11), (6, 2, 10),
    (8, 6, 7), (9, 8, 1),
)  # fmt: skip


def ico_sphere(level: int = 0, device: torch.device | str | None = None) -> Meshes:
    """Return one sphere of radius 1 around the origin: an icosahedron, subdivided `level` times.

    It has 10 * 4**level + 2 vertices and 20 * 4**level faces, seen counter-clockwise from outside.

    Raises:
        ValueError: `level` is negative.
    """
    if level < 0:
        raise ValueError(f"ico_sphere: level must be 0 or more, got {level}")
    mesh = Meshes(
        [torch.tensor(_VERTS, dtype=torch.float32, device=device)], [torch.tensor(_FACES, device=device)]
    )
    for _ in range(level):
        mesh = SubdivideMeshes()(mesh)
        mesh = mesh.with_verts(F.normalize(mesh.verts_packed(), dim=1))
    return mesh
