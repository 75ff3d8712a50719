"""The assignment problem: which row gets which column, so that the sum of the costs is smallest."""

from __future__ import annotations

import numpy as np

__all__ = ["linear_sum_assignment"]


def linear_sum_assignment(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of rows and columns with the smallest sum of costs, every row or every column used.

    Shortest augmenting paths (Jonker and Volgenant), O(min(N, M)^2 max(N, M)).

    Args:
        cost: (N, M), finite.

    Returns:
        rows, ascending, and the column of each: two arrays of length min(N, M), int64.

    Raises:
        ValueError: not two dimensions, or a cost that is no finite number.
    """
    cost = np.asarray(cost, dtype=np.float64)
    if cost.ndim != 2:
        raise ValueError(f"expected costs of shape (N, M), got {cost.shape}")
    if not np.isfinite(cost).all():
        raise ValueError("the costs hold infinite numbers or NaN: write a large number for a pair to avoid")
    if cost.shape[0] > cost.shape[1]:
        columns, rows = linear_sum_assignment(cost.T)
        order = rows.argsort()
        return rows[order], columns[order]
    count, width = cost.shape
    row_price, column_price = np.zeros(count), np.zeros(width)
    row_of, column_of = np.full(width, -1), np.full(count, -1)
    for start in range(count):
        distance, parent = np.full(width, np.inf), np.full(width, -1)
        done = np.zeros(width, dtype=bool)
        row, reached = start, 0.0
        while True:
            through = reached + cost[row] - row_price[row] - column_price
            better = ~done & (through < distance)
            distance[better], parent[better] = through[better], row
            column = int(np.where(done, np.inf, distance).argmin())
            reached = distance[column]
            if row_of[column] < 0:
                break
            done[column] = True
            row = row_of[column]
        row_price[start] += reached
        row_price[row_of[done]] += reached - distance[done]
        column_price[done] -= reached - distance[done]
        while column >= 0:  # turn the pairs along the path around
            row = parent[column]
            row_of[column] = row
            column_of[row], column = column, int(column_of[row])
    return np.arange(count), column_of
