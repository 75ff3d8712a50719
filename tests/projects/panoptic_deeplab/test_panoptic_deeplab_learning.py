"""Panoptic-DeepLab learns."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "deeplab"))
from learning import before_and_after

CONFIGS = Path(__file__).parents[3] / "projects" / "panoptic_deeplab" / "configs"


@pytest.mark.slow
def test_learns(tmp_path):
    before, after = before_and_after(CONFIGS / "quickstart_panoptic_deeplab_shapes.py", tmp_path, steps=250)
    assert before["panoptic_seg"]["PQ_th"] < 5
    assert after["panoptic_seg"]["PQ_th"] > 15
    assert after["panoptic_seg"]["PQ_st"] > 80
