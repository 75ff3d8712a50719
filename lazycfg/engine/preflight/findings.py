"""What a preflight collects."""

from dataclasses import dataclass, field

from ..problems import PreflightError, Problem, problem_of

__all__ = ["Findings"]


@dataclass
class Findings:
    """What was found so far.

    Attributes:
        problems: what stops the run.
        remarks: what is worth a line of the log.
        not_looked_at: what could not be judged, and why.
        first_error: the first exception among the problems, for its traceback.
    """

    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    not_looked_at: list[str] = field(default_factory=list)
    first_error: BaseException | None = None

    def add(self, where: str, what: str, remedy: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(where, what, remedy))

    def add_error(self, error: BaseException, where: str = "") -> None:
        """Note an exception as a problem."""
        if isinstance(error, PreflightError):
            self.problems += error.problems
        else:
            problem = problem_of(error, where)
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

    def raise_problems(self) -> None:
        """Raise if there are problems.

        Raises:
            PreflightError: all of them.
        """
        if self.problems:
            raise PreflightError(self.problems) from self.first_error
