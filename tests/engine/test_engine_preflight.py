"""What is wrong with a run is known before its first step, all of it, with the place and the remedy.

Each odd run ends in one of two ways: it is refused before anything is trained or written, or it is right.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from odd_runs import OwnDataset, OwnEvaluator, job, outcome, write_data
from PIL import Image
from torch.optim.lr_scheduler import StepLR
from toy_job import ToyModel

from lazycfg import LazyCall as L
from lazycfg import LazyConfig
from lazycfg.data import CocoDataset, DatasetMapper, FilteredDataset
from lazycfg.data import transforms as T
from lazycfg.engine import CallbackHook, EarlyStopping, HookBase, PreflightError, train
from lazycfg.evaluation import COCOEvaluator
from lazycfg.modeling import DataNeeds, StandardROIHeads
from lazycfg.solver import CosineParamScheduler
from lazycfg.structures import Instances

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(training file, test file), two classes, masks and five keypoints."""
    folder = tmp_path_factory.mktemp("data")
    return write_data(folder, "train", keypoints=5), write_data(folder, "val", keypoints=5)


def refused(cfg, *words, overrides=()):
    how, message = outcome(cfg, overrides)
    assert how == "refused", message
    for word in words:
        assert word in message, message
    return message


def trained(cfg, overrides=()):
    how, results = outcome(cfg, overrides)
    assert how == "trained", results
    return results


def test_a_sound_run_trains(files, tmp_path):
    assert "bbox" in trained(job(tmp_path, *files, masks=True))


# Values of the config: overrides, and what the message has

ODD_VALUES = [
    (["++train.amp=true"], ["train.amp", "train.amp.enabled=true"]),
    (["++train.output_dir=2024"], ["train.output_dir=2024", "./2024"]),
    (["++train.max_iter=9.5"], ["train.max_iter=9.5"]),
    (["++train.max_iter=true"], ["train.max_iter=True"]),
    (["train.max_iter=-1"], ["at least 1"]),
    (["train.hooks=[1]"], ["train.hooks.0", "no hook"]),
    (["train.hooks=[none]"], ["train.hooks.0", "no hook"]),
    (["train.device=gpu"], ["train.device='gpu'", "train.device=cuda"]),
    (["train.device=float8"], ["train.device"]),
    (["train.device=meta"], ["train.device"]),
    (["train.device=cuda:99"], ["cuda:99"]),
    (["train.amp.dtype=float8"], ["float8", "bfloat16"]),
    (["train.amp.dtype=float32"], ["float32", "bfloat16"]),
    (["train.amp.enabled=1"], ["train.amp.enabled"]),
    (["dataloader.train.total_batch_size=0"], ["dataloader.train.total_batch_size=0"]),
    (["dataloader.test.batch_size=0"], ["dataloader.test: batch_size=0", "at least 1"]),
    (["optimizer=null"], ["no optimizer"]),
    (["dataloader.train=null"], ["no dataloader.train"]),
    (["model=null"], ["no model"]),
    (["++lr_multiplier=0.1"], ["lr_multiplier: 0.1", "lr_multiplier=None"]),
    (["++lr_multiplier=cosine"], ["lr_multiplier: 'cosine'"]),
    (["+lr_multipler=1"], ["lr_multipler", "did you mean 'lr_multiplier'"]),
    (["+optimiser={}"], ["optimiser", "'optimizer'"]),
    (["+modle=1"], ["modle", "'model'"]),
    (["+dataloader.evalutor=1"], ["dataloader.evalutor", "'evaluator'"]),
    (["+dataloader.trian=1"], ["dataloader.trian", "'train'"]),
    (["+train.max_itre=3"], ["train.max_itre", "'max_iter'"]),
    (["train.checkpointer.period=0.5"], ["train.checkpointer.period=0.5"]),
    (["train.checkpointer.max_to_keep=0"], ["train.checkpointer.max_to_keep=0"]),
    (["++train.checkpointer=100"], ["train.checkpointer", "train.checkpointer.period=100"]),
    (["train.log_period=0"], ["train.log_period=0"]),
    (["train.accumulate=1.5"], ["train.accumulate=1.5"]),
    (["train.eval_period=-5"], ["train.eval_period=-5"]),
    (["train.pictures=many"], ["train.pictures", "'many'"]),
    (["train.font=no.ttf"], ["train.font", "no.ttf", "train.font=null"]),
    (["++train.font=3"], ["train.font=3"]),
    (["train.seed=1.5"], ["train.seed"]),
    (["++train.init_ignore=roi_heads.*"], ["train.init_ignore", '["roi_heads.*"]']),
    (["train.init_checkpoint=3"], ["train.init_checkpoint=3"]),
    (["train.init_checkpoint=nowhere.pth"], ["nowhere.pth"]),
    (
        ["train.init_checkpoint=detectron2://DeepLab/R-52.pkl"],
        ["LAZYCFG_OFFLINE", "https://dl.fbaipublicfiles.com/detectron2/DeepLab/R-52.pkl", "put it at"],
    ),
    (["train.channels_last=3"], ["train.channels_last"]),
    (["train.tensorboard=maybe"], ["train.tensorboard"]),
    (["train.preflight=maybe"], ["train.preflight"]),
    (["train.dist_timeout_minutes=soon"], ["train.dist_timeout_minutes"]),
    (["train.ddp.static=true"], ["train.ddp.static"]),
    (["+train.ddp.static=true"], ["train.ddp.static", "static_graph"]),
    (["train.best_metric=bbox/APP"], ["train.best_metric", "'bbox/AP'"]),
    (["++train.clip_grad=1.0"], ["train.clip_grad: 1.0", "ClipGradNorm"]),
    (["optimizer.lr=-1"], ["optimizer", "learning rate"]),
    (["optimizer.params.overrides={no_such_name: {lr: 1.0}}"], ["no_such_name", "matches no parameter"]),
    (["dataloader.test=null"], ["dataloader.test", "dataloader.evaluator=None"]),
    (["dataloader.evaluator=null", "train.best_metric=bbox/AP"], ["train.best_metric"]),
    (["dataloader.evaluator.tasks=[segm]"], ["segm"]),
    (["dataloader.evaluator.tasks=[boxes]"], ["boxes"]),
    (["dataloader.test.mapper.image_format=RGB"], ["dataloader.test.mapper.image_format", "=BGR"]),
    (["dataloader.train.mapper.image_format=RGB"], ["dataloader.train.mapper.image_format", "=BGR"]),
    (["model.input_format=RGB"], ["mapper.image_format=RGB", "model.input_format=BGR"]),
    (["model.roi_heads.num_classes=1"], ["model.roi_heads.num_classes=2", "background"]),
    (["model.roi_heads.num_classes=80"], ["model.roi_heads.num_classes=2", "78 would never be trained"]),
    (["model.roi_heads.box_predictor.num_classes=5"], ["model.roi_heads.box_predictor.num_classes=2"]),
    (["dataloader.train.dataset.json_file=no.json"], ["no.json"]),
    (["dataloader.test.dataset.json_file=no.json"], ["no.json"]),
    (["dataloader.train.mapper.use_keypoint=true"], ["keypoint_hflip_indices"]),
    (["dataloader.train.mapper.recompute_boxes=true"], ["use_instance_mask"]),
    (["model.backbone.in_features=[res2,res9]"], ["model.backbone", "res9"]),
    (["model.backbone.out_channels=48"], ["model"]),
    (["model.pixel_mean=[1.0,2.0]"], ["pixel_mean"]),
    (
        ["model.roi_heads.box_predictor.test_score_thresh=2.0"],
        ["box_predictor.test_score_thresh=2.0", "at most 1"],
    ),
    (["++model.roi_heads.box_predictor.test_nms_thresh=50"], ["test_nms_thresh=50", "a fraction of 1"]),
    (["model.roi_heads.box_predictor.test_topk_per_image=0"], ["test_topk_per_image=0", "at least 1"]),
    (["model.roi_heads.batch_size_per_image=0"], ["model.roi_heads.batch_size_per_image=0"]),
    (["model.roi_heads.positive_fraction=25.0"], ["model.roi_heads.positive_fraction=25.0"]),
    (["model.proposal_generator.nms_thresh=-1.0"], ["model.proposal_generator.nms_thresh=-1.0"]),
]


@pytest.mark.parametrize(("overrides", "words"), ODD_VALUES, ids=[" ".join(o) for o, _ in ODD_VALUES])
def test_odd_values_are_refused(files, tmp_path, overrides, words):
    refused(job(tmp_path, *files), *words, overrides=overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["lr_multiplier=null"],
        ["dataloader.test=null", "dataloader.evaluator=null"],
        ["+model_ema={decay: 0.9}", "+data={size: 3}", "+sizes=[1,2]"],
        ["+my_rate=0.01", "optimizer.lr=${my_rate}"],
        ["+lr_multiplied=0.01", "optimizer.lr=${lr_multiplied}"],
        ["train.seed=null"],
        ["train.amp.enabled=true"],
        ["train.preflight=false"],
        ["model.roi_heads.num_classes=80", "train.extra_classes=true"],
        ["train.best_metric=bbox/AP-a"],
        ["dataloader.train.num_workers=1", "dataloader.test.num_workers=1"],
        ["dataloader.evaluator.tasks=[bbox]"],
        ["model.input_format=RGB", "**.image_format=RGB"],
        ["train.clip_grad=null"],
    ],
)
def test_what_is_meant_is_taken(files, tmp_path, overrides):
    trained(job(tmp_path, *files), overrides)


def test_all_problems_are_told_at_once(files, tmp_path):
    cfg = job(tmp_path, *files)
    cfg.train.max_iter, cfg.train.amp, cfg.lr_multipler = True, True, 1
    cfg.dataloader.train.samplr = 3
    message = refused(cfg, "train.max_iter=True", "train.amp", "lr_multipler", "dataloader.train.samplr")
    assert message.startswith("4 problems")


def test_what_does_not_fit_is_told_at_once(files, tmp_path):
    cfg = job(tmp_path, *files, num_classes=7)
    cfg.dataloader.test.mapper.image_format = "RGB"
    cfg.lr_multiplier = lambda where: -1.0
    cfg.train.init_checkpoint = "nowhere.pth"
    with pytest.raises(PreflightError) as caught:
        train(cfg)
    places = {problem.where for problem in caught.value.problems}
    assert {
        "model.roi_heads.num_classes",
        "dataloader.test.mapper.image_format",
        "lr_multiplier",
        "train.init_checkpoint",
    } <= places
    assert not (tmp_path / "out").exists()


def test_a_part_that_gets_another_shape_is_named(files, tmp_path):
    cfg = job(tmp_path, *files)
    cfg.model.roi_heads.box_head.fc_dims = [12]
    message = refused(cfg, "in training", "at inference", "with input of shape (")
    assert message.count("raised in Linear at 'roi_heads.box_predictor.cls_score' of the model") == 2


def test_parts_that_cannot_be_built_are_told_at_once(files, tmp_path):
    cfg = job(tmp_path, *files)
    cfg.model.backbone.in_features = ["res9"]
    cfg.dataloader.train.dataset.json_file = "no_train.json"
    cfg.dataloader.test.dataset.json_file = "no_test.json"
    refused(cfg, "res9", "no_train.json", "no_test.json")


def test_a_value_to_be_filled_in_is_named_where_it_stands(tmp_path):
    from lazycfg import model_zoo

    cfg = model_zoo.get_config("quickstart/mask_rcnn_coco_json.py")
    cfg.data.train_json = "train.json"
    cfg.train.output_dir = str(tmp_path / "out")
    message = refused(cfg, "data.test_json")
    assert "dataloader.test" not in message
    assert "remedy: data.test_json=" in message


# Schedules


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (L(StepLR)(step_size=3), ["optimizer"]),
        (
            L(torch.optim.lr_scheduler.StepLR)(optimizer="${optimizer}", step_size=3),
            ["StepLR", "train.hooks"],
        ),
        (CosineParamScheduler, ["CosineParamScheduler is a class"]),
        (lambda where: "fast", ["0 of the training"]),
        (lambda where: math.nan, ["nan"]),
        (lambda: 1.0, ["fails at 0"]),
        (lambda where: 1 / (0.5 - where), ["fails at 0.5"]),
        (True, ["lr_multiplier: True"]),
    ],
)
def test_what_is_no_schedule_is_refused(files, tmp_path, schedule, words):
    cfg = job(tmp_path, *files)
    cfg.lr_multiplier = schedule
    refused(cfg, "lr_multiplier", *words)


def test_a_plain_function_is_a_schedule(files, tmp_path):
    cfg = job(tmp_path, *files)
    cfg.lr_multiplier = lambda where: 1.0 - where
    trained(cfg)
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.json").read_text().splitlines()]
    rates = [line["lr"] for line in lines if "lr" in line]
    assert rates == pytest.approx([cfg.optimizer.lr, 0.5 * cfg.optimizer.lr])


# Hooks and results


def test_early_stopping_must_watch_a_result_that_there_is(files, tmp_path):
    cfg = job(tmp_path, *files)
    cfg.train.hooks = [L(EarlyStopping)(metric="box/AP")]
    refused(cfg, "train.hooks.0.metric", "'bbox/AP'")
    cfg.train.hooks = [L(CallbackHook)(), L(EarlyStopping)(metric="bbox/AP")]
    trained(cfg)


# The output folder


def test_a_file_is_no_output_folder(files, tmp_path):
    (tmp_path / "out").write_text("x")
    refused(job(tmp_path, *files), "train.output_dir", "is no folder")


def test_space_for_a_checkpoint(files, tmp_path, monkeypatch):
    from lazycfg.engine.preflight import folder

    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda path: usage)
    refused(job(tmp_path, *files), "train.output_dir", "a checkpoint takes about")


# Weights


def test_weights_that_do_not_fit(files, tmp_path):
    cfg = job(tmp_path / "a", *files)
    trained(cfg)
    weights = tmp_path / "a" / "out" / "model_final.safetensors"
    three = write_data(tmp_path, "three", categories=("a", "b", "c"))
    other = job(tmp_path / "b", three, three, num_classes=3)
    other.train.init_checkpoint = str(weights)
    message = refused(other, "train.init_checkpoint", "remedy: to train these anew: 'train.init_ignore=")
    remedy = message.partition("anew: '")[2].rstrip("'\n")
    trained(other, [remedy])


# Classes of the test data


def exchanged(content):
    content["categories"] = [{"id": 1, "name": "b"}, {"id": 2, "name": "a"}]
    for annotation in content["annotations"]:
        annotation["category_id"] = 3 - annotation["category_id"]


def only_b(content):
    content["categories"] = content["categories"][1:2]
    content["annotations"] = [a for a in content["annotations"] if a["category_id"] == 2]


class Oracle(torch.nn.Module):
    """Predicts all that the file of a data set has, by the classes of the training: names ``a``, ``b``."""

    def __init__(self, model, *, json_file):
        super().__init__()
        self.model = model
        content = json.loads(Path(json_file).read_text())
        self.truth = content

    def data_needs(self):
        return DataNeeds()

    def forward(self, batch):
        if self.training:
            return self.model(batch)
        from lazycfg.structures import Boxes, Instances

        names = {c["id"]: c["name"] for c in self.truth["categories"]}
        outputs = []
        for item in batch:
            objects = [a for a in self.truth["annotations"] if a["image_id"] == item["image_id"]]
            found = Instances((item["height"], item["width"]))
            boxes = torch.tensor([a["bbox"] for a in objects], dtype=torch.float32).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            found.pred_boxes = Boxes(boxes)
            found.scores = torch.full((len(objects),), 0.9)
            found.pred_classes = torch.tensor(
                [("a", "b").index(names[a["category_id"]]) for a in objects]
            ).long()
            outputs.append({"instances": found})
        return outputs


def oracle_job(folder, train_json, test_json):
    cfg = job(folder, train_json, test_json)
    cfg.model = L(Oracle)(model=cfg.model, json_file=str(test_json))
    return cfg


def test_the_same_names_in_another_order_are_evaluated_by_name(files, tmp_path):
    test = write_data(tmp_path, "val", edit=exchanged)
    results = trained(oracle_job(tmp_path, files[0], test))
    assert results["bbox"]["AP50"] == pytest.approx(100)
    assert results["bbox"]["AP-a"] == results["bbox"]["AP-b"] == pytest.approx(100)


def test_some_of_the_names_are_evaluated_by_name(files, tmp_path):
    test = write_data(tmp_path, "val", edit=only_b)
    assert trained(oracle_job(tmp_path, files[0], test))["bbox"]["AP50"] == pytest.approx(100)


def test_the_evaluation_alone_knows_the_names_from_the_weights(files, tmp_path):
    from lazycfg.engine import evaluate

    test = write_data(tmp_path, "val", edit=exchanged)
    cfg = oracle_job(tmp_path, files[0], test)
    trained(cfg)
    found = evaluate(cfg, weights=tmp_path / "out" / "model_final.safetensors")
    assert found["bbox"]["AP50"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("categories", "word"),
    [(("a", "c"), "c"), (("a", "b", "c"), None), (("x", "y"), "x"), (("A", "B"), "A"), (("a", "a"), "a")],
)
def test_other_names_are_refused(files, tmp_path, categories, word):
    test = write_data(tmp_path, "val", categories=categories)
    cfg = job(tmp_path, files[0], test)
    if word is None:  # nothing is annotated with the third name
        trained(cfg)
    else:
        refused(cfg, "dataloader.test.dataset", word)


def test_an_evaluation_of_other_names_is_not_told_to_evaluate_nothing(files, tmp_path):
    from lazycfg.engine import evaluate

    cfg = oracle_job(tmp_path, *files)
    trained(cfg)
    cfg.dataloader.test.dataset.json_file = str(write_data(tmp_path, "other", categories=("a", "c")))
    with pytest.raises(PreflightError, match="it has c, which the model was not trained on") as caught:
        evaluate(cfg, weights=tmp_path / "out" / "model_final.safetensors")
    assert "dataloader.test" not in caught.value.on_command_line().partition("remedy:")[2]


# Data


def drop(key):
    def edit(record):
        record.pop(key)

    return edit


def change(**values):
    def edit(record):
        for annotation in record["annotations"]:
            annotation.update(values)

    return edit


def bool_masks(record):
    for annotation in record["annotations"]:
        mask = np.zeros((64, 64), bool)
        mask[8:20, 8:30] = True
        annotation["segmentation"] = mask


def from_one(record):
    for annotation in record["annotations"]:
        annotation["category_id"] += 1


OWN = {
    "no image_id": (drop("image_id"), ["image_id"]),
    "one image_id": (lambda record: record.update(image_id=7), ["image_id"]),
    "no height": (drop("height"), ["height"]),
    "category from 1": (
        lambda r: [a.update(category_id=a["category_id"] + 1) for a in r["annotations"]],
        ["2"],
    ),
    "category -1": (change(category_id=-1), ["category_id -1"]),
    "category text": (change(category_id="a"), ["category_id", "'a'"]),
    "no bbox": (lambda r: [a.pop("bbox") for a in r["annotations"]], ["bbox"]),
    "float counts": (
        change(segmentation={"size": [64, 64], "counts": [10.5, 20.0, 4065.5]}),
        ["counts"],
    ),
}


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", OWN)
def test_own_data_sets(files, tmp_path, name, split):
    edit, words = OWN[name]
    cfg = job(tmp_path, *files, masks=name == "float counts")
    dataset = L(OwnDataset)(json_file=str(files[0]), edit=edit, split=split)
    if split == "train":
        cfg.dataloader.train.update(dataset=dataset, aspect_ratio_grouping=False)
    else:
        cfg.dataloader.test.dataset = cfg.dataloader.evaluator.dataset = dataset
    how, message = outcome(cfg)
    if how == "refused":
        assert all(word in message for word in words), message
    else:
        assert split == "train"
        assert name in ("no image_id", "one image_id", "no height")


@pytest.mark.parametrize("split", ["train", "test"])
def test_masks_as_arrays(files, tmp_path, split):
    cfg = job(tmp_path, *files, masks=True)
    dataset = L(OwnDataset)(json_file=str(files[0]), edit=bool_masks)
    if split == "train":
        cfg.dataloader.train.dataset = dataset
    else:
        cfg.dataloader.test.dataset = cfg.dataloader.evaluator.dataset = dataset
    how, message = outcome(cfg)
    if how == "refused":
        assert "segmentation" in message
        assert "truth value" not in message


@pytest.mark.parametrize("number", [0, 1])
def test_images_beyond_the_limit_are_told_and_both_remedies_work(files, tmp_path, number):
    large = write_data(tmp_path, "large", edit=lambda content: content["images"][1].update(width=65))
    Image.new("RGB", (65, 64)).save(tmp_path / "large1.png")
    cfg = job(tmp_path, large, files[1])
    cfg.dataloader.train.mapper.max_image_pixels = 64 * 64
    cfg.dataloader.train.dataset = L(FilteredDataset)(dataset=cfg.dataloader.train.dataset)
    message = refused(cfg, "1 of 4 images have more than 4,096 pixels", "large1.png")
    trained(cfg, [[word for word in remedies(message) if "=" in word][number]])


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_image_that_cannot_be_read_is_named(tmp_path, split):
    train_json, test_json = (write_data(tmp_path, name) for name in ("train", "val"))
    broken = tmp_path / ("train3.png" if split == "train" else "val3.png")
    broken.write_bytes(broken.read_bytes()[:60])
    cfg = job(tmp_path, train_json, test_json)
    message = refused(cfg, broken.name)
    assert remedies(message) == [f"dataloader.{split}.on_error=skip"]
    if split == "train":
        trained(cfg, remedies(message))


class ShiftedClasses(DatasetMapper):
    def __call__(self, record, rng=None):
        sample = super().__call__(record, rng)
        sample["instances"].gt_classes += 1
        return sample


class SmallPixels(DatasetMapper):
    def __call__(self, record, rng=None):
        sample = super().__call__(record, rng)
        sample["image"] = sample["image"].float() / 255
        return sample


class BlackImages(DatasetMapper):
    def __call__(self, record, rng=None):
        sample = super().__call__(record, rng)
        sample["image"] = torch.zeros_like(sample["image"], dtype=torch.float32)
        return sample


def test_black_images_are_no_images_of_another_scale(files, tmp_path):
    cfg = job(tmp_path, *files)
    cfg.dataloader.train.mapper._target_ = BlackImages
    trained(cfg)


def edited(edit):
    """A mapper whose samples are edited."""

    class Edited(DatasetMapper):
        def __call__(self, record, rng=None):
            sample = super().__call__(record, rng)
            result = edit(sample)
            return result if isinstance(result, tuple) else sample

    return Edited


def boxes(edit):
    return edited(lambda s: edit(s["instances"].gt_boxes.tensor))


def to_xywh(tensor):
    tensor[:, 2:] -= tensor[:, :2]


def other_image_size(sample):
    sample["instances"] = Instances((640, 640), **sample["instances"].get_fields())


def float_classes(sample):
    sample["instances"].gt_classes = sample["instances"].gt_classes.float()


ODD_SAMPLES = {
    "tuple": (edited(lambda s: (s, 1)), ["it gives a tuple, expected a dict with 'image'"]),
    "no image": (edited(lambda s: s.pop("image")), ["no 'image'", "(3, height, width)"]),
    "numpy": (edited(lambda s: s.update(image=s["image"].numpy())), ["an 'image' of type ndarray"]),
    "HWC": (edited(lambda s: s.update(image=s["image"].permute(1, 2, 0))), ["(64, 64, 3)", "(3, height"]),
    "other size": (edited(other_image_size), ["(640, 640) (height, width)", "of (64, 64)"]),
    "float classes": (edited(float_classes), ["torch.float32, expected int64"]),
    "XYWH": (boxes(to_xywh), ["its right or lower side before the other"]),
    "relative": (boxes(lambda b: b.div_(64)), ["fractions of 1, expected pixels"]),
    "infinite": (boxes(lambda b: b.fill_(math.inf)), ["they are not finite numbers"]),
    "elsewhere": (boxes(lambda b: b.add_(64)), ["outside of the image of (64, 64)"]),
}


@pytest.mark.parametrize("name", ODD_SAMPLES)
def test_odd_samples_are_told_once(files, tmp_path, name):
    mapper, words = ODD_SAMPLES[name]
    cfg = job(tmp_path, *files)
    cfg.dataloader.train.mapper._target_ = mapper
    message = refused(cfg, "dataloader.train.mapper: ", *words)
    assert "problems" not in message


def test_detections_in_another_size(files, tmp_path):
    cfg = job(tmp_path, *files)
    cfg.dataloader.test.mapper._target_ = edited(lambda s: s.update(height=128))
    refused(cfg, "dataloader.test.mapper", "(128, 64)", "the record has (64, 64)")


def test_test_images_are_only_resized(files, tmp_path):
    cfg = job(tmp_path, *files)
    augmentations = [L(T.ResizeShortestEdge)(short_edge_length=48), L(T.RandomFlip)(prob=0.5)]
    cfg.dataloader.test.mapper.augmentations = augmentations
    message = refused(cfg, "dataloader.test.mapper.augmentations.1: RandomFlip moves")
    (remedy,) = remedies(message)
    trained(cfg, [remedy.strip("'")])
    for number, other in enumerate((L(T.FixedSizeCrop)(crop_size=(80, 80)), L(T.RandomRotation)(angle=[5]))):
        cfg = job(tmp_path / str(number), *files)
        cfg.dataloader.test.mapper.augmentations = [other]
        refused(cfg, "dataloader.test.mapper.augmentations.0")


class Misspelt(HookBase):
    def after_iteration(self):
        raise AssertionError


class HalfMisspelt(Misspelt):
    def before_train(self):
        pass

    def after_training(self):
        raise AssertionError


def test_methods_of_hooks_that_nothing_calls(files, tmp_path, caplog):
    cfg = job(tmp_path, *files)
    cfg.train.hooks = [L(Misspelt)()]
    refused(cfg, "train.hooks.0", "nothing calls Misspelt.after_iteration", "before_train, after_train")
    cfg.train.hooks = [L(HalfMisspelt)(), L(HookBase)()]
    trained(cfg)
    assert "nothing calls HalfMisspelt.after_training" in caplog.text
    assert "train.hooks.1: HookBase does nothing" in caplog.text


def test_remarks_on_the_test_data(files, tmp_path, caplog):
    nothing = write_data(tmp_path, "nothing", edit=lambda content: content.update(annotations=[]))
    trained(job(tmp_path / "nothing", files[0], nothing))
    assert "none of the 4 images of dataloader.test has an annotated object" in caplog.text

    def as_corners(record):
        for annotation in record["annotations"]:
            x, y, w, h = annotation["bbox"]
            annotation["bbox"] = [x, y, x + w, y + h]
            del annotation["segmentation"]

    cfg = job(tmp_path / "corners", *files)
    own = L(OwnDataset)(json_file=str(files[1]), edit=as_corners)
    cfg.dataloader.test.dataset = cfg.dataloader.evaluator.dataset = own
    trained(cfg)
    assert "dataloader.test.dataset: 4 of 8 boxes reach beyond their image if read as" in caplog.text


def test_remarks_on_what_teaches_nothing(files, tmp_path, caplog):
    cfg = job(tmp_path, files[0], files[0])
    cfg.optimizer.lr = 0.0
    trained(cfg)
    assert "the learning rate is 0 in every group" in caplog.text
    assert "dataloader.test reads the file of dataloader.train" in caplog.text


@pytest.mark.parametrize(
    ("mapper", "words"),
    [
        (ShiftedClasses, ["dataloader.train.mapper", "the class 2, expected 0 to 1", "train"]),
        (SmallPixels, ["dataloader.train.mapper", "images of 0 to", "0 to 255"]),
    ],
)
def test_what_a_mapper_of_the_user_gives(files, tmp_path, mapper, words):
    cfg = job(tmp_path, *files)
    cfg.dataloader.train.mapper._target_ = mapper
    refused(cfg, *words)


def test_skipping_is_no_error(tmp_path):
    train_json, test_json = (write_data(tmp_path, name) for name in ("train", "val"))
    for name in ("train1.png", "val0.png"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:60])
    cfg = job(tmp_path, train_json, test_json)
    cfg.dataloader.train.on_error = cfg.dataloader.test.on_error = "skip"
    trained(cfg)


def test_keypoints_of_head_data_and_evaluation(files, tmp_path):
    five = job(tmp_path, *files, keypoints=5)
    refused(five, "dataloader.evaluator.kpt_oks_sigmas", "5 keypoints")
    five.dataloader.evaluator.kpt_oks_sigmas = [0.05] * 5
    assert "keypoints" in trained(five)
    six = job(tmp_path / "six", *files, keypoints=6)
    six.dataloader.train.mapper.keypoint_hflip_indices = list(range(5))
    refused(six, "model.roi_heads.keypoint_head.num_keypoints=5")
    five = job(tmp_path / "flips", *files, keypoints=5)
    five.dataloader.evaluator.kpt_oks_sigmas = [0.05] * 5
    for flips in ([0, 1, 2], [0, 0, 1, 2, 3], [1, 2, 0, 3, 4]):
        five.dataloader.train.mapper.keypoint_hflip_indices = flips
        refused(five, "dataloader.train.mapper.keypoint_hflip_indices")


def test_a_head_without_its_data(files, tmp_path):
    cfg = job(tmp_path, *files, masks=True)
    cfg.dataloader.train.mapper.use_instance_mask = False
    refused(cfg, "dataloader.train.mapper.use_instance_mask=true", "model.roi_heads.mask_head=None")
    cfg = job(tmp_path, *files, keypoints=5)
    cfg.dataloader.train.mapper.use_keypoint = False
    refused(cfg, "dataloader.train.mapper.use_keypoint=true")


def test_the_evaluator_has_the_data_of_the_test_loader(files, tmp_path):
    cfg = job(tmp_path, *files)
    other = write_data(tmp_path, "other", count=3)
    cfg.dataloader.test.dataset = L(CocoDataset)(json_file=str(other))
    refused(cfg, "dataloader.evaluator.dataset", "3", "&dataloader.test.dataset")
    cfg.dataloader.test.dataset = L(CocoDataset)(json_file=str(files[1]))  # the same again
    trained(cfg)


def test_no_images_are_left(files, tmp_path):
    nothing = write_data(tmp_path, "none", edit=lambda content: content.update(annotations=[]))
    cfg = job(tmp_path, nothing, files[1])
    refused(cfg, "dataloader.train")
    cfg.dataloader.train.dataset = L(FilteredDataset)(dataset=cfg.dataloader.train.dataset)
    message = refused(cfg, "4 without annotations", "No image has an object to train on")
    assert "remedy" not in message  # with filter_empty=false the run would be refused, too


def _without(*keys):
    def edit(content):
        for annotation in content["annotations"]:
            for key in keys:
                annotation.pop(key, None)

    return edit


def remedies(message):
    """The overrides that the remedies of a message name."""
    return [
        o for line in message.splitlines() if "remedy: " in line for o in line.split("remedy: ")[1].split()
    ]


def test_the_remedy_of_a_filter_works(files, tmp_path):
    cfg = job(tmp_path, *files)
    source = cfg.dataloader.train.dataset
    cfg.dataloader.train.dataset = L(FilteredDataset)(dataset=source, min_keypoints=100)
    message = refused(cfg, "with fewer than 100 visible keypoints")
    trained(cfg, remedies(message))


@pytest.mark.parametrize("head", [True, False])
def test_the_remedy_of_missing_masks_works(files, tmp_path, head):
    train_json = write_data(tmp_path, "boxes", edit=_without("segmentation"))
    cfg = job(tmp_path, train_json, train_json, masks=True)
    if not head:
        cfg.model.roi_heads.mask_head = None
    message = refused(cfg, "have no masks")
    expected = ["dataloader.train.mapper.use_instance_mask=false", "model.roi_heads.mask_head=null"]
    assert remedies(message) == expected[: 1 + head]
    trained(cfg, remedies(message))


def test_a_mapper_that_gives_nothing_is_named(files, tmp_path):
    def forgetful(record):
        DatasetMapper(is_train=True)(record)

    cfg = job(tmp_path, *files)
    cfg.dataloader.train.mapper = forgetful
    refused(cfg, "forgetful returned None for 20 of them", "first: record", ".png")
    cfg = job(tmp_path / "test", *files)
    cfg.dataloader.test.mapper = forgetful
    refused(cfg, "forgetful returned None", "while mapping record 0")


class PlainEvaluator(COCOEvaluator):
    """Adds a number of its own, with the signature of `DatasetEvaluator`."""

    def evaluate(self):
        return {**super().evaluate(), "own": {"count": 1}}


class ForgetfulEvaluator(COCOEvaluator):
    def evaluate(self, img_ids=None):
        super().evaluate(img_ids)


def test_an_evaluator_that_returns_nothing(files, tmp_path):
    cfg = job(tmp_path, *files)
    cfg.dataloader.evaluator._target_ = ForgetfulEvaluator
    refused(cfg, "dataloader.evaluator: ForgetfulEvaluator.evaluate returned None")


def test_an_evaluator_whose_evaluate_takes_no_images(files, tmp_path):
    cfg = job(tmp_path, *files)
    cfg.dataloader.evaluator._target_ = PlainEvaluator
    cfg.train.best_metric = "own/count"
    assert trained(cfg)["own"] == {"count": 1}


def test_a_data_set_that_the_model_asks_is_named_where_it_is_read(files, tmp_path):
    def flat(content):
        content["annotations"][3]["bbox"][2] = 0

    bad = write_data(tmp_path, "bad", edit=flat)
    cfg = job(tmp_path, bad, bad)
    cfg.model.roi_heads.num_classes = L.attr(cfg.dataloader.train.dataset, "num_classes")
    message = refused(cfg, "bad1.png", "remedy: dataloader.train.dataset.on_error=skip")
    assert "_args_" not in message


# Parts of one's own


class Unlike(StandardROIHeads):
    """Heads whose number of classes has nothing to do with the data."""

    def data_needs(self):
        return DataNeeds()


def test_a_part_of_ones_own_says_what_it_needs(files, tmp_path):
    cfg = job(tmp_path, *files, num_classes=9)
    cfg.model.roi_heads._target_ = Unlike
    refused(cfg, "model.roi_heads.box_predictor.num_classes")
    cfg.train.extra_classes = True
    trained(cfg)


@pytest.mark.parametrize("fails", ["", "process"])
def test_an_evaluator_of_ones_own(files, tmp_path, fails):
    cfg = job(tmp_path, *files)
    cfg.dataloader.evaluator = L(OwnEvaluator)(fails=fails)
    if fails:
        refused(cfg, "dataloader.evaluator", "no_such_key")
    else:
        assert trained(cfg)["own"]["count"] > 0


class Restless(ToyModel):
    """Draws, counts and changes its buffers wherever it is called."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = 0
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, batch):
        self.calls += 1
        self.seen += 1
        losses = super().forward(batch)
        return {k: v * (1 + 0.01 * self.calls) for k, v in losses.items()} if self.training else losses


@pytest.mark.parametrize("loader", ["toy", "plain"])
def test_the_training_is_the_same_with_and_without(tmp_path, loader):
    from toy_job import plain_loader

    weights = []
    for name, preflight in (("with", True), ("without", False)):
        cfg = LazyConfig.load(HERE / "toy_config.py")
        cfg.model._target_ = Restless
        if loader == "plain":
            cfg.dataloader.train = L(plain_loader)()
        cfg.train.update(output_dir=str(tmp_path / name), max_iter=8, preflight=preflight)
        train(cfg)
        from safetensors.torch import load_file

        weights.append(load_file(tmp_path / name / "model_final.safetensors"))
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


class Frozen(ToyModel):
    def forward(self, batch):
        with torch.no_grad():
            return super().forward(batch)


class Infinite(ToyModel):
    def forward(self, batch):
        result = super().forward(batch)
        return {"loss_fit": result["loss_fit"] * math.inf} if self.training else result


class Plain(ToyModel):
    def forward(self, batch):
        result = super().forward(batch)
        return {**result, "loss_plain": 1.5} if self.training else result


class Mute(ToyModel):
    def forward(self, batch):
        return None if self.training else super().forward(batch)


class Broken(ToyModel):
    def forward(self, batch):
        raise RuntimeError("shapes do not match")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Frozen, ["depend on no parameter"]),
        (Infinite, ["loss_fit", "inf"]),
        (Plain, ["the loss 'loss_plain' is a float", "expected a tensor"]),
        (Mute, ["dict of losses", "NoneType"]),
        (Broken, ["RuntimeError: shapes do not match"]),
    ],
)
def test_a_model_that_cannot_be_trained(tmp_path, kind, words):
    cfg = LazyConfig.load(HERE / "toy_config.py")
    cfg.model._target_ = kind
    cfg.train.output_dir = str(tmp_path / "out")
    refused(cfg, "model", *words)


class Detached(ToyModel):
    def forward(self, batch):
        result = super().forward(batch)
        return {**result, "loss_off": result["loss_fit"].detach()} if self.training else result


def test_a_loss_that_nothing_learns_from_is_remarked_on(tmp_path):
    cfg = LazyConfig.load(HERE / "toy_config.py")
    cfg.model._target_ = Detached
    cfg.train.update(output_dir=str(tmp_path / "out"), max_iter=1)
    train(cfg)
    assert "nothing learns from loss_off: detached" in (tmp_path / "out" / "log.txt").read_text()


def test_a_loader_that_can_be_gone_through_once_is_left_alone(tmp_path):
    from toy_job import toy_test_loader

    cfg = LazyConfig.load(HERE / "toy_config.py")
    batches = [batch for _ in range(3) for batch in toy_test_loader()]
    cfg.dataloader.train = iter(batches)
    cfg.train.update(output_dir=str(tmp_path / "out"), max_iter=9)
    del cfg.dataloader["evaluator"], cfg.dataloader["test"]
    assert train(cfg)["train"]["iterations"] == 9
    assert "can be gone through only once" in (tmp_path / "out" / "log.txt").read_text()


def test_more_objects_than_detections_count_are_remarked_on(files, tmp_path, caplog):
    def crowded(content):
        first = content["annotations"][0]
        content["annotations"] += [{**first, "id": 1000 + i} for i in range(120)]

    caplog.set_level("WARNING", "lazycfg")
    test = write_data(tmp_path, "val", edit=crowded)
    trained(job(tmp_path, files[0], test))
    assert "dataloader.evaluator.max_dets_per_image=122" in caplog.text
