"""`drift(saved)`: what of a saved config no longer fits the code.

A config that was saved with an older version of some code may name targets that have been renamed, moved or
removed, pass arguments that are gone, or lack arguments that are needed now. Loading it would end at the
first of them. Here the file is loaded with stand-ins for all that it imports, and objects that it makes
itself (dataclasses and the like) stay calls; then `check` looks at the whole tree.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from lazycfg.config.building.check import examine
from lazycfg.config.building.problems import Problem
from lazycfg.config.errors import CycleError, TargetError
from lazycfg.config.formats.files import format_of, read_data_file
from lazycfg.config.isolation.session import python_import
from lazycfg.config.loading.load import load
from lazycfg.config.signatures.binding import bind_positional, node_signature
from lazycfg.config.signatures.places import argument_position
from lazycfg.config.suggest import closest, closest_name
from lazycfg.config.tree.keys import find_key
from lazycfg.config.tree.node import Node, is_call, raw_contains, raw_get, raw_replace, raw_set
from lazycfg.config.tree.paths import MISSING
from lazycfg.config.tree.position import FilePosition, Origin, position_of
from lazycfg.config.tree.targets import target_name
from lazycfg.config.tree.traversal import plan, refill, walk
from lazycfg.config.trust import TRUST_ALL, Policy
from lazycfg.inspection.moved import where_now
from lazycfg.without_importing.files import StandInDecoder
from lazycfg.without_importing.stand_ins import IF_THERE, StandIn, resolve_stand_in

_KINDS = ("target", "unknown argument", "missing argument", "type", "cycle")


class Drift(list[Problem]):
    """What does not fit any more, in the order of the config; empty when all does.

    A finding is a `Problem`: its config ``path``, where it is in the file (``origin``), what is wrong and
    may have been meant (``message``), and what the target takes now (``signature``). Kinds are "target",
    "unknown argument", "renamed argument", "missing argument", "type", "import" and "file".

    Attributes:
        file: the saved file, None for a config.
        calls: how many calls were compared.
    """

    def __init__(self, findings: Iterable[Problem], file: str | None, calls: int):
        super().__init__(findings)
        self.file = file
        self.calls = calls

    def __str__(self) -> str:
        name = self.file or "the config"
        if not self:
            return f"{name}: no drift, all {self.calls} calls fit the code"
        count = f"{len(self)} thing{'s' if len(self) != 1 else ''}"
        shown = [_shown(finding) for finding in self]
        return "\n".join([f"{name}: {count} no longer fit{'s' if len(self) == 1 else ''} the code", *shown])


def _shown(finding: Problem) -> str:
    text = str(finding) if finding.path else f"{finding.origin or 'the file'}: {finding.message}"
    return f"  {text}".replace("\n", "\n  ")


def drift(
    saved: str | os.PathLike[str] | Any, *, trusted: bool = False, allow: Iterable[Any] | None = None
) -> Drift:
    """Compare a saved config with the code as it is now.

    Args:
        saved: a ``.py``, ``.yaml`` or ``.json`` file, or a config.
        trusted, allow: as for `LazyConfig.load`: what a data file may name. A Python file is run.

    Returns:
        All that does not fit, at once: renamed, removed and newly required arguments, literals of a type that
        is not taken any more, targets that were renamed, moved or removed.

    Raises:
        FileNotFoundError: there is no such file.
        DataFileError: it is not well-formed.
        UntrustedError: a data file names what is not allowed.
    """
    if not isinstance(saved, str | os.PathLike):
        return _compare(saved, [], None)
    file = os.fspath(saved)
    if format_of(file) != "py":
        if not os.path.isfile(file):
            load(file)  # says what there is instead
        policy = TRUST_ALL if trusted else Policy(allow)
        decoder = functools.partial(StandInDecoder, reading=IF_THERE)
        cfg = read_data_file(file, policy=policy, trusted=trusted, decoder=decoder)
        return _compare(cfg, [], file, policy)
    imports = _Imports()
    try:
        cfg = load(file, import_absolute=imports)
    except Exception as error:
        if not os.path.isfile(file):
            raise
        return Drift([*imports.failed(), _file_problem(error, file)], file, 0)
    return _compare(cfg, imports.failed(), file)


def _file_problem(error: Exception, file: str) -> Problem:
    """Return the error that ended the loading, with its place in the file."""
    traceback, line = error.__traceback__, error.lineno if isinstance(error, SyntaxError) else None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == os.path.abspath(file):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    text = str(error) if isinstance(error, TargetError) else f"{type(error).__name__}: {error}"
    return Problem("file", (), f"the file cannot be run: {text}", FilePosition(file, line))


def _compare(cfg: Any, imports: list[Problem], file: str | None, policy: Policy = TRUST_ALL) -> Drift:
    maker = _Concrete()
    try:
        tree = maker.tree(cfg)
    except CycleError as error:
        return Drift([Problem("cycle", (), str(error), position_of(cfg))], file, 0)
    found = [problem for problem in examine(tree).problems if problem.kind in _KINDS]
    found += maker.misfits(tree)
    found = [_with_place(_whereabouts(problem, tree, policy), tree) for problem in _renamed(found, tree)]
    known = " ".join(problem.message for problem in found)
    unused = [problem for problem in imports if problem.message.split("'")[1] not in known]
    return Drift([*found, *unused], file, sum(is_call(value) for value in maker.made))


# ---------------------------------------------------------------- loading what may name what is gone


class _Imports:
    """The import function of a saved file: it never fails, and remembers what was imported where."""

    def __init__(self) -> None:
        self.seen: list[tuple[StandIn, Origin]] = []

    def __call__(self, name: str, module_globals: Mapping[str, object] | None, names: Sequence[str]) -> Any:
        real = name.partition(".")[0] in sys.stdlib_module_names or name == "lazycfg"
        if real or "*" in names:
            try:
                module = python_import(name, module_globals, names)
                if all(hasattr(module, part) for part in names if part != "*"):
                    return module
            except ImportError:
                pass
        place = _import_place(module_globals)
        top = StandIn((name if names else name.partition(".")[0], ""), None, IF_THERE)
        self.seen += [(getattr(top, part), place) for part in names if part != "*"]
        if not names or "*" in names:
            self.seen.append((StandIn((name, ""), None, IF_THERE), place))
        return ModuleType(name) if "*" in names else top

    def failed(self) -> list[Problem]:
        """Return the imports that fail."""
        found: dict[str, Problem] = {}
        for stand_in, place in self.seen:
            try:
                resolve_stand_in(stand_in)
            except TargetError as error:
                said = str(error)
                message = said.replace("target", "import of", 1) + _moved_to(str(stand_in), said, TRUST_ALL)
                found.setdefault(str(stand_in), Problem("import", (), message, place))
            except Exception as error:  # what a module raises while it is imported
                text = f"import of {str(stand_in)!r} fails with {type(error).__name__}: {error}"
                found.setdefault(str(stand_in), Problem("import", (), text, place))
        return list(found.values())


def _import_place(module_globals: Mapping[str, object] | None) -> FilePosition:
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals is not module_globals:
        frame = frame.f_back
    line = frame.f_lineno if frame.f_globals is module_globals else None
    return FilePosition(str((module_globals or {}).get("__file__")), line)


def _moved_to(written: str, message: str, policy: Policy) -> str:
    """Return the end of a message about a name that leads nowhere, unless it makes a suggestion already."""
    hint = where_now(written, policy)
    return "" if hint.startswith("; did you mean") and "did you mean" in message else hint


# ---------------------------------------------------------------- a tree of real targets


class _Concrete:
    """Makes a tree like a loaded one in which stand-ins are what they stand for, where there is such a thing,
    and objects that the file makes itself are calls. The original stays as it is.
    """

    def __init__(self) -> None:
        self.made: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._keep: list[Any] = []
        self._misfits: dict[int, str] = {}

    def tree(self, root: Any) -> Any:
        """Return the tree with concrete values."""
        for value, contents, _ in plan(root):
            for key, child in list(contents.items() if type(contents) is dict else enumerate(contents)):
                contents[key] = self._target(child) if key == "_target_" else self._value(child)
            result = refill(value, contents)
            if type(value) is Node:
                result = result if result is not value else Node(contents)
                self._bind(result)
            self._remember(value, result)
        return self._value(root)

    def _remember(self, value: Any, result: Any) -> None:
        self._memo[id(value)] = result
        self._keep.append(value)
        self.made.append(result)

    def _target(self, target: Any) -> Any:
        if id(target) in self._memo:
            return self._memo[id(target)]
        if not isinstance(target, StandIn):
            return target
        try:
            return resolve_stand_in(target)
        except (TargetError, ImportError):
            return StandIn(target.__lazycfg_name__(), None, IF_THERE)

    def _value(self, value: Any) -> Any:
        if id(value) in self._memo:
            return self._memo[id(value)]
        call: Node | None = None
        if isinstance(value, StandIn):
            made = value.__lazycfg_call__()
            if made is None:
                found = self._target(value)
                # `check` says of a call that its target is gone
                return Node(_target_=found) if isinstance(found, StandIn) else found
            call = _call_node(*made)
        elif isinstance(value, functools.partial):
            call = _call_node(value.func, value.args, value.keywords)
            raw_set(call, "_partial_", True)
        if call is None:
            return value
        result = self.tree(call)
        self._remember(value, result)
        return result

    def _bind(self, node: Node) -> None:
        if not raw_contains(node, "_args_") or isinstance(raw_get(node, "_target_"), StandIn):
            return
        try:
            bind_positional(node)
        except TypeError as error:
            self._misfits[id(node)] = str(error)
        except TargetError:
            pass  # `check` tells it

    def misfits(self, tree: Any) -> list[Problem]:
        """Return the calls with more positional arguments than their targets take."""
        if not self._misfits:
            return []
        return [
            Problem("unknown argument", path, self._misfits[id(value)], position_of(value))
            for path, value in walk(tree)
            if id(value) in self._misfits
        ]


def _call_node(target: Any, args: Iterable[Any], keywords: Mapping[str, Any]) -> Node:
    given = {"_args_": tuple(args)} if tuple(args) else {}
    node = Node()
    raw_replace(node, {"_target_": target, **given, **keywords})
    return node


# ---------------------------------------------------------------- saying more than `check` does


def _renamed(found: list[Problem], tree: Any) -> list[Problem]:
    """Take an argument that is gone and one that is newly needed for one that was renamed; suggest for those
    that are gone only what is not given already.
    """
    missing = [problem for problem in found if problem.kind == "missing argument"]
    result = []
    for problem in found:
        if problem.kind != "unknown argument" or not problem.path:
            result.append(problem)
            continue
        above, key = problem.path[:-1], problem.path[-1]
        lacking = {other.path[-1]: other for other in missing if other.path[:-1] == above}
        gone = [other for other in found if other.kind == problem.kind and other.path[:-1] == above]
        name = problem.wanted or closest_name(str(key), lacking)
        if name is None and len(lacking) == len(gone) == 1:
            name = next(iter(lacking))
        node = _at(tree, above)
        signature = node_signature(node) if type(node) is Node else None
        if signature is None:
            result.append(problem)
            continue
        owner = target_name(signature.target)
        if name is not None:
            if name in lacking:
                missing.remove(lacking[name])
            message = f"{owner} takes no argument {key!r} any more, and needs {name!r} now"
            message += "; is that its new name?"
            result.append(_changed(problem, message, "renamed argument"))
            continue
        free = [candidate for candidate in signature.candidates() if not raw_contains(node, candidate)]
        message = f"{owner} takes no argument {key!r} any more{closest(str(key), free)}"
        result.append(_changed(problem, message))
    return [problem for problem in result if problem.kind != "missing argument" or problem in missing]


def _changed(problem: Problem, message: str, kind: str | None = None) -> Problem:
    return Problem(kind or problem.kind, problem.path, message, problem.origin, problem.signature)


def _at(tree: Any, path: Sequence[Any]) -> Any:
    value = tree
    for key in path:
        value = find_key(value, key)
    return None if value is MISSING else value


def _whereabouts(problem: Problem, tree: Any, policy: Policy) -> Problem:
    """Return a target that is gone, with where it is now; its path is that of the call."""
    if problem.kind != "target" or problem.path[-1:] != ("_target_",):
        return problem
    written = str(_at(tree, problem.path))
    message = problem.message + _moved_to(written, problem.message, policy)
    return Problem("target", problem.path[:-1], message, problem.origin)


def _with_place(problem: Problem, tree: Any) -> Problem:
    """Return a finding in something that the file makes itself, with the place of what holds that."""
    if problem.origin is not None:
        return problem
    for depth in range(len(problem.path) - 1, -1, -1):
        above = _at(tree, problem.path[:depth])
        if type(above) is Node and position_of(above) is not None:
            place = argument_position(above, str(problem.path[depth]))
            return Problem(problem.kind, problem.path, problem.message, place, problem.signature)
    return problem
