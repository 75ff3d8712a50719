"""Data files read without making what they describe: objects, members of enums and the like stay calls that
nobody has made.

`Unmade` serves whoever wants to look at a file (``lazycfg show``) or to compare it with code that may have
changed (`drift`): the class that a saved object belongs to need not exist.
"""

from __future__ import annotations

from typing import Any

from lazycfg.config.errors import ConfigError, TargetError
from lazycfg.config.formats.data_files import Decoder, Tagged, _list, _node, _text
from lazycfg.config.loading.deferred import Deferred, DeferredCall
from lazycfg.config.tree.node import Node, raw_get, raw_items, raw_set

__all__ = ["Named", "NamesOnlyDecoder", "Unmade", "UnmadeCall"]


class Named(Deferred):
    """A name in a data file. Unlike one that a config file imports it is never resolved: a data file may name
    anything."""

    __slots__ = ()

    def _lz_make(self) -> Any:
        raise TargetError(f"{self} is only named by a data file; what looks at it imports nothing")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattr__(name)
        module, qualname = self.__lazycfg_name__()
        return Named(module, f"{qualname}.{name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Deferred) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class UnmadeCall(DeferredCall):
    """A call that a data file describes. Nothing that is done with it makes the call: not a comparison, not
    its use as a key, not a truth test."""

    __slots__ = ()

    def _lz_make(self) -> Any:
        raise TargetError(f"{self!r} is described by a data file; what looks at it makes no calls")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeferredCall) and self.__lazycfg_call__() == other.__lazycfg_call__()

    def __hash__(self) -> int:
        return hash(repr(self))


class Unmade(Decoder):
    """Keeps what would be made as an `UnmadeCall`, of which the arguments may hold nodes."""

    def _make_object(self, tagged: Tagged, payload: Any) -> Any:
        fields = dict(raw_items(_node(payload)))
        cls = fields.pop("_class_", None)
        return UnmadeCall(cls, (), {str(key): value for key, value in fields.items()})

    def _make_member(self, tagged: Tagged, payload: Any) -> Any:
        cls, name = _list(payload)
        return cls.__getattr__(_text(name)) if isinstance(cls, Deferred) else (
            super()._make_member(tagged, payload))  # fmt: skip

    def _make_partial(self, tagged: Tagged, payload: Any) -> Any:
        function, args, keywords = _list(payload)
        return Node(_target_=function, _partial_=True, _args_=tuple(_list(args)), **_plain(keywords))

    def _make_construct(self, tagged: Tagged, payload: Any) -> Any:
        function, args, keywords = _list(payload)
        return UnmadeCall(function, tuple(_list(args)), _plain(keywords))

    def _make_attribute(self, tagged: Tagged, payload: Any) -> Any:
        owner, name = _list(payload)
        return getattr(owner, _text(name)) if isinstance(owner, Deferred) else (
            super()._make_attribute(tagged, payload))  # fmt: skip


def _plain(keywords: Any) -> dict[str, Any]:
    return {str(key): value for key, value in raw_items(_node(keywords))}


class NamesOnlyDecoder(Unmade):
    """Resolves no name either: looking at a file imports nothing and runs nothing."""

    def _make_name(self, tagged: Tagged, payload: Any) -> Any:
        text = _text(payload)
        module, _, name = text.rpartition(".")
        if not module or not all(part.isidentifier() for part in text.split(".")):
            raise ConfigError(f"{text!r} is not of the form package.module.name")
        return Named(module, name)

    def _check_node(self, node: Node) -> None:
        """Nothing is built of it, so nothing is to be judged; a target in text becomes a name, too."""
        target = raw_get(node, "_target_")
        if type(target) is str and "." in target and all(part.isidentifier() for part in target.split(".")):
            raw_set(node, "_target_", Named(*target.rpartition(".")[::2]))
