"""A small job for the engine's tests: a model with random behaviour, and records that it can learn from."""

import random

import numpy as np
import torch
from torch import nn

from lazycfg.engine.build import Parts
from lazycfg.solver import (
    ClipGradNorm,
    CosineParamScheduler,
    WarmupParamScheduler,
    get_default_optimizer_params,
)


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
            hidden = self.bn(self.fc1(x))
        else:
            hidden = self.fc1(x)
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


class ToyEvaluator:
    """Mean absolute error."""


def toy_parts(*, noise: bool = True, loader=None, clip: float | None = 1.0, lr: float = 0.1) -> Parts:
    """A whole job, built without a config."""
    model = ToyModel(noise=noise)
    groups = get_default_optimizer_params(model, weight_decay_norm=0.0)
    return Parts(
        model=model,
        optimizer=torch.optim.SGD(groups, lr=lr, momentum=0.9, weight_decay=1e-4),
        lr_multiplier=WarmupParamScheduler(CosineParamScheduler(1.0, 0.0), 0.1, 0.2),
        train_loader=toy_loader() if loader is None else loader,
        clip_grad=None if clip is None else ClipGradNorm(clip),
    )
