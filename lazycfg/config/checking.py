"""`check(cfg)`: every problem of a whole tree before anything is built, all at once."""

from __future__ import annotations

from lazycfg.config.brief import target_name
from lazycfg.config.errors import CheckError, CycleError, InterpolationError, TargetError
from lazycfg.config.node import Node, raw_get, raw_keys
from lazycfg.config.paths import format_path, unlink
from lazycfg.config.provenance.history import place_of, top_of
from lazycfg.config.provenance.position import argument_position, position_of
from lazycfg.config.signature import _cache as _signatures
from lazycfg.config.signature import node_signature, signature_of, why_not
from lazycfg.config.sound import is_sound
from lazycfg.config.traverse import children, survey, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lazycfg.config.paths import Link, Path
    from lazycfg.config.provenance.position import Origin
    from lazycfg.config.signature import Signature
    from lazycfg.config.traverse import Survey

__all__ = ["Problem", "check", "problems_of"]

_FAILED: Any = type(
    "Failed", (), {"__repr__": lambda self: "<unresolved>"}
)()  # an interpolation already reported


class Problem:
    """One thing that is wrong with a config.

    Attributes:
        kind: "unknown argument", "missing argument", "required", "interpolation", "type", "target" or
            "cycle".
        path: the config path of the culprit, as keys.
        message: what is wrong, what was expected and what may have been meant.
        origin: where the culprit was written, None when that is not known.
        signature: the signature of the target concerned, or None.
    """

    __slots__ = ("kind", "message", "origin", "path", "signature")

    def __init__(
        self, kind: str, path: Path, message: str, origin: Origin | None, signature: str | None = None
    ):
        self.kind = kind
        self.path = path
        self.message = message
        self.origin = origin
        self.signature = signature

    def __str__(self) -> str:
        where = "" if self.origin is None else f" ({self.origin})"
        takes = "" if self.signature is None else f"\n  {self.signature}"
        return f"{format_path(self.path) or 'the root'}{where}: {self.message}{takes}"

    def __repr__(self) -> str:
        return f"<Problem {self}>"


def check(cfg: Any, *, raises: bool = True) -> list[Problem]:
    """Look for every problem of a config tree without building anything.

    Found are: unknown and missing arguments, `REQUIRED` or "???" not filled in, interpolations that cannot be
    resolved, literals of a type that the target's annotations rule out, targets that cannot be imported, and
    a config that contains itself. Targets in text are imported; resolvers of `${...}` run.

    Args:
        cfg: a node, or a list, tuple or dict of nodes.
        raises: raise for problems; otherwise return them.

    Raises:
        CheckError: with all of them in `.problems`.
    """
    problems = problems_of(cfg)
    if problems and raises:
        raise CheckError(problems)
    return problems


def problems_of(cfg: Any) -> list[Problem]:
    """The problems of a tree, in its order."""
    if is_sound(cfg, prefix_link(cfg)):
        return []
    finder = Finder()
    try:
        seen = survey(cfg, prefix_link(cfg), finder.resolve)
    except CycleError as error:
        finder.problems.append(Problem("cycle", unlink(prefix_link(cfg)), str(error), position_of(cfg)))
        return finder.sorted(cfg)
    finder.look(seen, literals=True)
    return finder.sorted(cfg)


def prefix_link(root: Any) -> Link:
    """The way from the topmost container above `root` to it, as far as that is known."""
    from itertools import pairwise

    from lazycfg.config.interpolation import chain_of

    link: Link = None
    chain = chain_of(root)
    for parent, child in pairwise(chain):
        for key, value in children(parent) or ():
            if value is child:
                link = (link, key)
                break
        else:
            return None  # it was moved since it was read
    return link


class Finder:
    """Collects the problems of one `survey`."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def resolve(self, text: str, chain: list[Any], link: Link) -> tuple[Any, list[Any]]:
        """What `survey` calls for a `${...}`: one that fails is noted, and gives a value that nobody objects
        to.
        """
        from lazycfg.config.interpolation import resolve_with_chain

        try:
            return resolve_with_chain(text, chain)
        except InterpolationError as error:
            self.problems.append(Problem("interpolation", unlink(link), str(error), None))
            return _FAILED, chain

    def look(self, seen: Survey, *, literals: bool) -> None:
        """Go through all that was seen; without `literals` only what is cheap and certain, as `instantiate`
        does first.
        """
        for value, key, link in seen.required:
            self._required(value, key, link)
        for value, contents, link, _ in seen.visits:
            if type(value) is not Node:
                continue
            target = contents.get("_target_")
            signature = _signatures.get(target) if type(target) is type else None
            if signature is None:
                signature = None if target is None else self._signature(value, target, link)
                if signature is None:
                    continue
            # Calls from one place in a loop have the same names and types: what was found good is remembered.
            pattern = (*contents, *map(type, contents.values())) if literals else (*contents,)
            if pattern in signature.good:
                continue
            good = self._names_fit(value, contents, signature, link, literals)
            if literals:
                doubtful = signature.doubtful
                for key, child in contents.items():
                    if key in doubtful and type(child) in doubtful[key]:
                        good = False
                        self._literal(value, key, child, signature, link)
            if good:
                if len(signature.good) >= 256:
                    signature.good.clear()
                signature.good.add(pattern)

    def _names_fit(
        self, node: Node, contents: dict[str, Any], signature: Signature, link: Link, literals: bool
    ) -> bool:
        keys = contents.keys()
        if keys <= signature.known and signature.required <= keys and not signature.unnamed:
            return True
        if literals or not signature.wrapped:
            self._arguments(node, signature, link)
        return False

    def _signature(self, node: Node, target: Any, link: Link) -> Signature | None:
        """The signature of a target that is not a class; one that cannot be imported is noted."""
        if type(target) is Node or target is _FAILED:
            return None
        try:
            return signature_of(target)
        except TargetError as error:
            origin = argument_position(node, "_target_")
            self.problems.append(Problem("target", (*unlink(link), "_target_"), str(error), origin))
            return None

    def _required(self, holder: Any, key: Any, link: Link) -> None:
        path = (*unlink(link), key)
        text = None
        message = "must be filled in"
        if type(holder) is Node:
            try:
                signature = node_signature(holder)
            except TargetError:
                signature = None
            if signature is not None and key in signature.names:
                parameter = signature.parameters[key]
                message = f"must be filled in: {target_name(signature.target)} needs '{parameter}'"
                text = signature.text
        self.problems.append(Problem("required", path, message, None, text))

    def _arguments(self, node: Node, signature: Signature, link: Link) -> None:
        path = unlink(link)
        keys = raw_keys(node)
        if not signature.any_name:
            for key in [k for k in keys if k not in signature.known]:
                reason = why_not(node, key) or f"unknown argument {key!r}"
                origin = argument_position(node, key)
                self.problems.append(
                    Problem("unknown argument", (*path, key), reason, origin, signature.text)
                )
        if raw_get(node, "_partial_"):
            return
        count = len(raw_get(node, "_args_") or ())
        unnamed = signature.positional[:count]
        missing = [
            *signature.positional[count : signature.unnamed],
            *(n for n in signature.candidates() if n in signature.required.difference(keys, unnamed)),
        ]
        for name in missing:
            message = f"{target_name(signature.target)} needs the argument '{signature.parameters[name]}'"
            if name not in signature.names:
                message += ", which is given by position"
            self.problems.append(
                Problem("missing argument", (*path, name), message, position_of(node), signature.text)
            )

    def _literal(self, node: Node, key: str, child: Any, signature: Signature, link: Link) -> None:
        from lazycfg.config.literals import misfit

        reason = misfit(child, signature.hints[key], signature.parameters[key].default)
        if reason is not None:
            path, origin = (*unlink(link), key), argument_position(node, key)
            self.problems.append(Problem("type", path, reason, origin, signature.text))

    def sorted(self, root: Any) -> list[Problem]:
        """The problems in the order of the tree, each with its place."""
        prefix = unlink(prefix_link(root))
        top = top_of(root) if prefix else root
        for problem in self.problems:
            if problem.origin is None:
                problem.origin = place_of(top, problem.path)
        if len(self.problems) < 2:
            return self.problems
        place = {(*prefix, *path): index for index, (path, _) in enumerate(walk(root))}
        count = len(place)

        def order(problem: Problem) -> tuple[int, int]:
            """The place of the culprit; what a node lacks comes right after the node itself."""
            path = problem.path
            if path in place:
                return place[path], 0
            return next(
                (place[path[:n]] for n in range(len(path) - 1, -1, -1) if path[:n] in place), count
            ), 1

        return sorted(self.problems, key=order)
