"""Processes started by a program itself."""

import os
from pathlib import Path

import pytest
import torch
from torch.multiprocessing import ProcessRaisedException

from lazycfg.engine import launch
from lazycfg.utils import all_gather, get_local_rank, get_rank, get_world_size


def report(folder, word):
    gathered = all_gather((get_rank(), get_local_rank(), get_world_size(), word))
    Path(folder, f"{get_rank()}.txt").write_text(repr(gathered))


def fail(folder):
    if get_rank() == 1:
        raise ZeroDivisionError("in one process")
    all_gather(0)


def test_two_processes_talk_to_each_other(tmp_path):
    launch(report, 2, args=(str(tmp_path), "hello"))
    expected = repr([(0, 0, 2, "hello"), (1, 1, 2, "hello")])
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in (0, 1)] == [expected] * 2
    assert "RANK" not in os.environ


def test_one_process_is_this_one(tmp_path):
    launch(report, 1, args=(tmp_path, Path("no text, which another process could not print")))
    assert "(0, 0, 1" in (tmp_path / "0.txt").read_text()


@pytest.mark.slow
def test_a_process_that_fails_ends_the_others_and_says_why(tmp_path, capfd):
    with pytest.raises(ProcessRaisedException):
        launch(fail, 2, args=(tmp_path,))
    assert "ZeroDivisionError: in one process" in capfd.readouterr().err


def test_numbers_that_do_not_fit():
    with pytest.raises(ValueError, match="expected at least one process"):
        launch(report, 0)
    with pytest.raises(ValueError, match="machine 2 of 2"):
        launch(report, 1, 2, 2)
    with pytest.raises(ValueError, match="several machines need dist_url"):
        launch(report, 1, 2)
    with pytest.raises(ValueError, match="dist_url='here'"):
        launch(report, 1, 2, dist_url="here")


def test_no_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="2 processes for 1 GPUs"):
        launch(report, 2)
