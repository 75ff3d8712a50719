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
MORE = {
    "make_figures": ["--train", "4", "--test", "4", "--side", "64"],
    "apply_net": ["--score", "0"],
    "query_db": [],
}


def commands():
    text = (ROOT / "projects" / "densepose" / "README.md").read_text()
    blocks = "\n".join(re.findall(r"^```bash\n(.*?)^```", text, flags=re.M | re.S)).replace("\\\n", " ")
    return [shlex.split(line) for line in blocks.splitlines() if line.strip()]


@pytest.mark.slow
def test_commands(tmp_path):
    for name in ("tools", "model_zoo", "projects"):
        (tmp_path / name).symlink_to(ROOT / name)
    ran = []
    for command in commands():
        config = command[command.index("--config-file") + 1] if "--config-file" in command else ""
        if config and "quickstart" not in config:
            cfg = LazyConfig.load(ROOT / config)
            LazyConfig.apply_overrides(cfg, [word for word in command if re.match(r"[a-z_.]+=", word)])
            check(cfg)
            continue
        module = command[2].rpartition(".")[2] if command[1] == "-m" else ""
        done = subprocess.run(
            [sys.executable, *command[1:], *(TRAIN if config else MORE[module])],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", "DETECTRON2_DATASETS": "datasets"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        ran.append(module or Path(config).stem)
    assert ran.count("config") == 1
    assert len(ran) == 6
    assert (tmp_path / "shown" / "test_00000.png").is_file()
    assert len(list((tmp_path / "annotated").iterdir())) == 4
    results = (tmp_path / "output" / "quickstart_densepose_cse" / "metrics.json").read_text()
    assert "densepose_gps" in results
