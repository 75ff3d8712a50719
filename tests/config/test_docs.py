"""The code blocks of docs/config-tree.md run, one after the other."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "config-tree.md"


def test_the_page_about_the_tree_runs():
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    namespace = {"__name__": "config_tree"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{PAGE.name}[{number}]", "exec"), namespace)
