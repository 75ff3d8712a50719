"""A run whose batches are, in part, frames of a video with the predictions of a teacher."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, instantiate
from lazycfg.data import DatasetMapper
from lazycfg.engine import train
from lazycfg.projects import densepose
from lazycfg.projects.densepose.bootstrapping import (
    BootstrappingTrainLoader,
    ChartPointSampler,
    InferenceBasedLoader,
    ScoreBasedFilter,
    VideoKeyframeDataset,
)

CONFIGS = Path(densepose.__file__).parent / "configs"


def make_video(path: Path, images: list[Path]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.array(Image.open(image).convert("RGB")), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.slow
def test_training_on_a_video(figures: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("DETECTRON2_DATASETS", str(figures.parent))
    make_video(tmp_path / "figures.mkv", sorted((figures / "img").glob("train*")))
    cfg = LazyConfig.load(CONFIGS / "quickstart_densepose_figures.py")
    cfg.model.roi_heads.box_predictor.test_topk_per_image = 3
    torch.manual_seed(0)
    torch.save(instantiate(cfg.model).state_dict(), tmp_path / "teacher.pth")
    loader = cfg.dataloader.train
    loader._target_ = BootstrappingTrainLoader
    loader.ratios = [1.0]
    loader.others = [
        L(InferenceBasedLoader)(
            teacher=cfg.model.copy(),
            weights=str(tmp_path / "teacher.pth"),
            frames=L(VideoKeyframeDataset)(files=[str(tmp_path / "figures.mkv")]),
            mapper=L(DatasetMapper)(is_train=False, image_format="BGR"),
            point_sampler=L(ChartPointSampler)(count_per_class=8),
            data_filter=L(ScoreBasedFilter)(min_score=0.0),  # nobody has trained it
            masks=False,
            files_at_once=1,
        )
    ]
    out = tmp_path / "out"
    short = ["total_batch_size=4"], [f"output_dir={out}", "max_iter=4", "log_period=1", "pictures=0"]
    LazyConfig.apply_overrides(cfg, [f"dataloader.train.{x}" for x in short[0]])
    LazyConfig.apply_overrides(cfg, [f"train.{x}" for x in short[1]])
    results = train(cfg)
    assert "densepose_gps" in results
    lines = [json.loads(line) for line in (out / "metrics.json").read_text().splitlines()]
    losses = [line["loss_densepose_I"] for line in lines if "loss_densepose_I" in line]
    assert len(losses) == 4
    assert all(np.isfinite(losses))
    # and goes on where it was
    LazyConfig.apply_overrides(cfg, ["train.max_iter=6"])
    train(cfg, resume=True)
    lines = [json.loads(line) for line in (out / "metrics.json").read_text().splitlines()]
    assert [line["iteration"] for line in lines if "loss_densepose_I" in line] == list(range(6))
