"""What became of every tensor of a file and of every parameter of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lazycfg.config.tree.repr import printable

__all__ = ["Change", "LoadReport", "Mismatch", "WeightsMismatchError"]

_ROWS, _FEW = 14, 6  # lines for each kind of problem, and for each kind of harmless news
_DEEPEST = 32  # parts of a name that groups are made by


@dataclass(frozen=True)
class Mismatch:
    """A key that both sides have, with different shapes."""

    key: str
    model_shape: tuple[int, ...]
    file_shape: tuple[int, ...]


@dataclass(frozen=True)
class Change:
    """What was done to a value on its way, beyond finding its place."""

    what: str
    """"changed" by the rule of its name, "resized" (positions), or "made" (it is not in the file)."""
    key: str
    detail: str


@dataclass(frozen=True)
class LoadReport:
    """The outcome of `load_weights`. Prints as a table; keys are the model's unless said otherwise.

    `problems` says whether strict loading fails: something missing, unexpected or mismatched.
    """

    source: str
    prefix: str
    """What was put before the keys of the file to find them in the model."""
    adapter: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    """In the model, not in the file, and not explained by anything below."""
    unexpected: tuple[str, ...]
    """In the file (its spelling), not in the model."""
    mismatched: tuple[Mismatch, ...]
    newly_initialized: tuple[str, ...]
    """Outside the part of the model that the file is about, as the heads above an ImageNet backbone."""
    not_needed: tuple[str, ...]
    """In the file (its spelling), known to be of no use to the model: ImageNet classifiers, anchors,
    counters."""
    folded: tuple[str, ...]
    """Normalisation statistics set to the identity, because the file has only scale and shift."""
    ignored: tuple[str, ...]
    """Left alone because `ignore` names them (keys of the model or of the file)."""
    unused_ignore: tuple[str, ...]
    """Patterns of `ignore` that match nothing."""
    remarks: tuple[str, ...] = ()
    strip: str = ""
    """What was taken off the keys of the file, as it stands before all that fit."""
    changes: tuple[Change, ...] = ()
    """Values that are not as they are in the file."""

    @property
    def problems(self) -> bool:
        """Return whether any key is missing, unexpected or of another shape."""
        return bool(self.missing or self.unexpected or self.mismatched)

    def suggested_ignore(self) -> list[str] | str:
        """Return the value of `ignore` that would do, if it is a few modules (as heads for another number of
        classes).
        """
        keys = [*self.missing, *self.unexpected, *(mismatch.key for mismatch in self.mismatched)]
        patterns = list(dict.fromkeys(f"{key.rpartition('.')[0] or key}.*" for key in keys))
        return patterns if len(patterns) <= 6 else "[...]"

    def summary(self) -> str:
        """Return a summary in one line."""
        where = f" under {self.prefix!r}" if self.prefix else ""
        source = shown(self.source) + (f" without {self.strip!r}" if self.strip else "")
        naming = "" if self.adapter == "none" else f", {self.adapter} names"
        counts = [
            (len(self.missing), "missing"),
            (len(self.unexpected), "unexpected"),
            (len(self.mismatched), "of another shape"),
            (len(self.newly_initialized), "newly initialised"),
            (len(self.ignored), "ignored"),
        ]
        rest = "".join(f", {count} {what}" for count, what in counts if count)
        return f"{len(self.loaded)} tensors loaded{where} from {source}{naming}{rest}"

    def rows(self) -> list[tuple[str, str, str]]:
        """Return (what, key or group of keys, detail) of everything that was not simply loaded."""
        rows: list[tuple[str, str, str]] = []
        for what, keys, detail in (
            ("missing", self.missing, "in the model, not in the file"),
            ("unexpected", self.unexpected, "in the file, not in the model"),
        ):
            rows += _limited((what, group, detail) for group in _grouped(keys, _ROWS))
        rows += _limited(
            ("mismatched", m.key, f"model {list(m.model_shape)}, file {list(m.file_shape)}")
            for m in self.mismatched
        )
        for what, keys, detail in (
            ("new", self.newly_initialized, "the file is not about this part"),
            ("not needed", self.not_needed, "in the file only, harmless"),
            (
                "folded",
                tuple(_parents(self.folded)),
                "statistics are in the file's scale and shift",
            ),
            ("ignored", self.ignored, "as asked"),
        ):
            rows += _limited((what, group, detail) for group in _grouped(keys, _FEW))
        rows += changed_rows(self.changes)
        rows += [("ignore", pattern, "this pattern matches nothing") for pattern in self.unused_ignore]
        rows += [("remark", remark, "") for remark in self.remarks]
        return [(what, shown(key), detail) for what, key, detail in rows]

    def __str__(self) -> str:
        rows = self.rows()
        if not rows:
            return self.summary()
        first = max(len(row[0]) for row in rows)
        second = min(72, max(len(row[1]) for row in rows if row[2]) if any(row[2] for row in rows) else 0)
        lines = [f"  {what:<{first}}  {key:<{second}}  {detail}".rstrip() for what, key, detail in rows]
        return "\n".join([self.summary(), *lines])

    def __rich__(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(self.summary()), title_justify="left", show_header=False, box=None)
        colours = {
            "missing": "red",
            "unexpected": "red",
            "mismatched": "red",
            "remark": "yellow",
            "ignore": "yellow",
        }
        for what, key, detail in self.rows():
            table.add_row(Text(what, style=colours.get(what, "dim")), Text(key), Text(detail, style="dim"))
        return table


class WeightsMismatchError(RuntimeError):
    """Raised if weights and model do not fit. `report` has the details; the message is its table.

    Attributes:
        report: what fits and what does not.
        advice: the part of the message that says what to do in Python; a command says it in its own words.
    """

    def __init__(self, message: str, report: LoadReport, advice: str = "") -> None:
        super().__init__(f"{printable(message)}{advice}\n{report}")
        self.report = report
        self.advice = advice


def changed_rows(changes: Sequence[Change]) -> list[tuple[str, str, str]]:
    """Return (what, key or group of keys, detail) of values that were changed."""
    keys: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        keys.setdefault((change.what, change.detail), []).append(change.key)
    return [
        (what, group, detail) for (what, detail), of_it in keys.items() for group in _grouped(of_it, _FEW)
    ]


def shown(text: str) -> str:
    """Return a text of a file in one line, without control characters."""
    return text if text.isprintable() else printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _parents(keys: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(key.rpartition(".")[0] for key in keys))


def _grouped(keys: Sequence[str], rows: int) -> list[str]:
    """Keys in at most so many lines, where that can be: as finely as possible, ``res5.0.* (16)`` for many."""
    leaves = {key.rpartition(".")[2] for key in keys}
    if len(keys) > rows and len(leaves) == 1:
        return [f"*.{leaves.pop()} ({len(keys)})"]
    groups: dict[str, list[str]] = {}
    for depth in range(min(_DEEPEST, max((key.count(".") for key in keys), default=0)), 0, -1):
        groups = {}
        for key in keys:
            groups.setdefault(".".join(key.split(".", depth)[:depth]), []).append(key)
        if len(groups) <= rows:
            break
    return [_line(name, members) for name, members in groups.items()] or list(keys)


def _line(name: str, keys: Sequence[str]) -> str:
    if len(keys) == 1:
        return keys[0]
    rest = [key.removeprefix(f"{name}.") for key in keys]
    if all("." not in leaf for leaf in rest):
        return f"{name}.{{{','.join(rest)}}}"
    return f"{name}.* ({len(keys)})"


def _limited(rows: Iterable[tuple[str, str, str]]) -> Sequence[tuple[str, str, str]]:
    rows = list(rows)
    if len(rows) <= _ROWS:
        return rows
    return [*rows[: _ROWS - 1], (rows[0][0], f"... and {len(rows) - _ROWS + 1} more", rows[0][2])]
