"""The commands of the README, shortened, one after the other in an empty folder."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lazycfg import LazyConfig, check

ROOT = Path(__file__).resolve().parents[3]
TRAIN = ["train.max_iter=2", "train.device=cpu", "train.pictures=1", "dataloader.train.total_batch_size=2"]
MAKE = {
    "make_solids": ["--train", "4", "--test", "4", "--side", "64"],
    "make_views": ["--models", "16", "--views", "1"],
}


def commands():
    text = (ROOT / "projects" / "meshrcnn" / "README.md").read_text()
    blocks = "\n".join(re.findall(r"^```bash\n(.*?)^```", text, flags=re.M | re.S)).replace("\\\n", " ")
    return [shlex.split(line) for line in blocks.splitlines() if line.strip()]


@pytest.mark.slow
def test_commands(tmp_path):
    for name in ("tools", "model_zoo", "projects"):
        (tmp_path / name).symlink_to(ROOT / name)
    ran = []
    for command in commands():
        config = command[command.index("--config-file") + 1] if "--config-file" in command else ""
        overrides = [word for word in command if re.match(r"[a-z_.]+=", word)]
        if config and "quickstart" not in config:
            cfg = LazyConfig.load(ROOT / config)
            LazyConfig.apply_overrides(cfg, overrides)
            check(cfg)
            continue
        module = command[2].rpartition(".")[2] if command[1] == "-m" else ""
        more = (
            [*TRAIN, "dataloader.evaluator.num_samples=50"] if config else MAKE.get(module, ["--score", "0"])
        )
        env = {**os.environ, "OMP_NUM_THREADS": "1", "DETECTRON2_DATASETS": "datasets"}
        done = subprocess.run(
            [sys.executable, *command[1:], *more],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        ran.append(module or config)
    assert len(ran) == 6
    assert (tmp_path / "meshes" / "test_00000.png").is_file()
    assert list((tmp_path / "meshes").glob("test_00000_*.obj"))
