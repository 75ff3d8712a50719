"""Names of weights that lie elsewhere: what is downloaded for each, where it is kept, what is known of it."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from lazycfg.checkpoint.errors import CheckpointError
from lazycfg.checkpoint.published import SERVER, published_checkpoints, published_url
from lazycfg.utils import closest, printable

__all__ = ["KINDS_OF_NAMES", "RemoteFile", "file_at_url", "near_names", "remote_file", "weights_cache"]

KINDS_OF_NAMES = (
    "detectron2://PATH, https://..., hf://ORG/REPO/FILE, torchvision://NAME, timm://NAME, or the name of a "
    "zoo config with published weights"
)

_PUBLISHED_FILE = re.compile(r"_([0-9a-f]{6,32})\.(?:pkl|pth)$")
_TORCHVISION_FILE = re.compile(r"-([0-9a-f]{8,64})\.pth$")
_TORCHVISION_NAME = re.compile(r"\w+_Weights\.\w+")
_PINNED = re.compile(r"(md5|sha256)=([0-9a-f]{6,64})")
_HF_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+?))?/([\w.+=-]+(?:/[\w.+=-]+)*)")


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server: weights, unless `kind` says otherwise."""

    name: str
    """As the user wrote it."""
    url: str
    place: str
    """Where it is kept, relative to `folder`."""
    algorithms: tuple[str, ...] = ()
    """Names of digests, such as "sha256", of which one has to begin with `digest`."""
    digest: str = ""
    """The beginning of its digest, or all of it."""
    kind: str = "weights"
    """What it is, for messages."""
    folder: Path | None = None
    """What it is kept in; None for the cache of weights."""
    most_bytes: int | None = None
    """A larger file is refused."""

    @property
    def path(self) -> Path:
        """Return where it is kept."""
        return (self.folder or weights_cache()) / self.place


def weights_cache() -> Path:
    """Return the folder where downloaded weights are kept.

    It is ``$LAZYCFG_WEIGHTS``, else ``lazycfg/weights`` in ``$XDG_CACHE_HOME``, which is ``~/.cache`` if
    unset. Files of the reference's authors have the paths there that they have on their server.
    """
    if folder := os.environ.get("LAZYCFG_WEIGHTS"):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lazycfg" / "weights"


def file_at_url(url: str, *, kind: str, folder: Path, most_bytes: int) -> RemoteFile:
    """Return a file of another kind than weights, to be downloaded into a folder of the caller.

    Args:
        url: ``http://...`` or ``https://...``, with ``#sha256=...`` at its end if the digest is known.
        kind: what it is, such as "image", for messages.
        folder: what it is kept in.
        most_bytes: a larger file is refused.

    Raises:
        CheckpointError: the URL names no file.
    """
    return replace(_at_url(url, url), kind=kind, folder=folder, most_bytes=most_bytes)


def remote_file(name: str) -> RemoteFile | None:
    """Return the file that a name stands for; None if it is a path on this machine.

    Raises:
        CheckpointError: the name begins like one of those that are downloaded, but is not complete; names
            the part and the remedy.
    """
    scheme, separator, rest = name.partition("://")
    if separator:
        if scheme not in _SCHEMES:
            raise CheckpointError(
                f"{name}: there are no weights by names that begin with {scheme}://"
                f"{closest(scheme, _SCHEMES)}; expected a file, {KINDS_OF_NAMES}"
            )
        return _SCHEMES[scheme](name, rest)
    if (url := published_url(name)) is not None:
        return _at_url(name, url)
    if _TORCHVISION_NAME.fullmatch(name):
        return _torchvision(name, name)
    return None


def _detectron2(name: str, rest: str) -> RemoteFile:
    return _at_url(name, f"{SERVER}/detectron2/{rest}")


def _web(name: str, rest: str) -> RemoteFile:
    return _at_url(name, name)


def _at_url(name: str, url: str) -> RemoteFile:
    url, _, fragment = url.partition("#")
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise CheckpointError(f"{parts.hostname}: a URL has no user or password in it")
    if re.search(r"\s", url):
        raise CheckpointError(f"{printable(name)}: a URL has no spaces: write %20 for one")
    place = _place(parts.hostname or "", parts.port, parts.path)
    if not place:
        raise CheckpointError(f"{name}: this URL names no file on a server")
    if parts.query:  # another query is another file
        kept = hashlib.sha256(parts.query.encode()).hexdigest()[:12]
        folder, _, file = place.rpartition("/")
        place = f"{folder}/{kept}-{file}"
    algorithms: tuple[str, ...] = ()
    digest = ""
    if fragment:
        pinned = _PINNED.fullmatch(fragment)
        if pinned is None:
            raise CheckpointError(
                f"{name}: what follows the # is the digest of the file: #sha256=... or #md5=... with at "
                "least 6 hexadecimal digits in lower case"
            )
        algorithms, digest = (pinned[1],), pinned[2]
    elif url.startswith(SERVER) and (known := _PUBLISHED_FILE.search(parts.path)):
        algorithms, digest = ("md5", "sha256"), known[1]  # which of them, nobody has written down
    elif parts.hostname == "download.pytorch.org" and (known := _TORCHVISION_FILE.search(parts.path)):
        algorithms, digest = ("sha256",), known[1]
    return RemoteFile(name, url, place, algorithms, digest)


def _place(host: str, port: int | None, path: str) -> str:
    segments = [quote(unquote(segment), safe=" +=@~,()") for segment in path.split("/") if segment]
    if not host or not segments or path.endswith("/") or any(s in (".", "..") for s in segments):
        return ""
    if f"https://{host}" == SERVER:
        return "/".join(segments[1:] if segments[0] == "detectron2" and len(segments) > 1 else segments)
    return "/".join([host if port is None else f"{host}_{port}", *segments])


def _hugging_face(name: str, rest: str) -> RemoteFile:
    match = _HF_NAME.fullmatch(rest)
    if match is None or ".." in rest.split("/"):
        raise CheckpointError(
            f"{name}: expected hf://ORG/REPO/FILE or hf://ORG/REPO@REVISION/FILE; a model that lazycfg "
            "pushed has its weights in model.safetensors"
        )
    repository, revision, file = match[1], match[2] or "main", match[3]
    server = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    return RemoteFile(
        name, f"{server}/{repository}/resolve/{quote(revision, safe='')}/{file}",
        f"huggingface/{repository}/{quote(revision, safe='')}/{file}",
    )  # fmt: skip


def _timm(name: str, rest: str) -> RemoteFile:
    if not re.fullmatch(r"[\w.-]+", rest):
        raise CheckpointError(f"{name}: expected timm://MODEL, or timm://MODEL.TAG as resnet18.a1_in1k")
    known = _known_to_timm(rest)
    if known is not None and known.hf_hub_id:
        return _hugging_face(name, f"{known.hf_hub_id}/{known.hf_hub_filename or 'model.safetensors'}")
    if known is not None and known.url:
        return _at_url(name, known.url)
    return _hugging_face(name, f"timm/{rest}/model.safetensors")


def _known_to_timm(model: str) -> Any:
    """Return what timm, where it is installed, says of the weights of a model; a few lie elsewhere, and a
    name without a tag has one by default.
    """
    try:
        import timm
    except ImportError:
        return None
    return timm.get_pretrained_cfg(model) if timm.is_model(model) else None


def _torchvision(name: str, rest: str) -> RemoteFile:
    from torchvision.models import get_weight

    try:
        url: str = get_weight(rest).url
    except (ValueError, AttributeError, KeyError) as error:
        raise CheckpointError(
            f"{name}: torchvision has no weights {rest!r}; expected a name such as "
            f"ResNet50_Weights.IMAGENET1K_V2: {error}"
        ) from error
    return _at_url(name, url)


_SCHEMES = {
    "detectron2": _detectron2,
    "https": _web,
    "http": _web,
    "hf": _hugging_face,
    "timm": _timm,
    "torchvision": _torchvision,
}


def near_names(name: str) -> str:
    """Return the end of a message: the published weights whose name is near."""
    return closest(name.removesuffix(".py").removesuffix(".yaml"), published_checkpoints())
