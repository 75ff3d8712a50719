"""What a config file gets for ``import omegaconf``: `OmegaConf` and `DictConfig` that make nodes.

Many config files begin with ``dataloader = OmegaConf.create()`` and go on with ``dataloader.train = L(f)()``,
but OmegaConf's own containers take no nodes. So in a config file `create`, `DictConfig` and `ListConfig` make
nodes and lists, and the functions that files use on them answer for nodes. The others refuse nodes and say
what to write instead. Everything else is the real omegaconf, imported when it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from lazycfg.config.errors import PathError
from lazycfg.config.interop.omegaconf import to_omegaconf
from lazycfg.config.tree.access import get_path
from lazycfg.config.tree.from_omegaconf import from_omegaconf
from lazycfg.config.tree.keys import find_key
from lazycfg.config.tree.node import Node, raw_get, raw_items, to_nodes
from lazycfg.config.tree.paths import MISSING, parse_path
from lazycfg.config.tree.required import is_required

_OWN = frozenset(("OmegaConf", "DictConfig", "ListConfig", "flag_override", "open_dict", "read_write"))

_INSTEAD = {
    "set_struct": "any key can be set, and `check` says which ones a call does not take",
    "set_readonly": "lazycfg.config.freeze(node)",
    "to_object": "lazycfg.instantiate(node)",
    "structured": "L(Class)(...)",
    "save": "LazyConfig.save(node, path)",
    "masked_copy": "lazycfg.config.subset(node, paths)",
    "missing_keys": "lazycfg.check(node)",
    "clear_cache": "nothing is cached",
}


def omegaconf_view(name: str, names: Sequence[str]) -> ModuleType | None:
    """Return the module that an import of omegaconf gives in a config file; None when it is the real one."""
    own = not names or name == "omegaconf" or not _OWN.isdisjoint(names)
    return _View("omegaconf") if name.partition(".")[0] == "omegaconf" and own else None


class _View(ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.OmegaConf = OmegaConf
        self.DictConfig = DictConfig
        self.ListConfig = ListConfig
        self.MISSING = "???"
        self.flag_override = flag_override
        self.open_dict = open_dict
        self.read_write = read_write

    def __getattr__(self, name: str) -> Any:
        import omegaconf

        return getattr(omegaconf, name)


@contextmanager
def flag_override(config: Any, names: Any, values: Any) -> Iterator[Any]:
    """Set flags of a container of OmegaConf for a block; a node has none that are on."""
    if type(config) is not Node and type(config) is not list:
        import omegaconf

        with omegaconf.flag_override(config, names, values):
            yield config
        return
    names, values = ([names], [values]) if isinstance(names, str) else (names, values)
    for name, value in zip(names, values, strict=True):
        _refuse_flag(name, value)
    yield config


def open_dict(config: Any) -> Any:
    """Allow new keys in a block: a node takes them anyway."""
    return flag_override(config, "struct", False)


def read_write(config: Any) -> Any:
    """Allow changes in a block: a node takes them anyway, unless it is frozen."""
    return flag_override(config, "readonly", False)


def _refuse_flag(name: str, value: Any) -> None:
    if value:
        raise TypeError(
            f"a node has no flag {name!r}; instead: {_INSTEAD.get(f'set_{name}', 'leave it out')}"
        )


def _create(content: Any = None, flags: Any = None) -> Any:
    """Return nodes and lists of what OmegaConf would take; the content is not changed."""
    unknown = sorted(flag for flag, on in (flags or {}).items() if on and flag != "allow_objects")
    if unknown:
        raise TypeError(f"a node has no flags: leave out {', '.join(map(repr, unknown))}")
    if content is None:
        return Node()
    if isinstance(content, dict) or type(content) in (list, tuple):
        made = _copy(content)
        return list(made) if type(made) is tuple else made
    from omegaconf import OmegaConf as Real

    return from_omegaconf(Real.create(content))  # YAML text, a dataclass, a config of OmegaConf's own


def _copy(content: Any) -> Any:
    if type(content) is dict:
        return to_nodes({key: _copy(value) for key, value in content.items()})
    return type(content)(map(_copy, content)) if type(content) in (list, tuple) else content


class _Real(type):
    """Everything that is not defined here is that of the real class, for containers of its own."""

    def __getattr__(cls, name: str) -> Any:
        import omegaconf

        real = getattr(getattr(omegaconf, cls.__name__), name)

        def checked(*args: Any, **kwargs: Any) -> Any:
            if any(type(value) is Node for value in (*args, *kwargs.values())):
                raise TypeError(
                    f"{cls.__name__}.{name} takes no nodes; instead: "
                    f"{_INSTEAD.get(name, 'to_omegaconf(node) makes a DictConfig of it')}"
                )
            return real(*args, **kwargs)

        return checked if callable(real) else real

    def __instancecheck__(cls, value: object) -> bool:
        return cls._is(value)  # type: ignore[no-any-return]


class DictConfig(metaclass=_Real):
    """Makes a `Node`; every node is an instance of it."""

    def __new__(cls, content: Any = None, *, flags: Any = None, **unused: Any) -> Any:
        return _create({} if content is None else content, flags)

    @staticmethod
    def _is(value: object) -> bool:
        return OmegaConf.is_dict(value)


class ListConfig(metaclass=_Real):
    """Makes a list; every list is an instance of it."""

    def __new__(cls, content: Any = None, *, flags: Any = None, **unused: Any) -> Any:
        return _create([] if content is None else content, flags)

    @staticmethod
    def _is(value: object) -> bool:
        return OmegaConf.is_list(value)


class OmegaConf(metaclass=_Real):
    """The functions of OmegaConf that config files use, for nodes and for containers of its own."""

    @staticmethod
    def _is(value: object) -> bool:
        return False

    @staticmethod
    def create(obj: Any = None, parent: Any = None, flags: Any = None) -> Any:
        """Make a node of a dict, or a list of a list."""
        return _create(obj, flags)

    @staticmethod
    def set_struct(conf: Any, value: bool | None) -> None:
        """Allow new keys or not: a node takes them; refusing them is `check`'s."""
        if type(conf) is Node or type(conf) is list:
            _refuse_flag("struct", value)
        else:
            _call("set_struct", conf, value)

    @staticmethod
    def set_readonly(conf: Any, value: bool | None) -> None:
        """Allow changes or not: a node takes them; `lazycfg.config.freeze` refuses them."""
        if type(conf) is Node or type(conf) is list:
            _refuse_flag("readonly", value)
        else:
            _call("set_readonly", conf, value)

    @staticmethod
    def is_config(obj: Any) -> bool:
        """Return whether `obj` is a node or a container of OmegaConf."""
        return type(obj) is Node or _real("is_config", obj)

    @staticmethod
    def is_dict(obj: Any) -> bool:
        """Return whether `obj` is a node or a `DictConfig`."""
        return type(obj) is Node or _real("is_dict", obj)

    @staticmethod
    def is_list(obj: Any) -> bool:
        """Return whether `obj` is a list or a `ListConfig`."""
        return type(obj) is list or _real("is_list", obj)

    @staticmethod
    def is_missing(cfg: Any, key: Any) -> bool:
        """Return whether a key holds "???" or `REQUIRED`."""
        if type(cfg) is not Node:
            return bool(_call("is_missing", cfg, key))
        return is_required(raw_get(cfg, key))

    @staticmethod
    def is_interpolation(node: Any, key: Any = None) -> bool:
        """Return whether a key holds a `${...}`."""
        if type(node) is not Node:
            return bool(_call("is_interpolation", node, key))
        value = raw_get(node, key)
        return type(value) is str and "${" in value

    @staticmethod
    def select(cfg: Any, key: str, *, default: Any = None, **options: Any) -> Any:
        """Return the value at a path; `default` where there is none, or "???"."""
        if type(cfg) is not Node:
            return _call("select", cfg, key, default=default, **options)
        try:
            value = get_path(cfg, key)
        except PathError:
            return default
        return default if is_required(value) else value

    @staticmethod
    def update(cfg: Any, key: str, value: Any = None, *, merge: bool = True, force_add: bool = False) -> None:
        """Set the value at a path, making the nodes on the way."""
        if type(cfg) is not Node:
            _call("update", cfg, key, value, merge=merge, force_add=force_add)
            return
        *above, last = parse_path(key)
        holder: Any = cfg
        for part in above:
            if find_key(holder, part) is MISSING:
                holder[part] = Node()
            holder = find_key(holder, part)
        old = find_key(holder, last)
        if merge and type(old) is Node and isinstance(value, dict):
            value = OmegaConf.merge(old, value)
        holder[last] = value

    @staticmethod
    def merge(*configs: Any) -> Any:
        """Return `lazycfg.config.merge` of nodes and dicts; without nodes, what the real function does."""
        if not any(type(config) is Node for config in configs):
            return from_omegaconf(_call("merge", *configs))
        from lazycfg.config.tree.merging import merge

        first, *others = (config if isinstance(config, dict) else _create(config) for config in configs)
        return merge(first, *others)

    @staticmethod
    def to_container(cfg: Any, *, resolve: bool = False, **options: Any) -> Any:
        """Return nodes as dicts, all the way down; calls are dicts with `_target_`."""
        if type(cfg) is not Node and type(cfg) is not list:
            return _call("to_container", cfg, resolve=resolve, **options)
        return _plain(cfg, resolve)

    @staticmethod
    def resolve(cfg: Any) -> None:
        """Put the values of all `${...}` in place."""
        if type(cfg) is not Node:
            _call("resolve", cfg)
            return
        for key in list(cfg):
            value = cfg[key]
            cfg[key] = value
            if type(value) is Node:
                OmegaConf.resolve(value)

    @staticmethod
    def to_yaml(cfg: Any, *, resolve: bool = False, sort_keys: bool = False) -> str:
        """Return yAML as OmegaConf writes it, with targets as names."""
        theirs = to_omegaconf(cfg) if type(cfg) in (Node, list) else cfg
        return str(_call("to_yaml", theirs, resolve=resolve, sort_keys=sort_keys))


def _plain(value: Any, resolve: bool) -> Any:
    if isinstance(value, dict) and type(value) in (dict, Node):
        items = value.items() if resolve else raw_items(value)
        return {key: _plain(part, resolve) for key, part in items}
    return type(value)(_plain(part, resolve) for part in value) if type(value) in (list, tuple) else value


def _real(name: str, value: Any) -> bool:
    import sys

    return "omegaconf" in sys.modules and bool(_call(name, value))


def _call(name: str, *args: Any, **kwargs: Any) -> Any:
    from omegaconf import OmegaConf as Real

    return getattr(Real, name)(*args, **kwargs)
