"""The report on a machine."""

import sys
from pathlib import Path

import torch

from lazycfg.utils import collect_env, collect_env_info


def test_what_a_bug_report_needs_is_there():
    found = collect_env()
    assert found["PyTorch"].startswith(torch.__version__)
    assert found["Python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert found["torchvision's operators"] == "compiled"
    assert {"lazycfg", "platform", "CPU", "memory", "numpy", "CUDA of PyTorch"} <= set(found)
    lines = collect_env_info().splitlines()
    assert len(lines) == len(found)
    assert all(name in line for name, line in zip(found, lines, strict=True))


def test_no_secrets_and_no_user_names(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2")
    monkeypatch.setenv("HF_TOKEN", "hunter2")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(Path, "home", lambda: Path(torch.__file__).parents[1])
    text = collect_env_info()
    assert "hunter2" not in text
    assert "OMP_NUM_THREADS" in text
    assert "at ~/torch" in text
