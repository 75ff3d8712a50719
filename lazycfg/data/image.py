"""Reading images: files of a few known formats, and what is already in memory, as uint8 tensors."""

from __future__ import annotations

import io
import os
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

ImageFormat = Literal["BGR", "RGB", "L"]
ValueRange = tuple[float, float]

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""Formats that are decoded, by their content and not by the name of the file. Others (EPS, which Pillow
gives to Ghostscript, PSD, ...) are refused."""

MAX_IMAGE_PIXELS = 2**27
"""Pixels that an image may have by default: 134 million, which are 384 MiB in three channels."""

_ORIENTATION = 0x0112  # tag of EXIF
_BAND_PIXELS = 2**22  # copied at a time: Pillow needs twice a copy's memory besides
_WIDE = ("I", "F")  # besides those that begin with "I;16"
_SCALE_16 = (0.0, 65535.0)


class ImageError(ValueError):
    """An image that cannot be read, or that is not what its record says."""


def read_image(
    file_name: str | os.PathLike[str],
    format: ImageFormat = "BGR",
    *,
    max_pixels: int = MAX_IMAGE_PIXELS,
    value_range: ValueRange | None = None,
) -> Tensor:
    """Read an image, turned upright as its EXIF orientation says.

    Transparency is dropped, palettes and CMYK become RGB. Of an animation or a file of several pages the
    first image is taken. Pillow decodes: torchvision's decoder of JPEG gives the same pixels and is 1.4 times
    as fast, but that of PNG (1.1 times as fast) ends the process at a wrong checksum.

    Args:
        format: channel order "BGR" or "RGB", or "L" for grey.
        max_pixels: larger images are refused before they are decoded: a file of 100 kB can hold gigabytes.
        value_range: (lowest, highest) value of images with one channel of more than 8 bits, which become 0
            and 255; what lies beyond is clipped. None: (0, 65535) for images of 16 bits, and images of 32
            bits or of floating point numbers are refused, as their range is not known.

    Returns:
        uint8 tensor (3, H, W); (1, H, W) for "L".

    Raises:
        FileNotFoundError: no such file.
        ImageError: the file is no image of `IMAGE_FORMATS`, is damaged, or has too many pixels.
    """
    _check_format(format)
    path = _existing_file(file_name)
    data = _read_bytes(path)
    try:
        picture = open_image(data, max_pixels)
        if picture.getexif().get(_ORIENTATION, 1) != 1:
            picture = ImageOps.exif_transpose(picture)
        image = from_pillow(picture, format, value_range)
    except Exception as error:  # Pillow's decoders raise whatever damaged bytes lead them to
        raise ImageError(f"cannot decode image {path!r} ({len(data)} bytes): {_reason(error)}") from error
    return image.flip(0) if format == "BGR" else image


def read_image_size(file_name: str | os.PathLike[str]) -> tuple[int, int]:
    """Return (height, width) that `read_image` would give, from the head of the file.

    Raises:
        FileNotFoundError: no such file.
        ImageError: the file is not an image.
    """
    path = _existing_file(file_name)
    try:
        with open(path, "rb") as file:
            picture = open_image(file, None)
            width, height = picture.size
            turned = picture.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception as error:
        raise ImageError(f"the file {path!r} cannot be opened: {_reason(error)}") from error
    return (width, height) if turned else (height, width)


def read_array(path: str | os.PathLike[str], mode: str | None = None, what: str = "image") -> np.ndarray:
    """Read the values of an image file as they are, such as labels: (H, W) or (H, W, C).

    Args:
        mode: of Pillow, to convert to first.
        what: the file is, for messages.

    Raises:
        FileNotFoundError: no such file.
        ImageError: the file is not an image, or is damaged.
    """
    path = _existing_file(path, what)
    try:
        picture = open_image(_read_bytes(path), MAX_IMAGE_PIXELS)
        return np.asarray(picture if mode is None else picture.convert(mode))
    except Exception as error:
        raise ImageError(f"cannot decode {what} {path!r}: {_reason(error)}") from error


def open_image(file: Any, max_pixels: int | None = MAX_IMAGE_PIXELS) -> Image.Image:
    """Open an image of `IMAGE_FORMATS` and read its header only.

    `PIL.Image.open` is not used: it tries every format it knows, and its limit of pixels is global.

    Args:
        file: bytes, or a file open for reading.
        max_pixels: None for any number.

    Raises:
        ImageError: no format fits, or there are more pixels.
    """
    stream = io.BytesIO(file) if isinstance(file, bytes) else file
    prefix = stream.read(16)
    Image.init()
    for name in IMAGE_FORMATS:
        if name not in Image.OPEN:
            continue  # this Pillow was built without it
        make, accepts = Image.OPEN[name]
        if accepts is not None and accepts(prefix) is not True:
            continue
        stream.seek(0)
        picture = make(stream, "")
        width, height = picture.size
        if max_pixels is not None and width * height > max_pixels:
            raise ImageError(
                f"it has {width}x{height} pixels, more than the {max_pixels:,} allowed; for larger images "
                f"pass max_pixels={width * height} to read_image, max_image_pixels to DatasetMapper"
            )
        return picture
    raise ImageError(f"it is no image of the formats {', '.join(IMAGE_FORMATS)}")


def from_pillow(
    picture: Image.Image, format: ImageFormat = "RGB", value_range: ValueRange | None = None
) -> Tensor:
    """Return a Pillow image as a uint8 tensor (3, H, W) RGB, or (1, H, W) for "L".

    Args:
        value_range: see `read_image`.

    Raises:
        ImageError: the range of its values is not known, or they are not finite numbers.
    """
    if picture.mode in _WIDE or picture.mode.startswith("I;16"):
        picture = _to_8_bit(picture, value_range)
    if picture.mode in ("P", "PA"):
        picture = picture.convert("RGBA")  # a palette can have transparent colours
    mode = "L" if format == "L" else "RGB"
    if picture.mode != mode:
        picture = picture.convert(mode)
    width, height = picture.size
    array = np.empty((height, width, len(mode)), dtype=np.uint8)
    step = max(1, _BAND_PIXELS // max(1, width))
    for top in range(0, height, step):
        band = picture if step >= height else picture.crop((0, top, width, min(height, top + step)))
        array[top : top + step] = np.asarray(band).reshape(-1, width, len(mode))
    return torch.from_numpy(array).permute(2, 0, 1)


def image_to_tensor(
    image: np.ndarray | Tensor | Image.Image,
    format: ImageFormat = "BGR",
    *,
    value_range: ValueRange | None = None,
) -> Tensor:
    """Return what `read_image` would give of an image in memory.

    Args:
        image: RGB uint8 array (H, W, 3) or tensor (3, H, W), or a Pillow image of any mode, which is taken as
            it is (not turned as its EXIF tag says).
        value_range: see `read_image`; for Pillow images.

    Raises:
        ImageError: another shape or type, or no pixels.
    """
    _check_format(format)
    if isinstance(image, Image.Image):
        tensor = from_pillow(image, format, value_range)
        return tensor.flip(0) if format == "BGR" else tensor
    tensor = image if isinstance(image, Tensor) else None
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.dtype == np.uint8:
        tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    if tensor is None or tensor.ndim != 3 or tensor.shape[0] != 3 or tensor.dtype != torch.uint8:
        got = f"{getattr(image, 'dtype', type(image).__name__)} {tuple(getattr(image, 'shape', ()))}"
        raise ImageError(
            f"an image in memory must be RGB uint8, an array (H, W, 3) or a tensor (3, H, W); got {got}"
        )
    if tensor.numel() == 0:
        raise ImageError(f"an image of {tensor.shape[2]}x{tensor.shape[1]} (width x height) has no pixels")
    if format == "BGR":
        return tensor.flip(0)
    if format == "L":
        weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
        return (tensor * weights).sum(0, keepdim=True).round_().to(torch.uint8)
    return tensor


def _check_format(format: str) -> None:
    if format not in ("BGR", "RGB", "L"):
        raise ValueError(f'image format must be "BGR", "RGB" or "L", got {format!r}')


def _existing_file(file_name: str | os.PathLike[str], what: str = "image file") -> str:
    path = os.fspath(file_name)
    if "\0" in path or not os.path.isfile(path):
        raise FileNotFoundError(f"no {what} {path!r}")
    return path


def _read_bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _to_8_bit(picture: Image.Image, value_range: ValueRange | None) -> Image.Image:
    """Scale one channel of more than 8 bits to 0..255."""
    values = np.asarray(picture).astype(np.float32 if picture.mode != "I" else np.float64)
    if value_range is None and picture.mode.startswith("I;16"):
        value_range = _SCALE_16
    if value_range is None:
        kind = "floating point numbers" if picture.mode == "F" else "whole numbers of 32 bits"
        finite = values[np.isfinite(values)]
        seen = f"here {finite.min():.6g} to {finite.max():.6g}" if len(finite) else "none of them finite"
        raise ImageError(
            f"its values are {kind} ({seen}) whose range is not known; pass value_range=(lowest, highest) to "
            "read_image or DatasetMapper to scale them to 0..255"
        )
    low, high = map(float, value_range)
    if not low < high:
        raise ImageError(f"value_range must be (lowest, highest), got {value_range}")
    if not np.isfinite(values).all():
        raise ImageError("it has values that are not finite numbers")
    scaled = ((values - low) * (255 / (high - low))).round().clip(0, 255)
    return Image.fromarray(scaled.astype(np.uint8))


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
