"""`LazyConfig`: the functions of this package that work on whole configs, under one name."""

from __future__ import annotations

from lazycfg.config.tree.lazy_call import LazyCall as LazyCall

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from typing import Any

    from lazycfg.config.tree.node import Node


class LazyConfig:
    """Load, change and save configs; a namespace of static methods."""

    @staticmethod
    def load(
        path: str | os.PathLike[str],
        keys: str | Iterable[str] | None = None,
        *,
        trusted: bool = False,
        allow: Iterable[Any] | None = None,
    ) -> Any:
        """Load a ``.py``, ``.yaml`` or ``.json`` config; see `lazycfg.config.loading.load.load`."""
        from lazycfg.config.loading.load import load

        return load(path, keys, trusted=trusted, allow=allow)

    @staticmethod
    def load_rel(path: str | os.PathLike[str], keys: str | Iterable[str] | None = None) -> Any:
        """Load a config by a path relative to the file of the calling code."""
        from lazycfg.config.loading.load import load_rel

        return load_rel(path, keys, depth=2)

    @staticmethod
    def apply_overrides(cfg: Node, overrides: Sequence[str], *, allow: Iterable[Any] | None = None) -> Node:
        """Change ``cfg`` in place by ``key=value`` texts; see
        `lazycfg.config.editing.overrides`.

        With ``allow`` a ``@callable``, a target and an interpolation resolver of the command line must pass
        the list (see `lazycfg.config.trust`).
        """
        from lazycfg.config.editing.overrides import apply_overrides
        from lazycfg.config.trust import Policy

        policy = None if allow is None else Policy(allow)
        return apply_overrides(cfg, overrides, policy=policy, load_file=LazyConfig.load)

    @staticmethod
    def save(cfg: Any, path: str | os.PathLike[str]) -> None:
        """Write ``cfg`` to a ``.py``, ``.yaml`` or ``.json`` file; see `lazycfg.config.formats`."""
        from lazycfg.config.formats.files import save

        save(cfg, path)

    @staticmethod
    def to_py(cfg: Any) -> str:
        """Return ``cfg`` as executable Python; see `lazycfg.config.formats.python_io.to_py`."""
        from lazycfg.config.formats.python_io import to_py

        return to_py(cfg)

    @staticmethod
    def to_log_yaml(cfg: Any) -> str:
        """Return ``cfg`` as YAML for a logger: what cannot be kept in a file becomes text; see
        `lazycfg.config.formats.yaml_io.to_log_yaml`.
        """
        from lazycfg.config.formats.yaml_io import to_log_yaml

        return to_log_yaml(cfg)
