"""Reading pictures."""

from __future__ import annotations

import os
import warnings
from typing import Literal

import numpy as np
import torch
import torchvision.io
from PIL import Image, ImageOps
from torch import Tensor

ImageFormat = Literal["BGR", "RGB", "L"]


class ImageError(ValueError):
    """A picture that cannot be read, or is not what its record says."""


def read_image(file_name: str | os.PathLike[str], format: ImageFormat = "BGR") -> Tensor:
    """Read a picture, turned upright as its EXIF orientation says.

    JPEG, PNG, GIF and WebP are decoded by torchvision where it can (2-3 times as fast), all else by PIL.

    Returns:
        uint8 tensor (3, H, W) in channel order "BGR" or "RGB"; (1, H, W) for "L" (grey).

    Raises:
        FileNotFoundError: no such file.
        ImageError: the file is not a picture, or is damaged.
    """
    if format not in ("BGR", "RGB", "L"):
        raise ValueError(f'image format must be "BGR", "RGB" or "L", got {format!r}')
    path = os.fspath(file_name)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"no image file {path!r}")
    image = _decode_torchvision(path, format)
    if image is None:
        image = _decode_pil(path, format)
    return image.flip(0) if format == "BGR" else image


def read_image_size(file_name: str | os.PathLike[str]) -> tuple[int, int]:
    """(height, width) that `read_image` would give, from the head of the file.

    Raises:
        FileNotFoundError: no such file.
        ImageError: the file is not a picture.
    """
    path = os.fspath(file_name)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"no image file {path!r}")
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            turned = picture.getexif().get(0x0112, 1) >= 5
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"the file {path!r} cannot be opened: {error}") from error
    return (width, height) if turned else (height, width)


def _decode_torchvision(path: str, format: str) -> Tensor | None:
    decode = getattr(torchvision.io, "decode_image", None)  # announced to leave torchvision
    if decode is None:
        return None
    mode = "GRAY" if format == "L" else "RGB"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = decode(np_bytes(path), mode=mode, apply_exif_orientation=True)
    except (RuntimeError, TypeError, OSError):
        return None  # PIL knows more formats and tells more about damage
    return image if image.dtype == torch.uint8 and image.ndim == 3 else None


def np_bytes(path: str) -> Tensor:
    """The bytes of a file as a uint8 tensor."""
    return torch.from_numpy(np.fromfile(path, dtype=np.uint8))


def _decode_pil(path: str, format: str) -> Tensor:
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            array = np.array(upright.convert("L" if format == "L" else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        size = os.path.getsize(path)
        raise ImageError(f"cannot decode image {path!r} ({size} bytes): {error}") from error
    return torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1)


def image_to_tensor(image: np.ndarray | Tensor, format: ImageFormat = "BGR") -> Tensor:
    """What `read_image` would give, of a picture in memory: RGB uint8 array (H, W, 3) or tensor (3, H, W)."""
    tensor = (
        image if isinstance(image, Tensor) else torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    )
    if tensor.ndim != 3 or tensor.shape[0] != 3 or tensor.dtype != torch.uint8:
        raise ImageError(
            f"an image in a record must be RGB uint8 (H, W, 3), got {image.dtype} {tuple(image.shape)}"
        )
    if format == "BGR":
        return tensor.flip(0)
    if format == "L":
        weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
        return (tensor * weights).sum(0, keepdim=True).round_().to(torch.uint8)
    return tensor
