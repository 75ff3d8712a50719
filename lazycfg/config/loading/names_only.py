"""Data files read without making what they describe: objects, members of enums and the like stay calls that
nobody has made.

`Unmade` serves whoever wants to look at a file (``lazycfg show``) or to compare it with code that may have
changed (`drift`): the class that a saved object belongs to need not exist.
"""

from __future__ import annotations

from typing import Any

from lazycfg.config.errors import ConfigError
from lazycfg.config.formats.data_files import Decoder, Tagged, _list, _node, _text
from lazycfg.config.loading.deferred import Deferred, DeferredCall
from lazycfg.config.node import Node, raw_items

__all__ = ["NamesOnlyDecoder", "Unmade"]


class Unmade(Decoder):
    """Keeps what would be made as a `DeferredCall`, of which the arguments may hold nodes."""

    def _make_object(self, tagged: Tagged, payload: Any) -> Any:
        fields = dict(raw_items(_node(payload)))
        cls = fields.pop("_class_", None)
        return DeferredCall(cls, (), {str(key): value for key, value in fields.items()})

    def _make_member(self, tagged: Tagged, payload: Any) -> Any:
        cls, name = _list(payload)
        return Deferred(*cls.__lazycfg_name__()).__getattr__(name) if isinstance(cls, Deferred) else (
            super()._make_member(tagged, payload))  # fmt: skip

    def _make_partial(self, tagged: Tagged, payload: Any) -> Any:
        function, args, keywords = _list(payload)
        return Node(_target_=function, _partial_=True, _args_=tuple(_list(args)), **_plain(keywords))

    def _make_construct(self, tagged: Tagged, payload: Any) -> Any:
        function, args, keywords = _list(payload)
        return DeferredCall(function, tuple(_list(args)), _plain(keywords))

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
        return Deferred(module, name)

    def _check_node(self, node: Node) -> None:
        """Nothing is built of it, so nothing is to be judged."""
