"""Completion of configs, keys and values in the shell: ``eval "$(lazycfg completion bash)"``."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lazycfg.cli.configs import load_config, zoo_folder

__all__ = ["candidates", "complete", "completion"]

COMMANDS = ("check", "completion", "diff", "doc", "explain", "get", "grep", "save", "show", "sweep")

_BASH = r"""_lazycfg_complete() {
    local IFS=$'\n' line="${COMP_LINE:0:COMP_POINT}" word
    word="${line##* }"
    COMPREPLY=($(lazycfg --complete "$line" 2>/dev/null))
    # bash takes '=' and ':' for ends of words: give back what stands behind the last one
    local prefix="${word%"${word##*[=:]}"}"
    if [[ "$COMP_WORDBREAKS" == *=* && -n "$prefix" ]]; then
        COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    fi
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=./] ]] && compopt -o nospace
}
complete -o default -F _lazycfg_complete lazycfg
"""
_ZSH = "autoload -U +X bashcompinit && bashcompinit\n" + _BASH


def completion(arguments: argparse.Namespace) -> int:
    """Print the code that a shell evaluates."""
    print({"bash": _BASH, "zsh": _ZSH}[arguments.shell], end="")
    return 0


def complete(line: str) -> int:
    """Print the candidates for the last word of a command line; never fails, never prints an error."""
    with contextlib.suppress(Exception):  # a half-typed line must not disturb the shell
        for candidate in candidates(line):
            print(candidate)
    return 0


def candidates(line: str) -> list[str]:
    """The candidates for the last word of ``lazycfg ...``."""
    words = line.split(" ")
    words = [word for word in words[1:-1] if word] + [words[-1]]
    current, before = words[-1], words[:-1]
    if not before:
        return [name for name in COMMANDS if name.startswith(current)]
    plain = [word for word in before[1:] if not word.startswith("-")]
    if before[0] == "completion":
        return [name for name in ("bash", "zsh") if name.startswith(current)]
    if before[0] == "grep":
        plain = plain[1:]
    if not plain:
        return _config_files(current)
    return _keys_and_values(load_config(plain[0]), current, keys_only=before[0] in ("get", "explain", "doc"))


def _config_files(current: str) -> list[str]:
    folder, name = os.path.split(current)
    found = []
    for base in (Path(folder or "."), zoo_folder() / folder):
        if base.is_dir():
            for path in sorted(base.iterdir()):
                if path.name.startswith((".", "__")) or not path.name.startswith(name):
                    continue
                shown = os.path.join(folder, path.name)
                if path.is_dir():
                    found.append(f"{shown}/")
                elif path.suffix in (".py", ".yaml", ".yml", ".json"):
                    found.append(shown)
    return list(dict.fromkeys(found))


def _keys_and_values(cfg: Any, current: str, *, keys_only: bool) -> list[str]:
    from lazycfg.config.paths import get_path, parse_path
    from lazycfg.config.traverse import children

    prefix = current[: len(current) - len(current.lstrip("+~"))]
    body = current[len(prefix) :]
    if "=" in body:
        key, _, typed = body.partition("=")
        return [f"{prefix}{key}={value}" for value in _values(get_path(cfg, key)) if value.startswith(typed)]
    parent, _, start = body.rpartition(".")
    holder = get_path(cfg, parse_path(parent)) if parent else cfg
    found = []
    for key, child in children(holder) or ():
        text = str(key)
        if text.startswith(start) and text not in ("_target_", "_partial_", "_args_"):
            path = f"{parent}.{text}" if parent else text
            ending = "" if keys_only or prefix == "~" else "="
            has_parts = children(child) is not None and len(list(children(child) or ())) > 0
            found.append(f"{prefix}{path}{'.' if has_parts else ending}")
    return found


def _values(value: Any) -> Iterable[str]:
    from lazycfg.config.grammar import format_value

    if isinstance(value, bool):
        return ("true", "false")
    try:
        return (format_value(value),)
    except TypeError:
        return ()
