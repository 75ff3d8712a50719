"""The code of docs/your-data.md runs."""

import re
from pathlib import Path

from lazycfg import LazyConfig, check

PAGE = Path(__file__).parents[2] / "docs" / "your-data.md"


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) == 9
    names = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert "('cat', 'dog') [[24.0, 12.0, 16.0, 24.0], " in printed
    assert "'bbox': [10.0, 4.0, 20.0, 16.0]" in printed
    assert "[[10.0, 10.0, 20.0, 10.0], [40.0, 30.0, 20.0, 10.0]]" in printed
    assert check(LazyConfig.apply_overrides(LazyConfig.load("pets.py"), ["data.path=pets"])) == []
    assert "lines.txt:2: bbox [40.0, 30.0, 0.0, 10.0] ([x, y, width, height]) has no area" in printed
    assert "('circle', 'triangle', 'square', 'star')" in printed
    assert "10., " in printed
    assert "torch.Size([3, " in printed
    assert ", 2])" in printed.splitlines()[-1]
