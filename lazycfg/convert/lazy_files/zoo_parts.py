"""Which of the files that a lazy config imports say what a common file of our model zoo says."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from lazycfg import model_zoo
from lazycfg.config import LazyConfig, Node, instantiate
from lazycfg.config.errors import ConfigError
from lazycfg.convert.fitting import NOTHING, Edit, fit
from lazycfg.solver import WarmupParamScheduler

__all__ = ["module_in_zoo", "same_as_in_zoo"]

_COMMON = Path(model_zoo.__file__).resolve().parent / "common"


def module_in_zoo(file: Path) -> str | None:
    """Return the module of our zoo that has the place of a file, `.../common/data/coco.py`; None for none."""
    parts = file.with_suffix("").parts
    for at, part in enumerate(parts):
        if part == "common" and _COMMON.joinpath(*parts[at + 1 :]).with_suffix(".py").is_file():
            return ".".join(["lazycfg", "model_zoo", *parts[at:]])
    return None


def same_as_in_zoo(cfg: Node, module: str, names: Iterable[str]) -> bool:
    """Return whether the named parts of a config build what those of a module of our zoo build.

    The settings of a training count as the same where the zoo's has them all.
    """
    zoo = LazyConfig.load(_COMMON.joinpath(*module.split(".")[3:]).with_suffix(".py"))
    return all(name in cfg and name in zoo and _same(zoo, cfg, name) for name in names)


def _same(zoo: Node, cfg: Node, name: str) -> bool:
    ours, theirs = dict.get(zoo, name), dict.get(cfg, name)
    if type(ours) is not Node or type(theirs) is not Node:
        return False
    if dict.get(theirs, "_target_") is WarmupParamScheduler:
        one, other = instantiate(ours), instantiate(theirs)
        return all(bool(abs(one(at / 997) - other(at / 997)) < 1e-12) for at in range(997))
    try:
        edits = fit(zoo, cfg, name)
    except (ConfigError, ValueError):
        return False
    return all(_is_harmless(zoo, edit) for edit in edits)


def _is_harmless(zoo: Node, edit: Edit) -> bool:
    """Return whether an edit leaves what is built as it is."""
    *above, last = edit.path
    if edit.path[0] == "train":
        return edit.value is NOTHING or edit.path[1:] in (("device",), ("checkpointer", "max_to_keep"))
    if last == "seed":  # the zoo's follows `train.seed`
        return True
    holder: Any = zoo
    for key in above:
        holder = holder[key]
    have = holder.get(last) if isinstance(holder, dict) else None
    return bool(_plain(have) == _plain(edit.value))


def _plain(value: Any) -> Any:
    if isinstance(value, partial):
        return (value.func, value.args, value.keywords)
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(value) if isinstance(value, list) else value or None
