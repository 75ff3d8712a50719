"""What is wrong with a run, found before it begins: one error for all of it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .remedies import in_python

__all__ = ["PreflightError", "Problem", "SettingsError", "problem_of", "short_text"]


class SettingsError(ValueError):
    """Raised for a config that does not describe a run."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        where: a config path, or a file and record.
        what: what is wrong there and what was expected.
        remedy: what to type: overrides of the command line, where there are some.

    As text it has the remedy in Python, for who calls a function; commands print `on_command_line`.
    """

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return self._text(in_python(self.remedy))

    def on_command_line(self) -> str:
        """Return the text with the remedy as it is typed after a command."""
        return self._text(self.remedy)

    def _text(self, remedy: str) -> str:
        told = not self.where or self.what.startswith(self.where)
        text = self.what if told else f"{self.where}: {self.what}"
        return f"{text}\n  remedy: {remedy}" if remedy else text


class PreflightError(SettingsError):
    """Raised with everything that is wrong with a run, before anything is trained or written.

    Attributes:
        problems: one `Problem` for each.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__(self.problems)

    def __str__(self) -> str:
        return self._text([str(problem) for problem in self.problems])

    def on_command_line(self) -> str:
        """Return the text with the remedies as they are typed after a command."""
        return self._text([problem.on_command_line() for problem in self.problems])

    def _text(self, problems: list[str]) -> str:
        if len(problems) == 1:
            return problems[0]
        lines = (f"- {problem}".replace("\n", "\n  ") for problem in problems)
        return "\n".join([f"{len(problems)} problems, and nothing was trained or written:", *lines])


# Errors of these kinds are written for who reads the message alone; of others the type says half of it
_SPEAKING = (ValueError, OSError, FloatingPointError, ImportError)
_WORKER = re.compile(r"Caught (\w+) in DataLoader worker process \d+\.\nOriginal Traceback")
_CONFIG_PATH = re.compile(r"while building config path '([^']+)'")


def short_text(error: BaseException) -> str:
    """Return the message of an error in a few lines, without the traceback of a worker process.

    The type of the error stands before it where the message alone may say little.
    """
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    name = type(error).__name__
    if found := _WORKER.match(text):
        frames = [line for line in text.splitlines() if line.strip()]
        last = max((i for i, line in enumerate(frames) if line.startswith("  ")), default=0)
        text, name = "\n".join(frames[last + 1 :]), found[1]
        text = text.partition(f"{name}: ")[2] or text
    if isinstance(error, KeyError):
        text = f"{error.args[0]!r}" if error.args else ""
    if isinstance(error, _SPEAKING) and not isinstance(error, UnicodeError) and text:
        return text
    return f"{name}: {text}" if text else name


def problem_of(error: BaseException, where: str = "", remedy: str = "") -> Problem:
    """Return an error as a problem: where it was built by its note, else ``where``.

    Args:
        error: of whatever part.
        where: the config path of what raised it, if no note names one.
        remedy: what to type, if the error does not say.
    """
    notes = list(getattr(error, "__notes__", ()))
    places = [found[1] for note in notes if (found := _CONFIG_PATH.search(note))]
    further = [note for note in notes if note.startswith(("while mapping ", "raised in "))]
    place = places[0] if places else where
    text = short_text(error)
    if places and getattr(error, "remedy", None):
        text = text.removesuffix(getattr(error, "advice", ""))  # the same in Python
    what = "\n".join([text, *further, *_own_code(notes)])
    # Errors of data name the arguments with which the data is taken
    given = getattr(error, "remedy", None) if places else None
    typed = " ".join(f"{place}.{argument}={value}" for argument, value in (given or {}).items())
    return Problem(place, what, typed or remedy)


def _own_code(notes: list[str]) -> list[str]:
    """Return where an error was raised in the user's own code, after where the call was written, by notes."""
    for note in notes:
        if _CONFIG_PATH.search(note) and "\n  raised " in note:
            return [line for line in note.splitlines() if line.startswith(("  written at ", "  raised "))]
    return []
