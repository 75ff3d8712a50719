"""The commands that import for real or write: check, doc, save, sweep."""

from __future__ import annotations

import argparse
import itertools
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from lazycfg.cli.configs import CommandError, find_config, load_config, split_words

__all__ = ["check", "doc", "save", "sweep"]


def check(arguments: argparse.Namespace) -> int:
    """Find every problem of a config, then build its model without memory and report its size."""
    from lazycfg.config.build import instantiate
    from lazycfg.config.checking import problems_of

    paths, overrides = split_words(arguments.words)
    if paths:
        raise CommandError(f"not an override: {' '.join(paths)}")
    cfg = load_config(arguments.config, overrides, real=True, trusted=arguments.trusted)
    problems = list(problems_of(cfg))
    for problem in problems:
        print(problem)
    if problems:
        print(f"{len(problems)} problem{'s' if len(problems) != 1 else ''}")
        return 1
    print("no problems found")
    model = dict.get(cfg, "model") if isinstance(cfg, dict) else None
    if model is not None and not arguments.no_build:
        import torch

        with torch.device("meta"):
            built = instantiate(cfg).get("model") if _refers_up(model) else instantiate(model)
        if isinstance(built, torch.nn.Module):
            _report_model(built, arguments.input_size)
    return 0


def _refers_up(node: Any) -> bool:
    """Whether a node needs what is above it: an absolute interpolation."""
    from lazycfg.config.traverse import walk

    return any(isinstance(value, str) and "${" in value and "${." not in value for _, value in walk(node))


def _report_model(model: Any, input_size: str) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    total = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    print(f"{type(model).__name__}: {total:,} parameters, {trained:,} of them trained")
    for name, child in model.named_children():
        print(f"  {name}: {type(child).__name__}, {sum(p.numel() for p in child.parameters()):,} parameters")
    backbone = getattr(model, "backbone", None)
    if backbone is None:
        return
    height, _, width = input_size.lower().partition("x")
    try:
        size = int(height), int(width or height)
    except ValueError:
        raise CommandError(f"--input-size {input_size!r} is not of the form 800x1333") from None
    divisor = int(getattr(backbone, "size_divisibility", 0) or 32)
    padded = [(side + divisor - 1) // divisor * divisor for side in size]
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        features = backbone(torch.empty(1, 3, *padded, device="meta"))
    print(f"  backbone on 1x3x{padded[0]}x{padded[1]}: {1e-9 * counter.get_total_flops():.1f} GFLOP")
    for name, feature in features.items() if isinstance(features, dict) else ():
        print(f"    {name}: {'x'.join(map(str, feature.shape))}")


def doc(arguments: argparse.Namespace) -> int:
    """Print what a parameter means: its type, default and documentation."""
    from lazycfg.config.brief import target_name
    from lazycfg.config.docs import parameter_doc, target_doc
    from lazycfg.config.node import is_call, raw_get
    from lazycfg.config.paths import get_path, parse_path

    paths, overrides = split_words(arguments.words)
    if len(paths) != 1:
        raise CommandError("doc takes one config path")
    cfg = load_config(arguments.config, overrides, real=True, trusted=arguments.trusted)
    keys = parse_path(paths[0])
    holder = get_path(cfg, keys[:-1])
    value = dict.get(holder, keys[-1]) if isinstance(holder, dict) else get_path(cfg, keys)
    if is_call(holder):
        print(parameter_doc(holder, str(keys[-1])))
    if is_call(value):
        print(f"{paths[0]} is a call of {target_name(raw_get(value, '_target_'), full=True)}:\n")
        print(target_doc(value))
    elif not is_call(holder):
        print(f"{paths[0]} = {value!r}")
    return 0


def save(arguments: argparse.Namespace) -> int:
    """Write a config with its overrides to a file, in the format of its suffix."""
    from lazycfg.config.saving import WRITERS
    from lazycfg.config.saving import save as write

    others, overrides = split_words(arguments.words)
    if len(others) != 1:
        raise CommandError("save takes the file to write, and overrides")
    if not others[0].endswith(tuple(WRITERS)):
        raise CommandError(f"the suffix of {others[0]!r} says no format; known are {', '.join(WRITERS)}")
    write(load_config(arguments.config, overrides, real=True, trusted=arguments.trusted), others[0])
    print(others[0])
    return 0


def sweep(arguments: argparse.Namespace) -> int:
    """Print, or run, the command lines of a sweep."""
    others, overrides = split_words(arguments.words)
    if others:
        raise CommandError(f"not an override: {' '.join(others)}")
    runs = list(_from_file(arguments.file)) if arguments.file else [[]]
    combined = [[*run, *choice] for run in runs for choice in product_of(overrides)]
    for run in combined:
        load_config(arguments.config, run)  # a wrong override is found before anything starts
    command = shlex.split(arguments.command)
    file = find_config(arguments.config)
    for run in combined:
        line = [*command, "--config-file", file, *run]
        print(shlex.join(line), flush=True)
        if arguments.run and (status := subprocess.run(line, check=False).returncode):
            print(f"lazycfg: that run ended with status {status}", file=sys.stderr)
            if not arguments.keep_going:
                return status
    return 0


def product_of(overrides: Iterable[str]) -> Iterator[list[str]]:
    """All combinations of ``key=a,b,c``: commas outside brackets and quotes separate the choices."""
    choices = []
    for text in overrides:
        key, equals, value = text.partition("=")
        choices.append([f"{key}{equals}{part}" for part in split_choices(value)] if equals else [text])
    for combination in itertools.product(*choices):
        yield list(combination)


def split_choices(text: str) -> list[str]:
    """The parts between commas that stand in no bracket and no quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "[({":
            depth += 1
        elif char in "])}":
            depth -= 1
        elif char == "," and not depth:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]


def _from_file(file: str) -> Iterator[list[str]]:
    """The overrides that the generator ``sweep()`` of a Python file yields."""
    from lazycfg.config.loading import load

    generate = load(file, "sweep")
    for run in generate():
        yield [run] if isinstance(run, str) else [str(text) for text in run]
