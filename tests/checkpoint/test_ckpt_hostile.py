"""Damaged and hostile files of weights: our error with the file's name, within 2 seconds and 500 MB."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from lazycfg.checkpoint import WeightsMismatchError, load_weights

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory")
def test_every_hostile_file_is_refused_soon_and_cheaply(tmp_path):
    done = subprocess.run(
        [sys.executable, HERE / "hostile_files.py", tmp_path],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcome = json.loads(done.stdout)
    assert outcome["files"] > 400
    assert outcome["wrong"] == []


def test_control_characters_of_a_file_do_not_reach_the_terminal(caplog):
    model = nn.Linear(2, 2)
    state = {**model.state_dict(), "\x1b[2J\nERROR: all lost\x07\u202e": torch.ones(1)}
    with pytest.raises(WeightsMismatchError, match=r"\\x1b\[2J\\nERROR") as caught:
        load_weights(model, state)
    report = load_weights(model, state, strict=False)
    for text in (str(caught.value), str(report), caplog.text):
        assert all(c.isprintable() or c == "\n" for c in text)
    assert report.unexpected == ("\x1b[2J\nERROR: all lost\x07\u202e",)
