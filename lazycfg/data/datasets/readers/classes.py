"""Names of classes, given or found in the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lazycfg.config.suggest import closest_name
from lazycfg.utils import closest, printable

from ..coco_validation import AnnotationError, Problem, ProblemLog


class ClassNames:
    """Turns the names of classes that a reader finds into the categories of a COCO file, with ids from 1.

    Args:
        given: the names, in their order; None: those that are found, by the alphabet.
        source: where the names stand, for messages ("data.yaml").
    """

    def __init__(self, given: Sequence[str] | None, source: str) -> None:
        if isinstance(given, str) or (given is not None and len(given) == 0):
            raise ValueError(f"class_names must be a list of names or None, got {given!r}")
        self.given = None if given is None else tuple(given)
        self.source = source
        self.counts: Counter[str] = Counter()

    def problem(self, name: Any) -> Problem | None:
        """Count a name that was found, and return what is wrong with it."""
        if not isinstance(name, str) or not name.strip():
            return Problem("without class", f"it has no name of a class, got {name!r}")
        if self.given is not None and name not in self.given:
            return Problem(
                "unknown class",
                f"class {name!r} is none of the {len(self.given)} of {self.source}"
                f"{closest(name, self.given)}",
            )
        self.counts[name] += 1
        return None

    def coco(
        self, images: list[dict[str, Any]], annotations: list[dict[str, Any]], log: ProblemLog
    ) -> dict[str, Any]:
        """Return the layout of COCO; the "category_id" of the annotations is the name of the class yet.

        Raises:
            AnnotationError: the names are those that are found, and none is.
        """
        names = sorted(self.counts) if self.given is None else self.given
        if not names:
            skipped = f"; skipped {log.report()}" if log.counts else ""
            raise AnnotationError(
                f"{log.source}: there is no object, which would tell the classes: give class_names{skipped}"
            )
        ids = {name: number for number, name in enumerate(names, start=1)}
        for annotation in annotations:
            annotation["category_id"] = ids[annotation["category_id"]]
        categories = [{"id": number, "name": name} for name, number in ids.items()]
        return {"images": images, "annotations": annotations, "categories": categories}

    def warnings(self) -> list[str]:
        """Return sentences about names that are found and may be misspelled."""
        if self.given is not None:
            return []
        result = []
        by_frequency = [name for name, _ in self.counts.most_common()]
        for number, name in enumerate(by_frequency):
            others = [
                other for other in by_frequency[:number] if self.counts[other] >= 20 * self.counts[name]
            ]
            alike = [other for other in by_frequency[:number] if _folded(other) == _folded(name)]
            near = alike[0] if alike else closest_name(name, others, 0.8)
            if near is not None and (alike or _folded(near) not in _folded(name)):
                result.append(
                    f"class {printable(name)!r} ({self.counts[name]} times): did you mean "
                    f"{printable(near)!r} ({self.counts[near]} times)?"
                )
        return result


def _folded(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
