"""What a callable takes: its signature."""

from __future__ import annotations

import re
from functools import cached_property
from types import FunctionType, MethodType

from lazycfg.config.tree.node import SPECIAL, Node
from lazycfg.config.tree.paths import MISSING
from lazycfg.config.tree.targets import CONFIG_MODULES, is_deferred, resolve_target, target_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from inspect import Parameter
    from typing import Any

# Signatures of what a module holds under its own name, which lives as long as the program. Those of classes
# and functions of config files, which are new at every load, are not kept.
_cache: dict[Any, Signature | None] = {}


class Signature:
    """The parameters of one target.

    Attributes:
        parameters: by name, as `inspect.Parameter`.
        names: those that can be given by name.
        known: `names` and the special keys of a node: all keys that may be there.
        required: the names that must be given.
        positional: names of the parameters that can be given by position, in order, positional-only ones
            included.
        positional_only: how many of these cannot be given by name.
        unnamed: how many must be given without a name: up to the last positional-only one that has no
            default.
        any_name, any_position: whether there is a `**kwargs`, a `*args`.
        handed: those parameters that a class hands on to a base by `**kwargs`, by name, each with the
            `__init__` that it is a parameter of; with their annotations and defaults.
        wrapped: whether this is the signature of what a decorator wraps; what is called may take more or
            less.
    """

    def __init__(
        self, target: Any, parameters: dict[str, Parameter], handed: Mapping[str, Any] | None = None
    ):
        self.target = target
        self.handed = handed or {}
        self.wrapped = hasattr(target, "__wrapped__") or hasattr(
            getattr(target, "__init__", None), "__wrapped__"
        )
        self.parameters = parameters
        kinds = {name: int(p.kind) for name, p in parameters.items()}
        needed = {name for name, p in parameters.items() if p.default is p.empty}
        # 0 is a positional-only one, 1 may be given in either way, 2 is *args, 3 keyword-only, 4 **kwargs
        self.positional = tuple(name for name, kind in kinds.items() if kind <= 1)
        self.positional_only = list(kinds.values()).count(0)
        without_name = [name in needed for name in self.positional[: self.positional_only]]
        self.unnamed = max((at for at, is_needed in enumerate(without_name, 1) if is_needed), default=0)
        self.any_position, self.any_name = 2 in kinds.values(), 4 in kinds.values()
        self.names = frozenset(name for name, kind in kinds.items() if kind in (1, 3))
        self.known = self.names.union(SPECIAL)
        self.required = self.names & needed

    @property
    def text(self) -> str:
        """Return the signature as it would be written."""
        return f"{target_name(self.target)}({', '.join(self._written())})"

    @property
    def brief(self) -> str:
        """Return the signature for messages, of about 200 characters at most."""
        whole = self._written()
        words = [w for n, w in enumerate(whole) if n < 2 or len(", ".join(whole[: n + 1])) <= _BRIEF]
        shown = words if len(words) == len(whole) else [*words, "..."]
        return f"{target_name(self.target)}({', '.join(shown)})"

    def written(self, name: str) -> str:
        """Return one parameter as it would be written."""
        parameter = self.parameters[name]
        try:
            return str(parameter.replace(annotation=_short(parameter.annotation)))
        except Exception:  # the repr of somebody's default value
            return name

    def _written(self) -> list[str]:
        """Return the parameters as they would be written, types by their short names."""
        whole = [self.written(name) for name in self.parameters]
        kinds = [int(parameter.kind) for parameter in self.parameters.values()]
        if 3 in kinds and 2 not in kinds:
            whole.insert(kinds.index(3), "*")
        if 0 in kinds:
            whole.insert(len(kinds) - kinds[::-1].index(0), "/")
        return whole

    @cached_property
    def hints(self) -> dict[str, Any]:
        """Return the annotations by name, resolved; those that cannot be resolved are left out."""
        found: dict[str, Any] = {}
        for owner in (None, *dict.fromkeys(self.handed.values())):
            theirs = {name: p for name, p in self.parameters.items() if self.handed.get(name) is owner}
            found |= _hints_of(self.target if owner is None else owner, theirs)
        return found

    @cached_property
    def tests(self) -> dict[str, Callable[[Any], bool]]:
        """Return for each annotated name whether a literal fits."""
        from lazycfg.config.signatures.types import fitter

        named = {name: hint for name, hint in self.hints.items() if name in self.names}
        return {name: fitter(hint, self.parameters[name].default) for name, hint in named.items()}

    @cached_property
    def doubtful(self) -> dict[str, frozenset[type]]:
        """Return for each annotated name the types of literals that need a closer look."""
        from lazycfg.config.signatures.types import doubtful_types

        found = {name: doubtful_types(test) for name, test in self.tests.items()}
        return {name: types for name, types in found.items() if types}

    def candidates(self) -> list[str]:
        """Return the names that can be given, in the order of the signature."""
        return [name for name in self.parameters if name in self.names]


class Spelled:
    """An annotation or a default value that is shown as it is written."""

    __slots__ = ("text",)

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _short(annotation: Any) -> Any:
    """Return an annotation with types by their last name: `Module`, not `torch.nn.modules.module.Module`."""
    from inspect import Parameter, formatannotation

    if annotation is Parameter.empty:
        return annotation
    text = annotation if isinstance(annotation, str) else formatannotation(annotation)
    return Spelled(_MODULES.sub("", text))


_MODULES = re.compile(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])")
_BRIEF = 170


def signature_of(target: Any) -> Signature | None:
    """Return the signature of a callable or of a target in text; None when it has none (many builtins) or is
    a node.

    Raises `TargetError` for a text that cannot be imported.
    """
    try:
        known: Signature | None = _cache.get(target, MISSING)
    except TypeError:  # not hashable
        return _inspect(target)
    if known is not MISSING:
        return known
    if is_deferred(target):
        read: Signature | None = type(target).__lazycfg_signature__(target)
        if read is not None:
            return read  # from the source: whoever only looks at a config imports nothing
    if type(target) is str or is_deferred(target):
        return signature_of(resolve_target(target))
    known = None if type(target) is Node else _inspect(target)
    if _is_lasting(target):
        _cache[target] = known
    return known


def _is_lasting(target: Any) -> bool:
    """Return whether a module that is not a config file holds `target` under its name."""
    import sys

    name, module = getattr(target, "__qualname__", None), getattr(target, "__module__", None)
    if not isinstance(name, str) or not isinstance(module, str) or module.startswith(CONFIG_MODULES):
        return False
    value: Any = sys.modules.get(module)
    for part in name.split("."):
        value = getattr(value, part, None)
    return value is target


def _inspect(target: Any) -> Signature | None:
    from inspect import signature

    try:
        parameters = signature(target).parameters
    except (ValueError, TypeError):
        return None
    except Exception:  # somebody's __signature__ or __wrapped__
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()) and _is_made_by_init(target):
        found = _of_init(target, 0)
        if found is not None:
            return Signature(target, *found[1:])
    return Signature(target, dict(parameters))


def _is_made_by_init(target: Any) -> bool:
    """Return whether calling a target means nothing but to call the `__init__` of a class."""
    return isinstance(target, type) and can_be_named(target) and vars(object)["__new__"] is target.__new__


def _of_init(target: type, start: int) -> tuple[Any, dict[str, Parameter], dict[str, Any]] | None:
    """Return the first `__init__` of a class and its bases, from an index among them on, its parameters, and
    which of them it hands on to which other one (see `Signature.handed`); None when that is not certain.
    """
    from inspect import signature

    from lazycfg.config.signatures.forwarding import handed_on_by, with_those_of_base

    init: Any = next(vars(cls)["__init__"] for cls in target.__mro__[start:] if "__init__" in vars(cls))
    if init is object.__init__:
        return init, {}, {}
    # What a decorator has left its marks on may take something else.
    if type(init) is not FunctionType or init.__dict__ or not init.__code__.co_argcount:
        return None
    parameters = {p.name: p for p in list(signature(init).parameters.values())[1:]}
    handed = handed_on_by(init.__code__)
    if handed is None or init.__globals__.get("super", super) is not super:
        return init, parameters, {}
    cells = dict(zip(init.__code__.co_freevars, init.__closure__ or (), strict=True))
    cls = cells["__class__"].cell_contents
    if cls not in target.__mro__:  # the function was put into another class
        return init, parameters, {}
    above = _of_init(target, target.__mro__.index(cls) + 1)
    found = None if above is None else with_those_of_base(parameters, handed, above[1])
    if above is None or found is None:
        return init, parameters, {}
    return init, found[0], {name: above[2].get(name, above[0]) for name in found[1]}


def _hints_of(target: Any, parameters: dict[str, Parameter]) -> dict[str, Any]:
    """Resolve annotations that are text (`from __future__ import annotations`) one by one: one bad name in a
    signature must not hide the others.
    """
    import sys
    from inspect import unwrap

    empty = next((p.empty for p in parameters.values()), None)
    given = {name: p.annotation for name, p in parameters.items() if p.annotation is not empty}
    if not any(isinstance(hint, str) for hint in given.values()):
        return given
    function = getattr(target, "func", target)  # of functools.partial
    if isinstance(function, type):
        for attribute in ("__init__", "__new__"):
            found = getattr(function, attribute, None)
            if hasattr(found, "__code__") or hasattr(found, "__wrapped__"):
                function = found
                break
    function = unwrap(function)
    names = getattr(function, "__globals__", None)
    if names is None:
        names = vars(sys.modules.get(getattr(target, "__module__", ""), None) or sys)
    hints = {}
    for name, hint in given.items():
        if isinstance(hint, str):
            try:
                hint = eval(hint, names)  # code of the target's own module, as typing.get_type_hints does it
            except Exception:
                continue
        hints[name] = hint
    return hints


def can_be_named(target: Any) -> bool:
    """Return whether the positional arguments of a target can be passed by the names in its signature: so it
    is of plain functions and classes. A decorated function and an object that is called may have another one.
    """
    if type(target) is MethodType:
        target = target.__func__
    if isinstance(target, type):
        if type(target).__call__ is not type.__call__:
            return False
        makers = [getattr(target, name) for name in ("__init__", "__new__")]
        return not any(hasattr(m, "__wrapped__") for m in (target, *makers)) and not _has_own_signature(
            target
        )
    if type(target) is FunctionType:
        return not hasattr(target, "__wrapped__") and not _has_own_signature(target)
    return type(target) is type(len) or is_deferred(target)


def _has_own_signature(target: Any) -> bool:
    return "__signature__" in getattr(target, "__dict__", {})
