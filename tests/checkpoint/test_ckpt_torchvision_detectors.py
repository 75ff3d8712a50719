"""torchvision's detectors in ours: with the same weights the same objects are found in the same image."""

import re

import pytest
import torch
from torch import nn
from torchvision.models import detection
from torchvision.ops import FrozenBatchNorm2d

from lazycfg import instantiate, model_zoo
from lazycfg.checkpoint import (
    CheckpointError,
    WeightsMismatchError,
    convert_weights,
    download,
    load_weights,
    remote_file,
    save_converted,
    save_weights,
)
from lazycfg.checkpoint.adapters import ADAPTERS
from lazycfg.checkpoint.rules import Origin
from lazycfg.data.datasets.coco_classes import COCO_CLASSES
from lazycfg.engine import Predictor
from lazycfg.modeling import TorchvisionAnchorGenerator

SIZE = (160, 224)  # which the strides of the coarsest levels do not divide
PROPOSALS, DETECTIONS = 100, 30
LABELS = 5  # with the background
NAMES = [
    "fasterrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "fcos_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "maskrcnn_resnet50_fpn_v2",
    "retinanet_resnet50_fpn_v2",
]


def frozen(module):
    """What torchvision makes of a detector that is built for published weights."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features))
        else:
            frozen(child)


def theirs_of(name, labels=LABELS):
    torch.manual_seed(0)
    options = {"num_classes": labels, "min_size": SIZE[0], "max_size": SIZE[1]}
    if "rcnn" in name:
        options |= {"rpn_post_nms_top_n_test": PROPOSALS, "box_detections_per_img": DETECTIONS}
    model = getattr(detection, name)(weights=None, weights_backbone=None, **options).eval()
    if not name.endswith("_v2"):
        frozen(model)
    for key, value in model.state_dict().items():
        if key.endswith(("running_mean", ".bias")):
            value.uniform_(-0.1, 0.1)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif value.dim() == 1 and value.is_floating_point():
            value.uniform_(0.4, 0.8)
    if not name.startswith("fcos") and not name.endswith("_v2"):
        for module in model.modules():
            if isinstance(module, FrozenBatchNorm2d):
                module.eps = 0.0
    state = model.state_dict()
    if "rpn.head.cls_logits.weight" in state:
        state["rpn.head.cls_logits.weight"].mul_(30)
        state["roi_heads.box_predictor.cls_score.weight"].mul_(8)
        for key in ("rpn.head.bbox_pred.weight", "roi_heads.box_predictor.bbox_pred.weight"):
            state[key].mul_(2)
    else:
        logits = model.head.classification_head.cls_logits
        logits.weight.data.mul_(20)
        logits.bias.data.uniform_(-1, 1)
        logits.bias.data.view(-1, labels)[:, 0] = -100  # as training leaves the background
        logits.weight.data.view(-1, labels, 256, 3, 3)[:, 0] = 0
    return model


def ours_of(name, classes=LABELS - 1):
    cfg = model_zoo.get_config(f"torchvision/{name}")
    if "roi_heads" in cfg.model:
        cfg.model.roi_heads.num_classes = classes
        cfg.model.roi_heads.box_predictor.test_topk_per_image = DETECTIONS
        cfg.model.proposal_generator.post_nms_topk = (PROPOSALS, PROPOSALS)
    else:
        cfg.model.num_classes = classes
    return instantiate(cfg.model).eval()


@torch.no_grad()
def worst_differences(theirs, ours, size=SIZE):
    """Of all fields, after the same number of objects of the same classes was found, in any order."""
    image = torch.rand(3, *size)
    ours.paste_masks = False  # pasting differs by some pixels at the edges
    if hasattr(theirs, "roi_heads"):
        theirs.roi_heads.register_forward_hook(lambda module, inputs, output: raw.update(output[0][0]))
    raw = {}
    expected = theirs([image])[0]
    x0, y0, x1, y1 = expected["boxes"].unbind(1)
    there = (x1 > x0) & (y1 > y0)  # ours leaves out what is empty after clipping
    if "masks" in raw:
        expected["masks"] = raw["masks"][:, 0]
    expected = {key: value[there] for key, value in expected.items()}
    found = ours([{"image": image * 255}])[0]["instances"]
    assert len(found) == len(expected["boxes"]) > 20

    def place(boxes, scores, labels):
        return torch.cat([boxes, 1000 * scores[:, None], 1000 * labels[:, None]], dim=1)

    order = torch.cdist(
        place(expected["boxes"], expected["scores"], expected["labels"] - 1),
        place(found.pred_boxes.tensor, found.scores, found.pred_classes),
    ).argmin(dim=1)
    assert sorted(order.tolist()) == list(range(len(found)))
    found = found[order]
    assert torch.equal(found.pred_classes, expected["labels"] - 1)
    pairs = {"boxes": found.pred_boxes.tensor, "scores": found.scores}
    if "masks" in expected:
        pairs["masks"] = found.pred_masks.tensor
    if "keypoints" in expected:
        pairs["keypoints"] = found.pred_keypoints[..., :2]
        expected["keypoints"] = expected["keypoints"][..., :2]
    return {name: (value - expected[name]).abs().max().item() for name, value in pairs.items()}


def labels_of(name):
    return 2 if name.startswith("keypoint") else LABELS


@pytest.mark.parametrize("name", NAMES)
def test_the_same_objects_are_found(name):
    labels = labels_of(name)
    theirs, ours = theirs_of(name, labels), ours_of(name, labels - 1)
    report = load_weights(ours, theirs.state_dict())
    assert report.adapter.startswith("torchvision-")
    assert not report.problems
    assert not report.remarks
    assert {change.what for change in report.changes} <= {"changed", "made"}
    worst = worst_differences(theirs, ours)
    print(name, worst)
    assert worst.pop("boxes") < 1e-3
    assert worst.pop("keypoints", 0.0) < 1e-2
    assert max(worst.values()) < 1e-5  # scores, and probabilities of masks


@pytest.mark.parametrize("name", NAMES)
def test_there_and_back(name, tmp_path):
    """What comes back is the file, but for what theirs has of the background, which is never used."""
    theirs = theirs_of(name, labels_of(name)).state_dict()
    ours = convert_weights(theirs)
    assert not ours.left
    back = convert_weights(ours.state, target="torchvision")
    assert not back.left
    assert back.adapter == ours.adapter
    assert back.state.keys() == theirs.keys()
    unused = {
        "roi_heads.box_predictor.bbox_pred": 4,
        "roi_heads.mask_predictor.mask_fcn_logits": 1,
    }
    for key, value in theirs.items():
        rows = unused.get(key.rpartition(".")[0], 0)
        found = back.state[key]
        assert torch.equal(found[rows:], value[rows:]) if rows else torch.equal(found, value), key
    save_converted(back, tmp_path / "back.pth")
    model = getattr(detection, name)(weights=None, weights_backbone=None, num_classes=labels_of(name))
    if not name.endswith("_v2"):
        frozen(model)
    model.load_state_dict(torch.load(tmp_path / "back.pth", weights_only=True))


def test_the_labels_of_coco_become_its_80_classes():
    theirs = theirs_of("fasterrcnn_resnet50_fpn", 91).state_dict()
    score = theirs["roi_heads.box_predictor.cls_score.bias"]
    boxes = theirs["roi_heads.box_predictor.bbox_pred.bias"].view(91, 4)
    every = convert_weights(theirs).state
    assert torch.equal(every["roi_heads.box_predictor.cls_score.bias"], torch.cat([score[1:], score[:1]]))
    coco = convert_weights(theirs, classes="coco").state
    categories = detection.FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    for number, name in enumerate(COCO_CLASSES):
        label = categories.index(name)
        assert coco["roi_heads.box_predictor.cls_score.bias"][number] == score[label]
        assert torch.equal(coco["roi_heads.box_predictor.bbox_pred.bias"].view(80, 4)[number], boxes[label])
    assert coco["roi_heads.box_predictor.cls_score.bias"][80] == score[0]
    # a file that torchvision published says by its name that it is of COCO
    adapter = ADAPTERS["torchvision-rcnn"]
    published = Origin(theirs, "/cache/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth")
    assert len(adapter.convert("roi_heads.box_predictor.cls_score.bias", published)[0]) == 81
    mine = Origin(theirs, "/cache/fasterrcnn_resnet50_fpn_mine-258fb6c6.pth")
    assert len(adapter.convert("roi_heads.box_predictor.cls_score.bias", mine)[0]) == 91


def test_names_of_older_files():
    theirs = theirs_of("maskrcnn_resnet50_fpn").state_dict()
    old = {
        re.sub(r"(rpn\.head\.conv)\.0\.0", r"\1", re.sub(r"(_blocks\.\d)\.0", r"\1", key)): value
        for key, value in theirs.items()
    }
    old = {
        re.sub(r"mask_head\.(\d)\.0", lambda m: f"mask_head.mask_fcn{int(m[1]) + 1}", key): value
        for key, value in old.items()
    }
    assert old.keys() != theirs.keys()
    new = convert_weights(theirs)
    converted = convert_weights(old)
    assert not converted.left
    assert all(torch.equal(converted.state[key], value) for key, value in new.state.items())


def test_names_of_older_files_of_retinanet():
    theirs = theirs_of("retinanet_resnet50_fpn").state_dict()
    old = {
        re.sub(r"(head\.\w+\.conv)\.(\d)\.0", lambda m: f"{m[1]}.{2 * int(m[2])}", key): value
        for key, value in theirs.items()
    }
    assert "head.regression_head.conv.6.bias" in old
    new, converted = convert_weights(theirs), convert_weights(old)
    assert not converted.left
    assert all(torch.equal(converted.state[key], value) for key, value in new.state.items())


@pytest.mark.parametrize("weights", ["from_zoo", "FasterRCNN_ResNet50_FPN_Weights.COCO_V1"])
def test_published_weights_are_of_the_80_classes_of_coco(weights, tmp_path, monkeypatch):
    """As they would be downloaded: a file in the cache, and its name."""
    name = "torchvision/fasterrcnn_resnet50_fpn"
    monkeypatch.setenv("LAZYCFG_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(download, "_check_kept", lambda path, remote: None)
    file = remote_file(model_zoo.get_config(name).train.init_checkpoint).path
    file.parent.mkdir(parents=True)
    theirs = theirs_of("fasterrcnn_resnet50_fpn", 91)
    torch.save(theirs.state_dict(), file)
    if weights == "from_zoo":
        predictor = Predictor.from_zoo(name, device="cpu", fuse=False)
        assert predictor.metadata.thing_classes[33] == "kite"
        model = predictor.model
    else:
        model = instantiate(model_zoo.get_config(name).model)
        load_weights(model, weights)
    bias = model.roi_heads.box_predictor.cls_score.bias
    assert len(bias) == 81
    assert bias[33] == theirs.roi_heads.box_predictor.cls_score.bias[38]  # COCO's label of kites


def test_anchors_of_unknown_order_are_refused():
    theirs = theirs_of("fasterrcnn_resnet50_fpn").state_dict()
    theirs["rpn.head.cls_logits.weight"] = torch.zeros(15, 256, 1, 1)
    theirs["rpn.head.cls_logits.bias"] = torch.zeros(15)
    for call in (convert_weights, lambda state: load_weights(ours_of("fasterrcnn_resnet50_fpn"), state)):
        with pytest.raises(CheckpointError, match="15 anchors for each pixel, and their order is not known"):
            call(theirs)


def test_what_no_rule_is_about_is_left():
    theirs = theirs_of("fcos_resnet50_fpn").state_dict() | {"head.scales.0": torch.ones(1)}
    conversion = convert_weights(theirs)
    assert conversion.left == ("head.scales.0",)
    assert "left:\n       head.scales.0" in str(conversion)
    assert max(map(len, str(conversion).splitlines())) <= 80
    with pytest.raises(WeightsMismatchError, match=r"unexpected\s+head\.scales\.0"):
        load_weights(ours_of("fcos_resnet50_fpn"), theirs)


def test_a_bias_that_theirs_does_not_have_is_refused():
    ours = dict(convert_weights(theirs_of("retinanet_resnet50_fpn_v2").state_dict()).state)
    ours["head.cls_subnet.3.bias"] = ours["head.cls_subnet.3.bias"] + 1
    with pytest.raises(CheckpointError, match=r"head\.cls_subnet\.3\.bias is not 0"):
        convert_weights(ours, target="torchvision")


def test_a_model_that_does_not_suit_them_is_told():
    cfg = model_zoo.get_config("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x")
    cfg.model.roi_heads.num_classes = LABELS - 1
    model = instantiate(cfg.model)
    report = load_weights(model, theirs_of("maskrcnn_resnet50_fpn").state_dict())
    told = "\n".join(report.remarks)
    for word in (
        "expect RGB",
        "pixel_std",
        "TorchvisionAnchorGenerator",
        "box_pooler",
        "stride_in_1x1=False",
    ):
        assert word in told


@pytest.mark.parametrize("size", [(160, 224), (800, 1088), (64, 64), (32, 416)])
def test_anchors_are_those_of_torchvision(size):
    """Their distance on the coarse levels depends on the size of the batch."""
    sizes = [[x, int(x * 2 ** (1 / 3)), int(x * 2 ** (2 / 3))] for x in (32, 64, 128)]
    ratios = [0.5, 1.0, 2.0]
    maps = [torch.zeros(1, 1, -(-size[0] // stride), -(-size[1] // stride)) for stride in (16, 32, 64)]
    theirs = detection.anchor_utils.AnchorGenerator(tuple(map(tuple, sizes)), (tuple(ratios),) * 3)
    images = detection.image_list.ImageList(torch.zeros(1, 3, *size), [size])
    (expected,) = theirs(images, maps)
    ours = TorchvisionAnchorGenerator(sizes=sizes, aspect_ratios=ratios, strides=[16, 32, 64])(maps)
    by_ratio = [level.tensor.view(-1, 3, 3, 4).transpose(1, 2).reshape(-1, 4) for level in ours]
    assert torch.equal(torch.cat(by_ratio), expected)


def test_ours_to_detectron2_and_back(tmp_path):
    """The names and values are the same: only the file is of another form."""
    model = instantiate(model_zoo.get_config("COCO-Detection/retinanet_R_50_FPN_1x").model)
    save_weights(model, tmp_path / "ours.safetensors", metadata={"dataset": "{}"})
    conversion = convert_weights(tmp_path / "ours.safetensors", target="detectron2")
    assert (conversion.adapter, conversion.left) == ("none", ())
    save_converted(conversion, tmp_path / "theirs.pth")
    content = torch.load(tmp_path / "theirs.pth", weights_only=True)
    assert content.keys() == {"model"}
    back = convert_weights(tmp_path / "theirs.pth", origin="detectron2").state
    expected = model.state_dict()
    assert back.keys() == expected.keys()
    assert all(torch.equal(back[key], value) for key, value in expected.items())
