"""`check(cfg)`: every problem of a whole tree before anything is built, all at once."""

from __future__ import annotations

from lazycfg.config.building.problems import CheckError, Problem
from lazycfg.config.errors import CycleError, InterpolationError, TargetError, with_article
from lazycfg.config.signatures.binding import known_signature, why_not
from lazycfg.config.signatures.callables import can_be_named, signature_of
from lazycfg.config.signatures.places import argument_position, place_of
from lazycfg.config.tree.budget import Active, Budget
from lazycfg.config.tree.chains import link as linked
from lazycfg.config.tree.chains import path_to, prefix_link, top_of
from lazycfg.config.tree.containers import children, hides_nodes
from lazycfg.config.tree.interpolation import most_dots, resolve
from lazycfg.config.tree.lazy_call import lacks_its_call
from lazycfg.config.tree.node import SPECIAL, Node, is_call, raw_get
from lazycfg.config.tree.paths import format_path, unlink
from lazycfg.config.tree.position import position_of
from lazycfg.config.tree.repr import shown
from lazycfg.config.tree.required import is_required
from lazycfg.config.tree.targets import is_deferred, target_name
from lazycfg.config.tree.traversal import same_leaf, survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lazycfg.config.signatures.callables import Signature
    from lazycfg.config.tree.chains import Chain
    from lazycfg.config.tree.paths import Link, Path
    from lazycfg.config.tree.traversal import Survey


_FAILED: Any = type("Failed", (), {"__repr__": lambda self: "<unresolved>"})()
"""The value of an interpolation that was reported already: nobody objects to it."""


def check(cfg: Any, *, raises: bool = True, strict: bool = True) -> list[Problem]:
    """Find every problem of a config tree without building anything.

    Found are: unknown and missing arguments, `REQUIRED` or "???" not filled in, interpolations that cannot be
    resolved or that mean two things, literals of a type that the target's annotations rule out, targets that
    cannot be imported or called, `L(target)` without its second call, and a config that contains itself.
    String targets are imported; resolvers of `${...}` run. Warned about are a list that holds the same
    call more than once, which is one object, and a class given where an object of it is expected.

    Args:
        cfg: a node, or a list, tuple or dict of nodes.
        raises: raise for problems; otherwise return them.
        strict: raise for literals of another type than annotated, too; otherwise these are returned, and a
            `UserWarning` tells each (see `Problem.severity`).

    Raises:
        CheckError: with all of them in `.problems`.
    """
    checker = examine(cfg)
    serious = [problem for problem in checker.problems if strict or problem.severity == "error"]
    if serious and raises:
        raise CheckError(checker.problems)
    mild = [str(problem) for problem in checker.problems if problem not in serious] if raises else []
    if mild or checker.notes:
        import warnings

        for note in (*mild, *checker.notes):
            warnings.warn(note, stacklevel=2)
    return checker.problems


def examine(cfg: Any) -> Checker:
    """Look through a tree: the result has its `problems`, in its order, and the `notes` on it."""
    from lazycfg.config.tree.from_omegaconf import as_ours

    cfg = as_ours(cfg)
    checker = Checker()
    start = prefix_link(cfg)
    try:
        seen = survey(cfg, start, checker.resolve)
    except CycleError as error:
        checker.problems.append(Problem("cycle", unlink(start), str(error), position_of(cfg)))
    else:
        if lacks_its_call(cfg):
            seen.odd.append((cfg, None, start))
        checker.look(seen, literals=True)
        checker.note_repeated(seen)
        checker.note_classes(seen)
    checker.problems = checker.sorted(cfg)
    return checker


class Checker:
    """Collects the problems of one `survey`."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        # By id of a container: the texts in it that lead out of it, each with its chain, how many containers
        # it is below, its link and its value.
        self.leaving: dict[int, list[tuple[str, Chain, int, Link, Any]]] = {}
        self.budget = Budget()  # of all interpolations

    def resolve(self, text: str, chain: Chain, way: Chain | None, link: Link) -> tuple[Any, Chain]:
        """Return what a `${...}` stands for, for `survey`; one that fails is noted, and gives a value that
        nobody objects to.
        """
        try:
            found = resolve(text, chain, Active((), self.budget).next())
        except InterpolationError as error:
            message = str(error)
            if way is not None and _value_along(text, way) is not _FAILED:
                message += _ELSEWHERE
            self.problems.append(Problem("interpolation", unlink(link), message, None))
            return _FAILED, linked(_FAILED, chain)
        if way is not None:
            self._compare(text, found[0], chain, way, link)
        holder: Chain | None = chain
        for depth in range(most_dots(text) - 1):
            if holder is None:
                break
            self.leaving.setdefault(id(holder[0]), []).append((text, chain, depth, link, found[0]))
            holder = holder[1]
        return found

    def _compare(self, text: str, value: Any, chain: Chain, other: Chain, link: Link) -> None:
        """Report a text that means another value along another way to its place than along its chain."""
        found = _value_along(text, other)
        if found is _FAILED or found is value:
            return
        plain = children(found) is None and children(value) is None
        if plain and type(found) is type(value) and same_leaf(found, value):
            return
        first = format_path(path_to(chain[0])) or "the root"
        message = (
            f"{text!r} means {shown(value)} in {first}, where this node was put first, and "
            f"{shown(found)} here, but it is built once: put a .copy() of it in one of the places"
        )
        self.problems.append(Problem("interpolation", unlink(link), message, None))

    def _compare_places(self, seen: Survey) -> None:
        """Compare what texts mean in the further places of what is shared."""
        for container, above, link, _ in seen.places:
            for text, chain, depth, below, value in self.leaving.get(id(container), ()):
                inner = []
                step: Any = chain
                for _ in range(depth + 1):
                    inner.append(step[0])
                    step = step[1]
                other = above
                for holder in reversed(inner):
                    other = (holder, other, other[2])
                rest = unlink(below)[-1 - depth :]
                full: Any = link
                for key in rest:
                    full = (full, key)
                self._compare(text, value, chain, other, full)

    def note_repeated(self, seen: Survey) -> None:
        """Note lists that hold the same call more than once: that is not wrong, but seldom meant."""
        noted: set[tuple[int, int]] = set()
        standing: dict[int, dict[int, list[int]]] = {}  # by id of a list, where each of its elements stands
        for call, _, link, holder in seen.places:
            if not isinstance(holder, (list, tuple)) or type(call) is not Node or not is_call(call):
                continue
            if (id(holder), id(call)) in noted:
                continue
            noted.add((id(holder), id(call)))
            if id(holder) not in standing:
                standing[id(holder)] = {}
                for index, element in enumerate(holder):
                    standing[id(holder)].setdefault(id(element), []).append(index)
            places = standing[id(holder)].get(id(call), [])
            if len(places) < 2:
                continue
            indices = ", ".join(map(str, places[:4])) + (", ..." if len(places) > 4 else "")
            self.notes.append(
                f"{format_path(unlink(link)[:-1]) or 'the root'} holds one call of "
                f"{target_name(raw_get(call, '_target_'))} {len(places)} times (at {indices}): one object is "
                f"built for all. If each is to be its own, write [call.copy() for _ in range({len(places)})]"
            )

    def note_classes(self, seen: Survey) -> None:
        """Note classes where an object of them is expected: many libraries annotate with Module and mean its
        type, so that it is no problem.
        """
        from lazycfg.config.signatures.types import asks_for_objects, type_text

        for node, contents, link, _ in seen.visits:
            if type(node) is not Node or "_target_" not in contents:
                continue
            given = [key for key, value in contents.items() if isinstance(value, type) and key != "_target_"]
            signature = known_signature(node) if given else None
            for key in given:
                if signature is None or key not in signature.hints:
                    continue
                hint, parameter, cls = signature.hints[key], signature.parameters[key], contents[key]
                by_default = parameter.default is not parameter.empty and isinstance(parameter.default, type)
                if by_default or not asks_for_objects(hint, cls):
                    continue
                origin, name = argument_position(node, key), cls.__qualname__
                self.notes.append(
                    f"{format_path((*unlink(link), key))}: expected {type_text(hint)}, got the class {name} "
                    f"itself: write L({name})(...)" + ("" if origin is None else f" (set by {origin})")
                )

    def look(self, seen: Survey, *, literals: bool) -> None:
        """Go through all that was seen; without `literals` only what is cheap and certain, as `instantiate`
        does first.
        """
        for value, key, link in seen.required:
            self._required(value, key, link)
        for value, key, link in seen.odd:
            self._odd_value(value, key, link)
        if seen.places and self.leaving:
            self._compare_places(seen)
        # Calls from one place in a loop have the same names and types. What is left to do for such a form,
        # once its names fit: the literals whose type alone does not tell.
        forms: dict[tuple[Any, ...], list[tuple[str, Any]]] = {}
        signatures: dict[int, Signature | None] = {}
        for value, contents, link, _ in seen.visits:
            if type(value) is not Node or "_target_" not in contents:
                continue
            target = contents["_target_"]
            form = (
                (id(target), *contents, *map(type, contents.values()))
                if literals
                else (id(target), *contents)
            )
            left = forms.get(form)
            if left is None:
                if not _SPECIAL.isdisjoint(contents) and not self._special_keys(value, contents, link):
                    continue
                if id(target) not in signatures:
                    signatures[id(target)] = self._signature(value, target, link)
                signature = signatures[id(target)]
                if signature is None:
                    continue
                left = []
                if literals:
                    doubtful = signature.doubtful
                    left = [
                        (k, signature.tests[k]) for k, c in contents.items() if type(c) in doubtful.get(k, ())
                    ]
                if self._names_fit(value, contents, signature, link, literals):
                    forms[form] = left
            for key, fits in left:
                if not fits(contents[key]):
                    signature = signatures[id(target)]
                    assert signature is not None
                    self._literal(value, key, contents[key], signature, link)

    def _names_fit(
        self, node: Node, contents: dict[str, Any], signature: Signature, link: Link, literals: bool
    ) -> bool:
        keys = contents.keys()
        named = "_args_" not in contents and not signature.unnamed
        known = signature.any_name or keys <= signature.known
        if named and known and signature.required <= keys:
            return True
        if literals or not signature.wrapped:
            self._arguments(node, contents, signature, link)
        return False

    def _special_keys(self, node: Node, contents: dict[str, Any], link: Link) -> bool:
        """Note what is wrong with `_args_` and the like; returns whether nothing is."""
        before = len(self.problems)
        for key, kinds, expected in _SHAPES:
            value = contents.get(key, _FAILED)
            if key not in contents or value is _FAILED or isinstance(value, kinds) or is_required(value):
                continue
            self._wrong_key(node, key, f"{key} must be {expected}, got {shown(value)}", link)
        how = contents.get("_convert_")
        if isinstance(how, str) and how.lower() not in ("all", "partial", "object", "???"):
            self._wrong_key(
                node,
                "_convert_",
                f"_convert_={how!r} is not supported: containers arrive as plain dicts and lists. To hand "
                "over a DictConfig write L(OmegaConf.create)(obj={...}) for the argument",
                link,
            )
        return len(self.problems) == before

    def _wrong_key(self, node: Node, key: str, message: str, link: Link) -> None:
        origin = argument_position(node, key)
        self.problems.append(Problem("special key", (*unlink(link), key), message, origin))

    def _signature(self, node: Node, target: Any, link: Link) -> Signature | None:
        """Return the signature of a target; what cannot be imported or called is noted."""
        if target is _FAILED or is_required(target) or is_call(target):
            return None
        try:
            if type(target) is Node:
                raise TargetError("a node as target must be a call (have a _target_ of its own)")
            if lacks_its_call(target):
                name = target_name(target.__self__)
                raise TargetError(
                    f"the target is L({name}), which lacks its call: write {name} as the target"
                )
            if type(target) is not str and not callable(target) and not is_deferred(target):
                raise TargetError(f"a target is a callable, its name or a node, not {shown(target)}")
            return signature_of(target)
        except TargetError as error:
            origin = argument_position(node, "_target_")
            self.problems.append(Problem("target", (*unlink(link), "_target_"), str(error), origin))
            return None

    def _required(self, holder: Any, key: Any, link: Link) -> None:
        path = (*unlink(link), key)
        text = None
        message = "must be filled in"
        signature = known_signature(holder)
        if signature is not None and key in signature.names:
            message += f": {target_name(signature.target)} needs '{signature.written(key)}'"
            text = signature.brief
        self.problems.append(Problem("required", path, message, None, text))

    def _odd_value(self, holder: Any, key: Any, link: Link) -> None:
        """Note an `L(target)` that was not called, a method of a node, what hides nodes; no other method."""
        if type(holder) is Node and key == "_target_":
            return
        if key is None:
            value: Any = holder  # the root itself
        elif isinstance(holder, dict):
            value = raw_get(holder, key)
        else:
            value = holder[key] if isinstance(key, int) else getattr(holder, str(key))
        if hides_nodes(value):
            kind = with_article(type(value).__name__)
            message = f"nodes in {kind} are not built: put them into a list or a dict"
        elif not hasattr(value, "__self__"):
            return  # an interpolation led to it: it is noted where it stands
        elif lacks_its_call(value):
            target = value.__self__
            if type(target) is Node and raw_get(target, "_target_") is getattr:
                message = "method(...) lacks its call: write method(...)()"
            else:
                name = target_name(target)
                message = f"L({name}) lacks its second call: write L({name})()"
        elif type(value.__self__) is Node:
            name = value.__func__.__name__
            message = f"this is the method {name!r} of a node: for its argument write node[{name!r}]"
        else:
            return
        path = unlink(link) if key is None else (*unlink(link), key)
        origin = argument_position(holder, key) if type(holder) is Node else None
        self.problems.append(Problem("call", path, message, origin))

    def _arguments(self, node: Node, contents: dict[str, Any], signature: Signature, link: Link) -> None:
        args = contents.get("_args_")
        given = args if isinstance(args, (list, tuple)) else ()
        unnamed = set(signature.positional[: len(given)])
        if given and signature.any_position:  # a class hands `*args` on: which they are is not known
            unnamed.update(signature.handed)
        missing = [
            *signature.positional[len(given) : signature.unnamed],
            *(n for n in signature.candidates() if n in signature.required.difference(contents, unnamed)),
        ]
        if contents.get("_partial_"):
            missing = []
        if not signature.any_name:
            unknown = [key for key in contents if key not in signature.known]
            for key, (reason, meant) in _misspelt(node, unknown, missing).items():
                origin = argument_position(node, key)
                self.problems.append(
                    Problem("unknown argument", (*unlink(link), key), reason, origin, signature.brief, meant)
                )
                missing = [name for name in missing if name != meant]
        for name in missing:
            message = f"{target_name(signature.target)} needs the argument '{signature.written(name)}'"
            if name not in signature.names:
                message += ", which is given by position"
            place = position_of(node)
            self.problems.append(
                Problem("missing argument", (*unlink(link), name), message, place, signature.brief, name)
            )
        if given:
            self._given_twice(node, contents, signature, len(given), link)

    def _given_twice(
        self, node: Node, contents: dict[str, Any], signature: Signature, count: int, link: Link
    ) -> None:
        named = can_be_named(signature.target) and signature.any_position  # the rest of `*args`
        first = signature.positional_only if signature.any_name else 0
        twice = [] if named else [name for name in signature.positional[first:count] if name in contents]
        for name in twice:
            message = f"{target_name(signature.target)} gets '{name}' twice: in _args_ and by its name"
            origin = argument_position(node, name)
            problem = Problem("unknown argument", (*unlink(link), name), message, origin, signature.brief)
            self.problems.append(problem)
        most = len(signature.positional)
        if count > most and not signature.any_position and not named:
            message = f"{target_name(signature.target)} takes {most} arguments by position, got {count}"
            self._wrong_key(node, "_args_", message, link)

    def _literal(self, node: Node, key: str, child: Any, signature: Signature, link: Link) -> None:
        from lazycfg.config.signatures.types import misfit

        reason = misfit(child, signature.hints[key], signature.parameters[key].default)
        if reason is not None:
            path, origin = (*unlink(link), key), argument_position(node, key)
            self.problems.append(Problem("type", path, reason, origin, signature.brief))

    def sorted(self, root: Any) -> list[Problem]:
        """Return the problems in the order of the tree, each with its place."""
        if not self.problems:
            return []
        prefix = unlink(prefix_link(root))
        top = top_of(root) if prefix else root
        self._hint_at_top(top)
        for problem in self.problems:
            if problem.origin is None:
                problem.origin = place_of(top, problem.path)
        return sorted(self.problems, key=lambda problem: _place_in(root, problem.path[len(prefix) :]))

    def _hint_at_top(self, top: Any) -> None:
        """Name the part of the config that a missing argument may be meant to be."""
        for problem in self.problems:
            name = problem.wanted
            if (
                problem.kind == "missing argument"
                and problem.path[0] != name
                and isinstance(top, dict)
                and name in top
            ):
                text = f"{format_path(problem.path)}=${{{name}}}"
                problem.message += f"; for the config's own {name} write '{text}'"


_SPECIAL = frozenset(SPECIAL) - {"_target_"}
_SHAPES = (
    ("_args_", (list, tuple), "a list of arguments"),
    ("_partial_", (bool,), "true or false"),
    ("_recursive_", (bool,), "true or false"),
    ("_convert_", (str,), "'all'"),
)
_ELSEWHERE = (
    "; this node was first put into another config, where it still is, and is looked at from there: "
    "put a .copy() of it here"
)


def _value_along(text: str, chain: Chain) -> Any:
    try:
        return resolve(text, chain)[0]
    except InterpolationError:
        return _FAILED


def _misspelt(node: Node, unknown: list[str], missing: list[str]) -> dict[str, tuple[str, str | None]]:
    """Return what is wrong with each unknown argument, and which of the missing ones is meant by it."""
    from lazycfg.config.suggest import closest_name

    found: dict[str, tuple[str, str | None]] = {}
    left = list(missing)
    for key in unknown:
        reason = why_not(node, key) or f"unknown argument {key!r}"
        meant = closest_name(str(key), left)
        if meant is not None:
            left.remove(meant)
            owner = target_name(raw_get(node, "_target_"))
            reason = f"{owner} takes no argument {key!r}; did you mean {meant!r}, which is missing?"
        found[key] = (reason, meant)
    return found


def _place_in(root: Any, path: Path) -> list[int]:
    """Return the place of a path among the others of a tree, to sort by: what a node lacks comes right after
    the node itself.
    """
    place = []
    value = root
    for key in path:
        for index, (name, child) in enumerate(children(value) or ()):
            if name == key:
                place.append(index)
                value = child
                break
        else:
            return [*place, -1]
    return place
