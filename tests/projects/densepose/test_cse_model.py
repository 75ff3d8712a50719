"""A small model of surface embeddings on the figures: steps, empty batches, waits, types of numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch._dynamo

from lazycfg import LazyConfig, instantiate
from lazycfg.projects import densepose
from lazycfg.projects.densepose import (
    DensePoseEmbeddingPredictorOutput,
    PixToShapeCycleLoss,
    find_closest_vertices,
)
from lazycfg.structures import Boxes, Instances
from lazycfg.utils import SyncCounter
from lazycfg.utils.events import EventStorage

CONFIG = Path(densepose.__file__).parent / "configs" / "quickstart_densepose_cse_figures.py"


@pytest.fixture
def cfg(figures: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DETECTRON2_DATASETS", str(figures.parent))
    cfg = LazyConfig.load(CONFIG)
    cfg.dataloader.train.total_batch_size = 4
    return cfg


@pytest.fixture
def model(cfg: Any) -> Any:
    torch.manual_seed(0)
    return instantiate(cfg.model)


@pytest.fixture
def batch(cfg: Any) -> list[dict[str, Any]]:
    return next(iter(instantiate(cfg.dataloader.train)))


def losses_of(model: Any, batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    with EventStorage():
        return model.train()(batch)


def test_a_training_step(model: Any, batch: list[dict[str, Any]]) -> None:
    losses = losses_of(model, batch)
    assert set(losses) == {
        "loss_cls",
        "loss_box_reg",
        "loss_rpn_cls",
        "loss_rpn_loc",
        "loss_densepose_S",
        "loss_densepose_Efigure",
    }
    assert losses["loss_densepose_Efigure"] > 0
    sum(losses.values()).backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert all(g is not None and torch.isfinite(g).all() for g in grads.values())
    assert grads["roi_heads.embedder.embedder_figure.embeddings"].abs().sum() > 0


def without_objects(sample: dict[str, Any]) -> dict[str, Any]:
    return {**sample, "instances": sample["instances"][torch.zeros(0, dtype=torch.int64)]}


def without_annotation(sample: dict[str, Any]) -> dict[str, Any]:
    old = sample["instances"]
    fields = {name: value for name, value in old.get_fields().items() if name != "gt_densepose"}
    return {**sample, "instances": Instances(old.image_size, **fields)}


@pytest.mark.filterwarnings("ignore:DensePose. no image of a batch has gt_densepose")
@pytest.mark.parametrize("change", [without_objects, without_annotation])
def test_nothing_to_learn(model: Any, batch: list[dict[str, Any]], change: Any) -> None:
    losses = losses_of(model, [change(sample) for sample in batch])
    assert losses["loss_densepose_Efigure"].item() == losses["loss_densepose_S"].item() == 0
    sum(losses.values()).backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    # processes wait for each other's gradients, of all parameters
    assert {name for name, g in grads.items() if g is None} == set()
    assert all(torch.isfinite(g).all() for g in grads.values())
    mixed = losses_of(model, [change(batch[0]), *batch[1:]])
    assert mixed["loss_densepose_Efigure"] > 0


def test_inference(model: Any, batch: list[dict[str, Any]]) -> None:
    model.eval()
    with torch.no_grad():
        outputs = model(batch)
    for x in (output["instances"] for output in outputs):
        assert len(x) > 0
        assert isinstance(x.pred_densepose, DensePoseEmbeddingPredictorOutput)
        assert x.pred_densepose.embedding.shape == (len(x), 16, 56, 56)
        embedder = model.roi_heads.embedder
        names = embedder.mesh_names_of(x.pred_classes.tolist())
        found = find_closest_vertices(x.pred_densepose, x.pred_boxes.tensor, names, embedder)
        assert all(each.vertices.max() < 530 for each in found)
    model.roi_heads.box_predictor.test_score_thresh = 1.0
    with torch.no_grad():
        assert all(len(output["instances"]) == 0 for output in model(batch))
    given = Instances(batch[0]["image"].shape[1:])
    given.pred_boxes = Boxes(torch.tensor([[5.0, 5, 60, 90]]))
    given.pred_classes = torch.tensor([0])
    with torch.no_grad():
        (x,) = model.inference(batch[:1], detected_instances=[given], do_postprocess=False)
    assert len(x.pred_densepose) == 1


def test_half_precision(model: Any, batch: list[dict[str, Any]]) -> None:
    expected = losses_of(model, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = losses_of(model, batch)
        sum(losses.values()).backward()
    for name in ("loss_densepose_S", "loss_densepose_Efigure"):
        assert losses[name].item() == pytest.approx(expected[name].item(), rel=0.1)
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert len(model.eval()(batch)) == len(batch)


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_waits_and_ops(model: Any, batch: list[dict[str, Any]], training: bool) -> None:
    model.train(training)
    model.roi_heads.box_predictor.test_topk_per_image = 5
    counts = []
    for n in (1, 2, 8):
        images = [batch[0]] * n
        with torch.set_grad_enabled(training), EventStorage():
            model(images)
            with SyncCounter() as counter:
                model(images)
        counts.append(counter)
    # as Mask R-CNN
    assert [c.num_syncs for c in counts] == [3] * 3, [c.waits() for c in counts]
    ops = [c.num_ops for c in counts]
    assert max(ops) - min(ops) <= 60, ops


@pytest.fixture
def _dynamo():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("_dynamo")
def test_parts_are_compiled_whole(model: Any) -> None:
    heads = model.roi_heads.eval()
    embeddings, masks = torch.randn(2, 16, 8, 8), torch.ones(2, 8, 8)
    cases = [
        (lambda x: heads.densepose_predictor(heads.densepose_head(x)), (torch.randn(2, 64, 14, 14),)),
        (heads.embedder, ("figure",)),
        (PixToShapeCycleLoss(), (embeddings, masks, heads.embedder, ["figure"])),
    ]
    for part, arguments in cases:
        explained = torch._dynamo.explain(part)(*arguments)
        assert explained.graph_break_count == 0, explained.break_reasons


def test_on_the_meta_device(cfg: Any) -> None:
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert all(p.is_meta for p in model.parameters())
    state = instantiate(cfg.model).state_dict()
    model.to_empty(device="cpu").load_state_dict(state)
    assert torch.equal(
        model.roi_heads.embedder("figure").norm(dim=1) > 0.99, torch.ones(530, dtype=torch.bool)
    )


@pytest.mark.slow
def test_learns(model: Any, batch: list[dict[str, Any]]) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    values = []
    for _ in range(30):
        losses = losses_of(model, batch)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        values.append(losses["loss_densepose_Efigure"].item())
    assert sum(values[-3:]) / 3 < 0.6 * values[0], values
