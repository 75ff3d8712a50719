"""Anchors: the reference boxes that dense heads predict offsets from."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lazycfg.structures import Boxes, RotatedBoxes

__all__ = ["DefaultAnchorGenerator", "RotatedAnchorGenerator", "TorchvisionAnchorGenerator"]


def _per_level(values: Sequence, num_levels: int, name: str) -> list[list[float]]:
    """Return one list for each level of ``[a, b]`` or ``[[a, b]]`` for all, or of one list for each."""
    if len(values) == 0:
        raise ValueError(f"{name} is empty")
    if not isinstance(values[0], Sequence):
        return [list(values)] * num_levels
    if len(values) == 1:
        return [list(values[0])] * num_levels
    if len(values) != num_levels:
        raise ValueError(f"{name} has {len(values)} lists for {num_levels} levels: give one, or one for each")
    return [list(v) for v in values]


class CellAnchors(nn.Module):
    """Per level a (A, 4) tensor that moves with the module and is no part of its state."""

    def __init__(self, anchors: Sequence[Tensor]) -> None:
        super().__init__()
        for i, cell in enumerate(anchors):
            self.register_buffer(str(i), cell, persistent=False)

    def __len__(self) -> int:
        return len(self._buffers)

    def __getitem__(self, level: int) -> Tensor:
        return self._buffers[str(level)]

    def __iter__(self):
        return iter(self._buffers.values())


class AnchorGenerator(nn.Module):
    """Anchors around every pixel of every level.

    Args:
        cell_anchors: per level (A, box_dim), the anchors around (0, 0).
        strides: of each level, in pixels.
        offset: centre of the first anchor in units of the stride, in [0, 1). 0.5 centres anchors on pixels.
    """

    box_dim = 4
    box_class: type = Boxes
    # which of the numbers of a box are (x, y, x, y, ...) and move with it
    moving: tuple[int, ...] = (1, 1, 1, 1)

    def __init__(self, cell_anchors: Sequence[Tensor], strides: Sequence[int], offset: float) -> None:
        super().__init__()
        if not 0.0 <= offset < 1.0:
            raise ValueError(f"offset must be in [0, 1), got {offset}")
        self.strides = tuple(strides)
        self.offset = offset
        self.cell_anchors = CellAnchors(cell_anchors)

    @property
    def num_anchors(self) -> list[int]:
        """Anchors per pixel of each level."""
        return [len(cell) for cell in self.cell_anchors]

    num_cell_anchors = num_anchors

    def grid_anchors(self, grid_sizes: Sequence[Sequence[int]]) -> list[Tensor]:
        """Per level (H * W * A, box_dim), for maps of the given (H, W); ordered by row, column, anchor."""
        out = []
        for (height, width), stride, cell in zip(grid_sizes, self.strides, self.cell_anchors, strict=True):
            x, y = (
                torch.arange(
                    self.offset * stride, n * stride, step=stride, dtype=cell.dtype, device=cell.device
                )
                for n in (width, height)
            )
            y, x = torch.meshgrid(y, x, indexing="ij")
            xy = [(x, y)[i % 2] * moves for i, moves in enumerate(self.moving)]
            shifts = torch.stack(xy, dim=-1).reshape(-1, 1, self.box_dim)
            out.append((shifts + cell).reshape(-1, cell.shape[-1]))
        return out

    def forward(self, features: Sequence[Tensor]) -> list[Boxes] | list[RotatedBoxes]:
        """Maps (N, C, H, W), one per level -> the boxes of each level's anchors, the same for all images."""
        return [self.box_class(level) for level in self.grid_anchors([f.shape[-2:] for f in features])]


class DefaultAnchorGenerator(AnchorGenerator):
    """Anchors of several sizes and aspect ratios around every pixel of every level (arXiv:1506.01497).

    Args:
        sizes: square roots of the areas in pixels: one list for each level, or one for all.
        aspect_ratios: height / width, likewise.
        strides: of each level, in pixels.
        offset: centre of the first anchor in units of the stride, in [0, 1). 0.5 centres anchors on pixels.
    """

    def __init__(
        self,
        *,
        sizes: Sequence[Sequence[float]] | Sequence[float],
        aspect_ratios: Sequence[Sequence[float]] | Sequence[float],
        strides: Sequence[int],
        offset: float = 0.5,
    ) -> None:
        levels = len(strides)
        all_sizes = _per_level(sizes, levels, "sizes")
        all_ratios = _per_level(aspect_ratios, levels, "aspect_ratios")
        cells = [self.generate_cell_anchors(s, r) for s, r in zip(all_sizes, all_ratios, strict=True)]
        super().__init__(cells, strides, offset)

    def generate_cell_anchors(
        self,
        sizes: Sequence[float] = (32, 64, 128, 256, 512),
        aspect_ratios: Sequence[float] = (0.5, 1, 2),
    ) -> Tensor:
        """Return anchors (len(sizes) * len(aspect_ratios), 4) XYXY around (0, 0), the ratios of one size
        together.
        """
        anchors = []
        for size in sizes:
            for ratio in aspect_ratios:
                w = math.sqrt(size**2.0 / ratio)
                h = ratio * w
                anchors.append([-w / 2.0, -h / 2.0, w / 2.0, h / 2.0])
        return torch.tensor(anchors)


class TorchvisionAnchorGenerator(DefaultAnchorGenerator):
    """The anchors that torchvision's detectors were trained with.

    Their corners are rounded to whole pixels. Their distance on a level is not the level's stride, but the
    side of the batch (that of the finest map times its stride) divided by the side of the map, in whole
    pixels: on the coarsest levels a little less than the stride, unless that divides the sides.

    Args:
        sizes, aspect_ratios, strides: as for `DefaultAnchorGenerator`; the finest level comes first.
    """

    def __init__(
        self,
        *,
        sizes: Sequence[Sequence[float]] | Sequence[float],
        aspect_ratios: Sequence[Sequence[float]] | Sequence[float],
        strides: Sequence[int],
    ) -> None:
        super().__init__(sizes=sizes, aspect_ratios=aspect_ratios, strides=strides, offset=0.0)

    def generate_cell_anchors(
        self,
        sizes: Sequence[float] = (32, 64, 128, 256, 512),
        aspect_ratios: Sequence[float] = (0.5, 1, 2),
    ) -> Tensor:
        """Return anchors (A, 4) XYXY in pixels, as `DefaultAnchorGenerator` makes them, rounded."""
        return super().generate_cell_anchors(sizes, aspect_ratios).round()

    def grid_anchors(self, grid_sizes: Sequence[Sequence[int]]) -> list[Tensor]:
        """Per level (H * W * A, 4), for maps of the given (H, W); ordered by row, column, anchor."""
        height, width = (side * self.strides[0] for side in grid_sizes[0])
        out = []
        for (rows, columns), cell in zip(grid_sizes, self.cell_anchors, strict=True):
            y, x = torch.meshgrid(
                torch.arange(rows, dtype=cell.dtype, device=cell.device) * (height // rows),
                torch.arange(columns, dtype=cell.dtype, device=cell.device) * (width // columns),
                indexing="ij",
            )
            shifts = torch.stack((x, y, x, y), dim=-1).reshape(-1, 1, 4)
            out.append((shifts + cell).reshape(-1, 4))
        return out


class RotatedAnchorGenerator(AnchorGenerator):
    """Anchors of several sizes, ratios and angles around every pixel of every level (arXiv:1703.01086).

    Args:
        sizes: square roots of the areas in pixels: one list for each level, or one for all.
        aspect_ratios: height / width, likewise.
        strides: of each level, in pixels.
        angles: in degrees, counter-clockwise, likewise.
        offset: centre of the first anchor in units of the stride, in [0, 1). 0.5 centres anchors on pixels.
    """

    box_dim = 5
    box_class = RotatedBoxes
    moving = (1, 1, 0, 0, 0)

    def __init__(
        self,
        *,
        sizes: Sequence[Sequence[float]] | Sequence[float],
        aspect_ratios: Sequence[Sequence[float]] | Sequence[float],
        strides: Sequence[int],
        angles: Sequence[Sequence[float]] | Sequence[float],
        offset: float = 0.5,
    ) -> None:
        levels = len(strides)
        given = {"sizes": sizes, "aspect_ratios": aspect_ratios, "angles": angles}
        lists = [_per_level(values, levels, name) for name, values in given.items()]
        cells = [self.generate_cell_anchors(*of_level) for of_level in zip(*lists, strict=True)]
        super().__init__(cells, strides, offset)

    def generate_cell_anchors(
        self,
        sizes: Sequence[float] = (32, 64, 128, 256, 512),
        aspect_ratios: Sequence[float] = (0.5, 1, 2),
        angles: Sequence[float] = (-90, -60, -30, 0, 30, 60, 90),
    ) -> Tensor:
        """Return anchors (sizes * ratios * angles, 5) around (0, 0), the angles of one size and ratio
        together.
        """
        anchors = []
        for size in sizes:
            for ratio in aspect_ratios:
                w = math.sqrt(size**2.0 / ratio)
                anchors += [[0.0, 0.0, w, ratio * w, float(angle)] for angle in angles]
        return torch.tensor(anchors)
