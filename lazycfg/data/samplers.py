"""Samplers: the order in which records come in training, and the part of each process at inference.

Training order is an endless stream made of passes ("epochs"); the indices of a pass are a pure function of
(seed, number of the pass). Nothing else is needed to continue at any position, and every process can compute
it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from lazycfg.utils import comm

from .datasets.base import get_annotations
from .datasets.wrappers import part_of_records


class StreamSampler(Sampler[int]):
    """Base of training samplers: an endless stream of indices, the same on every process."""

    num_records: int | None = None
    """How many records the dataset must have; None: not known."""

    @abstractmethod
    def epoch_indices(self, epoch: int) -> np.ndarray:
        """Indices (M,) int64 of pass number `epoch`; M may differ from pass to pass."""

    def indices_from(self, position: int) -> Iterator[int]:
        """Return the stream from a position on."""
        for epoch in count():
            indices = self.epoch_indices(epoch)
            if position < len(indices):
                yield from indices[position:].tolist()
            position = max(0, position - len(indices))

    def __iter__(self) -> Iterator[int]:
        return self.indices_from(0)


def _generator(seed: int, *numbers: int) -> np.random.Generator:
    return np.random.default_rng([seed, *numbers])


def _check_size(name: str, size: int) -> int:
    if size <= 0:
        raise ValueError(f"{name} needs at least one record, got size={size}")
    return int(size)


class TrainingSampler(StreamSampler):
    """Draws every record once per pass, shuffled again for each pass.

    Args:
        size: number of records.
        shuffle: else 0, 1, ... size - 1 over and over.
        seed: of the shuffling.
    """

    def __init__(self, *, size: int, shuffle: bool = True, seed: int = 0) -> None:
        self.size = _check_size("TrainingSampler", size)
        self.shuffle = shuffle
        self.seed = seed

    def epoch_indices(self, epoch: int) -> np.ndarray:
        """Return (size,) int64: every record once, shuffled by the seed and the number of the pass."""
        return _generator(self.seed, epoch).permutation(self.size) if self.shuffle else np.arange(self.size)

    def indices_from(self, position: int) -> Iterator[int]:
        """Return the stream from a position on, without going through what comes before."""
        for epoch in count(position // self.size):
            yield from self.epoch_indices(epoch)[position % self.size :].tolist()
            position = 0


class RandomSubsetTrainingSampler(TrainingSampler):
    """Like `TrainingSampler`, but over a random subset of the records.

    Args:
        subset_ratio: part to use, in (0, 1].
        seed_shuffle, seed_subset: of the order, and of the choice of the part.
    """

    def __init__(
        self,
        *,
        size: int,
        subset_ratio: float,
        shuffle: bool = True,
        seed_shuffle: int = 0,
        seed_subset: int = 0,
    ) -> None:
        if not 0 < subset_ratio <= 1:
            raise ValueError(
                f"RandomSubsetTrainingSampler: subset_ratio must lie in (0, 1], got {subset_ratio}"
            )
        super().__init__(size=max(1, int(size * subset_ratio)), shuffle=shuffle, seed=seed_shuffle)
        self.subset = _generator(seed_subset).permutation(size)[: self.size]

    def epoch_indices(self, epoch: int) -> np.ndarray:
        """Return (size,) int64: every record of the subset once."""
        return self.subset[super().epoch_indices(epoch)]


class RepeatFactorTrainingSampler(StreamSampler):
    """Draws records with rare categories more often (Gupta et al., "LVIS", 2019, appendix B.2).

    Args:
        repeat_factors: (N,) how often each record comes in a pass; the fraction decides by chance in each
            pass.
        shuffle: else in the order of the records.
        seed: of order and chance; None (or -1): another in every run, as that of the loader.
    """

    def __init__(self, *, repeat_factors: Any, shuffle: bool = True, seed: int | None = 0) -> None:
        factors = check_weights("RepeatFactorTrainingSampler: repeat_factors", repeat_factors)
        self.num_records = len(factors)
        self.whole = np.floor(factors).astype(np.int64)
        self.fraction = factors - self.whole
        self.shuffle = shuffle
        self.seed = comm.shared_random_seed() if seed is None or seed < 0 else seed

    @staticmethod
    def repeat_factors_from_category_frequency(
        dataset: Any, *, repeat_thresh: float, sqrt: bool = True
    ) -> np.ndarray:
        """Return (N,) factors: for each record the largest over its categories of `sqrt(repeat_thresh / f)`,
        at least 1, where f is the fraction of records with that category. Without `sqrt`, `repeat_thresh /
        f`.
        """
        categories = categories_of(dataset)
        frequency = Counter(c for of_image in categories for c in of_image)
        factor = {c: max(1.0, repeat_thresh * len(dataset) / n) for c, n in frequency.items()}
        factor = {c: f**0.5 if sqrt else f for c, f in factor.items()}
        return np.array([max((factor[c] for c in of_image), default=1.0) for of_image in categories])

    @staticmethod
    def repeat_factors_by_dataset(dataset: Any, *, factors: Sequence[float]) -> np.ndarray:
        """Return (N,) factors: for each record that of the dataset it comes from.

        Args:
            dataset: a `ConcatDataset`, or one made of it (such as a `FilteredDataset`).
            factors: one for each of its datasets, in their order.

        Raises:
            ValueError: there are not as many factors as datasets.
        """
        part, count = part_of_records(dataset)
        if len(factors) != count:
            raise ValueError(f"repeat_factors_by_dataset: {len(factors)} factors for {count} datasets")
        return np.asarray(factors, dtype=np.float64)[part]

    def epoch_indices(self, epoch: int) -> np.ndarray:
        """Return (M,) int64: each record as often as its factor says, its fraction drawn in each pass."""
        rng = _generator(self.seed, epoch)
        repeats = self.whole + (rng.random(len(self.whole)) < self.fraction)
        indices = np.repeat(np.arange(len(repeats)), repeats)
        return rng.permutation(indices) if self.shuffle else indices


class WeightedSampler(StreamSampler):
    """Draws records at random, with replacement, in proportion to their weights.

    Where each record should come at least once in a pass, take `RepeatFactorTrainingSampler`.

    Args:
        weights: (N,) one for each record, 0 for never; only their proportions count.
        num_samples: length of a pass; N when None. It makes no difference to what is drawn how often.
        seed: of the draws; None (or -1): another in every run, as that of the loader.

    Raises:
        ValueError: a weight is negative or not finite, or all are 0.
    """

    def __init__(self, *, weights: Any, num_samples: int | None = None, seed: int | None = 0) -> None:
        weights = check_weights("WeightedSampler: weights", weights)
        self.num_records = len(weights)
        self.num_samples = _check_size(
            "WeightedSampler: num_samples", len(weights) if num_samples is None else num_samples
        )
        self.probabilities = weights / weights.sum()
        self.seed = comm.shared_random_seed() if seed is None or seed < 0 else seed

    @staticmethod
    def weights_by_category(dataset: Any, *, power: float = 1.0, empty: float = 0.0) -> np.ndarray:
        """Return (N,) weights with which rare categories come about as often as common ones: for each record
        the sum over its categories of `f ** -power`, where f is the number of records with that category.

        Args:
            power: 1 evens categories out, 0.5 does so by half, 0 counts the categories of a record.
            empty: weight of records without annotations, in parts of the mean of the others.

        Raises:
            ValueError: no record has an annotation.
        """
        categories = categories_of(dataset)
        frequency = Counter(c for of_image in categories for c in of_image)
        if not frequency:
            raise ValueError("weights_by_category: no record of the dataset has an annotation")
        weights = np.array([sum(frequency[c] ** -float(power) for c in own) for own in categories])
        weights[weights == 0] = empty * weights[weights > 0].mean()
        return weights

    @staticmethod
    def weights_by_dataset(dataset: Any, *, weights: Sequence[float]) -> np.ndarray:
        """Return (N,) weights with which each of several datasets is drawn from in proportion to its own
        weight, whatever its length.

        Args:
            dataset: a `ConcatDataset`, or one made of it (such as a `FilteredDataset`).
            weights: one for each of its datasets, in their order.

        Raises:
            ValueError: there are not as many weights as datasets, or a dataset with a weight has no records.
        """
        part, count = part_of_records(dataset)
        if len(weights) != count:
            raise ValueError(f"weights_by_dataset: {len(weights)} weights for {count} datasets")
        lengths = np.bincount(part, minlength=count)
        wanted = check_weights("weights_by_dataset: weights", weights)
        for number in np.flatnonzero((lengths == 0) & (wanted > 0)).tolist():
            raise ValueError(
                f"weights_by_dataset: dataset {number} has no records and the weight {wanted[number]:g}"
            )
        return (wanted / np.maximum(lengths, 1))[part]

    def epoch_indices(self, epoch: int) -> np.ndarray:
        """Return (num_samples,) int64: records drawn by their weights."""
        return _generator(self.seed, epoch).choice(
            len(self.probabilities), size=self.num_samples, p=self.probabilities
        )

    def indices_from(self, position: int) -> Iterator[int]:
        """Return the stream from a position on, without going through what comes before."""
        for epoch in count(position // self.num_samples):
            yield from self.epoch_indices(epoch)[position % self.num_samples :].tolist()
            position = 0


def check_weights(what: str, weights: Any) -> np.ndarray:
    """Return weights (N,) float64.

    Raises:
        ValueError: one is negative or not finite, all are 0, or there are none.
    """
    array = np.asarray(weights, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"{what} must be one number for each, got an array of shape {array.shape}")
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(wrong):
        raise ValueError(f"{what} must be finite and at least 0; number {wrong[0]} is {array[wrong[0]]}")
    if not array.any():
        raise ValueError(f"{what} are all 0: there is nothing to draw")
    return array


def categories_of(dataset: Any) -> list[set[int]]:
    """Return the categories in each record."""
    return [
        {a["category_id"] for a in get_annotations(dataset, i).get("annotations", ())}
        for i in range(len(dataset))
    ]


class InferenceSampler(Sampler[int]):
    """Draws every record exactly once over all processes: consecutive shards, at most one longer than others.

    Args:
        size: number of records.
        rank, world_size: of this process.
    """

    def __init__(self, *, size: int, rank: int = 0, world_size: int = 1) -> None:
        if not 0 <= rank < world_size:
            raise ValueError(f"InferenceSampler: rank must lie in 0..{world_size - 1}, got {rank}")
        shard, left = divmod(size, world_size)
        begin = rank * shard + min(rank, left)
        self.indices = range(begin, begin + shard + (rank < left))

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)
