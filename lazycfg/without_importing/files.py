"""Reading config files without importing what they name, so that `lazycfg show` does not wait for torch.

`read_file` runs a ``.py`` file with stand-ins for what it imports; `StandInDecoder` reads a data file and
makes nothing of it. See `stand_ins` for what becomes of a stand-in that is used.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from lazycfg.config.errors import ConfigError
from lazycfg.config.formats.decode import MAKERS, Decoder, Maker
from lazycfg.config.formats.document import as_list, as_node, as_text
from lazycfg.config.isolation.session import python_import
from lazycfg.config.loading.load import load
from lazycfg.config.signatures.binding import bind_positional
from lazycfg.config.signatures.modules import locate_module
from lazycfg.config.tree.node import Node, is_call, raw_contains, raw_get, raw_items, raw_set
from lazycfg.config.tree.traversal import plan
from lazycfg.config.trust import Policy
from lazycfg.without_importing.source import Unsure, find_constant
from lazycfg.without_importing.stand_ins import IF_THERE, NEVER, Reading, StandIn, may_have

_REAL = ("lazycfg", "lazycfg.config", "lazycfg.inspection", "lazycfg.model_zoo", "lazycfg.projects")


def read_file(file: str) -> Any:
    """Return the config of a ``.py`` file, run with stand-ins for what it imports.

    Positional arguments get the names that the source of their target tells, and constants of other modules
    their values, so that the tree is the one that `load` gives.
    """
    cfg = load(file, import_absolute=deferred_import)
    for value, contents, _ in plan(cfg):
        if is_call(value) and raw_contains(value, "_args_"):
            target = raw_get(value, "_target_")
            if isinstance(target, StandIn) and target.__lazycfg_signature__() is not None:
                with contextlib.suppress(TypeError):  # `check` reports it
                    bind_positional(value, importing=True)
        elif type(value) in (Node, list):
            for key, child in list(contents.items() if type(contents) is dict else enumerate(contents)):
                if isinstance(child, StandIn) and key != "_target_":
                    put = dict.__setitem__ if type(value) is Node else list.__setitem__
                    put(value, key, _constant(child))
    return cfg


def _constant(stand_in: StandIn) -> Any:
    """Return the literal that a name of another module stands for; the stand-in itself for anything else."""
    if stand_in.__lazycfg_name__() is not None and stand_in.__lazycfg_kind__() is None:
        with contextlib.suppress(Unsure, OSError, SyntaxError, ValueError, RecursionError):
            return find_constant(str(stand_in))
    return stand_in


def deferred_import(name: str, module_globals: Mapping[str, object] | None, fromlist: Sequence[str]) -> Any:
    """Import a module by a stand-in of it; for `Session`.

    A module or name that cannot be found without importing is imported at once, so that a wrong name ends in
    the error that it would have ended in anyway. The standard library, this package's core and, once torch is
    there, what is imported already are imported as usual.
    """
    standard = name.partition(".")[0] in sys.stdlib_module_names
    if standard or name in _REAL or name.startswith(("lazycfg.config.", "lazycfg.inspection.")):
        return python_import(name, module_globals, fromlist)
    if name in sys.modules and "torch" in sys.modules:  # nothing is saved any more
        return python_import(name, module_globals, fromlist)
    file = locate_module(name)
    if file is None or "*" in fromlist or not all(may_have(file, attribute) for attribute in fromlist):
        return python_import(name, module_globals, fromlist)
    return StandIn((name if fromlist else name.partition(".")[0], ""))


# ---------------------------------------------------------------- data files


class StandInDecoder(Decoder):
    """Reads a data file without making what it describes: objects, members of enums and the like stay calls
    that nobody makes, so that the class of a saved object need not exist.

    With `NEVER` names are not resolved either: looking at a file imports nothing and runs nothing. With
    `IF_THERE` they are, under the policy, and a name that leads nowhere becomes a stand-in.
    """

    def __init__(self, file: str, policy: Policy, source: ModuleType | None, *, reading: Reading) -> None:
        super().__init__(file, policy, source)
        self.reading = reading

    def resolve(self, text: str) -> Any:
        """Return what a name stands for, or a stand-in. Raises ConfigError if it is no dotted name."""
        if self.reading.imports:
            try:
                return super().resolve(text)
            except ImportError:
                pass
        if not _is_dotted(text):
            raise ConfigError(f"{text!r} is not of the form package.module.name")
        module, _, name = text.rpartition(".")
        return StandIn((module, name), None, self.reading)

    def judge(self, config: Any) -> None:
        """Judge a config that may be built of the file; of one that is only shown, nothing is built."""
        if self.reading.imports:
            super().judge(config)

    def finish_node(self, node: Node) -> Node:
        """Make a target in text a name, too."""
        super().finish_node(node)
        target = raw_get(node, "_target_")
        if type(target) is str and not self.reading.imports and _is_dotted(target):
            raw_set(node, "_target_", self.resolve(target))
        return node


def _is_dotted(text: str) -> bool:
    return "." in text and all(part.isidentifier() for part in text.split("."))


def _object(decoder: Decoder, payload: Any) -> StandIn:
    fields = dict(raw_items(as_node(payload)))
    cls = fields.pop("_class_", None)
    return StandIn(None, (cls, (), {str(key): value for key, value in fields.items()}), NEVER)


def _construct(decoder: Decoder, payload: Any) -> StandIn:
    function, args, keywords = as_list(payload)
    return StandIn(None, (function, tuple(as_list(args)), _keywords(keywords)), NEVER)


def _partial(decoder: Decoder, payload: Any) -> Node:
    function, args, keywords = as_list(payload)
    return Node(_target_=function, _partial_=True, _args_=tuple(as_list(args)), **_keywords(keywords))


def _member(decoder: Decoder, payload: Any) -> Any:
    cls, name = as_list(payload)
    if isinstance(cls, StandIn):
        return cls.__getattr__(as_text(name))
    members: Mapping[str, Any] = getattr(cls, "__members__", {})
    if name in members or not isinstance(cls, type):
        return MAKERS["member"](decoder, payload)
    return StandIn((cls.__module__, f"{cls.__qualname__}.{as_text(name)}"), None, IF_THERE)


def _attribute(decoder: Decoder, payload: Any) -> Any:
    owner, name = as_list(payload)
    return (
        getattr(owner, as_text(name)) if isinstance(owner, StandIn) else MAKERS["attribute"](decoder, payload)
    )


def _keywords(keywords: Any) -> dict[str, Any]:
    return {str(key): value for key, value in raw_items(as_node(keywords))}


_UNMADE: dict[str, Maker] = {
    "attribute": _attribute,
    "construct": _construct,
    "member": _member,
    "object": _object,
    "partial": _partial,
}
StandInDecoder.makers = {**MAKERS, **_UNMADE}
