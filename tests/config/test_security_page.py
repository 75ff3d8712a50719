"""What SECURITY.md says holds: its code runs, the options in its commands exist, and so do the names."""

import re
import shlex
from pathlib import Path

from lazycfg.cli.parser import options_of
from lazycfg.config.trust import DEFAULT_ALLOW

PAGE = (Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8")


def test_its_code_runs():
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M)
    assert blocks
    for block in blocks:
        exec(block, {})


def test_its_commands_have_their_options():
    lines = [
        line for block in re.findall(r"^```bash\n(.*?)^```", PAGE, re.S | re.M) for line in block.splitlines()
    ]
    assert lines
    scripts = Path(__file__).parents[2]
    for line in lines:
        words = shlex.split(line)
        given = [word for word in words if word.startswith("--")]
        if words[0] == "lazycfg":
            assert set(given) <= set(options_of(words[1])), line
        else:
            assert all(f'"{option}"' in (scripts / words[1]).read_text() for option in given), line


def test_what_it_says_is_allowed_is():
    for part in ("structures", "layers", "modeling", "data", "solver", "evaluation", "tracking", "projects"):
        assert f"lazycfg.{part}" in DEFAULT_ALLOW
    assert {entry for entry in DEFAULT_ALLOW if entry.startswith("resolver:")} == {
        "resolver:oc.env:DETECTRON2_DATASETS", "resolver:oc.env:LAZYCFG_WEIGHTS",
    }  # fmt: skip
