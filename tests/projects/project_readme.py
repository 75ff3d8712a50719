"""The commands of a project's README.md."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from lazycfg import LazyConfig, check

ROOT = Path(__file__).resolve().parents[2]
# Added to what is run, so that it takes seconds
SHORT = (
    "train.max_iter=2",
    "train.device=cpu",
    "train.pictures=1",
    "dataloader.train.total_batch_size=2",
    "dataloader.test.dataset.num_images=2",
)


def commands(project: str) -> list[list[str]]:
    """The lines of all bash blocks, split, without comments."""
    text = (ROOT / "projects" / project / "README.md").read_text()
    blocks = "\n".join(re.findall(r"^```bash\n(.*?)^```", text, flags=re.M | re.S)).replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in blocks.splitlines()]
    return [line for line in lines if line]


def assert_commands_work(project: str, folder: Path) -> None:
    """Run those of the quickstart and of its output, shortened, one after the other in an empty folder.

    Of those that need COCO the config and the overrides are checked.
    """
    for name in ("tools", "model_zoo", "projects"):
        (folder / name).symlink_to(ROOT / name)
    ran = 0
    for command in commands(project):
        file = command[command.index("--config-file") + 1] if "--config-file" in command else ""
        if "quickstart" in file or file.startswith("output/"):
            arguments = [sys.executable, *command[1:], *SHORT]
            env = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(arguments, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stdout + done.stderr
            ran += 1
        elif file:
            cfg = LazyConfig.load(ROOT / file)
            LazyConfig.apply_overrides(cfg, [word for word in command if "=" in word])
            check(cfg)
        else:
            assert (ROOT / command[1]).is_file(), command
    assert ran >= 2
