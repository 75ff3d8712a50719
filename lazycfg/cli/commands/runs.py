"""The command `runs`: what runs found, and what differs in their configs, side by side."""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from lazycfg.cli.common import CommandError, load_config, say
from lazycfg.reporting.comparison import (
    Found,
    find_runs,
    found_by,
    is_less_better,
    iterations_of,
    main_metrics,
    metric_names,
    seconds_of,
)
from lazycfg.reporting.html import duration, number
from lazycfg.reporting.run_files import RunFiles
from lazycfg.reporting.sections import state_of

__all__ = ["runs"]

_NONE = "(not there)"
_OF_THE_PLACE = "train.output_dir"  # differs in any case
_LONGEST_NAME = 34
_LONGEST_VALUE = 60
_MOST_CHANGES = 40
_MOST_NAMES = 12


def runs(arguments: argparse.Namespace) -> int:
    """Print a table of runs, also of such as are running or were killed; torch is not imported.

    Raises:
        CommandError: a folder holds no run, or no run has a metric that is asked for.
    """
    try:
        found = find_runs(arguments.folders)
    except FileNotFoundError as error:
        raise CommandError(str(error)) from error
    configs, notes = _configs(found)
    metrics = list(dict.fromkeys(_asked(arguments, found))) or main_metrics(found, _preferred(configs))
    order = arguments.sort
    if order not in (None, "iterations", "run", "time") and order not in metrics:
        metrics.append(_known(order, found))
    rows = [_row(run, metrics) for run in found]
    changes = _changes(configs)
    for row, values in zip(rows, changes, strict=True):
        row["config"] = values
    if order is not None:
        rows.sort(key=lambda row: _place(row, order))
    if arguments.format == "json":
        print(json.dumps(rows, indent=1))
    elif arguments.format == "csv":
        print(_csv(rows, metrics), end="")
    else:
        say("\n".join([*_table(rows, metrics), *_remarks(rows, notes), *_differences(rows)]))
    return 0


def _asked(arguments: argparse.Namespace, found: Sequence[RunFiles]) -> list[str]:
    return [_known(name, found) for name in arguments.metric]


def _known(name: str, found: Sequence[RunFiles]) -> str:
    from lazycfg.config.suggest import did_you_mean

    known = metric_names(found)
    if name not in known:
        shown = list(dict.fromkeys([*main_metrics(found), *known]))  # results first, there are many names
        more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
        near = did_you_mean(name, known) or f"; there are {', '.join(shown[:_MOST_NAMES]) or 'none'}{more}"
        raise CommandError(f"none of these runs has a metric {name!r}{near}")
    return name


def _row(run: RunFiles, metrics: Iterable[str]) -> dict[str, Any]:
    seconds, is_all = seconds_of(run)
    end = run.record.get("end")
    found = {name: found_by(run, name) for name in metrics}
    return {
        "run": str(run.folder),
        "state": state_of(run),
        "finished": isinstance(end, dict) and end.get("reason") == "finished",
        "iterations": iterations_of(run),
        "max_iter": run.record.get("max_iter"),
        "seconds": seconds,
        "all_seconds": is_all,
        "metrics": {name: None if each is None else vars(each) for name, each in found.items()},
    }


def _place(row: dict[str, Any], order: str) -> tuple[bool, Any]:
    if order in ("run", "iterations"):
        return False, row[order]
    if order == "time":
        return row["seconds"] is None, row["seconds"] or 0.0
    found = row["metrics"][order]
    if found is None:
        return True, 0.0
    return False, found["best"] if is_less_better(order) else -found["best"]


# What differs in the configs


def _configs(found: Sequence[RunFiles]) -> tuple[list[Any], list[str]]:
    """Return the configs, None for one that is missing or cannot be read, and what is to be said of that."""
    from lazycfg.config.tree.interpolation import limited_resolvers

    configs: list[Any] = []
    notes = []
    with limited_resolvers():
        for run in found:
            file = run.folder / "config.yaml"
            try:
                configs.append(load_config(str(file)) if file.is_file() else None)
            except Exception as error:
                configs.append(None)
                notes.append(f"{file} is not compared: {str(error).splitlines()[0]}")
    return configs, notes


def _preferred(configs: Sequence[Any]) -> list[str]:
    """Return the metrics by which the runs chose their best weights."""
    chosen = [config.get("train", {}).get("best_metric") for config in configs if isinstance(config, dict)]
    return [name for name in chosen if isinstance(name, str) and name]


def _changes(configs: Sequence[Any]) -> list[dict[str, str] | None]:
    """Return for each config its values of all keys in which one of them differs from the first."""
    from lazycfg.inspection.diff import diff
    from lazycfg.inspection.explain import short, short_text

    first = next((config for config in configs if config is not None), None)
    base: dict[str, str] = {}
    others: list[dict[str, str]] = []
    for config in configs:
        own: dict[str, str] = {}
        others.append(own)
        for change in () if config is None or config is first else diff(first, config, importing=False):
            if change.path == _OF_THE_PLACE:
                continue
            if change.kind in ("changed", "added", "removed"):
                base.setdefault(
                    change.path, _NONE if change.kind == "added" else short(change.old, _LONGEST_VALUE)
                )
                own[change.path] = _NONE if change.kind == "removed" else short(change.new, _LONGEST_VALUE)
            else:
                base.setdefault(change.path, _NONE)
                own[change.path] = short_text(str(change), _LONGEST_VALUE)
    return [None if config is None else base | own for config, own in zip(configs, others, strict=True)]


# As text


def _table(rows: Sequence[dict[str, Any]], metrics: Sequence[str]) -> list[str]:
    """Return a table as wide as the terminal; the metrics that have no room there are in more of them."""
    names = ["run", *map(_name, rows)]
    columns = [["iterations", *map(_iterations, rows)], ["time", *map(_time, rows)]]
    for metric in metrics:
        found = [row["metrics"][metric] or {} for row in rows]
        columns.append([metric, *(number(each.get("last")) for each in found)])
        columns.append(["best", *(number(each.get("best")) for each in found)])
    width = shutil.get_terminal_size().columns
    lines: list[str] = []
    while columns:
        shown, columns = [names, *columns[:2]], columns[2:]  # a metric has two
        while columns and _width([*shown, *columns[:2]]) <= width:
            shown, columns = [*shown, *columns[:2]], columns[2:]
        lines += ["", *_lines(shown)]
    return lines[1:]


def _width(columns: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in columns) - 2


def _lines(columns: Sequence[Sequence[str]]) -> Iterator[str]:
    first, *others = [(column, max(map(len, column))) for column in columns]
    for index, name in enumerate(first[0]):
        yield "  ".join([name.ljust(first[1]), *(column[index].rjust(width) for column, width in others)])


def _name(row: dict[str, Any]) -> str:
    name = str(row["run"])
    return name if len(name) <= _LONGEST_NAME else f"...{name[3 - _LONGEST_NAME :]}"


def _iterations(row: dict[str, Any]) -> str:
    done, whole = row["iterations"], row["max_iter"]
    return str(done) if whole in (None, done) else f"{done} of {whole}"


def _time(row: dict[str, Any]) -> str:
    told = duration(row["seconds"]) or "-"
    return told if row["all_seconds"] or row["seconds"] is None else f"> {told}"


def _remarks(rows: Sequence[dict[str, Any]], notes: Sequence[str]) -> list[str]:
    unfinished = [row for row in rows if not row["finished"]]
    told = [f"{row['run']}: {row['state'] or 'nothing is known of its end'}" for row in unfinished]
    lines = [line for each in (*told, *notes) for line in _wrapped(each)]
    return ["", *lines] if lines else []


def _differences(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield for each key of the configs that differs its values, and the runs that have them."""
    compared = [row for row in rows if row["config"] is not None]
    if len(compared) < 2:
        return
    keys = list(dict.fromkeys(key for row in compared for key in row["config"]))
    yield ""
    yield (
        "What differs in their configs:" if keys else f"Their configs differ in nothing but {_OF_THE_PLACE}."
    )
    for key in keys[:_MOST_CHANGES]:
        yield f"  {key}"
        by_value: dict[str, list[str]] = {}
        for row in compared:
            by_value.setdefault(row["config"][key], []).append(row["run"])
        for value, names in by_value.items():
            yield from _wrapped(f"{value}: {', '.join(names)}", " " * 4)
    if len(keys) > _MOST_CHANGES:
        yield f"  and {len(keys) - _MOST_CHANGES} more keys, which --format csv tells"


def _wrapped(line: str, indent: str = "") -> list[str]:
    width = shutil.get_terminal_size().columns
    return textwrap.wrap(
        line, width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
    )


def _csv(rows: Sequence[dict[str, Any]], metrics: Sequence[str]) -> str:
    keys = list(dict.fromkeys(key for row in rows for key in row["config"] or ()))
    own = ("run", "state", "iterations", "max_iter", "seconds")
    parts = [field.name for field in fields(Found)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*own, *(f"{name} {part}" for name in metrics for part in parts), *keys])
    for row in rows:
        found = [(row["metrics"][name] or {}).get(part) for name in metrics for part in parts]
        writer.writerow([*(row[name] for name in own), *found, *((row["config"] or {}).get(k) for k in keys)])
    return text.getvalue()
