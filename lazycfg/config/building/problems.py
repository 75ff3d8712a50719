"""What `check` finds: one `Problem` for each, all of them in a `CheckError`."""

from __future__ import annotations

from lazycfg.config.errors import ConfigError
from lazycfg.config.tree.paths import format_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from lazycfg.config.tree.paths import Path
    from lazycfg.config.tree.position import Origin


class Problem:
    """One thing that is wrong with a config.

    Attributes:
        kind: "unknown argument", "missing argument", "required", "interpolation", "type", "target", "special
            key", "call" or "cycle".
        path: the config path of the culprit, as keys.
        message: what is wrong, what was expected and what may have been meant.
        origin: where the culprit was written, None when that is not known.
        signature: the signature of the target concerned, or None.
        wanted: the name of the argument that is missing, also of one that was misspelt.
    """

    __slots__ = ("kind", "message", "origin", "path", "signature", "wanted")

    def __init__(
        self,
        kind: str,
        path: Path,
        message: str,
        origin: Origin | None,
        signature: str | None = None,
        wanted: str | None = None,
    ):
        self.kind = kind
        self.path = path
        self.message = message
        self.origin = origin
        self.signature = signature
        self.wanted = wanted

    @property
    def severity(self) -> str:
        """Return "warning" where only an annotation speaks against a literal, else "error"."""
        return "warning" if self.kind == "type" else "error"

    @property
    def line(self) -> str:
        """Return the problem without the signature."""
        where = "" if self.origin is None else f" ({self.origin})"
        return f"{format_path(self.path) or 'the root'}{where}: {self.message}"

    def __str__(self) -> str:
        return self.line if self.signature is None else f"{self.line}\n  {self.signature}"

    def __repr__(self) -> str:
        return f"<Problem {self}>"


class CheckError(ConfigError, ValueError, TypeError):
    """Raised with all problems of a config. Also a `TypeError`, as a call with a wrong argument raises.

    Attributes:
        problems: one `Problem` for each, in the order of the tree.
    """

    def __init__(self, problems: Iterable[Problem]):
        self.problems: list[Problem] = list(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        lines = [f"{count} problem{'s' if count != 1 else ''} in the config:"]
        for problem, following in zip(self.problems, [*self.problems[1:], None], strict=True):
            # The signature of a node is shown once, below the last of its problems.
            again = (
                following is not None
                and following.signature == problem.signature
                and following.path[:-1] == problem.path[:-1]
            )
            lines.append(problem.line if again else str(problem))
        return "\n  ".join(line.replace("\n", "\n  ") for line in lines)
