"""The commands of a README, run with few steps where they need no files and checked where they do."""

import re
import shlex
from pathlib import Path

from lazycfg import LazyConfig, check
from lazycfg.engine import train

ROOT = Path(__file__).parents[3]
SHORT = [
    "train.max_iter=2",
    "train.log_period=1",
    "train.pictures=1",
    "dataloader.train.total_batch_size=2",
    "dataloader.test.dataset.num_images=2",
]


def run_commands(readme: Path, folder: Path) -> dict[str, dict]:
    """Results of the trainings, by config; the config of every other command is compared with signatures."""
    results = {}
    for block in re.findall(r"```bash\n(.*?)```", readme.read_text(), re.DOTALL):
        words = shlex.split(block.replace("\\\n", " "))
        position = words.index("--config-file")
        assert "tools/train_net.py" in words[:position]
        file, overrides = words[position + 1], words[position + 2 :]
        cfg = LazyConfig.load(ROOT / file)
        if "quickstart" in file:
            LazyConfig.apply_overrides(cfg, [*overrides, *SHORT, f"train.output_dir={folder}"])
            results[file] = train(cfg)
        else:
            LazyConfig.apply_overrides(cfg, overrides)
            check(cfg)
    return results
