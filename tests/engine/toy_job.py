"""A small job for the engine's tests: a model with random behaviour, and records that it can learn from."""

import os
import random
import signal
import time

import numpy as np
import torch
from torch import nn

from lazycfg.checkpoint import checkpointer
from lazycfg.engine import HookBase
from lazycfg.utils import get_rank


class ToyModel(nn.Module):
    """Fits a linear function of the image's mean; draws from every generator that a model might draw from.

    Args:
        noise: whether to draw.
    """

    def __init__(self, *, noise: bool = True, features: int = 8) -> None:
        super().__init__()
        self.noise = noise
        self.fc1 = nn.Linear(3, features)
        self.bn = nn.BatchNorm1d(features)
        self.fc2 = nn.Linear(features, 1)

    def forward(self, batch):
        x = torch.stack([record["image"].float().mean(dim=(1, 2)) for record in batch]).to(
            self.fc1.weight.device
        )
        if not self.training:
            x = self.fc2(self.bn(self.fc1(x)))
            return [{"value": value} for value in x[:, 0]]
        target = torch.tensor([float(record["target"]) for record in batch], device=x.device)
        if self.noise:
            x = x + 0.01 * torch.randn_like(x) + 0.01 * random.random() + 0.01 * float(np.random.rand())
        self.bn.train(self.noise)  # statistics of a batch would depend on how batches are split
        hidden = self.bn(self.fc1(x))
        out = self.fc2(nn.functional.dropout(hidden, 0.1, self.training and self.noise))[:, 0]
        return {
            "loss_fit": (out.float() - target).square().mean(),
            "loss_small": 1e-3 * out.float().abs().mean(),
        }


class ToyRecords:
    """Small images and a number that follows from them."""

    def __init__(self, *, length: int = 24, seed: int = 0) -> None:
        self.length = length
        self.seed = seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        rng = np.random.default_rng([self.seed, index])
        image = rng.random((3, 4, 4), dtype=np.float32)
        return {
            "file_name": f"toy/{index}.png",
            "image_id": index,
            "height": 4,
            "width": 4,
            "image": image,
            "target": float(image.mean(axis=(1, 2)) @ np.array([1.0, -2.0, 0.5])),
        }


def toy_mapper(record: dict, *, rng: np.random.Generator) -> dict:
    """An augmentation: a little random brightness."""
    return {**record, "image": torch.from_numpy(record["image"] + np.float32(0.01 * rng.random()))}


def toy_loader(*, total_batch_size: int = 4, num_workers: int = 0, seed: int = 0):
    """The library's own loader over `ToyRecords`."""
    from lazycfg.data import build_detection_train_loader

    return build_detection_train_loader(
        dataset=ToyRecords(),
        mapper=toy_mapper,
        total_batch_size=total_batch_size,
        num_workers=num_workers,
        aspect_ratio_grouping=False,
        seed=seed,
        check=False,
    )


class NoisyRecords(ToyRecords):
    """Augmented by the global generators, as a plain data set would do it."""

    def __getitem__(self, index: int) -> dict:
        record = super().__getitem__(index)
        return {**record, "image": torch.from_numpy(record["image"]) + 0.01 * torch.rand(1)}


def plain_loader(*, batch_size: int = 4, num_workers: int = 0):
    """A finite loader of torch's, without a state."""
    return torch.utils.data.DataLoader(
        NoisyRecords(length=22), batch_size, shuffle=True, num_workers=num_workers, collate_fn=list
    )


def toy_test_loader():
    """Batches of two test records."""
    records = ToyRecords(length=6, seed=1)
    samples = [toy_mapper(records[i], rng=np.random.default_rng(i)) for i in range(len(records))]
    return [samples[i : i + 2] for i in range(0, len(samples), 2)]


class SlowLoader:
    """Thousands of the test batches, a tenth of a second for each; counts them in a file."""

    def __init__(self, *, counter: str) -> None:
        self.counter = counter

    def __iter__(self):
        for i in range(6000):
            with open(self.counter, "w") as file:
                file.write(str(i))
            time.sleep(0.1)
            yield toy_test_loader()[0]


class ToyEvaluator:
    """Mean absolute error; draws random numbers, which must not change the training."""

    def reset(self) -> None:
        self.errors = []

    def process(self, inputs, outputs) -> None:
        torch.rand(1)
        for record, output in zip(inputs, outputs, strict=True):
            self.errors.append(abs(record["target"] - float(output["value"])))

    def evaluate(self) -> dict:
        return {"toy": {"error": float(np.mean(self.errors))}}


class KillAt(HookBase):
    """Kills its own process after an iteration, so that nothing can be tidied up.

    Args:
        iteration: when; a negative number for never.
        in_save: kill in the middle of writing the weights of this checkpoint (1: the first) instead.
        signal_at: in the step of this iteration send this signal instead.
        rank: only in this process; None for all.
    """

    def __init__(
        self,
        *,
        iteration: int,
        in_save: int = 0,
        signal_at: tuple[int, int] = (-1, 0),
        rank: int | None = None,
    ) -> None:
        self.iteration = iteration
        self.in_save = in_save
        self.signal_at = signal_at
        self.rank = rank

    def before_step(self) -> None:
        if self.trainer.iter == self.signal_at[0] and self.rank in (None, get_rank()):
            os.kill(os.getpid(), self.signal_at[1])

    def before_train(self) -> None:
        if not self.in_save:
            return
        count = 0
        save_file = checkpointer.save_file

        def half_saved(tensors, path, metadata):
            nonlocal count
            count += 1
            save_file(tensors, path, metadata)
            if count == self.in_save:
                os.truncate(path, os.path.getsize(path) // 2)
                os.kill(os.getpid(), signal.SIGKILL)

        checkpointer.save_file = half_saved

    def after_step(self) -> None:
        if self.trainer.iter == self.iteration:
            os.kill(os.getpid(), signal.SIGKILL)
