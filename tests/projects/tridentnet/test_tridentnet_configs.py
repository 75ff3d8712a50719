"""The configs of TridentNet: sound, and equal to the reference's of the same names; the README's commands."""

import json
from pathlib import Path

import pytest
import torch
from project_readme import assert_commands_work
from small_trident import CONFIGS
from zoo_values import assert_builds

from lazycfg import LazyConfig, check, instantiate

REFERENCE = json.loads((Path(__file__).parent / "reference_values.json").read_text())
ALL = sorted(path.name for path in CONFIGS.glob("*.py"))


def test_all_of_the_reference_are_there() -> None:
    assert set(ALL) == {*REFERENCE, "quickstart_tridentnet_shapes.py"}


@pytest.mark.parametrize("name", ALL)
def test_config_is_sound(name: str) -> None:
    cfg = LazyConfig.load(CONFIGS / name)
    assert set(cfg) == {"model", "optimizer", "lr_multiplier", "dataloader", "train"}
    check(cfg)
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert all(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize("name", REFERENCE)
def test_config_builds_what_the_reference_builds(name: str) -> None:
    assert_builds(LazyConfig.load(CONFIGS / name), REFERENCE[name])


@pytest.mark.parametrize("name", ALL)
def test_one_override_chooses_the_branch_for_all_parts(name: str) -> None:
    cfg = LazyConfig.load(CONFIGS / name)
    stage = "stages.2" if name.startswith("quickstart") else "stages"
    LazyConfig.apply_overrides(cfg, [f"model.backbone.{stage}.test_branch_idx=-1"])
    with torch.device("meta"):
        model = instantiate(cfg.model)
    parts = (model.proposal_generator, model.roi_heads)
    assert [(part.num_branch, part.trident_fast) for part in parts] == [(3, False)] * 2


@pytest.mark.slow
def test_commands_of_the_readme(tmp_path: Path) -> None:
    assert_commands_work("tridentnet", tmp_path)
