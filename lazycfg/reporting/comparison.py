"""What runs found, side by side: read from the files in their folders."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazycfg.reporting.run_files import RunFiles, starts_of

__all__ = [
    "Found",
    "find_runs",
    "found_by",
    "is_less_better",
    "iterations_of",
    "main_metrics",
    "metric_names",
    "seconds_of",
]


@dataclass(frozen=True)
class Found:
    """What a run found of one metric; "after" is the number of iterations done."""

    last: float
    last_after: int
    best: float
    best_after: int


def find_runs(folders: Iterable[str]) -> list[RunFiles]:
    """Read runs; a folder that is none stands for the runs that lie in it.

    Raises:
        FileNotFoundError: a folder neither is the folder of a run, nor holds one.
    """
    runs = []
    for folder in folders:
        try:
            runs.append(RunFiles.read(folder))
        except FileNotFoundError as error:
            inside = sorted(Path(folder).glob("*/")) if Path(folder).is_dir() else []
            below = []
            for each in inside:
                try:
                    below.append(RunFiles.read(each))
                except FileNotFoundError:
                    continue
            if not below:
                more = ", nor are there runs in it" if inside else ""
                raise FileNotFoundError(f"{error}{more}") from None
            runs += below
    unique = {os.path.realpath(run.folder): run for run in runs}
    return list(unique.values())


def metric_names(runs: Iterable[RunFiles]) -> list[str]:
    """Return the names of everything that `found_by` can be asked for."""
    names: dict[str, None] = {}
    for run in runs:
        names |= dict.fromkeys(name for line in run.metrics for name in line)
        names |= dict.fromkeys(_results(run))
    names.pop("iteration", None)
    return list(names)


def main_metrics(runs: Sequence[RunFiles], preferred: Iterable[str] = ()) -> list[str]:
    """Return a metric for each task that was evaluated: a preferred one, else the first that there is."""
    tasks: dict[str, None] = {}
    for run in runs:
        details = run.details.get("tasks")
        tasks |= dict.fromkeys([*run.results, *(details if isinstance(details, dict) else ())])
    known = metric_names(runs)
    wanted = [*(name for name in preferred if name in known), *(name for name in known if "-" not in name)]
    first = {task: next((name for name in wanted if name.startswith(f"{task}/")), None) for task in tasks}
    return [name for name in first.values() if name is not None]


def found_by(run: RunFiles, metric: str) -> Found | None:
    """Return the last and the best value of a metric; None where there is no number.

    The largest is the best, of losses the smallest.
    """
    points = [
        (line["iteration"] + 1, float(line[metric])) for line in run.metrics if _is_number(line.get(metric))
    ]
    if not points and _is_number(value := _results(run).get(metric)):
        points = [(iterations_of(run), float(value))]
    if not points:
        return None
    best = (min if is_less_better(metric) else max)(points, key=lambda point: point[1])
    return Found(points[-1][1], points[-1][0], best[1], best[0])


def is_less_better(metric: str) -> bool:
    """Return whether a small value of a metric is a good one."""
    return "loss" in metric


def iterations_of(run: RunFiles) -> int:
    """Return how many iterations are known to be done."""
    end = run.record.get("end")
    done = end.get("iteration") if isinstance(end, dict) else None
    return done if type(done) is int else max((line["iteration"] for line in run.metrics), default=-1) + 1


def seconds_of(run: RunFiles) -> tuple[float | None, bool]:
    """Return the time that the training took, with evaluations, and whether that is all of it: of a start
    that was killed, or is not at its end, it is not known.
    """
    ends = [start.get("end") for start in starts_of(run.record)]
    known = [end["seconds"] for end in ends if isinstance(end, dict) and _is_number(end.get("seconds"))]
    return (sum(known) if known else None), len(known) == len(ends)


def _results(run: RunFiles) -> dict[str, Any]:
    return {
        f"{task}/{name}": value
        for task, metrics in run.results.items()
        if isinstance(metrics, dict)
        for name, value in metrics.items()
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
