"""What is wrong with a run, found before it begins: one error for all of it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["PreflightError", "Problem", "SettingsError", "problem_of", "short_text"]


class SettingsError(ValueError):
    """A config that does not describe the job asked for; the message is for who wrote it."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        where: a config path, or a file and record.
        what: what is wrong there and what was expected.
        remedy: what to type: an override of the command line, where there is one.
    """

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        told = not self.where or self.what.startswith(self.where)
        text = self.what if told else f"{self.where}: {self.what}"
        return f"{text}\n  remedy: {self.remedy}" if self.remedy else text


class PreflightError(SettingsError):
    """All that is wrong with a run, found before anything was trained or written.

    Attributes:
        problems: one `Problem` for each.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__(self.problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        lines = (f"- {problem}".replace("\n", "\n  ") for problem in self.problems)
        return "\n".join([f"{len(self.problems)} problems, and nothing was trained or written:", *lines])


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


def problem_of(error: BaseException, where: str = "") -> Problem:
    """Return an error as a problem: where it was built by its note, else ``where``."""
    notes = list(getattr(error, "__notes__", ()))
    places = [found[1] for note in notes if (found := _CONFIG_PATH.search(note))]
    records = [note for note in notes if note.startswith("while mapping ")]
    place = places[0] if places else where
    what = "\n".join([short_text(error), *records])
    # Errors of data name the arguments with which the data is taken
    remedy = getattr(error, "remedy", None) if places else None
    typed = " ".join(f"{place}.{argument}={value}" for argument, value in (remedy or {}).items())
    return Problem(place, what, typed)
