"""Which key of a file belongs to which key of a model, when the file is about a part of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

__all__ = ["Placement", "foreign_prefixes", "is_classifier", "matching", "place", "plain_key"]


_DEEPEST_PREFIX = 8


@dataclass
class Placement:
    """Where the keys of a file go."""

    prefix: str
    target: dict[str, str] = field(default_factory=dict)
    """From a key of the file to a key of the model."""
    regions: tuple[str, ...] = ("",)
    """The parts of the model that the file is about, as beginnings of keys ("" is all of it)."""
    rival: str = ""
    """Another prefix that fits just as well."""

    def covers(self, key: str) -> bool:
        """Return whether a key is in the parts of the model that the file is about."""
        return key.startswith(self.regions)


def plain_key(key: str) -> str:
    """Return a key without what DDP, DataParallel and torch.compile put into it."""
    return key.removeprefix("module.").replace("_orig_mod.", "")


def is_classifier(key: str) -> bool:
    """Return whether a key of a backbone's file belongs to its ImageNet classifier."""
    return key.removeprefix("stem.").startswith(("fc.", "linear.", "classifier.", "head."))


def matching(key: str, patterns: Iterable[str]) -> list[str]:
    """Return those of the glob patterns that match a key."""
    return [pattern for pattern in patterns if fnmatchcase(key, pattern)]


def place(file_keys: Sequence[str], model_keys: Iterable[str], *, prefix: str = "auto") -> Placement:
    """Find the place of a file's keys in a model.

    With ``prefix="auto"`` keys that are the same on both sides win. Otherwise the file is about a part of the
    model: the one prefix under which most of its keys are found is taken (``stem.conv1.weight`` goes to
    ``backbone.bottom_up.stem.conv1.weight``). A whole top-level module of the file may sit elsewhere, as
    ``res5`` in the heads of a C4 model, if there is one such place only.
    """
    model = set(model_keys)
    if prefix != "auto":
        target = {key: prefix + key for key in file_keys if prefix + key in model}
        return Placement(prefix, target, (prefix,))

    identical = {key: key for key in file_keys if key in model}
    candidates = _prefixes(file_keys, model)
    counts = Counter(found for key in file_keys for found in candidates.get(key, ()) if found)
    best = counts.most_common(2)
    if not best or best[0][1] <= len(identical):
        return Placement("", identical)

    main = best[0][0]
    placement = Placement(main, {key: main + key for key in file_keys if main in candidates.get(key, ())})
    if len(best) == 2 and best[0][1] == best[1][1]:
        placement.rival = best[1][0]
    regions = [main]
    groups: dict[str, list[str]] = {}
    for key in file_keys:
        groups.setdefault(key.partition(".")[0], []).append(key)
    for group, keys in groups.items():
        if any(key in placement.target for key in keys) or is_classifier(keys[0]):
            continue
        places = set.intersection(*(set(candidates.get(key, ())) for key in keys))
        if len(places) == 1:
            elsewhere = places.pop()
            placement.target |= {key: elsewhere + key for key in keys}
            regions.append(f"{elsewhere}{group}.")
    placement.regions = tuple(regions)
    return placement


def foreign_prefixes(file_keys: Sequence[str], model_keys: Iterable[str]) -> list[str]:
    """Return what may stand before the keys of a file that the model does not have: the beginning without
    which most keys are the model's (those, where several are as good), and what all keys begin with.
    """
    model = set(model_keys)
    counts: Counter[str] = Counter()
    for key in file_keys:
        parts = key.split(".", _DEEPEST_PREFIX)
        for depth in range(1, len(parts)):
            if ".".join(parts[depth:]) in model:
                counts[".".join(parts[:depth]) + "."] += 1
    most = max(counts.values(), default=0)
    found = [prefix for prefix, count in counts.items() if count == most]
    # Two keys are enough to know what all begin with
    first, last = min(file_keys).split("."), max(file_keys).split(".")
    common = [a for a, b in zip(first[:-1], last[:-1], strict=False) if a == b]
    while common and first[: len(common)] != last[: len(common)]:
        common.pop()
    return list(dict.fromkeys([*found, *([".".join(common) + "."] if common else [])]))


def _prefixes(file_keys: Iterable[str], model_keys: Iterable[str]) -> dict[str, list[str]]:
    """For each key of the file, what must be put before it to give a key of the model."""
    wanted = set(file_keys)
    found: dict[str, list[str]] = {}
    for key in model_keys:
        start = 0
        while True:
            if key[start:] in wanted:
                found.setdefault(key[start:], []).append(key[:start])
            start = key.find(".", start) + 1
            if start == 0:
                break
    return found
