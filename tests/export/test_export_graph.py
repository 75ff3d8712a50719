"""A detector as a function of one tensor: what it finds is what the model finds, padded."""

import sys
from pathlib import Path

import pytest
import torch

from lazycfg.export import Bounds, ExportError, refusal, trace_detector
from lazycfg.export.checking import compare, eager_results
from lazycfg.export.graph import Limits, graph_of
from lazycfg.modeling import (
    RPN,
    FastRCNNOutputLayers,
    KRCNNConvDeconvUpsampleHead,
    RetinaNet,
    StandardROIHeads,
)
from lazycfg.structures import Boxes, Instances

sys.path.insert(0, str(Path(__file__).parents[1] / "modeling"))
from tiny_families import FAMILIES, family, make_inputs

sys.path.pop(0)

EXACT = Bounds(boxes=1e-4, scores=1e-6, masks=1e-6, heatmaps=1e-4, ties=0)


def batches(size=(64, 96), number=2, count=1):
    images = [x["image"] for x in make_inputs(number * count, sizes=[size])]
    return [torch.stack(images[i * number : (i + 1) * number]) for i in range(count)]


@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
@pytest.mark.parametrize("name", ["retinanet", "fcos", "faster", "mask", "cascade", "keypoint"])
@torch.no_grad()
def test_the_graph_finds_what_the_model_finds(name, size):
    model = family(name).eval()
    if name == "keypoint":  # whose scores are all 1 otherwise
        for p in model.roi_heads.box_predictor.parameters():
            p.mul_(0.02)
    given = batches(size)
    graph = graph_of(model)(model, size, 2)
    found = compare(graph, given, eager_results(model, given), graph.limits(), EXACT)
    assert found.detections > 40
    assert ("masks" in found.largest) == (name in ("mask", "cascade"))
    assert ("heatmaps" in found.largest) == (name == "keypoint")
    assert found.ties == found.at_the_border == 0


@pytest.mark.slow
@torch.no_grad()
def test_the_graph_of_a_c4_model():
    model = family("c4").eval()
    predictor = model.roi_heads.box_predictor
    predictor.test_topk_per_image = 5
    for p in predictor.parameters():  # of a network that deep they are nothing but noise
        p.mul_(1e-4)
    given = batches(number=1)
    graph = graph_of(model)(model, (64, 96), 1)
    assert compare(graph, given, eager_results(model, given), graph.limits(), EXACT).detections == 5


@torch.no_grad()
def test_what_is_padding_says_so():
    model = family("mask").eval()
    found = graph_of(model)(model, (64, 96), 2)(batches()[0].float())
    assert {name: tuple(x.shape) for name, x in found.items()} == {
        "boxes": (2, 100, 4),
        "scores": (2, 100),
        "classes": (2, 100),
        "count": (2,),
        "truncated": (2,),
        "masks": (2, 100, 28, 28),
    }
    there = torch.arange(100) < found["count"][:, None]
    assert 0 < int(there.sum()) < 200
    assert (found["classes"] >= 0).equal(there)
    for name in ("boxes", "scores", "masks"):
        assert not found[name][~there].any()
    assert (found["scores"][:, 1:] <= found["scores"][:, :-1]).all()  # best first


@torch.no_grad()
def test_a_limit_that_left_out_boxes_is_told():
    model = family("retinanet").eval()
    model.test_nms_thresh = 0.0
    given = batches()
    expected = eager_results(model, given)
    graph = graph_of(model)(model, (64, 96), 2, candidates=5)
    assert graph(given[0].float())["truncated"].all()
    with pytest.raises(ExportError, match="raise candidates"):
        compare(graph, given, expected, graph.limits(), EXACT)
    model.max_detections_per_image = 2  # found among the first five
    assert not graph_of(model)(model, (64, 96), 2, candidates=5)(given[0].float())["truncated"].any()


REFUSED = {
    "panoptic": "merges its instances with a map of classes on the host",
    "rpn": "ProposalNetwork is none of RetinaNet, FCOS and GeneralizedRCNN",
    "semantic": "SemanticSegmentor is none of",
}


@pytest.mark.parametrize("name", FAMILIES)
def test_what_cannot_be_exported_is_refused_with_a_reason(name, monkeypatch):
    model = family(name).eval()
    reason = refusal(model)
    if name not in REFUSED:
        assert reason is None
        return
    assert REFUSED[name] in reason

    def never(*_, **__):
        raise AssertionError("traced")

    monkeypatch.setattr(torch.export, "export", never)
    with pytest.raises(ExportError, match="cannot be exported"):
        trace_detector(model, size=(64, 96))


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "export.md"
ROWS = {
    "retinanet": "`RetinaNet`, `FCOS`",
    "fcos": "`RetinaNet`, `FCOS`",
    "faster": "Faster and Mask R-CNN with FPN",
    "mask": "Faster and Mask R-CNN with FPN",
    "cascade": "Cascade R-CNN",
    "c4": "C4 models (`Res5ROIHeads`)",
    "keypoint": "Keypoint R-CNN",
    "panoptic": "Panoptic FPN",
    "rpn": "`ProposalNetwork`, `SemanticSegmentor`",
    "semantic": "`ProposalNetwork`, `SemanticSegmentor`",
}


def test_the_page_says_which_families_can_be_exported():
    table = PAGE.read_text(encoding="utf-8").partition("## Which models")[2]
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line[:1] == "|"
    ]
    answers = {label: (pt2[:3].strip(":"), onnx[:3].strip(":")) for label, pt2, onnx in cells}
    assert set(ROWS) == set(FAMILIES)
    for name, label in ROWS.items():
        assert answers[label] == (("no", "no") if name in REFUSED else ("yes", "yes")), name


class OwnNMS(RetinaNet):
    def detect_batch(self, anchors, scores, deltas, image_sizes):
        return super().detect_batch(anchors, scores, deltas, image_sizes)


class OwnScores(RetinaNet):
    def score_places(self, predictions):
        scores, deltas = super().score_places(predictions)
        return [x * 0.9 for x in scores], deltas


class OwnProposals(RPN):
    def predict_proposals(self, *args):
        return super().predict_proposals(*args)


class OwnInference(FastRCNNOutputLayers):
    def inference(self, predictions, proposals):
        return super().inference(predictions, proposals)


def test_methods_that_would_not_be_called_are_named():
    dense, mask = family("retinanet"), family("mask")
    dense.__class__ = OwnNMS
    assert refusal(dense) == "model is a OwnNMS with a detect_batch of its own, which would not be called"
    dense.__class__ = OwnScores
    assert refusal(dense) is None
    mask.proposal_generator.__class__ = OwnProposals
    assert "model.proposal_generator is a OwnProposals with a predict_proposals" in refusal(mask)
    mask.proposal_generator.__class__ = RPN
    mask.roi_heads.box_predictor.__class__ = OwnInference
    assert "OwnInference with a inference of its own" in refusal(mask)


class MoreHeads(StandardROIHeads):
    def forward_with_given_boxes(self, features, instances):
        for x in super().forward_with_given_boxes(features, instances):
            x.pred_weights = x.scores * 2
        return instances


def test_what_would_be_left_out_is_told():
    model = family("faster").eval()
    model.roi_heads.__class__ = MoreHeads
    assert refusal(model) is None
    with pytest.raises(ExportError, match="the model predicts pred_weights, too, which is not exported"):
        eager_results(model, batches())


class OwnKeypoints(KRCNNConvDeconvUpsampleHead):
    def forward(self, x, instances):
        return super().forward(x, instances)


def test_a_keypoint_head_with_a_reading_of_its_own_is_refused():
    model = family("keypoint")
    model.roi_heads.keypoint_head.__class__ = OwnKeypoints
    assert "model.roi_heads.keypoint_head is a OwnKeypoints with a forward" in refusal(model)


def test_no_limit_is_refused():
    model = family("mask")
    model.roi_heads.box_predictor.test_topk_per_image = -1
    assert "test_topk_per_image=-1 is no limit" in refusal(model)


@torch.no_grad()
def test_what_a_subclass_adds_to_the_scores_is_in_the_graph():
    model = family("retinanet").eval()
    model.__class__ = OwnScores
    given = batches()
    graph = graph_of(model)(model, (64, 96), 2)
    assert compare(graph, given, eager_results(model, given), graph.limits(), EXACT).detections > 10


LIMITS = Limits(num_classes=3, score_thresh=0.1, nms_thresh=0.5, max_detections=4)
BOXES = [[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 40.0, 44.0]]


def expected(boxes, scores, classes):
    found = Instances((50, 50), pred_boxes=Boxes(torch.tensor(boxes)), scores=torch.tensor(scores))
    found.pred_classes = torch.tensor(classes)
    return found


def outputs(boxes, scores, classes, truncated=False):
    def run(images):
        return {
            "boxes": torch.tensor([boxes]),
            "scores": torch.tensor([scores]),
            "classes": torch.tensor([classes]),
            "count": torch.tensor([len(scores)]),
            "truncated": torch.tensor([truncated]),
        }

    return run


def compared(found, wanted, bounds=None):
    run, images = outputs(*found), [torch.zeros(1, 3, 50, 50)]
    return compare(run, images, [[expected(*wanted)]], LIMITS, bounds or Bounds())


def test_the_largest_differences_are_told():
    moved = [[0.0, 0.0, 10.0, 10.03125], BOXES[1]]
    found = compared((moved, [0.9, 0.5], [0, 1]), (BOXES, [0.9, 0.5005], [0, 1]))
    assert found.largest == {"boxes": 0.03125, "scores": pytest.approx(5e-4, rel=1e-3)}
    text = "2 detections in 1 images; largest differences: boxes 0.031 px, scores 0.0005"
    assert str(found) == text


def test_equal_scores_may_come_in_any_order():
    swapped = (BOXES[::-1], [0.9, 0.9], [1, 0])
    assert compared(swapped, (BOXES, [0.9, 0.9], [0, 1])).detections == 2


@pytest.mark.parametrize(
    ("boxes", "scores", "classes"),
    [
        ([[0.0, 0.0, 10.0, 10.1], BOXES[1]], [0.9, 0.5], [0, 1]),
        (BOXES, [0.9, 0.502], [0, 1]),
        (BOXES, [0.9, 0.5], [0, 2]),
        (BOXES[:1], [0.9], [0]),
        ([*BOXES, [1.0, 2.0, 3.0, 4.0]], [0.9, 0.5, 0.2], [0, 1, 2]),
    ],
)
def test_a_difference_beyond_the_bounds_is_an_error(boxes, scores, classes):
    with pytest.raises(ExportError, match="disagrees with the model"):
        compared((boxes, scores, classes), (BOXES, [0.9, 0.5], [0, 1]))
    with pytest.raises(ExportError, match="disagrees with the model"):
        compared((BOXES, [0.9, 0.5], [0, 1]), (boxes, scores, classes))


def test_what_the_threshold_lets_through_by_a_hair_may_be_missing():
    found = compared((BOXES[:1], [0.9], [0]), (BOXES, [0.9, 0.1005], [0, 1]))
    assert (found.detections, found.at_the_border) == (1, 1)
    with pytest.raises(ExportError, match="1 detections are of one of them only"):
        compared((BOXES[:1], [0.9], [0]), (BOXES, [0.9, 0.15], [0, 1]))


def test_nms_may_choose_otherwise_between_equal_scores():
    near = [[0.0, 0.0, 10.0, 8.0], BOXES[1]]
    bounds = Bounds(ties=2)
    found = compared((near, [0.9, 0.5], [0, 1]), (BOXES, [0.9, 0.5], [0, 1]), bounds)
    assert (found.detections, found.ties) == (1, 2)
    with pytest.raises(ExportError, match="so many ties are no ties"):
        compared((near, [0.9, 0.5], [0, 1]), (BOXES, [0.9, 0.5], [0, 1]))
    with pytest.raises(ExportError, match="2 detections are of one of them only"):
        compared((near, [0.8, 0.5], [0, 1]), (BOXES, [0.9, 0.5], [0, 1]), bounds)
