import json
import logging
import math
import re

import pytest
import torch
from torch import nn
from toy_job import ToyModel

from lazycfg.checkpoint import Checkpointer
from lazycfg.engine import (
    BestCheckpointer,
    CallbackHook,
    EarlyStopping,
    EvalHook,
    IterationTimer,
    JSONWriter,
    PeriodicCheckpointer,
    PeriodicWriter,
    TensorboardWriter,
    TorchMemoryStats,
    TorchProfiler,
    Trainer,
)
from lazycfg.engine.hooks import flatten_results
from lazycfg.engine.log import run_logging
from lazycfg.engine.writers import CommonMetricPrinter, read_metrics
from lazycfg.reporting import report_html
from lazycfg.reporting.run_files import RunFiles


class Square(nn.Module):
    def __init__(self):
        super().__init__()
        self.x = nn.Parameter(torch.ones(()))
        self.bn = nn.BatchNorm1d(1)

    def forward(self, batch):
        return {"loss": (self.x * batch).square()}


def trainer_with(*hooks, max_iter=6, log_period=2):
    model = Square()
    return Trainer(
        model=model,
        data=iter([torch.ones(())] * 1000),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.01),
        max_iter=max_iter,
        log_period=log_period,
        hooks=hooks,
    )


def test_evaluation_runs_when_due_and_once_at_the_end():
    when = []
    trainer = trainer_with(max_iter=6)

    def evaluate():
        when.append(trainer.iter)
        trainer.model.eval()
        return {"bbox": {"AP": float(len(when))}}

    trainer.register_hooks([EvalHook(3, evaluate)])
    trainer.train()
    assert when == [2, 6]
    assert trainer.model.training
    assert trainer.model.bn.training
    assert trainer.results == {"bbox": {"AP": 2.0}}
    assert trainer.storage.history("bbox/AP").values() == [(1.0, 2), (2.0, 5)]


def test_evaluation_leaves_frozen_modules_in_evaluation_mode():
    def evaluate():
        trainer.model.train()
        return {}

    trainer = trainer_with(EvalHook(2, evaluate))
    trainer.register_hooks([CallbackHook(before_train=lambda t: t.model.bn.eval())])
    trainer.train()
    assert not trainer.model.bn.training


def test_results_are_flattened():
    nested = {"bbox": {"AP": 1, "name": "x", "deep": {"a": "2.5"}}, "b": None}
    assert flatten_results(nested) == {"bbox/AP": 1.0, "bbox/deep/a": 2.5}


@pytest.mark.parametrize(("mode", "best"), [("max", 3), ("min", 1)])
def test_the_best_weights_are_kept(tmp_path, mode, best):
    values = {1: 0.5, 3: 0.9, 5: 0.7, 7: math.nan}
    weights = {}
    trainer = trainer_with(max_iter=9)

    def evaluate():
        iteration = min(trainer.iter, 8)
        weights[iteration] = trainer.model.x.item()
        return {"toy": {"score": values.get(iteration, 0.6)}}

    hook = BestCheckpointer(tmp_path, "toy/score", mode=mode)
    trainer.register_hooks([EvalHook(2, evaluate), hook])
    trainer.train()
    from safetensors.torch import load_file

    assert (hook.best, hook.best_iter) == (values[best], best)
    assert load_file(tmp_path / "model_best.safetensors")["x"].item() == weights[best]


def test_a_metric_that_is_not_there_is_told_with_the_nearest(tmp_path, caplog):
    trainer = trainer_with(EvalHook(2, lambda: {"bbox": {"AP": 1.0}}), BestCheckpointer(tmp_path, "bbox/ap"))
    with caplog.at_level(logging.WARNING, logger="lazycfg"):
        trainer.train()
    assert "did you mean 'bbox/AP'" in caplog.text
    assert not list(tmp_path.iterdir())


def test_training_stops_when_nothing_gets_better():
    scores = iter([1.0, 2.0, 2.0, 1.9, 2.0, 9.0])
    trainer = trainer_with(max_iter=100)
    hooks = [
        EvalHook(2, lambda: {"a": {"b": next(scores)}}, eval_after_train=False),
        EarlyStopping("a/b", patience=2),
    ]
    trainer.register_hooks(hooks)
    trainer.train()
    assert trainer.iter == 10


def test_of_a_loss_the_smallest_value_is_the_best(tmp_path):
    losses = iter([3.0, 1.0, 2.0, 1.5, 9.0])
    best = BestCheckpointer(tmp_path, "val/total_loss")
    stop = EarlyStopping("val/total_loss", patience=2)
    evaluate = EvalHook(2, lambda: {"val": {"total_loss": next(losses)}}, eval_after_train=False)
    trainer = trainer_with(evaluate, stop, best, max_iter=100)
    trainer.train()
    assert (best.best, best.best_iter, trainer.iter) == (1.0, 3, 10)
    for hook in (BestCheckpointer(tmp_path, "val/loss", mode="max"), EarlyStopping("val/loss", mode="max")):
        trainer = trainer_with(hook)  # what is said goes before the name
    assert trainer.hooks[-1]._sign == 1.0
    with pytest.raises(ValueError, match="'largest': expected 'max' or 'min'"):
        EarlyStopping("val/loss", mode="largest")


def test_a_diverged_model_is_not_saved(tmp_path):
    model = ToyModel(noise=False)
    checkpointer = Checkpointer(model, tmp_path)
    batch = [{"image": torch.ones(3, 2, 2), "target": math.nan, "file_name": "a.png"}]
    trainer = Trainer(
        model=model,
        data=iter([batch] * 10),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        max_iter=10,
        log_period=100,
        hooks=[PeriodicCheckpointer(checkpointer, 3)],
    )
    with pytest.raises(FloatingPointError, match=r"iteration 0.*a\.png"):
        trainer.train()
    assert not list(tmp_path.iterdir())


def test_json_lines_and_log(tmp_path, caplog):
    writers = [JSONWriter(tmp_path / "metrics.json", window_size=2), CommonMetricPrinter(window_size=2)]
    hooks = [IterationTimer(), EvalHook(2, lambda: {"a": {"b": 1.0, "c": math.nan}}), PeriodicWriter(writers)]
    with caplog.at_level(logging.INFO, logger="lazycfg"):
        trainer_with(*hooks).train()
    lines = [json.loads(line) for line in (tmp_path / "metrics.json").read_text().splitlines()]
    assert [line["iteration"] for line in lines if "loss" in line] == [1, 3, 5]
    assert [line["iteration"] for line in lines if "a/b" in line] == [1, 3, 5]
    assert lines[0]["a/c"] is None
    assert {"total_loss", "data_time", "loss"} <= set(lines[0])
    shown = [record.message for record in caplog.records if "total_loss" in record.message]
    assert len(shown) == 3
    for part in ("eta: 0:00:00", "iter: 5/6", "loss: ", "time: ", "data_time: ", "max_mem: "):
        assert part in shown[-1]


@pytest.mark.parametrize(
    ("start_iter", "log_period", "told"),
    [
        (0, 3, "iteration 0, losses are logged from iteration 2 on"),
        (4, 3, "iteration 4, losses are logged from iteration 5 on"),
        (3, 20, "iteration 3, losses are logged from iteration 5 on"),
        (0, 1, None),  # they come with it
        (5, 3, None),
    ],
)
def test_a_first_sign_of_life(caplog, start_iter, log_period, told):
    with caplog.at_level(logging.INFO, logger="lazycfg"):
        trainer_with(IterationTimer(), log_period=log_period).train(start_iter)
    found = [record for record in caplog.records if "first step" in record.message]
    texts = [
        re.sub(r"took \d+\.\d s; ", "", record.message).partition("of this start, ")[2] for record in found
    ]
    assert texts == [told] * (told is not None)
    assert all(record.in_bar for record in found)  # where a bar moves, it says as much


def test_a_line_that_a_killed_run_left_unfinished_is_dropped(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text('{"iteration": 1, "loss": 2.0}\n{"iteration": 3, "loss": 1.0}\n{"iteration": 5, "lo')
    assert [line["iteration"] for line in read_metrics(path)] == [1, 3]
    writer = JSONWriter(path)
    trainer = trainer_with(PeriodicWriter([writer]))
    trainer.train(start_iter=2)
    assert [line["iteration"] for line in read_metrics(path)] == [1, 3, 5]
    assert read_metrics(path)[1]["loss"] != 1.0


def test_tensorboard(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def picture(trainer):
        if trainer.iter == 1:
            trainer.storage.put_image("seen", torch.zeros(3, 4, 4, dtype=torch.uint8))
            trainer.storage.put_histogram("weights", torch.arange(10.0), bins=5)

    hooks = [CallbackHook(after_step=picture), PeriodicWriter([TensorboardWriter(tmp_path)])]
    trainer_with(*hooks).train()
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Scalars("total_loss")] == [1, 3, 5]
    assert events.Tags()["images"] == ["seen"]
    (histogram,) = events.Histograms("weights")
    value = histogram.histogram_value
    assert (value.min, value.max, value.num, list(value.bucket)) == (0, 9, 10, [2] * 5)


def test_tensorboard_that_is_not_installed_names_the_line_that_installs_it(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r"pip install 'lazycfg\[tensorboard\]'"):
        TensorboardWriter(tmp_path)


def test_profile(tmp_path):
    hook = TorchProfiler(lambda trainer: trainer.iter == 2, tmp_path)
    trainer_with(hook, TorchMemoryStats()).train()
    assert [path.name for path in (tmp_path / "traces").iterdir()] == ["iter2.json"]
    assert json.loads((tmp_path / "traces" / "iter2.json").read_text())["traceEvents"]


def test_the_best_weights_say_what_they_are_and_an_older_run_keeps_them(tmp_path, caplog):
    def run(start, scores):
        hook = BestCheckpointer(tmp_path, "toy/score")
        trainer = trainer_with(EvalHook(1, lambda: {"toy": {"score": next(scores)}}), hook, max_iter=4)
        trainer.train(start)
        return hook

    assert run(0, iter([1.0, 3.0, 2.0, 0.0])).best == 3.0
    kept = (tmp_path / "model_best.safetensors").read_bytes()
    assert RunFiles.read(folder_of_a_run(tmp_path)).best == {
        "metric": "toy/score", "value": 3.0, "iteration": 1
    }  # fmt: skip
    assert "<code>model_best.safetensors</code>: toy/score = 3, after 2 iterations" in report_html(tmp_path)
    caplog.clear()
    hook = run(1, iter([2.5, 2.9, 0.0]))  # from a checkpoint that knows of none
    assert (hook.best, hook.best_iter) == (3.0, 1)
    assert (tmp_path / "model_best.safetensors").read_bytes() == kept
    assert "(toy/score = 3.0000 after 2 iterations): it is kept" in caplog.text
    assert run(1, iter([2.5, 4.0, 0.0])).best_iter == 2
    assert run(0, iter([1.0, 0.0, 0.0, 0.0])).best == 1.0  # another run


def folder_of_a_run(folder):
    (folder / "run.json").write_text("{}")
    return folder


def test_logging_is_as_before_after_a_run(tmp_path):
    logger = logging.getLogger("lazycfg")
    before = (logger.level, logger.propagate, list(logger.handlers))
    with run_logging(tmp_path):
        logging.getLogger("lazycfg.engine").info("told")
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
    assert "told" in (tmp_path / "log.txt").read_text()


def test_weights_are_judged_by_the_evaluation_that_measured_them(tmp_path):
    scores = iter([1.0, 2.0])
    best = BestCheckpointer(tmp_path, "toy/score")
    hooks = [
        EvalHook(4, lambda: {"toy": {"score": next(scores)}}),
        EvalHook(1, lambda: {"val": {"x": 0.0}}),
        best,
    ]
    trainer = trainer_with(*hooks, max_iter=8)
    saved = []
    hook = CallbackHook(after_step=lambda t: saved.append((best.best_iter, t.iter)))
    trainer.register_hooks([hook])
    trainer.train()
    assert saved[3] == (3, 3)
    assert saved[6] == (3, 6)
    assert best.best_iter == 7
