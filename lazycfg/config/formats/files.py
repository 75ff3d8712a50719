"""Config files by their suffix: which format a file has, writing one, reading a data file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lazycfg.config.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lazycfg.config.formats.decode import Decoder
    from lazycfg.config.trust import Policy

SUFFIXES = {".py": "py", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}


def format_of(path: str | os.PathLike[str]) -> str:
    """Return "py", "yaml" or "json", as the suffix says.

    Raises:
        FormatError: it says none of these; such a file must not be run as code by mistake.
    """
    suffix = os.path.splitext(os.fspath(path))[1]
    found = SUFFIXES.get(suffix.lower())
    if found is None:
        raise FormatError(f"unknown config format of {os.fspath(path)!r}; use {', '.join(SUFFIXES)}")
    return found


def to_text(cfg: Any, language: str) -> str:
    """Return a config as the text of a file.

    Args:
        cfg: the config.
        language: "py", "yaml" or "json".

    Raises:
        SaveError: something in the config cannot be kept.
        CycleError: the config contains itself.
    """
    if language == "py":
        from lazycfg.config.formats.python_io import to_py

        return to_py(cfg)
    if language == "yaml":
        from lazycfg.config.formats.yaml_io import to_yaml

        return to_yaml(cfg)
    from lazycfg.config.formats.json_io import to_json

    return to_json(cfg)


def save(cfg: Any, path: str | os.PathLike[str]) -> None:
    """Write a config as executable Python, YAML or JSON; loading the file gives an equal tree.

    The file appears at once or not at all: it is written under another name and renamed.

    Raises:
        FormatError: the suffix is none of ``.py``, ``.yaml``, ``.yml``, ``.json``.
        SaveError: something in the config cannot be kept; nothing is written.
        CycleError: the config contains itself.
        FileNotFoundError: the folder does not exist; none is made.
    """
    from lazycfg._atomic import atomic_write
    from lazycfg.config.formats.encode import refuse_other_places

    text = to_text(cfg, format_of(path))
    refuse_other_places(cfg)
    file = Path(path).expanduser()
    if not file.parent.is_dir():
        raise FileNotFoundError(f"cannot save {file}: there is no folder {file.parent}")
    with atomic_write(file) as partial:
        partial.write_bytes(text.encode("utf-8"))


def read_data_file(
    file: str | os.PathLike[str],
    *,
    policy: Policy | None = None,
    trusted: bool = False,
    decoder: Callable[..., Decoder] | None = None,
) -> Any:
    """Read a ``.yaml`` or ``.json`` file.

    Args:
        file: its path.
        policy: what its names may stand for; by default `trust.DEFAULT_ALLOW`, or anything if ``trusted``.
        trusted: run the source code of functions and classes that the file brings.
        decoder: what makes objects of special values; by default they are made as they were saved.

    Raises:
        DataFileError: the file is not well-formed.
        UntrustedError: it names what the policy does not allow.
    """
    from lazycfg.config.formats.decode import decode
    from lazycfg.config.trust import TRUST_ALL, Policy

    path = os.fspath(file)
    data = Path(path).read_bytes()
    if format_of(path) == "json":
        from lazycfg.config.formats.json_io import parse_json

        parsed = parse_json(data, path)
    else:
        from lazycfg.config.formats.yaml_io import parse_yaml

        parsed = parse_yaml(data, path)
    allowed = TRUST_ALL if trusted else Policy(None) if policy is None else policy
    return decode(parsed, path, allowed, may_run=trusted, decoder=decoder)
