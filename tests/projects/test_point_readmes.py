"""The commands in the READMEs of PointRend and PointSup."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lazycfg import LazyConfig

ROOT = Path(__file__).resolve().parents[2]
SHORT = [
    "train.max_iter=2",
    "train.device=cpu",
    "train.pictures=1",
    "dataloader.train.total_batch_size=2",
    "dataloader.test.dataset.num_images=2",
]


def commands() -> list[list[str]]:
    found = []
    for name in ("point_rend", "point_sup"):
        text = (ROOT / "projects" / name / "README.md").read_text()
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
            found += [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]
    return found


TRAININGS = [c for c in commands() if "tools/train_net.py" in c]
QUICK = [c for c in TRAININGS if "quickstart" in " ".join(c)]


def test_there_are_commands() -> None:
    assert (len(commands()), len(TRAININGS), len(QUICK)) == (8, 7, 3)


@pytest.mark.parametrize("command", TRAININGS, ids=" ".join)
def test_their_configs_and_overrides_are_there(command: list[str]) -> None:
    cfg = LazyConfig.load(ROOT / command[command.index("--config-file") + 1])
    LazyConfig.apply_overrides(cfg, [part for part in command if re.match(r"[\w.]+=", part)])
    assert cfg.train.max_iter > 1
    assert {part for part in command if part.startswith("--")} <= {
        "--config-file",
        "--eval-only",
        "--nproc-per-node=8",
    }


@pytest.mark.slow
@pytest.mark.parametrize("command", QUICK, ids=" ".join)
def test_quickstarts_run_in_a_process_of_their_own(command: list[str], tmp_path: Path) -> None:
    for name in ("tools", "projects", "model_zoo"):
        (tmp_path / name).symlink_to(ROOT / name)
    done = subprocess.run(
        [sys.executable, *command[1:], *SHORT], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "output").iterdir()
    assert (folder / "model_final.safetensors").is_file()


def test_the_tool_says_what_it_takes() -> None:
    (command,) = [c for c in commands() if "tools/train_net.py" not in c]
    done = subprocess.run(
        [sys.executable, ROOT / command[1], "--help"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert all(part in done.stdout for part in command if part.startswith("--"))
    # what it says of itself is what the README says
    assert "--num-points 10" in done.stdout
