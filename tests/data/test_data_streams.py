"""Data that comes as a stream, batches of one's own, and how fast they come."""

import itertools
import logging
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset, get_worker_info

from lazycfg.data import (
    AspectRatioGroupedDataset,
    DataLoaderBenchmark,
    DatasetFromList,
    DatasetMapper,
    Mosaic,
    ToIterableDataset,
    TrainingSampler,
    build_batch_data_loader,
    build_detection_train_loader,
)


class Stream(IterableDataset):
    """Records 0, 1, 2... of which every third is a portrait."""

    def __init__(self, count, shares=False):
        self.count, self.shares = count, shares
        self.epochs = []

    def set_epoch(self, epoch):
        self.epochs.append(epoch)

    def __iter__(self):
        worker = get_worker_info() if self.shares else None
        for number in range(self.count):
            if worker is None or number % worker.num_workers == worker.id:
                width = 2 if number % 3 == 0 else 4
                yield {"image_id": number, "height": 3, "width": width}


def mapper(record, *, rng):
    if record["image_id"] == 13:
        raise ValueError("unlucky")
    return {**record, "drawn": int(rng.integers(1 << 40))}


def plain(record):
    return dict(record)


def train_loader(stream, *, mapper=mapper, **options):
    given = {"total_batch_size": 2, "aspect_ratio_grouping": False, "seed": 3, **options}
    return build_detection_train_loader(dataset=stream, mapper=mapper, **given)


def take(loader, count):
    iterator = iter(loader)
    try:
        return list(itertools.islice(iterator, count))
    finally:
        iterator.close()


def ids(batches):
    return [[sample["image_id"] for sample in batch] for batch in batches]


def test_a_stream_begins_anew_at_its_end():
    stream = Stream(5)
    loader = train_loader(stream)
    assert ids(take(loader, 5)) == [[0, 1], [2, 3], [4, 0], [1, 2], [3, 4]]
    assert stream.epochs == [0, 1]
    assert loader.total_batch_size == 2
    assert loader.dataset is stream


def test_batches_are_of_one_shape():
    batches = take(train_loader(Stream(12), aspect_ratio_grouping=True), 6)
    assert all(len({sample["width"] for sample in batch}) == 1 for batch in batches)
    assert sorted(itertools.chain(*ids(batches))) == list(range(12))


@pytest.mark.parametrize("workers", [0, 2, 3])
@pytest.mark.parametrize("position", [1, 4, 5])
def test_a_resumed_run_sees_what_the_other_would_have(workers, position):
    options = {"num_workers": workers, "aspect_ratio_grouping": True, "shard_stream": True}
    whole = take(train_loader(Stream(13), **options), 9)
    first = train_loader(Stream(13), **options)
    take(first, position)
    second = train_loader(Stream(13), **options)
    second.load_state_dict(first.state_dict())
    assert take(second, 9 - position) == whole[position:]


def test_processes_and_workers_share_a_stream():
    seen = Counter()
    for rank in range(2):
        loader = train_loader(
            Stream(12), total_batch_size=2, num_workers=2, shard_stream=True, rank=rank, world_size=2
        )
        seen.update(itertools.chain(*ids(take(loader, 6))))
    assert seen == Counter(range(12))
    own = train_loader(Stream(12, shares=True), num_workers=2, shard_stream=False)
    assert Counter(itertools.chain(*ids(take(own, 6)))) == Counter(range(12))


def test_the_numbers_drawn_differ_from_sample_to_sample():
    batches = take(train_loader(Stream(12)), 6)
    assert len({sample["drawn"] for batch in batches for sample in batch}) == 12
    assert batches == take(train_loader(Stream(12)), 6)
    assert batches != take(train_loader(Stream(12), seed=4), 6)


def test_errors_and_records_that_are_left_out(caplog):
    with pytest.raises(ValueError, match="unlucky") as error:
        take(train_loader(Stream(20)), 10)
    assert "image_id 13" in str(error.value.__notes__)
    with caplog.at_level(logging.WARNING):
        batches = take(train_loader(Stream(20), on_error="skip"), 10)
    assert "unlucky" in caplog.text
    assert [len(batch) for batch in batches] == [2] * 6 + [1] + [2] * 3
    with pytest.raises(ValueError, match="none of the 2 records of a batch gave a sample"):
        take(train_loader(Stream(4), mapper=lambda record: None), 1)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"2 processes or workers read the stream Stream: pass shard_stream"):
        train_loader(Stream(4), num_workers=2)
    with pytest.raises(ValueError, match="leave out the sampler"):
        train_loader(Stream(4), sampler=[1, 2])
    mixing = DatasetMapper(is_train=True, augmentations=[Mosaic(size=(8, 8))])
    with pytest.raises(ValueError, match="mixes other records in, which the stream Stream cannot give"):
        train_loader(Stream(4), mapper=mixing)
    with pytest.raises(ValueError, match="shard_stream is for streams"):
        build_detection_train_loader(dataset=[], mapper=None, total_batch_size=1, shard_stream=True)
    with pytest.raises(ValueError, match="gives no record to reader 0 of 1"):
        take(train_loader(Stream(0)), 1)
    with pytest.raises(ValueError, match="no 'width' and 'height'"):
        take(train_loader(ToIterableDataset([{"image_id": 1}], [0]), aspect_ratio_grouping=True), 1)


def test_a_stream_of_a_dataset():
    stream = ToIterableDataset("abcdef", [5, 0, 3])
    assert list(stream) == ["f", "a", "d"]
    loader = torch.utils.data.DataLoader(
        ToIterableDataset(list(range(10)), range(10), shard_chunk_size=2), batch_size=None, num_workers=2
    )
    assert list(loader) == [0, 2, 1, 3, 4, 6, 5, 7, 8, 9]
    with pytest.raises(TypeError, match="IterableDataset already"):
        ToIterableDataset(stream, [1])


def test_groups_of_any_stream():
    grouped = list(AspectRatioGroupedDataset(Stream(12), 2))
    assert ids(grouped) == [[1, 2], [0, 3], [4, 5], [7, 8], [6, 9], [10, 11]]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_ones_own(workers):
    samples = list(Stream(10))
    loader = build_batch_data_loader(samples, range(10), 3, num_workers=workers)
    assert ids(loader) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    rest = build_batch_data_loader(samples, range(10), 3, num_workers=workers, drop_last=False)
    assert sorted(itertools.chain(*ids(rest))) == list(range(10))
    grouped = build_batch_data_loader(samples, range(10), 2, aspect_ratio_grouping=True, num_workers=workers)
    assert all(len({sample["width"] for sample in batch}) == 1 for batch in grouped)
    assert len(list(grouped)) == 5
    summed = build_batch_data_loader(Stream(4), None, 2, collate_fn=len)
    assert list(summed) == [2, 2]
    with pytest.raises(ValueError, match="needs a sampler"):
        build_batch_data_loader(samples, None, 2)


def test_speeds(caplog):
    records = [{"image_id": i, "height": 3, "width": 4, "annotations": []} for i in range(6)]
    benchmark = DataLoaderBenchmark(
        DatasetFromList(records), mapper=plain, total_batch_size=2, sampler=TrainingSampler(size=6)
    )
    with caplog.at_level(logging.INFO):
        assert benchmark.benchmark_dataset(10, 2) > 0
        assert benchmark.benchmark_mapper(10, 2) > 0
        assert set(benchmark.benchmark_workers(5, 1)) == {0}
    assert len(caplog.messages) == 3
    benchmark.max_time_seconds = 0
    assert benchmark.benchmark_dataset(10**9) < np.inf
