"""The keys of one config: those given over the defaults, checked, and remembered when they are read."""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lazycfg.config.suggest import closest, did_you_mean
from lazycfg.convert.fitting import same_value
from lazycfg.convert.result import ConvertError
from lazycfg.convert.yacs.defaults import core_defaults, defaults
from lazycfg.convert.yacs.reading import decoded, merge_into
from lazycfg.convert.yacs.versions import upgrade

__all__ = ["Keys", "Mistake", "UnknownName", "all_of", "flat", "with_overrides"]

# Their keys are the user's own.
_FREE = frozenset(
    (
        "DATASETS.CATEGORY_MAPS",
        "DATASETS.WHITELISTED_CATEGORIES",
        "DATASETS.CLASS_TO_MESH_NAME_MAPPING",
        "MODEL.ROI_DENSEPOSE_HEAD.CSE.EMBEDDERS",
    )
)
# Names of projects that have lazy configs here; their YAML files are not converted.
_LAZY_ONLY = {"MeshRCNNROIHeads": "lazycfg/projects/meshrcnn/configs/pix3d"}


def with_overrides(given: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return nested keys with those of a command line: ``SOLVER.BASE_LR 0.01``, or ``SOLVER.BASE_LR=0.01``.

    Raises:
        ConvertError: a key has no value.
    """
    merged = copy.deepcopy(dict(given))
    words = [part for word in overrides for part in _split(word)]
    if len(words) % 2:
        raise ConvertError(f"overrides are pairs of a key and its value; {words[-1]!r} has none")
    for key, text in zip(words[::2], words[1::2], strict=True):
        inner: dict[str, Any] = {}
        nested: Any = decoded(text)
        for name in reversed(key.split(".")):
            inner = {name: nested}
            nested = inner
        merge_into(merged, inner)
    return merged


def _split(word: str) -> list[str]:
    key, equals, value = word.partition("=")
    return [key, value] if equals and key.replace(".", "").replace("_", "").isalnum() else [word]


def flat(mapping: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys of nested mappings with dots, with their values."""
    for key, value in mapping.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and name not in _FREE:
            yield from flat(value, f"{name}.")
        else:
            yield name, value


class Mistake(ConvertError):
    """Something wrong in the keys of a config.

    Attributes:
        rest: the keys with something known in its place, to find what else is wrong; None without that.
    """

    def __init__(self, message: str, rest: Keys | None = None) -> None:
        super().__init__(message)
        self.rest = rest


class UnknownName(Mistake):
    """A key whose value is the name of a class or function that is not known.

    Attributes:
        key, what: of the message.
    """

    def __init__(self, where: str, key: str, what: str, rest: Keys) -> None:
        super().__init__(f"{where}{key}: {what}; {_with_known_names([key])}", rest)
        self.key, self.what = key, f"{where}{key}: {what}"


def _with_known_names(keys: Sequence[str]) -> str:
    one = len(keys) == 1
    options = " ".join(f"{key} NAME" for key in keys)
    return (
        f"convert with {'a known one' if one else 'known ones'}, --opts {options}, and put the "
        f"{'call of your own class' if one else 'calls of your own classes'} into the config that is written"
    )


def all_of(mistakes: Sequence[ConvertError]) -> ConvertError:
    """Return one error that tells of several."""
    if len(mistakes) == 1:
        return mistakes[0]
    names = [mistake for mistake in mistakes if isinstance(mistake, UnknownName)]
    if len(names) < 2:
        return ConvertError("\n".join(map(str, mistakes)))
    others = [str(mistake) for mistake in mistakes if mistake not in names]
    lines = [name.what for name in names]
    return ConvertError("\n".join([*others, *lines, _with_known_names([name.key for name in names])]))


class Keys:
    """The keys of a config.

    ``keys("MODEL.MASK_ON")`` is a value; it counts as used from then on.

    Args:
        given: nested keys; a config of version 1 is brought up to date.
        source: of the keys, for messages.
        places: where keys are written, for messages.
        ignore: keys or sections of a program's own that are left out, with wildcards: ``MODEL.MINE.*``.
            What detectron2 and its projects know is obeyed all the same.

    Attributes:
        ignored: the keys that were left out, with their values.

    Raises:
        ConvertError: keys are not known, or have a value of another type than they should, or nothing is left
            out by a pattern; all of them.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        source: str = "",
        places: Mapping[str, str] | None = None,
        ignore: Sequence[str] = (),
    ) -> None:
        self.source = source
        self.places = places or {}
        self.ignored: dict[str, Any] = {}
        self._known = dict(flat(defaults()))
        self._given: dict[str, Any] = {}
        self._used: set[str] = set()
        unknown, mistakes = [], []
        for key, value in flat(upgrade(given)):
            try:
                if self._is_known(key, value):
                    self._given[key] = self._checked(key, value)
                elif _is_matched(key, ignore):
                    self.ignored[key] = value
                else:
                    unknown.append(key)
            except ConvertError as error:
                if _is_matched(key, ignore) and not _is_of_detectron2(key):
                    self.ignored[key] = value  # only its name is that of a key of a project
                else:
                    mistakes.append(error)
        if unknown:
            mistakes.append(self._unknown(unknown))
        mistakes += [
            self._ignores_nothing(pattern, unknown)
            for pattern in ignore
            if not any(_is_matched(key, [pattern]) for key in self.ignored)
        ]
        if mistakes:
            raise Mistake(str(all_of(mistakes)), self)

    def __call__(self, key: str) -> Any:
        self._used.add(key)
        return copy.deepcopy(self._given.get(key, self._known[key]))

    def given(self, key: str) -> bool:
        """Return whether a key has another value than its default."""
        return key in self._given and not same_value(self._given[key], self._known[key])

    def written(self, key: str) -> bool:
        """Return whether a key is there, with whatever value."""
        return key in self._given

    def part(self, key: str) -> str:
        """Return the name of a part of two-stage detectors, "" where the model is none."""
        two_stages = ("GeneralizedRCNN", "PanopticFPN", "ProposalNetwork")
        return str(self(key)) if self("MODEL.META_ARCHITECTURE") in two_stages else ""

    def unused(self) -> list[str]:
        """Return the keys with values other than the defaults that nothing has asked for."""
        return [key for key in self._given if self.given(key) and key not in self._used]

    def mistake(self, key: str, what: str, remedy: str = "", known: Any = None) -> Mistake:
        """Return an error about the value of a key; ``known`` is one that would be right."""
        rest = None if known is None else self._with(key, known)
        return Mistake(f"{self._where(key)}{key}: {what}{f'; {remedy}' if remedy else ''}", rest)

    def unknown_name(self, key: str, table: Mapping[str, Any]) -> UnknownName:
        """Return an error about a key whose value is not among the names of a table."""
        name, default = self(key), self._known[key]
        rest = self._with(key, default if default in table else next(iter(table)))
        hint = closest(name, table)
        if name in _LAZY_ONLY:
            hint = f", whose YAML files are not converted: begin with a file of {_LAZY_ONLY[name]}"
        return UnknownName(self._where(key), key, f"unknown name {name!r}{hint}", rest)

    def _with(self, key: str, value: Any) -> Keys:
        """Return the keys with another value of one of them, of which none is used yet."""
        changed = copy.copy(self)
        changed._given = {**self._given, key: value}
        changed._used = set()
        return changed

    def _where(self, key: str) -> str:
        while key and key not in self.places:
            key = key.rpartition(".")[0]
        place = self.places.get(key) or self.source
        return f"{place}: " if place else ""

    def _is_known(self, key: str, value: Any) -> bool:
        if key in self._known:
            return True
        section = key.rpartition(".")[0]
        if any(known.startswith(f"{key}.") for known in self._known):
            raise self.mistake(key, f"is a section, not {value!r}")
        if section in self._known:
            raise self.mistake(section, f"is one value, not a section with {key.rpartition('.')[2]!r}")
        return False

    def _unknown(self, keys: list[str]) -> ConvertError:
        # Keys share their sections' names, so that those of one's own are like some key by chance
        told = [f"{key}{did_you_mean(key, self._near(key), cutoff=0.8)}" for key in keys]
        options = " ".join(f"--ignore {pattern}" for pattern in dict.fromkeys(map(self._own_part, keys)))
        if len(told) == 1:
            end = "" if told[0].endswith("?") else "."
            return ConvertError(
                f"{self._where(keys[0])}unknown key {told[0]}{end} Nothing here would obey it: leave it out "
                f"({options}), and put what it does into the config that is written"
            )
        listed = "".join(f"\n  {self._where(key)}{line}" for key, line in zip(keys, told, strict=True))
        return ConvertError(
            f"unknown keys:{listed}\nNothing here would obey them: leave them out ({options}), and put what "
            "they do into the config that is written"
        )

    def _own_part(self, key: str) -> str:
        """Return the outermost section of an unknown key in which nothing is known, or the key itself."""
        names = key.split(".")
        for number in range(1, len(names)):
            section = ".".join(names[:number])
            if section not in self._known and not any(k.startswith(f"{section}.") for k in self._known):
                return section
        return key

    def _ignores_nothing(self, pattern: str, unknown: Sequence[str]) -> ConvertError:
        known = [key for key in self._given if _is_matched(key, [pattern])]
        if known:
            return ConvertError(
                f"--ignore {pattern}: only known keys match, which are obeyed ({', '.join(known[:3])}); "
                f"give another value with --opts {known[0]} VALUE"
            )
        return ConvertError(f"--ignore {pattern}: no key here matches{closest(pattern, unknown)}")

    def _checked(self, key: str, value: Any) -> Any:
        default = self._known[key]
        value = list(value) if isinstance(value, tuple) and isinstance(default, list) else value
        value = tuple(value) if isinstance(value, list) and isinstance(default, tuple) else value
        if type(default) is float and type(value) is int:
            value = float(value)
        if value is not None and default is not None and not _fits(default, value):
            raise self.mistake(key, f"is {value!r}, but should be of the type {type(default).__name__}")
        return value

    def _near(self, key: str) -> list[str]:
        """Return the known keys that may have been meant, those with the same last name first."""
        last = key.rpartition(".")[2]
        same = [known for known in self._known if known.rpartition(".")[2] == last]
        return same if len(same) == 1 else list(self._known)


def _is_matched(key: str, patterns: Sequence[str]) -> bool:
    return any(
        fnmatch.fnmatchcase(key, pattern) or fnmatch.fnmatchcase(key, f"{pattern}.*") for pattern in patterns
    )


def _is_of_detectron2(key: str) -> bool:
    core = dict(flat(core_defaults()))
    section = key.rpartition(".")[0]
    return key in core or section in core or any(known.startswith(f"{key}.") for known in core)


def _fits(default: Any, value: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if type(default) in (int, float):
        return type(value) in (int, float)
    return isinstance(value, type(default))
