"""What is built from a config, against what the reference builds from its config of the same name."""

import hashlib
from collections import Counter

import pytest
import torch

from lazycfg import instantiate


def digest(lines):
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def assert_builds(cfg, expected):
    """Compare a whole job with digests of the reference's state_dict keys with shapes and of its trained
    parameters, and with its optimizer, batch, and learning rates over the run."""
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert (
        digest(f"{key} {list(value.shape)}" for key, value in model.state_dict().items()) == expected["state"]
    )
    assert digest(key for key, p in model.named_parameters() if p.requires_grad) == expected["trained"]

    cfg.optimizer.params.model = model
    optimizer = instantiate(cfg.optimizer)
    assert type(optimizer).__name__ == expected["optimizer"]
    settings = [(g["lr"], g["weight_decay"] or 0, len(g["params"])) for g in optimizer.param_groups]
    decays = Counter()
    for _, decay, count in settings:
        decays[f"{decay:g}"] += count
    assert decays == expected["weight_decay"]
    highest = max(lr for lr, _, _ in settings)
    assert sum(lr / highest * count for lr, _, count in settings) == pytest.approx(expected["lr_factors"])

    assert cfg.dataloader.train.get("total_batch_size") == expected["batch"]
    assert cfg.train.max_iter == expected["max_iter"]
    multiplier = instantiate(cfg.lr_multiplier)
    for iteration, lr in expected["lr"].items():
        now = cfg.optimizer.lr * multiplier(int(iteration) / cfg.train.max_iter)
        assert now == pytest.approx(lr, rel=1e-3), iteration
