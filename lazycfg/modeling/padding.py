"""Lists of different lengths as one padded tensor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .transfer import upload

__all__ = ["pad_all", "pad_bitmasks", "pad_index", "pad_rows", "rows_of_images", "unpad_rows"]


def pad_index(counts: Sequence[int], length: int) -> tuple[Tensor, Tensor]:
    """Return where the rows of a concatenation of lists go in a padded (B, length) tensor.

    Returns:
        On the host: index (B, length) int64 into the concatenation, 0 for padding; valid (B, length) bool.
    """
    count = np.asarray(counts, dtype=np.int64)
    column = np.arange(length)
    valid = column < count[:, None]
    start = count.cumsum() - count
    return torch.from_numpy((start[:, None] + column) * valid), torch.from_numpy(valid)


def pad_rows(rows: Tensor, counts: Sequence[int], length: int | None = None) -> tuple[Tensor, Tensor]:
    """Lists of rows, concatenated, to a padded tensor.

    Args:
        rows: (sum of counts, ...).
        counts: the number of rows of each list.
        length: rows of the result for each list; the largest count by default.

    Returns:
        (B, length, ...) with zeros for padding, and valid (B, length) bool.
    """
    (padded,), valid = pad_all([rows], counts, length)
    return padded, valid


def pad_all(
    fields: Sequence[Tensor], counts: Sequence[int], length: int | None = None
) -> tuple[list[Tensor], Tensor]:
    """Apply `pad_rows` to several fields of the same lists, each (R, ...).

    Returns:
        Of each field (N, length, ...), and (N, length) bool, true where there is a row.
    """
    length = max(counts, default=0) if length is None else length
    device = fields[0].device
    if all(count == length for count in counts):
        valid = torch.ones((len(counts), length), dtype=torch.bool, device=device)
        return [rows.reshape(len(counts), length, *rows.shape[1:]) for rows in fields], valid
    index, valid = pad_index(counts, length)
    valid = upload(valid, device, torch.bool)
    if sum(counts) == 0:
        return [rows.new_zeros((len(counts), length, *rows.shape[1:])) for rows in fields], valid
    index, missing = upload(index, device, torch.int64), ~valid
    padded = [rows[index] for rows in fields]
    return [x.masked_fill_(missing.view(*missing.shape, *[1] * (x.dim() - 2)), 0) for x in padded], valid


def unpad_rows(padded: Tensor, counts: Sequence[int]) -> Tensor:
    """Return the first `counts` rows of each list of a padded tensor (B, length, ...), concatenated."""
    length = padded.shape[1]
    rows = padded.flatten(0, 1)
    if all(count == length for count in counts):
        return rows
    _, valid = pad_index(counts, length)
    return rows[upload(valid.numpy().ravel().nonzero()[0], padded.device, torch.int64)]


def rows_of_images(values: Tensor, counts: Sequence[int]) -> Tensor:
    """Values (B, ...) of images, for each of their rows: (sum of counts, ...)."""
    if len(set(counts)) == 1:
        return values[:, None].expand(-1, counts[0], *values.shape[1:]).flatten(0, 1)
    index = np.repeat(np.arange(len(counts)), counts)
    return values[upload(index, values.device, torch.int64)]


def pad_bitmasks(masks: Sequence[Tensor], *, pin: bool = False) -> Tensor:
    """Join masks (N_i, H_i, W_i) of images -> (sum N_i, H, W). The last row and column are repeated once, so
    that sampling between a mask's last pixels and its edge sees what it would see without padding.

    On the host it is copying without ops. With `pin` the copy is made into page-locked memory, from where it
    can go to a GPU.
    """
    height, width = (max(m.shape[d] for m in masks) for d in (1, 2))
    on_host = all(m.device.type == "cpu" for m in masks)
    shape = (sum(len(m) for m in masks), height, width)
    out: Any = torch.empty(shape, dtype=masks[0].dtype, device=masks[0].device, pin_memory=pin and on_host)
    if all(m.shape[1:] == (height, width) for m in masks):
        return torch.cat(list(masks), out=out)
    out.zero_()
    target, sources = (out.numpy(), [m.numpy() for m in masks]) if on_host else (out, masks)
    start = 0
    for m in sources:
        n, h, w = m.shape
        part = target[start : start + n]
        part[:, :h, :w] = m
        if h < height:
            part[:, h, :w] = m[:, -1]
        if w < width:
            part[:, : h + 1, w] = part[:, : h + 1, w - 1]
        start += n
    return out
