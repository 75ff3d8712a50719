"""From the bytes of a Python file to its syntax tree."""

from __future__ import annotations

import ast

from lazycfg.config.errors import ConfigError


def parse_source(data: bytes, file: str) -> ast.Module:
    """Return the syntax tree of a file.

    Raises:
        SyntaxError: it is no Python.
        ConfigError: it is no text, or nested too deeply.
    """
    try:
        return ast.parse(data, file)
    except SyntaxError as error:
        if error.filename is None:  # null bytes
            raise ConfigError(f"{file}: not a Python file: {error}") from None
        raise
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{file}:{line}: the file is not text in UTF-8: {error.reason}") from None
    except (RecursionError, MemoryError):
        raise ConfigError(f"{file}: nested too deeply") from None
    except ValueError as error:
        raise ConfigError(f"{file}: not a Python file: {error}") from None
