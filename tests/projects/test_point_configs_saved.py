"""What is saved of configs of both projects is loaded by another process that allows them."""

import subprocess
import sys
from pathlib import Path

import pytest

from lazycfg import LazyConfig

PROJECTS = Path(__file__).resolve().parents[2] / "projects"
FILES = [
    PROJECTS / "point_rend/configs/InstanceSegmentation/implicit_pointrend_R_50_FPN_1x_coco.py",
    PROJECTS / "point_rend/configs/SemanticSegmentation/pointrend_semantic_R_101_FPN_1x_cityscapes.py",
    PROJECTS / "point_sup/configs/quickstart_mask_rcnn_point_sup_shapes.py",
]
READ = """
import sys
from lazycfg import LazyConfig
from lazycfg.config import DEFAULT_ALLOW
from lazycfg.config.inspection.equality import equal_configs

allow = (
    *DEFAULT_ALLOW,
    "lazycfg.projects.point_rend",
    "lazycfg.projects.point_rend.ImplicitPointHead.num_params",
    "lazycfg.projects.point_sup",
)
for saved, original in zip(sys.argv[1::2], sys.argv[2::2]):
    assert equal_configs(LazyConfig.load(saved, allow=allow), LazyConfig.load(original)), original
print(len(sys.argv) // 2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["yaml", "py"])
def test_every_config_loads_in_another_process(tmp_path: Path, suffix: str) -> None:
    arguments = []
    for path in FILES:
        saved = tmp_path / f"{path.stem}.{suffix}"
        LazyConfig.save(LazyConfig.load(path), saved)
        arguments += [str(saved), str(path)]
    command = [sys.executable, "-c", READ, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == f"{len(FILES)}\n", done.stderr
