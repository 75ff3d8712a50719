"""What is fuzzed: for each reader of files some inputs to start from, and what may come out of it."""

import functools
import io
import json
import pickle
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from built import build_random

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, Node, check, model_zoo
from lazycfg.checkpoint import CheckpointError, UnsafeFileError, read_weights
from lazycfg.config import ConfigError
from lazycfg.config.formats.files import to_text
from lazycfg.config.formats.json_io import to_json
from lazycfg.config.formats.yaml_io import to_yaml
from lazycfg.data import AnnotationError, CocoDataset, read_image
from lazycfg.data.image import ImageError
from lazycfg.without_importing.syntax_only import read_syntax

__all__ = ["READERS", "Reader"]


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        suffix: of the files that it reads.
        seeds: inputs that it understands.
        read: reads a file; returns or raises one of ``refusals``.
        refusals: the errors that a bad file may end in.
        words: pieces to build inputs of.
    """

    suffix: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], Any]
    refusals: tuple[type[Exception], ...]
    words: tuple[bytes, ...] = ()


def _config() -> Node:
    return Node(
        model=L(torch.nn.Conv2d)(in_channels=3, out_channels="${n}", kernel_size=(3, 3)),
        n=8,
        items=[1, 2.5, None, True, "text", {1, 2}, (1, b"x"), Path("a/b"), 1 + 2j, range(3), ...],
        attribute=L.attr(L(torch.nn.Linear)(1, 2), "in_features"),
        kind=torch.float32,
    )


def _read_config(file: Path) -> None:
    cfg = LazyConfig.load(file)
    for key in list(cfg) if isinstance(cfg, Node) else ():
        try:
            cfg[key]
        except ConfigError:
            continue
    if isinstance(cfg, Node):
        check(cfg)
    for language in ("py", "yaml", "json"):
        try:
            to_text(cfg, language)
        except ConfigError:
            continue


def _override(file: Path) -> None:
    texts = file.read_bytes().decode("utf-8", "replace").split("\n")
    LazyConfig.apply_overrides(_config(), texts[:8], allow=("torch.nn",))


def _syntax() -> list[bytes]:
    names = model_zoo.list_configs()
    return [Path(model_zoo.get_config_file(name)).read_bytes() for name in names[:: len(names) // 8]]


def _tensors() -> dict[str, torch.Tensor]:
    return {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.zeros(2), "n": torch.tensor(1)}


def _pickles() -> list[bytes]:
    arrays = {"model": {name: value.numpy() for name, value in _tensors().items()}, "iteration": 3}
    return [pickle.dumps(arrays, protocol) for protocol in (2, 4)]


def _torch_files() -> list[bytes]:
    files = []
    for content in (_tensors(), {"model": _tensors(), "iteration": 1}):
        stream = io.BytesIO()
        torch.save(content, stream)
        files.append(stream.getvalue())
    deflated = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(files[0])) as old, zipfile.ZipFile(deflated, "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return [*files, deflated.getvalue()]


def _safetensors() -> list[bytes]:
    from safetensors.torch import save

    return [save(_tensors()), save(_tensors(), {"aliases": "{}", "format": "pt"})]


def _images() -> list[bytes]:
    from PIL import Image

    pixels = np.arange(16 * 24 * 3, dtype=np.uint8).reshape(16, 24, 3)
    files = []
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind)
        files.append(stream.getvalue())
    return files


def _coco() -> list[bytes]:
    images = [{"id": 1, "file_name": "a.png", "width": 24, "height": 16}]
    mask = {"size": [16, 24], "counts": [10, 5, 369]}
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 5, 6], "area": 30, "iscrowd": 0,
         "segmentation": [[1, 2, 6, 2, 6, 8]]},
        {"id": 2, "image_id": 1, "category_id": 2, "bbox": [1, 2, 5, 6], "area": 30, "iscrowd": 1,
         "segmentation": mask, "keypoints": [1, 2, 2], "num_keypoints": 1},
    ]  # fmt: skip
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b", "keypoints": ["x"], "skeleton": []}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return [json.dumps(content).encode(), json.dumps(content, indent=1).encode()]


@functools.cache
def _image_root() -> str:
    folder = tempfile.mkdtemp()
    Path(folder, "a.png").write_bytes(_images()[0])
    return folder


def _read_coco(file: Path) -> None:
    dataset = CocoDataset(json_file=str(file), image_root=_image_root())
    for index in range(len(dataset)):
        dataset[index]


def _read_image(file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read_image(file, "RGB")


_CONFIG_WORDS = (
    *(b"_target_", b"_args_", b"_partial_", b"!name ", b"!partial ", b"!construct ", b"!tuple ", b"!set "),
    *(b"builtins.getattr", b"torch.nn.Linear", b"os.system", b"functools.partial", b"numpy.array", b"${n}"),
    *(
        b"${oc.env:HOME}",
        b"${oc.select:n}",
        b"!!timestamp ",
        b"!!set ",
        b"!!binary ",
        b"!object ",
        b"!member ",
    ),
    *(
        b"fractions.Fraction",
        b"'1e99999'",
        b"&a ",
        b"*a",
        b"<<: ",
        b"[",
        b"]",
        b"{",
        b"}",
        b", ",
        b": ",
        b"\n",
    ),
    *(
        b"0x",
        b"1:59",
        b"_source_",
        b"_shared_",
        b"_config_",
        b"!attribute ",
        b"!path ",
        b"!float ",
        b"!dict ",
    ),
)
_JSON_WORDS = (*(b'"' + word.strip() + b'"' for word in _CONFIG_WORDS), b'{"!ref": "x"}', b"NaN", b"null")
_COCO_WORDS = (b"null", b"[]", b"{}", b"-1", b'"x"', b"1e400", b"true", b"NaN")
_OVERRIDES = b"model.out_channels=3\n+x=@torch.nn.ReLU\n**.n=[1,(2,)]"
_OVERRIDE_WORDS = (
    b"model.",
    b"n=",
    b"+",
    b"~",
    b"**.",
    b"@",
    b"&",
    b"items.",
    b"-1",
    b"+=",
    b"{",
    b"[",
    b"(",
    b"'",
)

READERS = {
    "yaml": Reader(
        ".yaml", lambda: [to_yaml(_config()).encode()], _read_config, (ConfigError,), _CONFIG_WORDS
    ),
    "json": Reader(".json", lambda: [to_json(_config()).encode()], _read_config, (ConfigError,), _JSON_WORDS),
    "syntax": Reader(".py", _syntax, read_syntax, (ConfigError, SyntaxError), (b"L(", b"dict(", b"import ")),
    "overrides": Reader(".txt", lambda: [_OVERRIDES], _override, (ConfigError,), _OVERRIDE_WORDS),
    "pickle": Reader(".pkl", _pickles, read_weights, (UnsafeFileError, CheckpointError)),
    "torch": Reader(".pth", _torch_files, read_weights, (UnsafeFileError, CheckpointError)),
    "safetensors": Reader(".safetensors", _safetensors, read_weights, (UnsafeFileError, CheckpointError)),
    "image": Reader(".png", _images, _read_image, (ImageError,)),
    "built": Reader(".bin", lambda: [b"0", b"1"], build_random, (ConfigError,)),
    "coco": Reader(".json", _coco, _read_coco, (AnnotationError, FileNotFoundError, ImageError), _COCO_WORDS),
}
