"""Files by path or URL, as iopath's ``PathManager`` gives them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from lazycfg.checkpoint.download import download as fetch
from lazycfg.checkpoint.remote import remote_file, weights_cache

__all__ = [
    "HTTPURLHandler",
    "LazyPath",
    "NativePathHandler",
    "OneDrivePathHandler",
    "PathHandler",
    "PathManager",
    "PathManagerBase",
    "download",
    "file_lock",
    "g_pathmgr",
    "get_cache_dir",
]


class PathHandler:
    """What is done with paths that begin with one of some prefixes; override what is needed."""

    def _get_supported_prefixes(self) -> list[str]:
        raise NotImplementedError

    def _get_local_path(self, path: str, **kwargs: Any) -> str:
        raise NotImplementedError

    def _open(self, path: str, mode: str = "r", buffering: int = -1, **kwargs: Any) -> IO[Any]:
        return open(self._get_local_path(path), mode, buffering, **kwargs)

    def _exists(self, path: str, **kwargs: Any) -> bool:
        return os.path.exists(self._get_local_path(path))

    def _isfile(self, path: str, **kwargs: Any) -> bool:
        return os.path.isfile(self._get_local_path(path))

    def _isdir(self, path: str, **kwargs: Any) -> bool:
        return os.path.isdir(self._get_local_path(path))

    def _ls(self, path: str, **kwargs: Any) -> list[str]:
        return os.listdir(self._get_local_path(path))

    def _mkdirs(self, path: str, **kwargs: Any) -> None:
        os.makedirs(self._get_local_path(path), exist_ok=True)

    def _rm(self, path: str, **kwargs: Any) -> None:
        os.remove(self._get_local_path(path))

    def _copy(self, src_path: str, dst_path: str, overwrite: bool = False, **kwargs: Any) -> bool:
        if os.path.exists(dst_path) and not overwrite:
            raise FileExistsError(f"{dst_path} is there already; overwrite=True replaces it")
        shutil.copyfile(src_path, dst_path)
        return True


class NativePathHandler(PathHandler):
    """Paths of this machine."""

    def _get_supported_prefixes(self) -> list[str]:
        return []

    def _get_local_path(self, path: str, **kwargs: Any) -> str:
        return os.fspath(path)


class HTTPURLHandler(PathHandler):
    """URLs, and ``detectron2://``: downloaded once, into the cache of `lazycfg.checkpoint`."""

    def _get_supported_prefixes(self) -> list[str]:
        return ["http://", "https://", "ftp://"]

    def _get_local_path(
        self, path: str, force: bool = False, cache_dir: str | None = None, **kwargs: Any
    ) -> str:
        if force or cache_dir is not None:
            raise ValueError(
                f"{path}: force and cache_dir are not taken: a download stays in $LAZYCFG_WEIGHTS until you "
                "remove it"
            )
        remote = remote_file(path)
        return path if remote is None else os.fspath(fetch(remote))


class OneDrivePathHandler(HTTPURLHandler):
    """Short links of OneDrive are not resolved; use the long one.

    Raises:
        NotImplementedError: when one is opened.
    """

    def _get_supported_prefixes(self) -> list[str]:
        return ["https://1drv.ms/u/s!"]

    def _get_local_path(
        self, path: str, force: bool = False, cache_dir: str | None = None, **kwargs: Any
    ) -> str:
        raise NotImplementedError(f"{path}: download the file in a browser and give its path")


class _Published(HTTPURLHandler):
    def _get_supported_prefixes(self) -> list[str]:
        return ["detectron2://", "catalog://", "hf://"]

    def _get_local_path(
        self, path: str, force: bool = False, cache_dir: str | None = None, **kwargs: Any
    ) -> str:
        if path.startswith("catalog://"):
            from .checkpoint import ModelCatalog

            path = ModelCatalog.get(path.removeprefix("catalog://"))
        return super()._get_local_path(path, force, cache_dir)


class _Manager:
    """Chooses the handler of a path by its beginning."""

    def __init__(self) -> None:
        self._handlers: dict[str, PathHandler] = {}
        self._native = NativePathHandler()

    def register_handler(self, handler: PathHandler, allow_override: bool = True) -> None:
        """Use a handler for its prefixes from now on.

        Raises:
            KeyError: a prefix is taken, and may not be.
        """
        for prefix in handler._get_supported_prefixes():
            if prefix in self._handlers and not allow_override:
                raise KeyError(f"prefix {prefix!r} has a handler already")
            self._handlers[prefix] = handler

    def set_strict_kwargs_checking(self, enable: bool) -> None:
        """Do nothing: unknown arguments are not passed on."""

    def set_cwd(self, path: str) -> None:
        """Change the working directory."""
        os.chdir(path)

    def _handler(self, path: Any) -> PathHandler:
        text = os.fspath(path)
        for prefix in sorted(self._handlers, key=len, reverse=True):
            if text.startswith(prefix):
                return self._handlers[prefix]
        return self._native

    def get_local_path(self, path: Any, force: bool = False, **kwargs: Any) -> str:
        """Return a path of this machine; a URL is downloaded once.

        Raises:
            DownloadError: it cannot be had.
        """
        given = {"force": True, **kwargs} if force else kwargs
        return self._handler(path)._get_local_path(os.fspath(path), **given)

    def open(self, path: Any, mode: str = "r", buffering: int = -1, **kwargs: Any) -> IO[Any]:
        """Open a file as the built-in ``open`` does."""
        return self._handler(path)._open(os.fspath(path), mode, buffering=buffering, **kwargs)

    def exists(self, path: Any, **kwargs: Any) -> bool:
        """Return whether there is such a file or folder."""
        return self._handler(path)._exists(os.fspath(path), **kwargs)

    def isfile(self, path: Any, **kwargs: Any) -> bool:
        """Return whether there is such a file."""
        return self._handler(path)._isfile(os.fspath(path), **kwargs)

    def isdir(self, path: Any, **kwargs: Any) -> bool:
        """Return whether there is such a folder."""
        return self._handler(path)._isdir(os.fspath(path), **kwargs)

    def ls(self, path: Any, **kwargs: Any) -> list[str]:
        """Return the names in a folder."""
        return self._handler(path)._ls(os.fspath(path), **kwargs)

    def mkdirs(self, path: Any, **kwargs: Any) -> None:
        """Make a folder, and those above it."""
        self._handler(path)._mkdirs(os.fspath(path), **kwargs)

    def rm(self, path: Any, **kwargs: Any) -> None:
        """Remove a file."""
        self._handler(path)._rm(os.fspath(path), **kwargs)

    def rmtree(self, path: Any, **kwargs: Any) -> None:
        """Remove a folder and what is in it."""
        shutil.rmtree(self.get_local_path(path))

    def copy(self, src_path: Any, dst_path: Any, overwrite: bool = False, **kwargs: Any) -> bool:
        """Copy a file.

        Raises:
            FileExistsError: there is one already, and `overwrite` is false.
        """
        return self._handler(src_path)._copy(os.fspath(src_path), os.fspath(dst_path), overwrite, **kwargs)

    def copy_from_local(self, local_path: Any, dst_path: Any, overwrite: bool = False, **kwargs: Any) -> bool:
        """Copy a file of this machine."""
        return self.copy(local_path, dst_path, overwrite)


def _ready() -> _Manager:
    manager = _Manager()
    manager.register_handler(HTTPURLHandler())
    manager.register_handler(_Published())
    return manager


PathManagerBase = _Manager
"""iopath's class, of which a program may make its own with its own handlers."""

PathManager = _ready()
"""The one that detectron2's functions use; it knows paths, URLs and ``detectron2://``."""

g_pathmgr = PathManager


class LazyPath(os.PathLike[str]):
    """A path that is found when it is first used."""

    def __init__(self, func: Any) -> None:
        self._func = func

    def __fspath__(self) -> str:
        return str(self._func())


def get_cache_dir(cache_dir: str | None = None) -> str:
    """Return the folder that downloads are kept in."""
    return os.path.expanduser(cache_dir) if cache_dir else os.fspath(weights_cache())


@contextmanager
def file_lock(path: str) -> Iterator[None]:
    """Hold a lock beside a file: one process at a time."""
    import fcntl

    lock = Path(f"{path}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def download(url: str, dir: str, *, filename: str | None = None, progress: bool = True) -> str:
    """Download a file into a folder, once; return its path. No progress is shown.

    Raises:
        ValueError: it is no URL.
    """
    remote = remote_file(url)
    if remote is None:
        raise ValueError(f"{url!r} is no URL")
    path = Path(dir) / (filename or os.path.basename(url.partition("?")[0]))
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(fetch(remote), path)
    return os.fspath(path)
