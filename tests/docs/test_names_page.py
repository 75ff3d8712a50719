"""The page of names leads to names that are there, and calls none absent that is not."""

import importlib
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "migration" / "names.md").read_text(encoding="utf-8")


def find(dotted):
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(dotted)


@pytest.mark.parametrize("dotted", sorted(set(re.findall(r"`((?:lazycfg|torchvision)(?:\.\w+)+)`", PAGE))))
def test_what_there_is_instead_is_there(dotted):
    assert find(dotted) is not None


def test_what_is_not_here_is_not_here():
    table = PAGE.partition("## Not here")[2]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    # Arguments of something, and names with more words beside them, are no names of their own
    names = {name for row in rows if " of " not in row for name in re.findall(r"`(\w+)`", row)}
    assert len(names) > 30
    packages = (
        "config",
        "checkpoint",
        "data",
        "engine",
        "evaluation",
        "layers",
        "modeling",
        "solver",
        "utils",
    )
    here = {name for package in packages for name in getattr(find(f"lazycfg.{package}"), "__all__", ())}
    assert not names & (here | set(vars(importlib.import_module("lazycfg"))))
