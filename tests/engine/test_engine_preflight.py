"""What is wrong with a run is known before its first step, all of it, with the place and the remedy.

Each odd run ends in one of two ways: it is refused before anything is trained or written, or it is right.
"""

import json
import math

import pytest
import torch
from odd_runs import job, refused, trained, write_data
from torch.optim.lr_scheduler import StepLR

from lazycfg import LazyCall as L
from lazycfg import Node, instantiate
from lazycfg.engine import CallbackHook, EarlyStopping, PreflightError, train
from lazycfg.engine.problems import problem_of
from lazycfg.solver import CosineParamScheduler


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


def test_a_part_of_ones_own_that_fails_is_named_with_its_line():
    def failing(*, width):
        return {}[width]

    with pytest.raises(KeyError) as caught:
        instantiate(Node(model=L(failing)(width=3)))
    problem = problem_of(caught.value)
    written, raised = problem.what.split("\n")[1:]
    line = failing.__code__.co_firstlineno + 1
    assert (problem.where, problem.what.split("\n")[0]) == ("model", "KeyError: 3")
    assert written.startswith(f"  written at {__file__}:")
    assert raised.startswith(f"  raised at {__file__}:{line}, in ")


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
