"""What `check` finds, for programs: as JSON, as annotations of GitHub, as SARIF 2.1.0."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

if TYPE_CHECKING:
    from lazycfg.config.building.problems import Problem
    from lazycfg.config.tree.position import Origin

__all__ = ["FORMATS", "Finding", "of_error", "of_path", "of_problem", "render"]

FORMATS = ("text", "json", "github", "sarif")

_KINDS = {
    "build": "a part of the model cannot be built, or the parts do not fit",
    "call": "a call that was not completed",
    "cycle": "a config that contains itself",
    "interpolation": "a ${...} that cannot be resolved",
    "load": "a file that cannot be loaded",
    "missing argument": "an argument that the target needs",
    "required": "a value that is to be filled in",
    "run": "something that a training would stop at",
    "special key": "a special key with a value that it does not take",
    "target": "a target that cannot be imported or called",
    "type": "a literal of another type than the target takes",
    "unknown argument": "an argument that the target does not take",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: one of those of `lazycfg.config.building.problems.Problem`; "load", "build", "run" besides.
        severity: "error" or "warning".
        config: the file that was checked.
        path: the config path; "" where there is none.
        message: what is wrong, and what was expected.
        file, line, column: where it was written, from 1; None where that is not known.
        remedy: what to type, if that is known.
    """

    kind: str
    severity: Literal["error", "warning"]
    config: str
    path: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    remedy: str = ""


def of_problem(problem: Problem, config: str) -> Finding:
    """Return a problem of a config tree."""
    from lazycfg.config.tree.paths import format_path

    signature = "" if problem.signature is None else f"\n{problem.signature}"
    severity: Literal["error", "warning"] = "warning" if problem.severity == "warning" else "error"
    place = _place(problem.origin)
    return Finding(
        problem.kind, severity, config, format_path(problem.path), problem.message + signature, *place
    )


def of_path(kind: str, cfg: Any, where: str, message: str, config: str, remedy: str = "") -> Finding:
    """Return something that is wrong at a config path, with the place where that was written."""
    from lazycfg.config.errors import ConfigError
    from lazycfg.config.signatures.places import place_of
    from lazycfg.config.tree.paths import parse_path

    try:
        origin = place_of(cfg, parse_path(where)) if where else None
    except ConfigError:  # a file and record, for example
        origin = None
    return Finding(kind, "error", config, where, message, *_place(origin), remedy=remedy)


def of_error(error: BaseException, config: str) -> Finding:
    """Return an error of loading a config, at the innermost place that is no file of the library's core."""
    from lazycfg.cli.main import message_of

    if isinstance(error, SyntaxError) and error.filename:
        return Finding(
            "load",
            "error",
            config,
            "",
            error.msg,
            os.path.abspath(error.filename),
            error.lineno,
            error.offset,
        )
    own = str(Path(__file__).parents[1])
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if os.path.isfile(frame.filename) and not frame.filename.startswith((own + os.sep, "<"))
    ]
    notes = getattr(error, "__notes__", ())
    text = "\n".join([message_of(error), *notes] if isinstance(error, Exception) else [str(error)])
    last = (
        frames[-1]
        if frames and os.path.abspath(config) in {os.path.abspath(f.filename) for f in frames}
        else None
    )
    if last is None:
        return Finding("load", "error", config, "", text, os.path.abspath(config))
    return Finding("load", "error", config, "", text, os.path.abspath(last.filename), last.lineno)


def _place(origin: Origin | None) -> tuple[str | None, int | None, int | None]:
    if origin is None or origin.file is None or not os.path.isabs(origin.file):
        return None, None, None
    return origin.file, origin.line, origin.column


def render(findings: Sequence[Finding], format: str) -> str:
    """Return findings as text in one of `FORMATS` but "text"."""
    if format == "json":
        return json.dumps([asdict(finding) for finding in findings], indent=2)
    if format == "github":
        return "\n".join(map(_annotation, findings))
    return json.dumps(_sarif(findings), indent=2)


def _annotation(finding: Finding) -> str:
    """Return a workflow command of GitHub."""
    where = {
        "file": _relative(finding.file or finding.config),
        "line": finding.line,
        "col": finding.column,
        "title": f"{finding.path}: {finding.kind}" if finding.path else finding.kind,
    }
    properties = ",".join(f"{key}={_escaped(str(v), ':,')}" for key, v in where.items() if v is not None)
    text = finding.message + (f"\nremedy: {finding.remedy}" if finding.remedy else "")
    return f"::{finding.severity} {properties}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    for letter in ("%", "\r", "\n", *more):
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text


def _relative(file: str) -> str:
    """Return a file as seen from the working directory if it is below it."""
    path = os.path.relpath(file)
    return file if path.startswith(os.pardir) else Path(path).as_posix()


def _sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    from lazycfg._version import __version__

    kinds = sorted({finding.kind for finding in findings})
    rules = [{"id": kind, "shortDescription": {"text": _KINDS.get(kind, kind)}} for kind in kinds]
    driver = {"name": "lazycfg", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, kinds) for finding in findings],
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return {"$schema": schema, "version": "2.1.0", "runs": [run]}


def _result(finding: Finding, kinds: Iterable[str]) -> dict[str, Any]:
    file = finding.file or os.path.abspath(finding.config)
    relative = _relative(file)
    uri = Path(file).as_uri() if os.path.isabs(relative) else quote(relative)
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if finding.line is not None:
        column = {} if finding.column is None else {"startColumn": finding.column}
        physical["region"] = {"startLine": finding.line, **column}
    location: dict[str, Any] = {"physicalLocation": physical}
    if finding.path:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.path}]
    text = finding.message + (f"\nremedy: {finding.remedy}" if finding.remedy else "")
    return {
        "ruleId": finding.kind,
        "ruleIndex": list(kinds).index(finding.kind),
        "level": finding.severity,
        "message": {"text": text},
        "locations": [location],
    }
