"""Operations on meshes against the plain forms of them: time, and memory that is held at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lazycfg.layers import GraphConv, chamfer_distance, cubify, ico_sphere, vert_align
from lazycfg.structures import Meshes


class LargestTensor(TorchDispatchMode):
    """The bytes of the largest result of an operation."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out._base is None and not func.is_view:
            self.largest = max(self.largest, out.nbytes)
        return out


def plain_chamfer(x: Tensor, y: Tensor) -> Tensor:
    """All distances at once."""
    squares = (x[:, :, None] - y[:, None]).square().sum(3)
    return squares.amin(2).mean() + squares.amin(1).mean()


def plain_cubify(voxels: Tensor) -> int:
    """The faces of one cell after another."""
    count = 0
    for grid in voxels.tolist():
        filled = {
            (z, y, x)
            for z, plane in enumerate(grid)
            for y, row in enumerate(plane)
            for x, v in enumerate(row)
            if v
        }
        for z, y, x in filled:
            around = (
                (z - 1, y, x),
                (z + 1, y, x),
                (z, y - 1, x),
                (z, y + 1, x),
                (z, y, x - 1),
                (z, y, x + 1),
            )
            count += 2 * sum(cell not in filled for cell in around)
    return count


def plain_graph_conv(layer: GraphConv, x: Tensor, edges: Tensor) -> Tensor:
    """The neighbours of one edge after another."""
    out, other = layer.w0(x).clone(), layer.w1(x)
    for a, b in edges.tolist():
        out[a] += other[b]
        out[b] += other[a]
    return out


def plain_vert_align(maps: Tensor, meshes: Meshes) -> Tensor:
    """One mesh after another."""
    parts = []
    for row, verts in zip(maps, meshes.verts_list(), strict=True):
        grid = verts[None, None, :, :2]
        parts.append(F.grid_sample(row[None], grid, align_corners=True)[0, :, 0].t())
    return torch.cat(parts)


def measure(function: Callable[[], Any]) -> tuple[float, float]:
    """Seconds (the best of three) and MiB of the largest tensor."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    with LargestTensor() as seen:
        function()
    return min(times), seen.largest / 2**20


@torch.no_grad()
def main(points: int) -> None:
    torch.manual_seed(0)
    x, y = torch.rand(1, points, 3), torch.rand(1, points, 3)
    voxels = (F.avg_pool3d(torch.rand(8, 1, 26, 26, 26), 3, 1) > 0.5)[:, 0]
    sphere = ico_sphere(4)
    edges, features, layer = sphere.edges_packed(), torch.randn(2562, 131), GraphConv(131, 128)
    spheres, maps = sphere.extend(32), torch.randn(32, 256, 14, 14)
    rows: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
        (f"chamfer {points} x {points}", lambda: chamfer_distance(x, y), lambda: plain_chamfer(x, y)),
        ("cubify 8 x 24^3", lambda: cubify(voxels.float(), 0.5), lambda: plain_cubify(voxels)),
        (
            "graph conv 7680 edges",
            lambda: layer(features, edges),
            lambda: plain_graph_conv(layer, features, edges),
        ),
        (
            "vert_align 32 x 2562",
            lambda: vert_align(maps, spheres, return_packed=True),
            lambda: plain_vert_align(maps, spheres),
        ),
    ]
    print(f"{'':<24}{'ms':>9}{'MiB':>8}{'plain ms':>11}{'MiB':>8}{'faster':>9}")
    for name, ours, plain in rows:
        (seconds, memory), (plain_seconds, plain_memory) = measure(ours), measure(plain)
        print(
            f"{name:<24}{1e3 * seconds:>9.1f}{memory:>8.1f}{1e3 * plain_seconds:>11.1f}{plain_memory:>8.1f}"
            f"{plain_seconds / seconds:>8.1f}x"
        )
