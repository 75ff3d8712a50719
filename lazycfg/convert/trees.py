"""What several formats need: targets by name, and the file that is written of a tree."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from lazycfg.config import LazyCall, LazyConfig, Node
from lazycfg.config.errors import TargetError
from lazycfg.config.tree.lazy_call import LazyPartial
from lazycfg.config.tree.targets import import_target

__all__ = ["call", "comment_lines", "config_text", "target_of"]


def target_of(name: str, remarks: list[str]) -> Any:
    """Return what a dotted name stands for; the name itself, and a remark, where it cannot be imported."""
    try:
        return import_target(name)
    except TargetError as error:
        remark = f"{error}; the name was kept as text"
        if remark not in remarks:
            remarks.append(remark)
        return name


def call(target: Any, args: Sequence[Any], kwargs: Mapping[str, Any], *, partial: bool = False) -> Node:
    """Return the call as it is recorded; positional arguments get their names where they have some."""
    record: Any = LazyPartial if partial else LazyCall
    made: Node = record(target)(*args, **kwargs)
    return made


def config_text(title: str, cfg: Node, comments: Sequence[str] = ()) -> str:
    """Return the text of a config file that says the same as a tree.

    Args:
        title: its first line, a sentence.
        cfg: the tree.
        comments: sentences for the end of the file.

    Raises:
        SaveError: something in the tree cannot be written.
    """
    return f'"""{title}"""\n\n{LazyConfig.to_py(cfg)}{comment_lines(comments)}'


def comment_lines(comments: Sequence[str]) -> str:
    """Return sentences as comments for the end of a file."""
    wrapped = [
        textwrap.fill(line, 100, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
        for comment in comments
        for line in comment.splitlines()
    ]
    return "\n" + "\n".join(wrapped) + "\n" if wrapped else ""
