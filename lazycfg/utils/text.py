"""Text from files of strangers, made safe to show."""

from typing import Any

__all__ = ["printable"]


def printable(value: Any) -> str:
    """Return the text of a value with control characters escaped, for messages, logs and tables.

    Names of classes and files come from annotation files: a newline would forge a line of a log, an escape
    sequence would drive the terminal.
    """
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
