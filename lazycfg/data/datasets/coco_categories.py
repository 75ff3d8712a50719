"""The "categories" of a COCO file: ids, names, keypoints and their skeleton."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lazycfg.utils import closest, printable

from .coco_validation import AnnotationError, is_whole

Rule = tuple[str, str, tuple[int, int, int]]

_LINE_COLORS = (
    (255, 85, 85), (255, 170, 60), (240, 220, 70), (120, 220, 90), (70, 200, 200), (90, 140, 255),
    (170, 110, 255), (255, 110, 200),
)  # fmt: skip


@dataclass
class Categories:
    """What the categories of a file say.

    Attributes:
        ids: of the file, ascending.
        names: one for each, no two alike.
        keypoints: names, of the category with most of them.
        skeleton: lines between them, to draw.
        ignored: ids of categories that are left out.
        warnings: what looks wrong.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[Rule, ...] = ()
    ignored: frozenset[int] = frozenset()
    warnings: list[str] = field(default_factory=list)


def category_id(value: Any) -> int | None:
    """Return an id of a category as a number, which may be written as text; None if it is no whole number."""
    if isinstance(value, str):
        return int(value) if value.strip().lstrip("-").isdecimal() and len(value) < 19 else None
    return int(value) if is_whole(value) else None


def read_categories(entries: Sequence[Any], source: str, ignore: Sequence[str] = ()) -> Categories:
    """Read the categories of a file.

    Args:
        source: the file, for messages.
        ignore: names of categories to leave out.

    Raises:
        AnnotationError: there are none, one lacks id or name, an id is no whole number or occurs twice, or a
            name to ignore is not there.
    """
    if not entries:
        raise AnnotationError(f"{source}: the list of categories is empty")
    by_id: dict[int, dict[str, Any]] = {}
    for index, entry in enumerate(entries):
        number = _checked_id(entry, f"{source}: categories[{index}]")
        if number in by_id:
            raise AnnotationError(f"{source}: category ids [{number}] occur more than once")
        by_id[number] = entry
    names = {number: printable(by_id[number]["name"]) for number in sorted(by_id)}
    for name in ignore:
        if name not in names.values():
            raise AnnotationError(
                f"{source}: ignore_categories: no category {name!r}{closest(name, names.values())}"
            )
    ignored = frozenset(number for number, name in names.items() if name in ignore)
    names = {number: name for number, name in names.items() if number not in ignored}
    warnings = []
    twice = {name: n for name, n in Counter(names.values()).items() if n > 1}
    if twice:
        shown = ", ".join(f"{name!r} ({n} times)" for name, n in twice.items())
        warnings.append(f"categories of the same name: {shown}; they are told apart as 'name (id N)'")
        names = {i: f"{name} (id {i})" if name in twice else name for i, name in names.items()}
    best = max((by_id[i] for i in names), key=lambda entry: len(entry.get("keypoints") or ()), default={})
    keypoints = tuple(printable(k) for k in best.get("keypoints") or ())
    skeleton, problem = _skeleton(best.get("skeleton"), keypoints)
    if problem:
        warnings.append(f"the skeleton of category {printable(best['name'])!r} is not drawn: {problem}")
    return Categories(tuple(names), tuple(names.values()), keypoints, skeleton, ignored, warnings)


def _checked_id(entry: Any, where: str) -> int:
    """Return the id of a category whose other fields have been checked too."""
    if not isinstance(entry, dict):
        raise AnnotationError(f"{where} is a {type(entry).__name__}, expected a dict with 'id' and 'name'")
    number = category_id(entry.get("id"))
    if number is None:
        raise AnnotationError(
            f"{where} has the id {printable(repr(entry.get('id')))}: ids of categories must be whole numbers"
        )
    name = entry.get("name")
    if not isinstance(name, str | int) or name == "":
        raise AnnotationError(f"{where} (id {number}) has no name: expected text, got {name!r}")
    keypoints = entry.get("keypoints") or []
    if not isinstance(keypoints, list) or not all(isinstance(k, str) for k in keypoints):
        raise AnnotationError(f"{where} (id {number}): keypoints must be a list of names")
    if len(set(keypoints)) < len(keypoints):
        raise AnnotationError(f"{where} (id {number}): two of its keypoints have the same name")
    return number


def _skeleton(pairs: Any, keypoints: tuple[str, ...]) -> tuple[tuple[Rule, ...], str]:
    """Return the lines of a skeleton [[i, j], ...] that counts keypoints from 1, or what is wrong with it."""
    if not pairs or not keypoints:
        return (), ""
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(map(is_whole, pair)) for pair in pairs
    ):
        return (), "expected a list of pairs of numbers"
    wrong = [pair for pair in pairs if not all(1 <= i <= len(keypoints) for i in pair)]
    if wrong:
        return (), f"it names keypoints {wrong[0]}; they are counted from 1 to {len(keypoints)}"
    return tuple(
        (keypoints[int(a) - 1], keypoints[int(b) - 1], _LINE_COLORS[number % len(_LINE_COLORS)])
        for number, (a, b) in enumerate(pairs)
    ), ""
