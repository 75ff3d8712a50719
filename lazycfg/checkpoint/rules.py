"""Rules between the names of another library's weights and ours, which can be read in both directions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from torch import Tensor

from lazycfg.checkpoint.errors import CheckpointError

__all__ = ["Classes", "Origin", "Rule", "find_back", "find_rule"]

Classes = Literal["auto", "all", "coco"]
"""Which classes of a detector with COCO's 91 labels are taken: all 90, or the 80 in use ("auto" takes these
of a file that torchvision published)."""


@dataclass(frozen=True)
class Origin:
    """All that is known of the weights that a rule is applied to."""

    state: Mapping[str, Tensor]
    """By name, without what stands before all keys of the file."""
    file: str = ""
    classes: Classes = "auto"

    def rows(self, key: str) -> int:
        """Return the first dimension of a tensor.

        Raises:
            CheckpointError: there is none of this name.
        """
        if key not in self.state:
            raise CheckpointError(f"{self.file or 'the weights'} cannot be converted: there is no {key}")
        return len(self.state[key])


Change = Callable[[Tensor, Origin], Tensor]


@dataclass(frozen=True)
class Rule:
    """One line of a table of names.

    In a name ``#`` stands for a number and a final ``*`` for what is left; both sides have the same ones in
    the same order.
    """

    theirs: str
    ours: str
    to_ours: Change | None = None
    to_theirs: Change | None = None
    note: str = ""
    """What is done to the value, where the names are not all."""

    def name_in_ours(self, key: str) -> str | None:
        """Return our name of their key; None if the rule is not about it."""
        return _replaced(self.theirs, self.ours, key)

    def name_in_theirs(self, key: str) -> str | None:
        """Return their name of our key; None if the rule is not about it."""
        return _replaced(self.ours, self.theirs, key)


def find_rule(rules: Sequence[Rule], key: str) -> tuple[str, Rule] | None:
    """Return our name of their key, and the first rule that is about it; None if there is none."""
    return next(((name, rule) for rule in rules if (name := rule.name_in_ours(key)) is not None), None)


def find_back(rules: Sequence[Rule], key: str) -> tuple[str, Rule] | None:
    """Return their name of our key, and the first rule that is about it; None if there is none."""
    return next(((name, rule) for rule in rules if (name := rule.name_in_theirs(key)) is not None), None)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.escape(template).replace(r"\#", r"(\d+)").replace(r"\*", r"(\w[\w.]*)"))


def _replaced(template: str, other: str, key: str) -> str | None:
    match = _pattern(template).fullmatch(key)
    if match is None:
        return None
    parts = iter(match.groups())
    return re.sub(r"[#*]", lambda _: next(parts), other)
