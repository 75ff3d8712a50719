"""Did-you-mean suggestions; composed only once an error is certain."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def closest_name(name: str, candidates: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the candidate that is most like `name`, or None when none is."""
    from difflib import get_close_matches

    pool = list(dict.fromkeys(candidates))
    by_lower: dict[str, str] = {}
    for candidate in pool:
        by_lower.setdefault(candidate.lower(), candidate)
    found = get_close_matches(name.lower(), list(by_lower), n=1, cutoff=cutoff)
    if found:
        return by_lower[found[0]]
    # A key that was given only in part ("chan" for "in_channels") is below any ratio, yet what was meant is
    # clear.
    if len(name) >= 3:
        parts = [c for c in pool if name.lower() in c.lower()]
        if len(parts) == 1:
            return parts[0]
    return None


def closest(name: str, candidates: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the end of an error message: `"; did you mean 'x'?"`, the few available names, or `""`."""
    pool = list(dict.fromkeys(candidates))
    meant = did_you_mean(name, pool, cutoff)
    if meant:
        return meant
    if 0 < len(pool) <= 12:
        return "; available: " + ", ".join(repr(c) for c in pool)
    return ""


def did_you_mean(name: str, candidates: Iterable[object], cutoff: float = 0.6) -> str:
    """Return the end of an error message, `"; did you mean 'x'?"`, or `""` where nothing is like `name`."""
    best = closest_name(str(name), [str(candidate) for candidate in candidates], cutoff)
    return "" if best is None else f"; did you mean {best!r}?"
