"""Text for messages: that of files of strangers made safe to show, numbers with their nouns."""

from typing import Any

__all__ = ["counted", "printable"]


def printable(value: Any) -> str:
    """Return the text of a value with control characters escaped, for messages, logs and tables.

    Names of classes and files come from annotation files: a newline would forge a line of a log, an escape
    sequence would drive the terminal.
    """
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: ``1 class``, ``2 classes``, ``1,000 images``."""
    plural = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{plural}"
