"""Continuous surface embeddings against numbers of the reference, with the hard and the soft loss."""

from pathlib import Path
from typing import Any

import parity_check
import pytest
import torch

from lazycfg import LazyConfig, instantiate
from lazycfg.projects import densepose
from lazycfg.projects.densepose import DensePoseDataRelative, DensePoseList, Mesh, SoftEmbeddingLoss

COMMON = Path(densepose.__file__).parent / "configs/common/densepose_cse_fpn.py"
VERTICES = 300  # in the place of 27554
NOTHING_SAMPLED_AWAY = [
    "model.proposal_generator.batch_size_per_image=40000",
    "model.proposal_generator.post_nms_topk=[100,60]",
    "model.roi_heads.batch_size_per_image=4096",
    "model.roi_heads.box_predictor.test_score_thresh=0.02",
    "model.roi_heads.box_predictor.test_topk_per_image=30",
    f"model.roi_heads.embedder.embedders.smpl_27554.num_vertices={VERTICES}",
    "model.roi_heads.embedder.embedders.smpl_27554.init_file=None",
]


def build_model() -> Any:
    cfg = LazyConfig.load(COMMON)
    LazyConfig.apply_overrides(cfg, NOTHING_SAMPLED_AWAY)
    return instantiate(cfg.model)


def annotation() -> DensePoseDataRelative:
    j = torch.arange(24)
    tile = torch.arange(256) // 64
    return DensePoseDataRelative(
        {
            "dp_x": (j * 37 + 5) % 256,
            "dp_y": (j * 53 + 9) % 256,
            "dp_vertex": (j * 41 + 13) % VERTICES,
            "ref_model": "smpl_27554",
            "dp_masks": ((tile[:, None] + tile) % 2).float(),
        }
    )


@pytest.fixture(autouse=True)
def _annotated(monkeypatch: pytest.MonkeyPatch) -> None:
    """All objects of an image but the last one carry the annotation."""
    make_instances = parity_check.make_instances

    def annotated(*args: Any) -> Any:
        x = make_instances(*args)
        datas = [*(annotation() for _ in range(len(x) - 1)), None]
        x.gt_densepose = DensePoseList(datas, x.gt_boxes.tensor, x.image_size)
        return x

    monkeypatch.setattr(parity_check, "make_instances", annotated)


@pytest.mark.slow
def test_equal_to_the_reference() -> None:
    golden = parity_check.load_golden("densepose_cse_R_50_FPN", Path(__file__).parent / "golden")
    model = build_model()
    parity_check.assert_golden(model, golden)
    model.zero_grad()
    i = torch.arange(VERTICES)
    distances = (i[:, None] - i).abs().float() / VERTICES
    model.roi_heads.densepose_losses.embed_loss = SoftEmbeddingLoss(
        meshes={"smpl_27554": Mesh(name="smpl_27554", geodists=distances)}
    )
    golden["train"].update(golden["soft"])
    parity_check.assert_training(model, golden)
