"""Logging of a run: set up by the functions that start one, never by an import."""

import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, TextIO

from lazycfg.config.tree.repr import printable
from lazycfg.utils import get_rank, open_for_appending

__all__ = ["RunLog", "run_logging", "setup_logger"]

_PLAIN = "[%(asctime)s %(name)s] %(levelname)s: %(message)s"


class _Formatter(logging.Formatter):
    """Texts of files that others wrote are in messages: nothing in them is obeyed by a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return printable(super().format(record))


class _File(logging.StreamHandler[TextIO]):
    """A log file, never opened through a link; a disk that is full is said once and stops nothing."""

    def __init__(self, path: Path) -> None:
        super().__init__(open_for_appending(path))
        self._path, self._said = path, False

    def handleError(self, record: logging.LogRecord) -> None:
        """Tell once that the file cannot be written."""
        if not self._said:
            self._said = True
            print(f"cannot write {self._path} (the run goes on): {sys.exc_info()[1]}", file=sys.stderr)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self.stream.close()
        super().close()


class _Console(logging.StreamHandler[TextIO]):
    """Writes to what is the standard error stream at that moment: a progress bar takes its place for a while.
    Messages whose record has ``in_bar`` are left out where a bar shows what they say.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.beside_bar = False

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Return the stream."""
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if not (self.beside_bar and getattr(record, "in_bar", False)):
            super().emit(record)


class RunLog(logging.Handler):
    """The messages of a run: on the console, and in a file that is told later. Before, nothing is written.

    Args:
        console: the handler of the console; None where that is left to others.
    """

    def __init__(self, console: _Console | None = None) -> None:
        super().__init__()
        self._console = console
        self._kept: list[logging.LogRecord] = []
        self._file: _File | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or keep it until there is a file."""
        if self._file is None:
            self._kept.append(record)
        else:
            self._file.handle(record)

    def open(self, output_dir: str | Path) -> None:
        """Write what was kept, and all that comes, into the log file of this process in a folder."""
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        rank = get_rank()
        name = "log.txt" if rank == 0 else f"log.txt.rank{rank}"
        self._file = _File(Path(output_dir) / name)
        self._file.setFormatter(_Formatter(_PLAIN, "%Y-%m-%d %H:%M:%S"))
        kept, self._kept = self._kept, []
        for record in kept:
            self._file.handle(record)

    @property
    def on_terminal(self) -> bool:
        """Return whether the messages go to a terminal on which lines can be drawn anew."""
        return self._console is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    @contextmanager
    def beside_bar(self) -> Iterator[None]:
        """Leave out on the console, while the block runs, what a progress bar shows."""
        assert self._console is not None
        self._console.beside_bar = True
        try:
            yield
        finally:
            self._console.beside_bar = False

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()
        super().close()


@contextmanager
def run_logging(output_dir: str | Path | None) -> Iterator[RunLog]:
    """Show the library's messages while the block runs.

    The main process writes to the console and to ``log.txt`` in ``output_dir``; the others write to
    ``log.txt.rank<N>``. Where the caller has given the root logger or the library's its own handlers, the
    console is left to these. Afterwards all is as before.

    Args:
        output_dir: None for the console only, until ``open`` of what this yields is called.
    """
    logger = logging.getLogger("lazycfg")
    before = logger.level, logger.propagate
    console = None
    if get_rank() == 0 and not logger.handlers and not logging.getLogger().handlers:
        console = _console()
        logger.propagate = False
    log = RunLog(console)
    if output_dir is not None:
        log.open(output_dir)
    added: list[logging.Handler] = [log] if console is None else [console, log]
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    for handler in added:
        logger.addHandler(handler)
    try:
        yield log
    finally:
        for handler in added:
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(before[0])
        logger.propagate = before[1]


def setup_logger(
    output: str | Path | None = None,
    *,
    name: str = "lazycfg",
    rank: int | None = None,
    configure_stdout: bool = True,
) -> logging.Logger:
    """Show messages from now on, for a script with a training loop of its own.

    `lazycfg.engine.train` and `evaluate` do this themselves while they run. Calling it again adds nothing
    twice.

    Args:
        output: a file (.txt or .log), or a folder for ``log.txt``; processes but the first write to one with
            ``.rank<N>`` at its end. None: no file.
        name: of the logger; those below it, as ``lazycfg.engine``, are shown, too.
        rank: of this process; None: as `torch.distributed` says. The console is for the first one.
        configure_stdout: whether to write to the console.
    """
    rank = get_rank() if rank is None else rank
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    known = {handler.name for handler in logger.handlers}
    if rank == 0 and configure_stdout and (label := f"{name} on the console") not in known:
        console = _console()
        console.set_name(label)
        logger.addHandler(console)
    if output is not None:
        path = Path(output)
        path = path if path.suffix in (".txt", ".log") else path / "log.txt"
        path = path if rank == 0 else path.with_name(f"{path.name}.rank{rank}")
        if (label := f"{name} in {path.resolve()}") not in known:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = _File(path)
            file.setFormatter(_Formatter(_PLAIN, "%Y-%m-%d %H:%M:%S"))
            file.set_name(label)
            logger.addHandler(file)
    return logger


def _console() -> _Console:
    """Plain lines; on a terminal wrapped to its width, with warnings in colour."""
    handler = _Console()
    if sys.stderr.isatty():
        handler.setFormatter(_TerminalFormatter())
    else:
        handler.setFormatter(_Formatter("[%(asctime)s] %(levelname)s: %(message)s", "%m/%d %H:%M:%S"))
    return handler


class _TerminalFormatter(_Formatter):
    """Time and message, the level only from warnings on: a line of 80 characters has room for little more."""

    _COLORS: ClassVar[dict[int, str]] = {logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "31"}

    def __init__(self) -> None:
        super().__init__("%(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, in colour on a terminal."""
        time = self.formatTime(record, self.datefmt)
        level = f"{record.levelname}: " if record.levelno >= logging.WARNING else ""
        first, *others = f"{time} {level}{super().format(record)}".split("\n")
        width = shutil.get_terminal_size().columns
        indent = " " * (len(time) + 1)
        # Further lines are tables and listings, which are left as they are
        wrapped = textwrap.wrap(
            first, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
        text = "\n".join([*(wrapped or [first]), *others])
        color = self._COLORS.get(record.levelno)
        return text if color is None else f"\x1b[{color}m{text}\x1b[0m"
