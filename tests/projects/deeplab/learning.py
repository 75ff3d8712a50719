"""A quickstart with fewer steps, before and after."""

from pathlib import Path
from typing import Any

import torch

from lazycfg import LazyConfig, instantiate
from lazycfg.engine import train
from lazycfg.evaluation import inference_on_dataset

SHORT = ["train.pictures=0", "train.log_period=100", "dataloader.test.dataset.num_images=50"]


def before_and_after(config: Path, folder: Path, steps: int) -> tuple[dict[str, Any], dict[str, Any]]:
    cfg = LazyConfig.load(config)
    LazyConfig.apply_overrides(cfg, [*SHORT, f"train.max_iter={steps}", f"train.output_dir={folder}"])
    torch.manual_seed(0)
    data = instantiate(cfg.dataloader)
    before = inference_on_dataset(instantiate(cfg.model), data["test"], data["evaluator"])
    return before, train(cfg)
