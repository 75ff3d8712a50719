"""Samplers by weights: of records, of categories, of datasets."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg.data import (
    ConcatDataset,
    DatasetFromList,
    DatasetMapper,
    FilteredDataset,
    RepeatFactorTrainingSampler,
    ShapesDataset,
    SubsetDataset,
    WeightedSampler,
    build_detection_train_loader,
)


@settings(deadline=None)
@given(
    weights=st.lists(st.floats(0, 5), min_size=1, max_size=20).filter(any),
    position=st.integers(0, 200),
    seed=st.integers(0, 9),
    length=st.one_of(st.none(), st.integers(1, 30)),
)
def test_a_weighted_stream_is_a_function_of_seed_and_position(weights, position, seed, length):
    def stream():
        return WeightedSampler(weights=weights, num_samples=length, seed=seed)

    whole = list(islice(stream(), position + 20))
    assert whole[position:] == list(islice(stream().indices_from(position), 20))
    assert all(weights[i] > 0 for i in whole)


def test_records_come_as_often_as_their_weights_say():
    weights = np.array([1.0, 0, 3, 6])
    counts = np.bincount(list(islice(WeightedSampler(weights=weights), 20_000)), minlength=4)
    np.testing.assert_allclose(counts / 20_000, weights / 10, atol=0.01)
    assert counts[1] == 0


def records(*categories):
    return DatasetFromList([{"annotations": [{"category_id": c} for c in own]} for own in categories])


def test_weights_by_category_even_categories_out():
    data = records([0], [0], [0], [0, 0, 1], [])
    weights = WeightedSampler.weights_by_category(data)
    np.testing.assert_allclose(weights, [1 / 4, 1 / 4, 1 / 4, 1 / 4 + 1, 0])
    drawn = list(islice(WeightedSampler(weights=weights), 20_000))
    assert abs(np.mean([i == 3 for i in drawn]) - 1.25 / 2) < 0.02
    np.testing.assert_allclose(WeightedSampler.weights_by_category(data, power=0), [1, 1, 1, 2, 0])
    assert WeightedSampler.weights_by_category(data, empty=0.5)[-1] == 0.5 * 2 / 4
    with pytest.raises(ValueError, match="no record of the dataset has an annotation"):
        WeightedSampler.weights_by_category(records([], []))


def test_weights_by_dataset_do_not_depend_on_lengths():
    small, large = (ShapesDataset(num_images=n, image_size=32) for n in (5, 100))
    joined = ConcatDataset(datasets=[small, large])
    for data in (
        joined,
        FilteredDataset(dataset=joined),
        SubsetDataset(dataset=joined, indices=range(0, 105, 2)),
    ):
        weights = WeightedSampler.weights_by_dataset(data, weights=[3, 1])
        assert len(weights) == len(data)
        drawn = np.array(list(islice(WeightedSampler(weights=weights), 20_000)))
        border = 3 if type(data) is SubsetDataset else 5
        assert abs((drawn < border).mean() - 0.75) < 0.02
    factors = RepeatFactorTrainingSampler.repeat_factors_by_dataset(joined, factors=[4, 0.5])
    sampler = RepeatFactorTrainingSampler(repeat_factors=factors)
    counts = np.bincount(np.concatenate([sampler.epoch_indices(i) for i in range(50)]), minlength=105)
    assert (counts[:5] == 200).all()
    assert abs(counts[5:].mean() - 25) < 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WeightedSampler(weights=[1, -1]), "WeightedSampler: weights must be .*; number 1 is -1"),
        (lambda: WeightedSampler(weights=[1, np.nan]), "number 1 is nan"),
        (lambda: WeightedSampler(weights=[0, 0]), "are all 0"),
        (lambda: WeightedSampler(weights=[]), "got an array of shape"),
        (lambda: WeightedSampler(weights=[1], num_samples=0), "num_samples needs at least one record"),
        (lambda: RepeatFactorTrainingSampler(repeat_factors=[1, np.inf]), "number 1 is inf"),
        (
            lambda: WeightedSampler.weights_by_dataset(ShapesDataset(num_images=3), weights=[1]),
            "expected a ConcatDataset",
        ),
        (lambda: WeightedSampler.weights_by_dataset(JOINED, weights=[1]), "1 weights for 2 datasets"),
        (lambda: WeightedSampler.weights_by_dataset(NONE_LEFT, weights=[1, 1]), "dataset 0 has no records"),
        (
            lambda: RepeatFactorTrainingSampler.repeat_factors_by_dataset(JOINED, factors=[1, 2, 3]),
            "3 factors for 2 datasets",
        ),
        (
            lambda: loader(WeightedSampler(weights=[1] * 7)),
            "WeightedSampler was made for 7 records, and .* has 8",
        ),
    ],
)
def test_mistakes_are_explained(make, message):
    with pytest.raises(ValueError, match=message):
        make()


JOINED = ConcatDataset(datasets=[ShapesDataset(num_images=4, image_size=32, seed=s) for s in range(2)])
NONE_LEFT = SubsetDataset(dataset=JOINED, indices=[4, 5])


def loader(sampler, **options):
    return build_detection_train_loader(
        dataset=JOINED,
        mapper=DatasetMapper(is_train=True),
        total_batch_size=4,
        sampler=sampler,
        aspect_ratio_grouping=False,
        **options,
    )


def test_batches_of_several_processes_and_resumed_runs():
    def ids(start=0, count=4, **options):
        made = loader(WeightedSampler(weights=[1, 2, 3, 4, 0, 0, 1, 1], seed=5), **options)
        made.set_start(start)
        return [[x["image_id"] for x in batch] for batch in islice(made, count)]

    whole = ids()
    parts = [ids(rank=rank, world_size=2) for rank in range(2)]
    assert whole == [a + b for a, b in zip(*parts, strict=True)]
    assert ids(2, 2) == whole[2:]
    assert ids(1, 2, num_workers=1) == whole[1:3]
