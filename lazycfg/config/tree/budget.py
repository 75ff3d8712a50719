"""How much work the interpolations of a config may be."""

from __future__ import annotations

from lazycfg.config.errors import InterpolationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Mark: TypeAlias = "tuple[int, str]"  # id of the holding container, text

# Far above what anybody writes. A file that others wrote shall not be able to take hours or all memory with
# texts that double each other.
DEEPEST = 100
_MOST_STEPS = 2_500
_STEPS_EACH = 20  # of many texts, what each may add on average
# What is as much work as one step: so many characters that are parsed, parts of a text, characters of a
# text that is put together, keys that a resolver lists.
PARSED_A_STEP, PARTS_A_STEP, JOINED_A_STEP, KEYS_A_STEP = 256, 4, 4096, 50
LONGEST = 1 << 20
_MOST_MADE = 1 << 26  # characters that all texts of a config may give together; a key that is listed is 64


class Budget:
    """What the interpolations of one traversal may take.

    Attributes:
        steps: the work that was done, less what each further text may add.
        before: `steps` when the last text began.
        made: the characters of what was made and is kept.
    """

    __slots__ = ("before", "made", "steps")

    def __init__(self) -> None:
        self.steps = self.before = self.made = 0


class Active:
    """The interpolations under way.

    Attributes:
        marks: the texts that are being resolved, each for the sake of the one before: to find circles.
        budget: how much was resolved for the sake of the first one, and of others of the same traversal.
    """

    __slots__ = ("budget", "marks")

    def __init__(self, marks: tuple[Mark, ...] = (), budget: Budget | None = None) -> None:
        self.marks = marks
        self.budget = budget or Budget()

    def next(self) -> Active:
        """Go on to another text of the same config: the steps of many texts stay in proportion to their
        number, though one alone may take more.
        """
        self.budget.steps = self.budget.before = max(0, self.budget.steps - _STEPS_EACH)
        return self

    def step(self, count: int, made: int = 0) -> None:
        """Count work done, and characters made. Raises `InterpolationError` for too much."""
        self.budget.steps += count
        self.budget.made += made
        if self.budget.steps > _MOST_STEPS:
            start = brief_text(self.marks[0][1])
            if self.budget.steps - self.budget.before > _MOST_STEPS:
                raise InterpolationError(f"interpolation {start} leads to more than {_MOST_STEPS:,} others")
            raise InterpolationError(
                f"the interpolations of the config, up to {start}, lead to more than {_STEPS_EACH} others "
                "each, on average"
            )
        if self.budget.made > _MOST_MADE:
            raise InterpolationError(
                f"the interpolations of the config, up to {brief_text(self.marks[0][1])}, give more than "
                f"{_MOST_MADE >> 20} MB together"
            )

    def enter(self, mark: Mark) -> Active:
        """Add one more text. Raises `InterpolationError` for a circle, and for too many in a row."""
        if mark in self.marks:
            circle = " -> ".join(repr(t) for _, t in (*self.marks[self.marks.index(mark) :], mark))
            raise InterpolationError(f"circular interpolation, the circle is {circle}")
        if len(self.marks) >= DEEPEST:
            raise InterpolationError(
                f"interpolation {brief_text(self.marks[0][1])} leads through more than {DEEPEST} others "
                "in a row"
            )
        active = Active((*self.marks, mark), self.budget)
        active.step(1 + len(mark[1]) // PARSED_A_STEP)
        return active


def brief_text(text: str) -> str:
    """Return a text in quotes, cut when it is long."""
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
