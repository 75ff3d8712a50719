"""Samplers, called the old way: by position, and endless."""

from __future__ import annotations

from typing import Any

import torch

from lazycfg import data
from lazycfg.utils import get_rank, get_world_size, shared_random_seed

__all__ = [
    "InferenceSampler",
    "RandomSubsetTrainingSampler",
    "RepeatFactorTrainingSampler",
    "TrainingSampler",
]


class TrainingSampler(data.TrainingSampler):
    """Every record once per pass, endless; the same on every process."""

    def __init__(self, size: int, shuffle: bool = True, seed: int | None = None) -> None:
        super().__init__(size=size, shuffle=shuffle, seed=shared_random_seed() if seed is None else seed)


class RandomSubsetTrainingSampler(data.RandomSubsetTrainingSampler):
    """As `TrainingSampler`, over a random part of the records."""

    def __init__(
        self,
        size: int,
        subset_ratio: float,
        shuffle: bool = True,
        seed_shuffle: int | None = None,
        seed_subset: int | None = None,
    ) -> None:
        seeds = [shared_random_seed() if seed is None else seed for seed in (seed_shuffle, seed_subset)]
        super().__init__(
            size=size, subset_ratio=subset_ratio, shuffle=shuffle, seed_shuffle=seeds[0], seed_subset=seeds[1]
        )


class RepeatFactorTrainingSampler(data.RepeatFactorTrainingSampler):
    """Records with rare categories more often."""

    def __init__(self, repeat_factors: Any, *, shuffle: bool = True, seed: int | None = None) -> None:
        super().__init__(repeat_factors=repeat_factors, shuffle=shuffle, seed=seed)

    @staticmethod
    def repeat_factors_from_category_frequency(  # type: ignore[override]
        dataset_dicts: Any, repeat_thresh: float, sqrt: bool = True
    ) -> torch.Tensor:
        """Return (N,) the factor of each record; see `lazycfg.data.RepeatFactorTrainingSampler`."""
        dataset = data.DatasetFromList(dataset_dicts) if isinstance(dataset_dicts, list) else dataset_dicts
        factors = data.RepeatFactorTrainingSampler.repeat_factors_from_category_frequency(
            dataset, repeat_thresh=repeat_thresh, sqrt=sqrt
        )
        return torch.as_tensor(factors, dtype=torch.float32)


class InferenceSampler(data.InferenceSampler):
    """Every record once over all processes."""

    def __init__(self, size: int) -> None:
        super().__init__(size=size, rank=get_rank(), world_size=get_world_size())
