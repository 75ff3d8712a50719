"""Completion of configs, keys and values in the shell: ``eval "$(lazycfg completion bash)"``."""

from __future__ import annotations

import argparse
import contextlib
import glob
import os
import re
from pathlib import Path
from typing import Any

from lazycfg.cli.common import find_config, load_config, zoo_folder
from lazycfg.cli.parser import command_names, options_of, parser_of

__all__ = ["candidates", "complete", "completion"]

_LITERAL = re.compile(r"\bLiteral\[([^\]]*)\]")
_BOOL = re.compile(r"\bbool\b")
_UNSAFE = re.compile(r"[^\w@%+=:,./\[\]-]")

_BASH = r"""_lazycfg_complete() {
    local IFS=$'\n' line="${COMP_LINE:0:COMP_POINT}" word
    word="${line##* }"
    COMPREPLY=($(lazycfg --complete "$line" 2>/dev/null))
    # bash takes '=' and ':' for ends of words: give back what is behind the last one
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
    """Return the candidates for the last word of ``lazycfg ...``, as they are typed in a shell."""
    words = line.split(" ")
    words = [word for word in words[1:-1] if word] + [words[-1]]
    current, before = words[-1], words[:-1]
    if not before:
        return [name for name in command_names() if name.startswith(current)]
    if current.startswith("-"):
        return [name for name in options_of(before[0]) if name.startswith(current)]
    last = _option(before[0], before[-1])
    if last is not None and last.nargs != 0:  # the value of an option; bash completes files by itself
        return [str(choice) for choice in last.choices or () if str(choice).startswith(current)]
    plain = _positional(before[0], before[1:])
    if before[0] == "completion":
        return [name for name in ("bash", "zsh") if name.startswith(current)]
    if before[0] in ("report", "runs"):
        return []  # folders: the shell completes them
    if before[0] in ("env", "prepare"):
        kinds = _kinds(before[0]) if not plain else []
        return [name for name in kinds if name.startswith(current)]
    if before[0] == "doc" and not plain and current.startswith("train."):
        return _keys_and_values(_config("common/train.py"), current, keys_only=True)
    if before[0] == "grep":
        if not plain:
            return []  # the pattern
        plain = plain[1:]
    if not plain:
        return _config_files(current)
    if before[0] in ("copy", "drift", "ls"):
        return []
    from lazycfg.config.tree.interpolation import limited_resolvers

    keys_only = before[0] in ("get", "explain", "doc") and len(plain) == 1
    if before[0] in ("export", "predict") and glob.glob(f"{glob.escape(current)}*"):
        return []  # files: bash completes them
    found = [] if before[0] not in ("diff", "grep") or "=" in current else _config_files(current)
    with limited_resolvers():
        found += _keys_and_values(_config(plain[0]), current, keys_only=keys_only)
    return found


def _kinds(command: str) -> list[str]:
    """Return the commands that a command has below it."""
    parser = parser_of(command)
    actions = () if parser is None else parser._actions
    return [name for action in actions if isinstance(action.choices, dict) for name in action.choices]


def _config(name: str) -> Any:
    """Return a config to take keys from. Pressing TAB runs nobody's code: of a Python file it is what the
    syntax tells.
    """
    from lazycfg.config.formats.files import format_of
    from lazycfg.without_importing.syntax_only import read_syntax

    file = find_config(name)
    return read_syntax(file) if format_of(file) == "py" else load_config(file)


def _option(command: str, word: str) -> argparse.Action | None:
    """Return the option of a command that a word is."""
    parser = parser_of(command) if word.startswith("-") else None
    return None if parser is None else parser._option_string_actions.get(word)


def _positional(command: str, words: list[str]) -> list[str]:
    """Return the words that are neither options nor their values."""
    found, skip = [], False
    for word in words:
        option = _option(command, word)
        if not skip and not word.startswith("-"):
            found.append(word)
        skip = option is not None and option.nargs != 0
    return found


def _config_files(current: str) -> list[str]:
    from lazycfg.config.formats.files import SUFFIXES

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
                elif path.suffix.lower() in SUFFIXES:
                    found.append(shown)
    return [_quoted(name) for name in dict.fromkeys(found) if name.isprintable()]


def _keys_and_values(cfg: Any, current: str, *, keys_only: bool) -> list[str]:
    from lazycfg.config.tree.access import get_path
    from lazycfg.config.tree.keys import find_key
    from lazycfg.config.tree.paths import parse_path

    prefix = current[: len(current) - len(current.lstrip("+~"))]
    body = current[len(prefix) :]
    if "=" in body:
        key, _, typed = body.partition("=")
        keys = parse_path(key)
        values = _values(get_path(cfg, keys[:-1]), keys[-1])
        return [f"{prefix}{key}={value}" for value in values if value.startswith(typed)]
    parent, _, start = body.rpartition(".")
    holder: Any = get_path(cfg, parse_path(parent)) if parent else cfg
    found = []
    for key in _keys(holder):
        text = str(key)
        if not text.startswith(start) or not text.isprintable():
            continue
        path = _quoted(f"{parent}.{text}" if parent else text)
        child = find_key(holder, key)
        if _keys(child) and not isinstance(child, tuple):
            found.append(f"{prefix}{path}.")
        else:
            found.append(f"{prefix}{path}{'' if keys_only or prefix == '~' else '='}")
    return found


def _keys(holder: Any) -> list[Any]:
    """Return the keys below a value: what is there, then what the target takes besides."""
    from lazycfg.config.tree.containers import children

    special = ("_target_", "_partial_", "_args_")
    keys = [key for key, _ in children(holder) or () if key not in special]
    signature = _signature(holder)
    return [*keys, *(name for name in signature.candidates() if name not in keys)] if signature else keys


def _signature(holder: Any) -> Any:
    """Return what a call takes, as far as that is known without importing."""
    from lazycfg.config.tree.node import is_call, raw_get

    target = raw_get(holder, "_target_") if is_call(holder) else None
    read = getattr(type(target), "__lazycfg_signature__", None)
    return None if read is None else read(target)


def _values(holder: Any, key: Any) -> list[str]:
    """Return what may be assigned: the choices that the target's annotation names, and what is there now."""
    from lazycfg.config.tree.keys import find_key
    from lazycfg.config.tree.paths import MISSING
    from lazycfg.inspection.override_text import format_value

    value = find_key(holder, key)
    signature = _signature(holder)
    annotation = ""
    if signature is not None and key in signature.parameters:
        annotation = str(signature.parameters[key].annotation)
        value = signature.parameters[key].default if value is MISSING else value
    choices = [str(choice) for text in _LITERAL.findall(annotation) for choice in _literals(text)]
    if isinstance(value, bool) or _BOOL.search(annotation):
        choices += ["true", "false"]
    if not isinstance(value, bool):
        with contextlib.suppress(TypeError):  # what cannot be written on a command line
            choices.append(format_value(value))
    return list(dict.fromkeys(_quoted(choice) for choice in choices if choice))


def _literals(text: str) -> list[Any]:
    import ast

    try:
        found = ast.literal_eval(f"({text},)")
    except (ValueError, SyntaxError):
        return []
    return [value for value in found if value is not None]


def _quoted(text: str) -> str:
    """Return a value as it is typed in a shell."""
    return _UNSAFE.sub(r"\\\g<0>", re.sub(r", (?=[^'\"]*$)", ",", text))
