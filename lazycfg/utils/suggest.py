"""Did-you-mean endings for error messages."""

import difflib
from collections.abc import Iterable

__all__ = ["closest"]


def closest(name: str, candidates: Iterable[str]) -> str:
    """Return the end of an error message that names the likeliest correct spelling.

    Args:
        name: what was written.
        candidates: what could have been written.

    Returns:
        ``"; did you mean 'x'?"``, or the empty string when nothing comes near.
    """
    known = [str(candidate) for candidate in candidates]
    by_lower = {candidate.lower(): candidate for candidate in reversed(known)}
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not near:
        near = [by_lower[low] for low in difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)]
    return f"; did you mean {near[0]!r}?" if near else ""
