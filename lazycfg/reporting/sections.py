"""The sections of the report; each is "" where the run has nothing to say of it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from lazycfg.reporting.charts import as_points, bars, line_chart, matrix
from lazycfg.reporting.comparison import iterations_of, seconds_of
from lazycfg.reporting.html import card, definitions, duration, number, section, table, text
from lazycfg.reporting.images import Images
from lazycfg.reporting.run_files import RunFiles, starts_of

__all__ = ["SECTIONS", "state_of"]

_NAMES = {
    "bbox": "Boxes",
    "segm": "Masks",
    "keypoints": "Keypoints",
    "sem_seg": "Semantic segmentation",
    "panoptic_seg": "Panoptic segmentation",
    "box_proposals": "Proposals",
}
_KINDS = {"both": "class and place"}
_TIMES = ("time", "data_time")
_MOST_CHARTS = 12  # of what a model tells of itself
_MOST_SERIES = 8
_MOST_ROWS = 1500


def state_of(run: RunFiles) -> str:
    """Return how far a run is, or how it ended."""
    whole = run.record.get("max_iter")
    end = run.record.get("end")
    if isinstance(end, dict):
        reason = str(end.get("reason", ""))
        if reason == "finished":
            return f"finished after {number(end.get('iteration'))} iterations"
        return f"{reason} (after {number(end.get('iteration'))} of {number(whole)} iterations)"
    if not run.metrics:
        return ""
    if whole is None:
        return f"{iterations_of(run):,} iterations are known"
    return f"not finished: running or killed, {iterations_of(run):,} of {number(whole)} iterations are known"


def results(run: RunFiles) -> str:
    """Return the main numbers of the last evaluation."""
    cards = []
    for task, metrics in run.results.items():
        if not isinstance(metrics, dict):
            continue
        plain = {name: value for name, value in metrics.items() if "-" not in name and _is_number(value)}
        tiles = "".join(
            f"<div><b>{number(_float(value), percent=True)}</b><span>{text(name)}</span></div>"
            for name, value in plain.items()
        )
        if tiles:
            cards.append(card(_title(task), f'<div class="tiles">{tiles}</div>', wide=True))
    iteration = run.details.get("iteration")
    when = f"<p>After {number(iteration)} iterations.</p>" if type(iteration) is int and cards else ""
    return section("results", "Results", when, _best(run), *cards)


def _best(run: RunFiles) -> str:
    """Return the line on the best weights."""
    value, iteration = run.best.get("value"), run.best.get("iteration")
    if not isinstance(value, int | float) or type(iteration) is not int:
        return ""
    told = f"{text(run.best.get('metric'))} = {value:.4g}, after {number(iteration + 1)} iterations"
    return f"<p>The best weights, <code>model_best.safetensors</code>: {told}.</p>"


def curves(run: RunFiles) -> str:
    """Return losses, learning rate and results over the iterations."""
    names = list(dict.fromkeys(name for line in run.metrics for name in line))
    points = {name: as_points(run.metrics, name) for name in names if name != "iteration"}
    losses = [name for name in points if "loss" in name and "/" not in name]
    parts = [name for name in losses if name != "total_loss"]
    validation = [name for name in points if "loss" in name and "/" in name]
    main = [
        line_chart("total loss", {"total_loss": points["total_loss"]}) if "total_loss" in points else "",
        line_chart(
            "losses (logarithmic)", {name: points[name] for name in parts[:_MOST_SERIES]}, logarithmic=True
        ),
        line_chart("losses of validation", {name: points[name] for name in validation[:_MOST_SERIES]}),
        line_chart("learning rate", {"lr": points["lr"]}) if "lr" in points else "",
        line_chart("norm of gradients", {"grad_norm": points["grad_norm"]}) if "grad_norm" in points else "",
    ]
    groups: dict[str, dict[str, Any]] = {}
    for name in points:
        task, _, metric = name.partition("/")
        # of a single evaluation there is no curve; its results stand above
        if metric and "loss" not in name and "-" not in metric and len(points[name]) > 1:
            groups.setdefault(task, {})[metric] = points[name]
    others = []
    for task, series in groups.items():
        chart = line_chart(_title(task), dict(list(series.items())[:_MOST_SERIES]))
        (main if task in run.results else others).append(chart)
    more = _grid(*(card("", chart) for chart in others[:_MOST_CHARTS]))
    hidden = f"<details><summary>More of the model</summary>{more}</details>" if more else ""
    return section("curves", "Curves", _grid(*(card("", chart) for chart in main)), hidden)


def classes(run: RunFiles) -> str:
    """Return a table of the classes for each task."""
    tasks = _tasks(run)
    parts = []
    for task in dict.fromkeys([*tasks, *run.results]):
        rows = tasks.get(task, {}).get("per_class") or _rows_of_results(run.results.get(task))
        if len(rows) > 1:
            more = f"<p>and {len(rows) - _MOST_ROWS:,} more</p>" if len(rows) > _MOST_ROWS else ""
            parts.append(card(_title(task), table(rows[:_MOST_ROWS], order="classes"), more, wide=True))
    return section("classes", "Classes", *parts)


def _rows_of_results(metrics: Any) -> list[dict[str, Any]]:
    """Return what results of the form ``AP-<class>`` say, a row for each class."""
    rows: dict[str, dict[str, Any]] = {}
    for name, value in metrics.items() if isinstance(metrics, dict) else ():
        column, dash, of_class = name.partition("-")
        if dash and _is_number(value):
            rows.setdefault(of_class, {"class": of_class})[column] = _float(value)
    return list(rows.values())


def precision_recall(run: RunFiles) -> str:
    """Return the curves of precision over recall."""
    charts = []
    for task, found in _tasks(run).items():
        curves = found.get("curves") or {}
        if not curves.get("mean"):
            continue
        by_class = {name: _over_recall(values) for name, values in curves["classes"].items()}
        if len(by_class) == 1:
            by_class = {}  # the mean is its curve
        named = dict(list(by_class.items())[: _MOST_SERIES - 1])
        faint = {name: values for name, values in by_class.items() if name not in named}
        mean = "mean of the classes" if by_class else next(iter(curves["classes"]), "precision")
        chart = line_chart(
            f"{_title(task)}: precision (upwards) over recall at IoU {curves.get('iou', 0.5):g}",
            {mean: _over_recall(curves["mean"]), **named},
            x_name="recall",
            faint=faint,
            bounds=(0.0, 1.0),
            with_last=False,
        )
        note = f"<p>The thin lines are {len(faint):,} more classes.</p>" if faint else ""
        charts.append(card("", chart, note))
    return section("precision-recall", "Precision and recall", _grid(*charts))


def _over_recall(values: list[float]) -> list[tuple[float, float]]:
    return [(index / max(len(values) - 1, 1), value) for index, value in enumerate(values)]


def confusion(run: RunFiles) -> str:
    """Return which classes are taken for each other."""
    parts = []
    for task, found in _tasks(run).items():
        known = found.get("confusion") or {}
        unit = known.get("unit", "")
        at = f" with a score of {found['threshold']:.2f} or more" if found.get("threshold") else ""
        told = f"<p>{text(unit)}{at}; rows are the truth, columns the prediction.</p>"
        if known.get("matrix"):
            parts.append(card(_title(task), told, matrix(known["matrix"], known["names"]), wide=True))
        elif known.get("pairs"):
            told = f"<p>The pairs that are taken for each other most, {text(unit)}{at}.</p>"
            parts.append(card(_title(task), told, table(known["pairs"]), wide=True))
    return section("confusion", "Confusion", *parts)


def errors(run: RunFiles) -> str:
    """Return what each kind of mistake costs."""
    parts = []
    for task, found in _tasks(run).items():
        known = found.get("errors") or {}
        gains, counts = known.get("dAP") or {}, known.get("counts") or {}
        rows = [
            (_KINDS.get(name, name), _float(gain), f"{counts[name]:,} of them" if name in counts else "")
            for name, gain in gains.items()
        ]
        told = (
            "<p>Points of AP50 that mending all mistakes of one kind, and nothing else, would add. All "
            "detections count, whatever their score.</p>"
        )
        if rows:
            parts.append(card(_title(task), told, bars(rows)))
    return section("mistakes", "Kinds of mistakes", _grid(*parts))


def images(run: RunFiles) -> str:
    """Return the worst and the best images, and some of all, with predictions."""
    embedded = Images(run.folder)
    chosen = run.details.get("images")
    chosen = chosen if isinstance(chosen, dict) else {}
    measure = {"sem_seg": "mIoU", "panoptic_seg": "PQ"}
    name = next((measure[task] for task in _tasks(run) if task in measure), "F1")
    name = "F1" if any("F1" in found for found in _tasks(run).values()) else name
    parts = []
    for key, title in (("worst", "The worst"), ("best", "The best")):
        figures = [
            embedded.figure(str(each["file"]), f"{name} {each['quality']:.2f}, {_name_of(each)}")
            for each in chosen.get(key) or ()
        ]
        parts.append(card(title, embedded.row(figures), wide=True))
    spread = sorted((run.folder / "pictures").glob("*.jpg"))[:8]
    figures = [embedded.figure(f"pictures/{path.name}", path.stem) for path in spread]
    parts.append(card("Some of all", embedded.row(figures), wide=True))
    if embedded.left_out:
        parts.append(f"<p>{embedded.left_out} more are in the folder <code>pictures</code>.</p>")
    return section("images", "Images", *parts)


def speed(run: RunFiles) -> str:
    """Return how fast the training was."""
    points = {name: as_points(run.metrics, name) for name in _TIMES}
    times = [value for _, value in points["time"]]
    if not times:
        return ""
    median = sorted(times)[len(times) // 2]
    batch = (_data(run, "training") or {}).get("batch_size")
    waiting = sorted(value for _, value in points["data_time"])
    seconds, is_all = seconds_of(run)
    timed = "training with evaluations"
    timed += "" if is_all else ", but for starts that were killed or go on"
    told = [
        ("seconds an iteration (median)", median),
        ("images a second", batch / median if isinstance(batch, int) and median > 0 else None),
        ("of these seconds waiting for data", waiting[len(waiting) // 2] if waiting else None),
        (timed, duration(seconds)),
    ]
    named = {"iteration": points["time"], "waiting for data": points["data_time"]}
    chart = line_chart("seconds an iteration", named)
    return section("speed", "Speed", _grid(card("", definitions(told)), card("", chart)))


def data(run: RunFiles) -> str:
    """Return what the run was trained and tested on, and its model."""
    model = run.record.get("model")
    parts = []
    if isinstance(model, dict):
        names = {"kind": "kind", "parameters": "parameters", "trained": "of them trained"}
        parts.append(card("Model", definitions((names[key], model.get(key)) for key in names)))
    for name, title in (("training", "Training data"), ("test", "Test data")):
        about = _data(run, name)
        if about is None:
            continue
        lists = [(about.get("classes") or [], "classes"), (about.get("stuff_classes") or [], "stuff classes")]
        told = [(key, about.get(key)) for key in ("name", "images")]
        told += [(key, len(names) or None) for names, key in lists] + [
            ("batch size", about.get("batch_size"))
        ]
        all_names = "".join(
            f"<details><summary>{key}</summary><p>{text(', '.join(map(str, names)))}</p></details>"
            for names, key in lists
            if names
        )
        parts.append(card(title, definitions(told), all_names))
    return section("data", "Data and model", _grid(*parts))


def config(run: RunFiles) -> str:
    """Return the config, and what differs from the one that it began as."""
    about = run.record.get("config")
    about = about if isinstance(about, dict) else {}
    parts = []
    changes = [str(change) for change in about.get("changes") or ()]
    if parent := about.get("parent"):
        left_out = about.get("changes_left_out") or 0
        lines = [*changes, *([f"... and {left_out:,} more"] if left_out else [])]
        shown = f"<pre>{_marked(lines)}</pre>" if lines else "<p>Nothing.</p>"
        if unknown := about.get("changes_unknown"):
            shown = f"<p>Not known: the file could not be read again. {text(unknown)}</p>"
        title = f"What differed from {parent} at first" if _is_resumed(run) else f"What differs from {parent}"
        parts.append(card(title, shown, wide=True))
    for start in starts_of(run.record):
        lines = start.get("changes")
        if isinstance(lines, list) and lines:
            title = f"What was changed when it went on with iteration {number(start.get('iteration'))}"
            parts.append(card(title, f"<pre>{_marked([str(line) for line in lines])}</pre>", wide=True))
    if run.config:
        lines = run.config.count("\n")
        whole = f"<details><summary>{lines:,} lines</summary><pre>{text(run.config)}</pre></details>"
        parts.append(card("The whole config", whole, wide=True))
    return section("config", "Config", *parts)


def _is_resumed(run: RunFiles) -> bool:
    starts = run.record.get("starts")
    return isinstance(starts, list) and len(starts) > 1


def _marked(lines: list[str]) -> str:
    kinds = {"+": "added", "-": "removed"}
    return "\n".join(f'<span class="{kinds.get(line[:1], "changed")}">{text(line)}</span>' for line in lines)


def environment(run: RunFiles) -> str:
    """Return how to repeat the run, and where it ran."""
    parts = []
    starts = starts_of(run.record)
    lines = [line for start in starts for line in _start_lines(start)]
    if lines:
        title = "The command" if len(starts) == 1 else "The commands"
        parts.append(card(title, f"<pre>{text(chr(10).join(lines))}</pre>", wide=True))
    if run.config:
        name = "config.yaml" if (run.folder / "config.yaml").is_file() else "config.py"
        again = ["lazycfg", "train", str(run.folder / name), "train.output_dir=ANOTHER_FOLDER"]
        if name == "config.yaml" and run.config.startswith("_source_:"):  # it brings code
            again.append("--trusted")
        told = f"<pre>{text(shlex.join(again))}</pre>"
        if any(start.get("changes") for start in starts[1:]):
            told += "<p>That is not this run: its config was changed when it went on.</p>"
        parts.append(card("Once more, from the saved config", told, wide=True))
    found = run.record.get("environment")
    found = found if isinstance(found, dict) else {}
    parts.append(card("Environment", definitions(found.items()), wide=True))
    for start in starts[:-1]:
        before = start.get("environment")
        other = {k: v for k, v in before.items() if v != found.get(k)} if isinstance(before, dict) else {}
        if other:
            title = f"What was another at the start of {start.get('time')}"
            parts.append(card(title, definitions(other.items()), wide=True))
    if run.warnings:
        shown = f"<pre>{text(chr(10).join(run.warnings))}</pre>"
        head = f"<details open><summary>{len(run.warnings)} different ones</summary>{shown}</details>"
        parts.append(card("Warnings", head, wide=True))
    return section("environment", "How it was run", *parts)


def _start_lines(start: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {start.get('time')}, from iteration {start.get('iteration')}, on {start.get('host')}"
    if start.get("git"):
        yield f"# commit {start['git']}"
    if start.get("git_of_config") not in (None, start.get("git")):
        yield f"# commit {start['git_of_config']} of the folder of the config"
    yield f"cd {shlex.quote(str(start.get('directory', '.')))}"
    yield str(start.get("command") or "# in a notebook or an interactive session")
    end = start.get("end")
    if isinstance(end, dict):
        yield f"# {end.get('time')}: {end.get('reason')} after {end.get('iteration')} iterations"


SECTIONS = (
    ("Results", results),
    ("Curves", curves),
    ("Classes", classes),
    ("Precision and recall", precision_recall),
    ("Confusion", confusion),
    ("Mistakes", errors),
    ("Images", images),
    ("Speed", speed),
    ("Data", data),
    ("Config", config),
    ("Run", environment),
)
"""In their order: a short name, and the function that writes it."""


def _tasks(run: RunFiles) -> dict[str, dict[str, Any]]:
    tasks = run.details.get("tasks")
    return {k: v for k, v in tasks.items() if isinstance(v, dict)} if isinstance(tasks, dict) else {}


def _data(run: RunFiles, name: str) -> Mapping[str, Any] | None:
    found = (run.record.get("data") or {}).get(name)
    return found if isinstance(found, dict) else None


def _name_of(image: Mapping[str, Any]) -> str:
    return str(image.get("name") or f"image {image['image_id']}")


def _title(task: str) -> str:
    return _NAMES.get(task, task)


def _grid(*cards: str) -> str:
    shown = [each for each in cards if each]
    return f'<div class="grid">{"".join(shown)}</div>' if shown else ""


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)
