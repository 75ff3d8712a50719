"""The loop that feeds evaluators."""

import logging
import threading
import time

import pytest
import torch
from torch import nn

from lazycfg.evaluation import DatasetEvaluator, DatasetEvaluators, inference_on_dataset, print_csv_format


class Collect(DatasetEvaluator):
    def __init__(self, task="count", fail_at=None):
        self.task, self.fail_at = task, fail_at
        self.seen = ["left over"]
        self.threads = set()

    def reset(self):
        self.seen = []

    def process(self, inputs, outputs):
        self.threads.add(threading.current_thread())
        assert not torch.is_grad_enabled()
        if self.fail_at == len(self.seen):
            raise KeyError("image 7 has no scores")
        self.seen += zip(inputs, outputs, strict=True)

    def evaluate(self):
        return {self.task: {"n": float(len(self.seen))}}


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.frozen = nn.BatchNorm1d(1).eval()
        self.modes = []

    def forward(self, inputs):
        self.modes.append((self.training, torch.is_grad_enabled()))
        return [self.linear(torch.ones(1)) * 0 + item for item in inputs]


def test_every_batch_arrives_in_order():
    model, evaluator = Model(), Collect()
    loader = [[1, 2], [3], [4, 5, 6], *([n] for n in range(7, 20))]
    assert inference_on_dataset(model, loader, evaluator) == {"count": {"n": 19.0}}
    assert [int(item) for item, _ in evaluator.seen] == list(range(1, 20))
    assert all(item == output.item() for item, output in evaluator.seen)
    assert set(model.modes) == {(False, False)}


def test_modes_are_restored_module_by_module_even_after_an_error():
    model = Model()
    inference_on_dataset(model, [[1]], None)
    assert model.training
    assert not model.frozen.training
    with pytest.raises(TypeError):
        inference_on_dataset(model, [[None]], None)
    assert model.training
    assert not model.frozen.training
    assert torch.is_grad_enabled()


def test_the_evaluator_works_beside_the_model():
    """The model must be able to start a batch while the evaluator is still busy with the one before."""
    started = [threading.Event() for _ in range(3)]

    class Wait(Collect):
        def process(self, inputs, outputs):
            super().process(inputs, outputs)
            if inputs[0] < 2:
                assert started[inputs[0] + 1].wait(20), "the model waits for the evaluator"

    def model(inputs):
        started[inputs[0]].set()
        return inputs

    evaluator = Wait()
    inference_on_dataset(model, [[0], [1], [2]], evaluator)
    assert threading.main_thread() not in evaluator.threads
    assert len(evaluator.threads) == 1


def test_a_slow_evaluator_holds_back_the_model():
    ahead = []

    class Slow(Collect):
        def process(self, inputs, outputs):
            time.sleep(0.002)
            super().process(inputs, outputs)

    evaluator = Slow()

    def model(inputs):
        ahead.append(inputs[0] - len(evaluator.seen))
        return inputs

    inference_on_dataset(model, [[n] for n in range(30)], evaluator)
    assert max(ahead) <= 5


def test_an_error_in_the_evaluator_is_raised():
    with pytest.raises(KeyError, match="image 7"):
        inference_on_dataset(lambda x: x, [[n] for n in range(100)], Collect(fail_at=2))


def test_several_evaluators():
    results = inference_on_dataset(lambda x: x, [[1]], [Collect("a"), Collect("b")])
    assert results == {"a": {"n": 1.0}, "b": {"n": 1.0}}
    with pytest.raises(ValueError, match="two evaluators report results of 'a'"):
        inference_on_dataset(lambda x: x, [[1]], DatasetEvaluators([Collect("a"), Collect("a")]))
    assert inference_on_dataset(lambda x: x, [[1]], None) == {}


def test_a_loader_without_a_length_and_without_batches():
    assert inference_on_dataset(lambda x: x, ([n] for n in range(3)), Collect())["count"]["n"] == 3
    assert inference_on_dataset(lambda x: x, [], Collect())["count"]["n"] == 0


def test_autocast():
    seen = []

    class Probe(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 2)

        def forward(self, inputs):
            seen.append(self.linear(torch.ones(1, 2)).dtype)
            return inputs

    inference_on_dataset(Probe(), [[1]], None, autocast=torch.bfloat16)
    inference_on_dataset(Probe(), [[1]], None)
    assert seen == [torch.bfloat16, torch.float32]


def test_csv_lines(caplog):
    with caplog.at_level(logging.INFO):
        print_csv_format({"bbox": {"AP": 12.34567, "AP-cat": 1.0}, "loss": 0.5})
    assert "AP\n" in caplog.text
    assert "12.3457" in caplog.text
    assert "loss=0.5" in caplog.text
    assert "AP-cat" not in caplog.text


def test_results_that_are_none_or_no_dict(caplog):
    class Says(DatasetEvaluator):
        def __init__(self, results):
            self.results = results

        def evaluate(self):
            return self.results

    assert inference_on_dataset(Model(), [], Says(None)) == {}
    assert "Says.evaluate returned None" in caplog.text
    with pytest.raises(TypeError, match="Says.evaluate must return a dict of results by task, got list"):
        inference_on_dataset(Model(), [], Says([1]))
