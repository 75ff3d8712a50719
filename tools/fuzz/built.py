"""Configs of what a data file may name, put together at random, and built: whatever the constructors make of
their arguments, nothing may be written, started or opened."""

import functools
import importlib
import json
import pkgutil
import random
from pathlib import Path

import torch

from lazycfg import instantiate
from lazycfg.config import DEFAULT_ALLOW, UntrustedError
from lazycfg.config.formats.decode import decode
from lazycfg.config.formats.yaml_io import parse_yaml
from lazycfg.config.tree.targets import find_name, public_name
from lazycfg.config.trust import Policy

__all__ = ["build_random", "random_config"]

_ATTRIBUTES_TEXT = """
    parameters named_parameters weight num_classes metadata output_shape dataset compile forward export_coco
    load_state_dict evaluate __class__ apply
"""
_ATTRIBUTES = tuple(_ATTRIBUTES_TEXT.split())
_KEYS_TEXT = """
    dtype device name path output_dir json_file image_root fn hook factory __array_interface__ weights out
    dataset model params lr
"""
_KEYS = tuple(_KEYS_TEXT.split())
_TEXTS_TEXT = """
    a cpu meta cuda written-by-lazycfg-fuzz os.system ${n} ${m} relu BN RGB hf-hub:a/b http://127.0.0.1:9/x
    float32 O |u1 ${oc.select:m} ../x
"""
_TEXTS = tuple(_TEXTS_TEXT.split())


@functools.cache
def _vocabulary() -> tuple[str, ...]:
    """Every name that the default policy allows, and some that it does not."""
    policy, names = Policy(None), set()
    modules = [torch.nn, torch.optim, torch.optim.lr_scheduler, torch.nn.functional, torch]
    for part in ("structures", "layers", "modeling", "data", "solver", "evaluation"):
        top = importlib.import_module(f"lazycfg.{part}")
        inner = pkgutil.walk_packages(top.__path__, f"{top.__name__}.")
        modules += [top, *(importlib.import_module(module.name) for module in inner)]
    for module in modules:
        for found in list(vars(module).values()):
            if callable(found) and policy.why_refused(found) is None:
                name = find_name(found)
                names |= {str(public_name(name, found))} if name is not None else set()
    for entry in DEFAULT_ALLOW:
        try:
            names |= {entry} if callable(policy.resolve(entry)) else set()
        except (UntrustedError, ImportError):
            continue
    return tuple(sorted(names))


def random_config(data: bytes) -> str:
    """A YAML text, the same for the same bytes."""
    choose = random.Random(data)
    names = _vocabulary()

    def value(depth: int) -> str:
        kind = choose.randrange(14 if depth < 4 else 6)
        if kind < 2:
            return json.dumps(choose.choice(_TEXTS))
        if kind < 4:
            return str(choose.choice([0, 1, 2, 3, 8, 16, -1, 0.5, "true", "null", "1e-3", 255]))
        if kind == 4:
            return f"!name {choose.choice(names)}"
        if kind == 5:
            return choose.choice(["*m", "*n", "[1, 2]", "!tuple [1, 2]", "{a: 1}", "[]", "!set [1]"])
        if kind < 11:
            return call(depth)
        if kind == 11:
            return f"[{', '.join(value(depth + 1) for _ in range(choose.randrange(4)))}]"
        if kind == 12:
            return f"!partial [!name {choose.choice(names)}, [{value(depth + 1)}], {{}}]"
        attribute = choose.choice(_ATTRIBUTES)
        return f"{{_target_: !name builtins.getattr, _args_: [{call(depth + 1)}, {attribute}]}}"

    def call(depth: int) -> str:
        target = f"!name {choose.choice(names)}"
        if choose.random() < 0.05:
            target = value(depth + 1)
        args = [value(depth + 1) for _ in range(choose.randrange(3))]
        words = [f"{choose.choice(_KEYS)}: {value(depth + 1)}" for _ in range(choose.randrange(3))]
        keys = {word.partition(":")[0]: word for word in words}
        return "{" + ", ".join([f"_target_: {target}", f"_args_: [{', '.join(args)}]", *keys.values()]) + "}"

    head = "m: &m {_target_: torch.nn.Linear, _args_: [2, 2]}\nn: &n [1, 2]\n"
    return head + "".join(f"x{i}: {value(0)}\n" for i in range(4))


def build_random(file: Path) -> None:
    """Load the config that the bytes of a file stand for, and build its parts."""
    text = random_config(file.read_bytes())
    try:
        cfg = decode(parse_yaml(text.encode(), str(file)), str(file), Policy(None), may_run=False)
    except UntrustedError:
        return
    for key in list(cfg):
        try:
            with torch.device("meta"):  # a whole ViT is a fair thing to ask for, but takes seconds
                instantiate(cfg[key])
        except Exception:  # what a constructor says of random arguments
            continue
