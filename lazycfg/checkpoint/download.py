"""Downloading a file once: whole, checked, and by one process at a time."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from lazycfg._version import __version__
from lazycfg.checkpoint.errors import DownloadError
from lazycfg.checkpoint.remote import RemoteFile, remote_file

__all__ = ["download", "local_weights"]

logger = logging.getLogger(__name__)

_BLOCK = 2**20
_SECONDS_WITHOUT_ANSWER = 30.0
_SECONDS_BETWEEN_MESSAGES = 10.0
_PAUSES = (1.0, 2.0, 4.0)
"""Seconds before each further attempt after one in which nothing was received."""
_LATER = (408, 425, 429, 500, 502, 503, 504)
"""Answers of a server that may be another when asked again."""
_HOPELESS = (socket.gaierror, ConnectionRefusedError, ssl.SSLCertVerificationError)
"""No network, no such server, or another one in its place."""
_WEB_PAGE = re.compile(rb"\s*<(?:!doctype|html|head|\?xml)", re.IGNORECASE)


class _Interrupted(Exception):
    """The transfer ended early, and may be taken up again."""


@dataclass
class _Expected:
    """What the server said of the file."""

    size: int | None = None
    sha256: str = ""


def local_weights(source: str | os.PathLike[str]) -> Path:
    """Return the path of weights given by a path or a name; download them if they are not there.

    A file of this machine comes before a name.

    Args:
        source: a path, or a name as `remote_file` knows them. What is neither is taken for a path.

    Raises:
        CheckpointError: the name is not complete, or the file cannot be had (`DownloadError`).
    """
    path = Path(source)
    if path.is_file():
        return path
    remote = remote_file(os.fspath(source))
    return path if remote is None else download(remote)


def download(remote: RemoteFile) -> Path:
    """Return the path of a file, downloading it if it is not there.

    A file appears under its name when all of it is there, of the announced size and with the digest that is
    known of it. A transfer that broke off goes on where it ended, also in another process. Of several
    processes that want a file one downloads it, and the others wait.

    Raises:
        DownloadError: it cannot be had, or is not what its name says. The message names the file, the URL
            and where to put it by hand. Nothing is kept of a file with the wrong content.
    """
    path = remote.path
    if path.is_file():
        _check_kept(path, remote)
        return path
    if os.environ.get("LAZYCFG_OFFLINE", "") not in ("", "0"):
        raise _failure(remote, "LAZYCFG_OFFLINE is set")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path):
            if not path.is_file():  # another process may have brought it
                _fetch(remote, path)
    except OSError as error:
        raise _failure(remote, f"it cannot be kept: {error}") from error
    return path


def _check_kept(path: Path, remote: RemoteFile) -> None:
    if found := _other_digests(path, remote.algorithms, remote.digest):
        raise DownloadError(
            f"{path} is not {remote.name}: {found}, not {remote.digest}. To download it again: rm '{path}'"
        )


class _lock:
    """Hold the lock on a file that is being downloaded; say so if another process has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = FileLock(f"{path}.lock")

    def __enter__(self) -> None:
        try:
            self._file.acquire(timeout=1.0)
        except Timeout:
            logger.info("waiting for another process that downloads %s", self.path)
            self._file.acquire()

    def __exit__(self, *_: object) -> None:
        self._file.release()
        with suppress(OSError):
            if self.path.is_file():
                os.unlink(f"{self.path}.lock")


def _fetch(remote: RemoteFile, path: Path) -> None:
    partial = path.with_name(f"{path.name}.part")
    logger.info("downloading %s from %s to %s", remote.name, remote.url, path)
    pauses = iter(_PAUSES)
    while True:
        before = partial.stat().st_size if partial.is_file() else 0
        try:
            expected, resumed = _transfer(remote, partial)
        except _Interrupted as error:
            now = partial.stat().st_size if partial.is_file() else 0
            if now <= before:
                pause = next(pauses, None)
                if pause is None:
                    raise _failure(remote, str(error)) from error
                time.sleep(pause)
            logger.info("%s: %s; going on from byte %d", remote.name, error, now)
            continue
        problem = _problem(partial, remote, expected)
        if not problem:
            break
        _forget(partial)
        if not resumed:
            raise _failure(remote, problem)
        logger.info("%s: %s; it was received in parts, so once more from the beginning", remote.name, problem)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)
    _forget(partial)


def _transfer(remote: RemoteFile, partial: Path) -> tuple[_Expected, bool]:
    """Receive what is lacking of a file.

    Returns:
        what the server said of the whole, and whether the file was received in parts.

    Raises:
        _Interrupted: it broke off; what was received is kept.
        DownloadError: the server does not have it.
    """
    validator_file = partial.with_name(f"{partial.name}.etag")
    have = partial.stat().st_size if partial.is_file() else 0
    validator = validator_file.read_text("utf-8") if have and validator_file.is_file() else ""
    headers = {"User-Agent": f"lazycfg/{__version__}", "Accept-Encoding": "identity"}
    if validator:  # without it nobody knows whether the rest is of the same file
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    redirects = _Redirects()
    try:
        answer = _opener(redirects).open(
            urllib.request.Request(remote.url, headers=headers), timeout=_SECONDS_WITHOUT_ANSWER
        )
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is as long as the file, or longer: nothing that can be used
            _forget(partial)
            raise _Interrupted("the server has no such part of the file") from error
        if error.code in _LATER:
            raise _Interrupted(f"the server answered {error.code} {error.reason}") from error
        raise _failure(remote, f"the server answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", error), _HOPELESS):
            raise _failure(remote, _said(error)) from error
        raise _Interrupted(_said(error)) from error
    with answer:
        encoding = answer.headers.get("Content-Encoding", "identity")
        if encoding.lower() not in ("", "identity"):
            raise _failure(remote, f"the server packed it ({encoding}), and was asked for the file as it is")
        start, size = _range_of(answer.status, answer.headers)
        if start not in (0, have):
            _forget(partial)
            raise _Interrupted("the server sent another part of the file than was asked for")
        if start == 0:
            _forget(partial)
            validator = _validator(answer.headers)
            if validator:
                validator_file.write_text(validator, "utf-8")
        if size is not None and remote.most_bytes is not None and size > remote.most_bytes:
            raise _failure(remote, f"it has {size:,} bytes, and at most {remote.most_bytes:,} are taken")
        if size is not None and (free := shutil.disk_usage(partial.parent).free) < size - start:
            raise _failure(
                remote, f"it has {size - start:,} bytes, and {free:,} are free in {partial.parent}"
            )
        with partial.open("ab" if start else "wb") as file:
            _copy(answer, file, start, size, remote)
    return _Expected(size, redirects.sha256), start > 0


def _range_of(status: int, headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Return where the answer begins, and how long the whole file is."""
    if status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
        if match is None:
            return -1, None
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _validator(headers: Mapping[str, str]) -> str:
    etag = headers.get("ETag", "")
    return headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag


def _copy(answer: IO[bytes], file: IO[bytes], start: int, size: int | None, remote: RemoteFile) -> None:
    received, told = start, time.monotonic()
    while True:
        try:
            block = answer.read(_BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(_said(error)) from error
        if not block:
            break
        if received == 0 and _WEB_PAGE.match(block):
            text = f"what came is a web page, not the {remote.kind} (of a proxy, or a login?)"
            raise _failure(remote, text)
        file.write(block)
        received += len(block)
        if remote.most_bytes is not None and received > remote.most_bytes:  # of a server that said nothing
            file.truncate(0)
            raise _failure(remote, f"it has more than the {remote.most_bytes:,} bytes that are taken")
        if time.monotonic() - told > _SECONDS_BETWEEN_MESSAGES:
            told = time.monotonic()
            of = f" of {size / 1e6:.0f}" if size else ""
            logger.info("%s: %.0f%s MB", remote.name, received / 1e6, of)
    if size is not None and received < size:
        raise _Interrupted(f"the connection ended after {received:,} of {size:,} bytes")


def _problem(partial: Path, remote: RemoteFile, expected: _Expected) -> str:
    size = partial.stat().st_size
    if size == 0:
        return "the server sent an empty file"
    if expected.size is not None and size != expected.size:
        return f"{size:,} bytes came where {expected.size:,} were announced"
    for algorithms, digest, source in (
        (remote.algorithms, remote.digest, "its name says"),
        (("sha256",), expected.sha256, "the server says"),
    ):
        if found := _other_digests(partial, algorithms, digest):
            return f"of what came {found}, {source} {digest}"
    return ""


def _other_digests(path: Path, algorithms: Sequence[str], digest: str) -> str:
    """Return which digests a file has if none of them begins with `digest`; "" if one does."""
    found = {algorithm: _digest(path, algorithm) for algorithm in algorithms}
    if any(value.startswith(digest) for value in found.values()):
        return ""
    length = max(len(digest), 6)
    return " and ".join(f"the {algorithm} is {value[:length]}..." for algorithm, value in found.items())


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _forget(partial: Path) -> None:
    for path in (partial, partial.with_name(f"{partial.name}.etag")):
        with suppress(FileNotFoundError):
            path.unlink()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but never from https to something less; remembers what Hugging Face says."""

    def __init__(self) -> None:
        self.sha256 = ""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        """Return the request that a redirection asks for.

        Raises:
            urllib.error.HTTPError: it leads from https to something else.
        """
        if urlsplit(req.full_url).scheme == "https" != urlsplit(newurl).scheme:
            raise urllib.error.HTTPError(newurl, code, "a redirection away from https", headers, fp)
        linked = str(headers.get("X-Linked-Etag", "")).strip('"')
        if re.fullmatch(r"[0-9a-f]{64}", linked):
            self.sha256 = linked
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(redirects: _Redirects) -> urllib.request.OpenerDirector:
    """Return what opens http and https, and nothing else: no files, no ftp."""
    opener = urllib.request.OpenerDirector()
    handlers: list[Any] = [
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        redirects,
    ]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason if reason is not None else error) or type(error).__name__


def _failure(remote: RemoteFile, reason: str) -> DownloadError:
    text = f"cannot download the {remote.kind} {remote.name}: {reason}"
    if remote.folder is not None:  # which is the caller's
        return DownloadError(text)
    return DownloadError(
        f"{text}\n"
        f"  from  {remote.url}\n"
        f"  Download it elsewhere and put it at  {remote.path}\n"
        "  or give its path: train.init_checkpoint=FILE\n"
        "  or train without, from random values: train.init_checkpoint="
    )
