"""What a preflight collects."""

from dataclasses import dataclass, field, replace
from typing import Any

from ..problems import PreflightError, Problem, problem_of
from ..remedies import at_source

__all__ = ["Findings"]


@dataclass
class Findings:
    """What was found so far.

    Attributes:
        problems: what stops the run.
        remarks: what is worth a line of the log.
        not_looked_at: what could not be judged, and why.
        first_error: the first exception among the problems, for its traceback.
        cfg: of the run; remedies name the keys in it that values come from.
    """

    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    not_looked_at: list[str] = field(default_factory=list)
    first_error: BaseException | None = None
    cfg: Any = None

    def add(self, where: str, what: str, remedy: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(where, what, remedy))

    def add_error(self, error: BaseException, where: str = "", remedy: str = "") -> None:
        """Note an exception as a problem; ``remedy`` is what to type if the error does not say."""
        if isinstance(error, PreflightError):
            self.problems += error.problems
        else:
            problem = problem_of(error, where, remedy)
            # What several parts share fails in each of them
            if all(problem.what != known.what for known in self.problems):
                self.problems.append(problem)
        self.first_error = self.first_error or error

    def remark(self, text: str) -> None:
        """Note something worth a line."""
        self.remarks.append(text)

    def unjudged(self, text: str) -> None:
        """Note something that was not looked at."""
        self.not_looked_at.append(text)

    def told(self) -> list[Problem]:
        """Return the problems, each once, with their remedies as the config wants them typed."""
        problems = dict.fromkeys(self.problems)
        if self.cfg is None:
            return list(problems)
        return [replace(problem, remedy=at_source(self.cfg, problem.remedy)) for problem in problems]

    def raise_problems(self) -> None:
        """Raise if there are problems.

        Raises:
            PreflightError: all of them.
        """
        if self.problems:
            raise PreflightError(self.told()) from self.first_error
