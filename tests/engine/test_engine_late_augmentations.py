"""Augmentations that change for the last part of a training."""

import pytest
import torch

from lazycfg.data import DatasetMapper, MixUp, Mosaic, ShapesDataset, build_detection_train_loader
from lazycfg.data import transforms as T
from lazycfg.engine import BatchStream, LateAugmentations, Trainer


class Counting(torch.nn.Module):
    """Remembers the largest side of the images of each step: 64 where they are mixed, 32 where not."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.sides = []

    def forward(self, batch):
        self.sides.append(max(max(x["image"].shape[1:]) for x in batch))
        return {"loss": self.weight * 1.0}


def train(max_iter, hook, *, start=0, num_workers=0, accumulate=1, mapper=None):
    loader = build_detection_train_loader(
        dataset=ShapesDataset(num_images=8, image_size=32),
        mapper=mapper or DatasetMapper(is_train=True, augmentations=[Mosaic(32), T.RandomFlip()]),
        total_batch_size=2,
        num_workers=num_workers,
    )
    loader.set_start(start * accumulate)
    model = Counting()
    trainer = Trainer(
        model=model,
        data=BatchStream(loader),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        max_iter=max_iter,
        accumulate=accumulate,
        hooks=[hook],
    )
    trainer.train(start)
    return model.sides


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("last", [3, 0.25])
def test_the_last_part_is_not_mixed(last, num_workers):
    first = 12 - 3
    hook = LateAugmentations(last=last)
    assert train(12, hook, num_workers=num_workers) == [64] * first + [32] * 3


@pytest.mark.parametrize("start", [4, 9, 11])
def test_a_resumed_run_switches_where_the_whole_one_does(start):
    expected = [64] * 9 + [32] * 3
    assert train(12, LateAugmentations(last=3), start=start) == expected[start:]


def test_accumulated_batches_switch_together():
    assert train(4, LateAugmentations(last=1), accumulate=3) == [64] * 9 + [32] * 3


def test_other_augmentations_may_be_given():
    hook = LateAugmentations(last=2, augmentations=[T.Resize(48)])
    assert train(5, hook) == [64] * 3 + [48] * 2
    plain = DatasetMapper(is_train=True, augmentations=[T.RandomFlip()])
    assert train(5, hook, mapper=plain) == [32] * 3 + [48] * 2


@pytest.mark.parametrize("last", [0, 1.0, True, -3, "all", 1.5])
def test_wrong_lengths_are_refused(last):
    with pytest.raises(ValueError, match="last must be a number of iterations, or a part"):
        LateAugmentations(last=last)


def test_nothing_to_leave_out_is_said():
    plain = DatasetMapper(is_train=True, augmentations=[T.RandomFlip()])
    with pytest.raises(ValueError, match="nothing to leave out"):
        train(5, LateAugmentations(last=2), mapper=plain)
    with pytest.raises(ValueError, match="needs a loader of build_detection_train_loader"):
        LateAugmentations(last=2).late_mapper([1, 2])


def test_the_generator_of_a_sample_is_the_same_before_and_after():
    """The second mapper draws what it would draw without the first."""
    mapper = DatasetMapper(is_train=True, augmentations=[MixUp(prob=1), T.RandomFlip()])

    def batches(late):
        loader = build_detection_train_loader(
            dataset=ShapesDataset(num_images=8, image_size=32),
            mapper=mapper if late else mapper.with_augmentations(None),
            total_batch_size=2,
        )
        if late:
            loader.set_late_mapper(mapper.with_augmentations(None), 2)
        return [batch for batch, _ in zip(loader, range(4), strict=False)]

    for number, (a, b) in enumerate(zip(batches(True), batches(False), strict=True)):
        same = all(torch.equal(x["image"], y["image"]) for x, y in zip(a, b, strict=True))
        assert same == (number >= 2)
