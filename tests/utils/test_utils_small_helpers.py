"""Messages that come rarely, memory that runs out, small tables."""

import logging

import pytest
import torch

from lazycfg.structures import Boxes, Instances
from lazycfg.utils import (
    create_small_table,
    log_every_n,
    log_every_n_seconds,
    log_first_n,
    logger,
    retry_if_cuda_oom,
)


def test_only_the_first_ones(caplog):
    for step in range(5):
        log_first_n(logging.WARNING, f"step {step}", n=2)
    assert caplog.messages == ["step 0", "step 1"]
    assert caplog.records[0].name == __name__
    caplog.clear()
    for text in ("a", "b", "a"):
        log_first_n(logging.WARNING, text, key="message")
    log_first_n(logging.WARNING, "a", key="message", name="elsewhere")
    assert caplog.messages == ["a", "b"]
    caplog.clear()
    for text in ("c", "c", "d"):
        log_first_n(logging.WARNING, text, key=("caller", "message"))
    log_first_n(logging.WARNING, "c", key=("caller", "message"))
    assert caplog.messages == ["c", "d", "c"]
    with pytest.raises(ValueError, match="key='line'"):
        log_first_n(logging.WARNING, "x", key="line")


def test_every_nth(caplog, monkeypatch):
    for step in range(7):
        log_every_n(logging.WARNING, f"{step}", n=3)
    assert caplog.messages == ["0", "3", "6"]
    caplog.clear()
    for step in range(2):
        log_every_n(logging.WARNING, f"{step}")
    assert caplog.messages == ["0", "1"]
    caplog.clear()
    clock = iter([0.0, 4.0, 11.0, 12.0])
    monkeypatch.setattr(logger.time, "monotonic", lambda: next(clock))
    for step in range(4):
        log_every_n_seconds(logging.WARNING, f"{step}", n=10, name="mine")
    assert caplog.messages == ["0", "2"]
    assert caplog.records[0].name == "mine"


def failing(times, seen, error=None):
    def work(*args, **kwargs):
        seen.append((args, kwargs))
        if len(seen) <= times:
            raise error or torch.OutOfMemoryError("CUDA out of memory")
        return len(seen)

    return work


@pytest.mark.parametrize("times", [0, 1, 2])
def test_another_try_when_memory_runs_out(times, caplog):
    seen = []
    assert retry_if_cuda_oom(failing(times, seen))(torch.ones(2), scale=3) == times + 1
    assert all(torch.equal(args[0], torch.ones(2)) and kwargs == {"scale": 3} for args, kwargs in seen)
    assert ("done on the CPU" in caplog.text) == (times == 2)


def test_other_errors_and_a_third_failure_come_through():
    with pytest.raises(torch.OutOfMemoryError):
        retry_if_cuda_oom(failing(3, []))()
    with pytest.raises(ZeroDivisionError):
        retry_if_cuda_oom(lambda: 1 / 0)()
    with pytest.raises(RuntimeError, match="other"):
        retry_if_cuda_oom(failing(1, [], RuntimeError("other")))()
    assert retry_if_cuda_oom(failing(2, [], RuntimeError("CUDA out of memory")))() == 3


class OnGpu:
    """Stands for a tensor on a GPU."""

    device = torch.device("cuda")

    def to(self, device):
        return f"on {device}"


def test_arguments_of_every_form_are_moved():
    seen = []
    instances = Instances((4, 4), pred_boxes=Boxes(torch.zeros(0, 4)))
    retry_if_cuda_oom(failing(2, seen))([OnGpu(), (OnGpu(), 3)], a={"b": OnGpu()}, c=instances)
    args, kwargs = seen[-1]
    assert args == (["on cpu", ("on cpu", 3)],)
    assert kwargs["a"] == {"b": "on cpu"}
    assert kwargs["c"] is not instances


def test_small_tables():
    assert create_small_table({"AP": 12.345, "n": 3}) == "   AP  n\n12.35  3"
    assert create_small_table({}) == "\n"
