"""``run.json``: how a run was started each time, on what, with what, and how it ended."""

import json
import logging
import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lazycfg.config.loading.load import load
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.position import position_of
from lazycfg.inspection.diff import diff
from lazycfg.reporting.run_files import RunFiles, starts_of
from lazycfg.utils import atomic_write, get_world_size, is_main_process
from lazycfg.utils.collect_env import collect_env
from lazycfg.utils.git_state import git_state

from .build import Parts
from .run_summary import describe_data, describe_model
from .settings import TrainSettings
from .trainer import Trainer

__all__ = ["command_line", "finished_results", "recorded_run"]

logger = logging.getLogger(__name__)

_NAME = "run.json"
_MOST_CHANGES = 300
_IMPORT = re.compile(r"^\s*from\s+lazycfg\.((?:model_zoo|projects)\.[\w.]+)\s+import", re.MULTILINE)


@contextmanager
def recorded_run(
    cfg: Node,
    parts: Parts,
    settings: TrainSettings,
    trainer: Trainer,
    *,
    start_iter: int,
    changes: Sequence[str] | None,
    load_file: Callable[[str], Any] = load,
) -> Iterator[None]:
    """Write ``run.json`` at the beginning of the block and again at its end, however it ends.

    Of a run that goes on, what is known of each start before is kept. Where the file cannot be written, a
    warning says so and the run goes on.

    Args:
        cfg: as it was loaded, with its overrides.
        parts: built of it.
        settings: of the run.
        trainer: tells how far it came.
        start_iter: the first iteration of this start.
        changes: of the config since the start before; None begins another run.
        load_file: reads a config file, with the trust that ``cfg`` was loaded with.
    """
    if not is_main_process():
        yield
        return
    folder = Path(settings.output_dir)
    record = _tried(lambda: _record(cfg, parts, settings, folder, start_iter, changes, load_file)) or {}
    _tried(lambda: _write(folder, record))
    started, reason = time.perf_counter(), "finished"
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        reason = "stopped by a signal" if stopped else f"{type(error).__name__}: {error}"[:500]
        raise
    finally:
        end = {"time": _now(), "reason": reason, "iteration": trainer.iter}
        record["end"] = end | {"seconds": round(time.perf_counter() - started, 1)}
        _tried(lambda: _write(folder, record))


def _record(
    cfg: Node,
    parts: Parts,
    settings: TrainSettings,
    folder: Path,
    start_iter: int,
    changes: Sequence[str] | None,
    load_file: Callable[[str], Any],
) -> dict[str, Any]:
    before = {} if changes is None else _before(folder)
    starts = starts_of(before)
    start = {
        "time": _now(),
        "iteration": start_iter,
        "command": command_line(),
        "directory": os.getcwd(),
        "git": git_state(),
        **_git_of_config(cfg),
        "host": platform.node(),
        "processes": get_world_size(),
    }
    if starts:
        start["changes"] = _cut(changes or ())
    data = {"training": parts.train_loader, "test": parts.test_loader}
    return {
        "max_iter": settings.max_iter,
        "starts": [*starts, start],
        "config": before["config"] if "config" in before else _config(cfg, load_file),
        "model": describe_model(parts.model),
        "data": {name: describe_data(loader) for name, loader in data.items() if loader is not None},
        "environment": collect_env(),
    }


def _before(folder: Path) -> dict[str, Any]:
    path = folder / _NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    except FileNotFoundError:
        return {}
    except ValueError:
        pass
    aside = path.replace(path.with_name(f"{_NAME}.damaged"))
    logger.warning("%s cannot be read: it is now %s, and another one is begun", path, aside.name)
    return {}


def _write(folder: Path, record: Mapping[str, Any]) -> None:
    with atomic_write(folder / _NAME) as partial:
        partial.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _tried(function: Any) -> Any:
    try:
        return function()
    except Exception:  # the training is worth more
        logger.warning("could not write %s (the run goes on)", _NAME, exc_info=True)
        return None


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z")


def finished_results(output_dir: str | os.PathLike[str], iterations: int) -> dict[str, Any] | None:
    """Return what the last evaluation of a run found that came to its end after so many iterations; None of
    another run, or one of which that is not known.
    """
    try:
        run = RunFiles.read(output_dir)
    except FileNotFoundError:
        return None
    end = run.record.get("end")
    if not isinstance(end, dict) or (end.get("reason"), end.get("iteration")) != ("finished", iterations):
        return None
    return run.results


def command_line(*more: str) -> str:
    """Return the command line of this process; "" in a notebook or an interactive session.

    Args:
        *more: options that are added where they are not in it.
    """
    if not sys.argv or not sys.argv[0] or sys.argv[0] == "-c" or "ipykernel" in sys.argv[0]:
        return ""
    program = Path(sys.argv[0])
    words = [program.stem] if program.name in ("lazycfg", "lazycfg.exe") else ["python", sys.argv[0]]
    if get_world_size() > 1:
        here = os.environ.get("LOCAL_WORLD_SIZE", str(get_world_size()))
        nodes = get_world_size() // max(int(here), 1)
        torchrun = ["torchrun", *(["--nnodes", str(nodes)] if nodes > 1 else []), "--nproc-per-node", here]
        words = [*torchrun, *(["-m", "lazycfg"] if words[0] == "lazycfg" else words[1:])]
    given = sys.argv[1:]
    return shlex.join([*words, *given, *(option for option in more if option not in given)])


def _file_of(cfg: Node) -> Path | None:
    place = position_of(cfg)
    return None if place is None or place.file is None else Path(place.file).resolve()


def _git_of_config(cfg: Node) -> dict[str, str]:
    """Return the state of the repository that the config file lies in, if it is one of the user's."""
    file = _file_of(cfg)
    if file is None or file.is_relative_to(Path(__file__).resolve().parents[1]):
        return {}
    state = git_state(file.parent)
    return {"git_of_config": state} if state else {}


def _config(cfg: Node, load_file: Callable[[str], Any]) -> dict[str, Any]:
    """Return the file that a config was loaded from, the config of the zoo that it began as, if there is one,
    and what differs from that, or why that is not known.
    """
    file = _file_of(cfg)
    if file is None or not file.is_file():
        return {}
    parent = _parent(file)
    about = {"file": str(file), "parent": _short(parent)}
    try:
        changes = [str(change) for change in diff(load_file(str(parent)), cfg, importing=False)]
    except Exception as error:  # the rest of the record is worth more
        reason = f"{type(error).__name__}: {error}"[:1000]
        logger.warning("run.json does not say what differs from %s: %s", about["parent"], reason)
        return about | {"changes_unknown": reason}
    return about | {
        "changes": _cut(changes),
        "changes_left_out": max(0, len(changes) - _MOST_CHANGES),
    }


def _cut(changes: Sequence[str]) -> list[str]:
    return [text[:1000] for text in changes[:_MOST_CHANGES]]


def _parent(file: Path) -> Path:
    """Return the config of the zoo or of a project that a config file imports, or the file itself."""
    package = Path(__file__).resolve().parents[1]
    if file.suffix != ".py" or file.is_relative_to(package):
        return file
    for module in _IMPORT.findall(file.read_text(encoding="utf-8")):
        found = package.joinpath(*module.split(".")).with_suffix(".py")
        if found.is_file() and "common" not in module.split("."):
            return found
    return file


def _short(file: Path) -> str:
    package = Path(__file__).resolve().parents[1]
    zoo = package / "model_zoo"
    base = zoo if file.is_relative_to(zoo) else package.parent
    return file.relative_to(base).as_posix() if file.is_relative_to(base) else str(file)
