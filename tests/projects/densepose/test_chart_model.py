"""Chart models as a whole: training, inference, odd batches, waits, ops, graph breaks, other types."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._dynamo
import torch.distributed as dist
from small_densepose import KINDS, make_batch, small_config, small_model
from torch.nn.parallel import DistributedDataParallel

from lazycfg import instantiate
from lazycfg.modeling import GeneralizedRCNN
from lazycfg.projects.densepose import DensePoseChartPredictorOutputWithConfidences, DensePoseROIHeads
from lazycfg.structures import Boxes, Instances
from lazycfg.utils import SyncCounter
from lazycfg.utils.events import EventStorage

every_kind = pytest.mark.parametrize("kind", KINDS)
# The others share all that these tests look at
some_kinds = pytest.mark.parametrize(
    "kind",
    [
        kind if kind in ("charts", "deeplab_wc1m") else pytest.param(kind, marks=pytest.mark.slow)
        for kind in KINDS
    ],
)


def masks_for(kind: str) -> str:
    return "bitmasks" if kind == "masks" else "none"


def losses_of(model: torch.nn.Module, batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    with EventStorage(0):
        return model.train()(batch)


def names_of(kind: str) -> set[str]:
    uv = (
        {"loss_densepose_UV"} if kind in ("deeplab_wc1m", "wc2") else {"loss_densepose_U", "loss_densepose_V"}
    )
    return uv | {"loss_densepose_I", "loss_densepose_S"}


@every_kind
def test_every_parameter_of_the_branch_is_trained(kind: str) -> None:
    model = small_model(kind)
    losses = losses_of(model, make_batch(3, masks=masks_for(kind)))
    assert names_of(kind) <= set(losses)
    assert all(losses[name] > 0 for name in names_of(kind) - {"loss_densepose_UV"})
    sum(losses.values()).backward()
    without = {
        name
        for name, p in model.roi_heads.named_parameters()
        if p.grad is None or not torch.isfinite(p.grad).all()
    }
    assert not without
    idle = {n for n, p in model.roi_heads.named_parameters() if "densepose" in n and not p.grad.any()}
    # where it begins with nothing, what is before the last normalisation gets no gradient at first
    assert all("NLBlock" in name for name in idle), idle


@every_kind
@pytest.mark.parametrize("case", ["no objects", "no annotations", "one image of each"])
def test_batches_without_annotations(kind: str, case: str) -> None:
    """Losses of 0 that every parameter has a part in, and no loss of another image's annotations."""
    model = small_model(kind)
    batch = {
        "no objects": lambda: make_batch(2, empty=(0, 1), masks=masks_for(kind)),
        "no annotations": lambda: make_batch(2, bare=(0, 1), masks=masks_for(kind)),
        "one image of each": lambda: make_batch(3, empty=(0,), bare=(1,), masks=masks_for(kind)),
    }[case]()
    silent = kind == "masks" or case != "no annotations"
    with (
        contextlib.nullcontext()
        if silent
        else pytest.warns(UserWarning, match="no image of a batch has gt_dens")
    ):
        losses = losses_of(model, batch)
    sum(losses.values()).backward()
    branch = {n: p for n, p in model.roi_heads.named_parameters() if "densepose" in n or "decoder" in n}
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in branch.values())
    own = {name: losses[name].item() for name in names_of(kind)}
    if case != "one image of each":
        if kind == "masks" and case == "no annotations":
            assert own.pop("loss_densepose_S") > 0
        assert set(own.values()) == {0.0}
    else:
        assert own["loss_densepose_I"] > 0


def test_an_image_without_annotations_does_not_shift_the_others() -> None:
    """As it does in the reference, which takes the maps of another image."""
    model = small_model().train()
    annotated = make_batch(3)[2]
    plain = {**make_batch(1, bare=(0,))[0], "image": torch.zeros(3, 96, 96, dtype=torch.uint8)}
    with torch.no_grad():
        alone = losses_of(model, [{**annotated}])
        behind = losses_of(model, [plain, {**annotated}])
    # Other random proposals are drawn, which hardly matters to a mean over points
    assert behind["loss_densepose_I"].item() == pytest.approx(alone["loss_densepose_I"].item(), rel=0.15)
    assert behind["loss_densepose_S"].item() == pytest.approx(alone["loss_densepose_S"].item(), rel=0.15)


@some_kinds
def test_predictions(kind: str) -> None:
    model = small_model(kind).eval()
    with torch.no_grad():
        results = model(make_batch(2))
        assert model([]) == []
    for x in results:
        found = x["instances"]
        out = found.pred_densepose
        assert isinstance(out, DensePoseChartPredictorOutputWithConfidences)
        assert len(out) == len(found) > 0
        assert out.u.shape == (len(found), 25, 28, 28)
        assert out.coarse_segm.shape[1] == (15 if kind == "legacy" else 2)


def test_predictions_are_those_of_the_box() -> None:
    """Of given boxes in any order, and whatever boxes the other images have."""
    model = small_model().eval()
    batch = make_batch(2)
    boxes = [torch.tensor([[4.0, 5, 40, 50], [20, 10, 60, 61]]), torch.tensor([[10.0, 12, 60, 70]])]

    def ask(batch: list[dict[str, Any]], boxes: list[torch.Tensor]) -> list[Any]:
        given = [
            Instances(
                tuple(x["image"].shape[1:]), pred_boxes=Boxes(b), pred_classes=torch.zeros(len(b)).long()
            )
            for x, b in zip(batch, boxes, strict=True)
        ]
        with torch.no_grad():
            return [x.pred_densepose for x in model.inference(batch, given, do_postprocess=False)]

    first, second = ask(batch, boxes)
    assert (len(first), len(second)) == (2, 1)
    swapped = ask(batch, [boxes[0].flip(0), boxes[1]])[0]
    torch.testing.assert_close(swapped[1].u, first[0].u, rtol=1e-3, atol=1e-2)  # of some hundred
    one_empty = ask(batch, [boxes[0][:0], boxes[1]])
    assert len(one_empty[0]) == 0
    torch.testing.assert_close(one_empty[1].fine_segm, second.fine_segm, rtol=1e-3, atol=1e-2)


def test_without_detections_there_is_no_field() -> None:
    model = small_model().eval()
    model.roi_heads.box_predictor.test_score_thresh = 1.1
    with torch.no_grad():
        results = model(make_batch(2))
    assert not any(x["instances"].has("pred_densepose") for x in results)
    assert not any(len(x["instances"]) for x in results)


def test_a_model_without_losses_predicts_and_cannot_be_trained() -> None:
    model = small_model(densepose_losses=None, densepose_data_filter=None)
    with torch.no_grad():
        assert model.eval()(make_batch(1))[0]["instances"].has("pred_densepose")
    with pytest.raises(ValueError, match=r"cannot be trained without losses: model.roi_heads"):
        losses_of(model, make_batch(1))


def test_the_embedder_is_given_to_the_losses() -> None:
    seen = []

    def losses(proposals, outputs, embedder):
        seen.append((len(proposals), type(outputs).__name__, embedder))
        return {"loss_densepose_E": outputs.u.sum() * 0}

    model = small_model()
    heads = model.roi_heads
    assert isinstance(heads, DensePoseROIHeads)
    heads.embedder, heads.densepose_losses = torch.nn.Linear(2, 2), losses
    assert "loss_densepose_E" in losses_of(model, make_batch(2))
    assert seen == [(2, "DensePoseChartPredictorOutputWithConfidences", heads.embedder)]


# As Faster R-CNN, and once for the proposals that are trained on
WAITS = (3, 3)


@some_kinds
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_waits_and_ops(kind: str, training: bool) -> None:
    model = small_model(kind).train(training)
    counts = []
    for n in (1, 2, 8):
        batch = [make_batch(3, masks=masks_for(kind))[0]] * n
        with torch.set_grad_enabled(training), EventStorage(0):
            model(batch)  # anchors of a size are made once
            with SyncCounter() as counter:
                model(batch)
        counts.append(counter)
    assert [c.num_syncs for c in counts] == [WAITS[not training]] * 3, [c.waits() for c in counts]
    ops = [c.num_ops for c in counts]
    assert max(ops) - min(ops) <= 40, ops


def test_images_of_different_sizes_and_numbers_of_objects() -> None:
    model = small_model().train()
    counts = []
    for n in (3, 9):
        batch = make_batch(n, empty=(1,))
        with EventStorage(0):
            model(batch)
            with SyncCounter() as counter:
                model(batch)
        counts.append(counter)
    assert {c.num_syncs for c in counts} == {3}
    assert counts[1].num_ops - counts[0].num_ops <= 60, [c.num_ops for c in counts]


@pytest.fixture
def _dynamo():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("_dynamo")
@pytest.mark.parametrize("kind", ["charts", pytest.param("deeplab_wc1m", marks=pytest.mark.slow)])
def test_the_branch_is_compiled_whole(kind: str) -> None:
    heads = small_model(kind).roi_heads.eval()
    features = {f"p{k}": torch.randn(2, 16, 64 >> k, 96 >> k) for k in range(2, 6)}
    boxes = [Boxes([[1.0, 2, 30, 40], [5, 5, 40, 40]]), Boxes([[3.0, 2, 30, 40]])]

    def branch() -> torch.Tensor:
        return heads.densepose_predictor(heads.densepose_head(heads._pool(features, boxes))).u

    explained = torch._dynamo.explain(branch)()
    assert explained.graph_break_count == 0, explained.break_reasons


SEAMS = [
    "propose_and_sample(",
    "label_and_sample_proposals(",
    "fast_rcnn_inference(",
    "densepose_data_filter(",
    "check_parts(",
    "pack_points(",
    "pack_masks(",
]


@pytest.mark.slow
@pytest.mark.usefixtures("_dynamo")
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_the_model_is_cut_where_faster_rcnn_is(training: bool) -> None:
    """And where annotations are selected and packed."""
    model = small_model().train(training)
    with torch.set_grad_enabled(training), EventStorage(0):
        explained = torch._dynamo.explain(model)(make_batch(2))
    places = {reason.user_stack[-1].line for reason in explained.break_reasons}
    assert len(places) <= (6 if training else 2), places
    assert all(any(seam in place for seam in SEAMS) for place in places), places


@some_kinds
def test_half_precision(kind: str) -> None:
    model = small_model(kind)
    batch = make_batch(2, masks=masks_for(kind))
    expected = losses_of(model, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = losses_of(model, batch)
        sum(losses.values()).backward()
        with torch.no_grad():
            outputs = model.eval()(batch)
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
    for name in names_of(kind):
        assert losses[name].dtype == torch.float32
        assert losses[name].item() == pytest.approx(expected[name].item(), rel=0.15, abs=1e-2)
    assert len(outputs) == 2


def test_the_branch_on_the_meta_device() -> None:
    config = small_config("deeplab_wc1m")
    with torch.device("meta"):
        model = instantiate(config)
        assert isinstance(model, GeneralizedRCNN)
        features = {f"p{k}": torch.empty(2, 16, 64 >> k, 96 >> k) for k in range(2, 6)}
        boxes = [Boxes(torch.empty(2, 4)), Boxes(torch.empty(1, 4))]
        heads = model.roi_heads.eval()
        out = heads.densepose_predictor(heads.densepose_head(heads._pool(features, boxes)))
    assert all(p.is_meta for p in model.parameters())
    assert out.sigma_2.shape == (3, 25, 28, 28)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["charts", "wc2"])
def test_the_branch_learns(kind: str) -> None:
    """Parts and masks of one image are learnt by heart."""
    model = small_model(kind)
    batch = make_batch(1)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3)
    history = []
    for _ in range(40):
        losses = losses_of(model, batch)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        history.append({name: value.item() for name, value in losses.items()})
    for name in names_of(kind) - {"loss_densepose_UV"}:
        assert history[-1][name] < 0.75 * history[0][name], (name, history[0][name], history[-1][name])
    if kind == "wc2":
        assert history[-1]["loss_densepose_UV"] < history[0]["loss_densepose_UV"]


def _worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    for kind in ("deeplab_wc1m", "masks"):
        model = DistributedDataParallel(small_model(kind).train())
        for first in ({}, {"bare": (0, 1)}, {"empty": (0, 1)}):
            batch = make_batch(2, masks=masks_for(kind), **(first if rank == 0 else {}))
            with EventStorage(0):
                losses = model(batch)
            sum(losses.values()).backward()
            norms = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None])
            both = [torch.empty_like(norms) for _ in range(2)]
            dist.all_gather(both, norms)
            assert torch.equal(both[0], both[1])
            assert torch.isfinite(norms).all()
    dist.destroy_process_group()


@pytest.mark.slow
def test_processes_do_not_wait_for_one_that_has_no_annotations(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(_worker, args=(str(tmp_path),), nprocs=2, start_method="spawn")
