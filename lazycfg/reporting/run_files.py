"""What lies in the folder of a run, read without complaint: a run that was killed may lack any of it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["RunFiles", "read_metric_lines", "read_metrics", "starts_of"]

_LONGEST_CONFIG = 400_000  # characters
_LONGEST_HEADER = 100_000_000  # bytes
_LOG_END = 2_000_000  # bytes of the log that are looked at
_OF_THE_LAST = ("max_iter", "environment", "end")
_LEVELS = ("] WARNING: ", "] ERROR: ", "] CRITICAL: ")


@dataclass(frozen=True)
class RunFiles:
    """The files of a run.

    Attributes:
        folder: of the run.
        record: ``run.json``.
        results: ``results.json``, from a task to its metrics.
        details: ``details.json``, from "tasks" to more of them, and "images".
        metrics: the lines of ``metrics.json``.
        config: ``config.yaml``, as text.
        best: what ``model_best.safetensors`` says of itself: "metric", "value" and "iteration".
        warnings: the lines of ``log.txt`` that are no plain messages, without repetitions.
    """

    folder: Path
    record: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    config: str = ""
    best: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> RunFiles:
        """Read what there is in a folder.

        Raises:
            FileNotFoundError: there is no such folder, or none of the files of a run is in it.
        """
        path = Path(folder)
        known = ("config.yaml", "config.py", "metrics.json", "results.json", "run.json")
        if not any((path / name).is_file() for name in known):
            what = "it is a file" if path.is_file() else "there is no such folder"
            what = f"it has none of {', '.join(known)}" if path.is_dir() else what
            raise FileNotFoundError(f"{path} is not the folder of a run: {what}")
        metrics = path / "metrics.json"
        return cls(
            folder=path,
            record=_json(path / "run.json"),
            results=_json(path / "results.json"),
            details=_json(path / "details.json"),
            metrics=read_metrics(metrics) if metrics.is_file() else [],
            config=_text(path / "config.yaml") or _text(path / "config.py"),
            best=_best(path / "model_best.safetensors"),
            warnings=_warnings(path / "log.txt"),
        )


def starts_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the starts in ``run.json``, the last one with what stands beside the list and is of it alone:
    "max_iter", "environment" and, unless it is running or was killed, "end".
    """
    starts = record.get("starts")
    found = [start for start in starts if isinstance(start, dict)] if isinstance(starts, list) else []
    if found:
        found[-1] = found[-1] | {key: record[key] for key in _OF_THE_LAST if key in record}
    return found


def read_metrics(json_file: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the lines of ``metrics.json`` as dicts; what is no such line, as an unfinished last line of a
    run that was killed, is left out.
    """
    return read_metric_lines(Path(json_file))[0]


def read_metric_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the lines, and the number of unreadable ones apart from an unfinished last one."""
    lines: list[dict[str, Any]] = []
    broken = 0
    texts = path.read_bytes().decode(errors="replace").splitlines(keepends=True)
    for text in texts:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if isinstance(line, dict) and type(line.get("iteration")) is int:
            lines.append(line)
        elif text.strip() and not (text is texts[-1] and not text.endswith("\n")):
            broken += 1
    return lines, broken


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes().decode(errors="replace"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _best(weights: Path) -> dict[str, Any]:
    """Return what the header of a safetensors file has under "best"; PyTorch is not needed for it."""
    try:
        with open(weights, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, _LONGEST_HEADER)))
        found = json.loads(header["__metadata__"]["best"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:_LONGEST_CONFIG]
    except OSError:
        return ""


def _warnings(path: Path) -> list[str]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - _LOG_END))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    # Without the time, a warning that comes again is the same
    told = {line.split(" ", 2)[-1]: line for line in lines if any(level in line for level in _LEVELS)}
    return list(told.values())[-50:]
