from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg.data import (
    DatasetFromList,
    GroupedBatchSampler,
    InferenceSampler,
    RandomSubsetTrainingSampler,
    RepeatFactorTrainingSampler,
    TrainingSampler,
)


@given(st.integers(1, 30), st.integers(0, 100), st.integers(0, 2**31))
def test_training_stream_is_a_function_of_seed_and_position(size, position, seed):
    sampler = TrainingSampler(size=size, seed=seed)
    stream = list(islice(sampler, position + 2 * size))
    again = list(islice(TrainingSampler(size=size, seed=seed).indices_from(position), 2 * size))
    assert stream[position:] == again
    passes = [sorted(stream[i : i + size]) for i in range(0, len(stream) - size + 1, size)]
    assert all(p == list(range(size)) for p in passes)


def test_passes_and_seeds_are_shuffled_differently():
    sampler = TrainingSampler(size=50, seed=1)
    assert not np.array_equal(sampler.epoch_indices(0), sampler.epoch_indices(1))
    assert not np.array_equal(sampler.epoch_indices(0), TrainingSampler(size=50, seed=2).epoch_indices(0))
    assert list(islice(TrainingSampler(size=3, shuffle=False), 7)) == [0, 1, 2, 0, 1, 2, 0]


def test_random_subset_stays_the_same_subset():
    sampler = RandomSubsetTrainingSampler(size=100, subset_ratio=0.2, seed_shuffle=5, seed_subset=6)
    first, second = sampler.epoch_indices(0), sampler.epoch_indices(1)
    assert len(first) == 20
    assert sorted(first) == sorted(second)
    assert not np.array_equal(first, second)
    with pytest.raises(ValueError, match="subset_ratio"):
        RandomSubsetTrainingSampler(size=10, subset_ratio=0.0)


def records_with(categories):
    return DatasetFromList([{"annotations": [{"category_id": c} for c in cs]} for cs in categories])


def test_repeat_factors_follow_the_rarest_category():
    dataset = records_with([[0], [0, 1], [0], [0], []])
    factors = RepeatFactorTrainingSampler.repeat_factors_from_category_frequency(dataset, repeat_thresh=0.5)
    np.testing.assert_allclose(factors, [1, (0.5 / 0.2) ** 0.5, 1, 1, 1])
    linear = RepeatFactorTrainingSampler.repeat_factors_from_category_frequency(
        dataset, repeat_thresh=0.5, sqrt=False
    )
    np.testing.assert_allclose(linear, [1, 2.5, 1, 1, 1])


def test_repeat_factor_sampler_repeats_by_chance_for_the_fraction():
    sampler = RepeatFactorTrainingSampler(repeat_factors=[1.0, 2.5, 1.0], seed=0)
    counts = np.stack([np.bincount(sampler.epoch_indices(e), minlength=3) for e in range(400)])
    assert (counts[:, [0, 2]] == 1).all()
    assert set(counts[:, 1]) == {2, 3}
    assert 2.4 < counts[:, 1].mean() < 2.6
    stream = list(islice(sampler, 60))
    assert list(islice(sampler.indices_from(17), 43)) == stream[17:]


@given(st.integers(0, 50), st.integers(1, 7))
def test_inference_shards_cover_everything_once(size, world_size):
    shards = [list(InferenceSampler(size=size, rank=r, world_size=world_size)) for r in range(world_size)]
    assert [i for shard in shards for i in shard] == list(range(size))
    lengths = [len(InferenceSampler(size=size, rank=r, world_size=world_size)) for r in range(world_size)]
    assert lengths == [len(s) for s in shards]
    assert max(lengths) - min(lengths) <= 1


@given(
    size=st.integers(1, 25),
    per_rank=st.integers(1, 4),
    world_size=st.integers(1, 3),
    start=st.integers(0, 20),
    seed=st.integers(0, 1000),
    grouped=st.booleans(),
)
@settings(deadline=None)
def test_batches_are_a_function_of_their_number(size, per_rank, world_size, start, seed, grouped):
    groups = np.random.default_rng(seed).integers(0, 2, size) if grouped else None
    total = per_rank * world_size

    def batches(rank=0, world=1, start=0, count=12):
        sampler = GroupedBatchSampler(
            sampler=TrainingSampler(size=size, seed=seed),
            total_batch_size=total,
            group_ids=groups,
            rank=rank,
            world_size=world,
            start=start,
        )
        return list(islice(sampler, count))

    whole = batches(count=start + 12)
    assert batches(start=start) == whole[start:]
    parts = [batches(rank=r, world=world_size, count=start + 12) for r in range(world_size)]
    assert [[key for part in batch for key in part] for batch in zip(*parts, strict=True)] == whole
    stream = list(
        islice(TrainingSampler(size=size, seed=seed), 1 + max(k.position for b in whole for k in b))
    )
    for batch in whole:
        assert len(batch) == total
        assert all(stream[key.position] == key.index for key in batch)
        if grouped:
            assert len({groups[key.index] for key in batch}) == 1
    positions = [key.position for batch in whole for key in batch]
    assert len(set(positions)) == len(positions)
    # Handed out in the order in which they become full, and keeping the order of the stream within a group.
    assert [b[-1].position for b in whole] == sorted(b[-1].position for b in whole)
    assert all([k.position for k in b] == sorted(k.position for k in b) for b in whole)


def test_grouping_loses_nothing():
    groups = np.array([0] * 7 + [1] * 4)
    sampler = GroupedBatchSampler(
        sampler=TrainingSampler(size=11, seed=0), total_batch_size=3, group_ids=groups
    )
    seen = np.bincount([k.index for b in islice(sampler, 110) for k in b], minlength=11)
    assert seen.min() >= 28
    assert seen.max() <= 31


def test_any_iterable_of_indices_is_a_sampler():
    sampler = GroupedBatchSampler(sampler=range(10), total_batch_size=4)
    assert [[k.index for k in b] for b in sampler] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_wrong_batch_sizes_are_refused():
    with pytest.raises(ValueError, match=r"total_batch_size \(3\).*\(2\)"):
        GroupedBatchSampler(sampler=range(4), total_batch_size=3, world_size=2)
    with pytest.raises(ValueError, match="rank"):
        GroupedBatchSampler(sampler=range(4), total_batch_size=4, world_size=2, rank=2)
    with pytest.raises(ValueError, match="at least one record"):
        TrainingSampler(size=0)
