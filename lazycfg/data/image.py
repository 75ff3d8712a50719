"""Reading images: files of a few known formats, and what is already in memory, as uint8 tensors of three
channels or of one, or ("raw") with all their channels and values.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .array_files import NPY_PREFIX, TiffFile, holds_all_values, map_npy, read_png16

ImageFormat = Literal["BGR", "RGB", "L", "raw"]
ValueRange = tuple[float, float]

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""Formats that are decoded, by their content and not by the name of the file. Others (EPS, which Pillow
gives to Ghostscript, PSD, ...) are refused."""

MAX_IMAGE_PIXELS = 2**26
"""Pixels that an image may have by default: 67 million, which take up to 2 s and less than 1 GB to decode."""

_ORIENTATION = 0x0112  # tag of EXIF
_BAND_PIXELS = 2**22  # converted and copied at a time, as Pillow takes several times their memory for it
_WIDE = ("I", "F")  # besides those that begin with "I;16"
_SCALE_16 = (0.0, 65535.0)
_TIFF_PREFIXES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Whose depth is known after opening; MPO is JPEG with further images
_EXACT_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_READ_RAW = 'all channels and values are kept by image_format="raw" of DatasetMapper'


class ImageError(ValueError):
    """Raised for an image that cannot be read, or that differs from its record."""


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
        format: channel order "BGR" or "RGB", or "L" for grey. "raw" gives all channels of the file in its own
            order, with the values that it has: PNG of 16 bits, TIFF of any number of channels or pages, .npy
            arrays (H, W) and (H, W, C), besides what the others read.
        max_pixels: larger images are refused before they are decoded: a file of 100 kB can hold gigabytes.
        value_range: (lowest, highest) value of images with one channel of more than 8 bits, which become 0
            and 255; what lies beyond is clipped. None: (0, 65535) for images of 16 bits, and images of 32
            bits or of floating point numbers are refused, as their range is not known. For "raw", of images
            that are not uint8, which become floating point numbers from 0 to 255; None: they stay as they
            are.

    Returns:
        uint8 tensor (3, H, W); (1, H, W) for "L". For "raw" (C, H, W), uint8 if the values are, else float32.

    Raises:
        FileNotFoundError: no such file.
        ImageError: the file is no image of `IMAGE_FORMATS`, is damaged, or has too many pixels.
    """
    _check_format(format)
    path = _existing_file(file_name)
    try:
        if format == "raw":
            return _raw_tensor(_read_values(path, max_pixels), value_range)
        with open(path, "rb") as file:
            picture = open_image(file, max_pixels)
            picture.load()  # which turns a TIFF upright, and forgets its orientation
            return _to_tensor(picture, format, value_range, picture.getexif().get(_ORIENTATION, 1))
    except OSError as error:
        if error.errno is not None:  # of the file and not of the decoder
            raise
        raise ImageError(_undecodable(path, error)) from error
    except Exception as error:  # Pillow's decoders raise whatever damaged bytes lead them to
        raise ImageError(_undecodable(path, error)) from error


def read_image_size(file_name: str | os.PathLike[str]) -> tuple[int, int]:
    """Return (height, width) that `read_image` would give, from the head of the file.

    Raises:
        FileNotFoundError: no such file.
        ImageError: the file is not an image.
    """
    path = _existing_file(file_name)
    try:
        with open(path, "rb") as file:
            prefix = file.read(len(NPY_PREFIX))
            file.seek(0)
            if prefix == NPY_PREFIX:
                height, width = map_npy(path).shape[:2]
                return height, width
            if prefix.startswith(_TIFF_PREFIXES) and (tiff := _wide_tiff(file)) is not None:
                return tiff.size if tiff.orientation < 5 else tiff.size[::-1]
            file.seek(0)
            return upright_size(open_image(file, None))
    except Exception as error:
        raise ImageError(f"the file {path!r} cannot be opened: {_reason(error)}") from error


def swapped_hint(said: tuple[Any, Any], size: tuple[int, int]) -> str:
    """Return the end of a message about an image (height, width) of another size than is said of it."""
    if said != size[::-1]:
        return ""
    return "; sides are swapped: were the annotations made on the image before its EXIF rotation?"


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Return (height, width) of an opened image as it will be when it is turned as its EXIF tag says."""
    width, height = picture.size
    # Pillow says the size of a TIFF as it will be when it is upright
    turned = picture.format != "TIFF" and picture.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
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
        with open(path, "rb") as file:
            picture = open_image(file)
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
        try:
            picture = make(stream, "")
        except SyntaxError as error:
            if name != "TIFF":
                raise
            raise ImageError(f"{error}; {_READ_RAW}") from error
        _check_pixels(picture.size[1], picture.size[0], max_pixels)
        return picture
    hint = f"; it is an array of numpy: {_READ_RAW}" if prefix.startswith(NPY_PREFIX) else ""
    raise ImageError(f"it is no image of the formats {', '.join(IMAGE_FORMATS)}{hint}")


def _check_pixels(height: int, width: int, max_pixels: int | None) -> None:
    if max_pixels is not None and width * height > max_pixels:
        raise ImageError(
            f"it has {width}x{height} pixels, more than the {max_pixels:,} allowed; for larger images "
            f"pass max_pixels={width * height} to read_image, max_image_pixels to DatasetMapper"
        )


def _read_values(path: str, max_pixels: int) -> np.ndarray:
    """Return all channels of a file as they are, upright: (H, W) or (H, W, C) of any type.

    Raises:
        ImageError: it has too many pixels, or is of a format whose values Pillow may narrow to 8 bits.
    """
    with open(path, "rb") as file:
        prefix = file.read(len(NPY_PREFIX))
        file.seek(0)
        if prefix == NPY_PREFIX:
            array = map_npy(path)
            _check_pixels(*array.shape[:2], max_pixels)
            return array
        if prefix.startswith(_TIFF_PREFIXES) and (tiff := _wide_tiff(file)) is not None:
            _check_pixels(*tiff.size, max_pixels)
            return _upright(tiff.read(), tiff.orientation)
        file.seek(0)
        picture = open_image(file, max_pixels)
        if picture.format not in _EXACT_FORMATS:
            raise ImageError(
                f"{picture.format} is not read raw, as it may have more than 8 bits, which would be lost; "
                "convert it to PNG or TIFF, or give DatasetMapper(reader=...) a function that reads it"
            )
        is_whole = holds_all_values(picture)  # asked before anything is decoded
        orientation = picture.getexif().get(_ORIENTATION, 1)
        if not is_whole:
            return _upright(read_png16(lambda: open_image(_rewound(file), None)), orientation)
        picture.load()  # which turns a TIFF upright
        if picture.mode in ("P", "PA", "1"):
            transparent = "transparency" in picture.info or picture.mode == "PA"
            picture = picture.convert("L" if picture.mode == "1" else "RGBA" if transparent else "RGB")
        return _upright(np.asarray(picture), 1 if picture.format == "TIFF" else orientation)


def _rewound(file: Any) -> Any:
    file.seek(0)
    return file


def _wide_tiff(file: Any) -> TiffFile | None:
    """Return a TIFF opened for its channels if Pillow would not give them all; else None."""
    try:
        if holds_all_values(open_image(file, None)):
            return None
    except ImageError:
        pass
    file.seek(0)
    return TiffFile(file)


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an array (H, W[, C]) that is stored in an orientation of EXIF."""
    if orientation not in range(2, 9):
        return array
    height, width = array.shape[:2]
    size = (width, height) if orientation >= 5 else (height, width)
    upright = np.empty((*size, *array.shape[2:]), dtype=array.dtype)
    _as_stored(upright, orientation)[...] = array
    return upright


def _raw_tensor(values: np.ndarray | Tensor, value_range: ValueRange | None) -> Tensor:
    """Return an array (H, W) or (H, W, C), or a tensor (C, H, W), as a tensor (C, H, W) uint8 or float32.

    Raises:
        ImageError: another shape or type, no pixels, or values that are not finite.
    """
    kind = f"{getattr(values, 'dtype', type(values).__name__)} {tuple(getattr(values, 'shape', ()))}"
    if isinstance(values, np.ndarray) and values.ndim in (2, 3) and values.dtype.kind in "buif":
        values = values if values.dtype == np.uint8 else values.astype(np.float32)
        channels_last = np.array(values[..., None] if values.ndim == 2 else values)
        values = torch.from_numpy(channels_last).permute(2, 0, 1)
    if not isinstance(values, Tensor) or values.ndim != 3 or values.is_complex():
        raise ImageError(
            f"a raw image is an array (H, W) or (H, W, C) or a tensor (C, H, W) of numbers; got {kind}"
        )
    if values.numel() == 0:
        raise ImageError(f"an image of {kind} has no pixels")
    if values.dtype == torch.uint8:
        return values
    values = values.to(torch.float32)
    if not bool(torch.isfinite(values).all()):
        raise ImageError("it has values that are not finite numbers; a `reader` may replace them")
    if value_range is None:
        return values
    low, high = _checked_range(value_range)
    return ((values - low) * (255 / (high - low))).clamp_(0, 255)


def visible_rgb(image: Tensor) -> Tensor:
    """Return what can be shown of an image (C, H, W) of any channels and values: uint8 (3, H, W).

    The first three channels are taken for red, green and blue; of fewer, the first is shown grey. Values that
    are not uint8 are stretched, each channel by itself, so that its darkest and brightest hundredth of the
    pixels become black and white.
    """
    shown = image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)
    if shown.dtype == torch.uint8:
        return shown
    array = shown.to(torch.float32).numpy()
    low, high = np.percentile(array, (1, 99), axis=(1, 2))[..., None, None]
    scaled = (array - low) * (255 / np.where(high > low, high - low, 1))
    return torch.from_numpy(scaled.round().clip(0, 255).astype(np.uint8))


def from_pillow(
    picture: Image.Image, format: ImageFormat = "RGB", value_range: ValueRange | None = None
) -> Tensor:
    """Return a Pillow image as a uint8 tensor (3, H, W), or (1, H, W) for "L"; it is not turned.

    Args:
        format: channel order "RGB" or "BGR", or "L" for grey.
        value_range: see `read_image`.

    Raises:
        ImageError: the range of its values is not known, or they are not finite numbers.
    """
    return _to_tensor(picture, format, value_range, 1)


def _to_tensor(
    picture: Image.Image, format: ImageFormat, value_range: ValueRange | None, orientation: int
) -> Tensor:
    """Return a Pillow image as a tensor, turned upright.

    Channels are swapped, and pixels turned, while they are copied: images may take a good part of the memory.

    Args:
        orientation: of EXIF, 1 to 8.
    """
    is_wide = picture.mode in _WIDE or picture.mode.startswith("I;16")
    if is_wide:
        value_range = _known_range(picture, value_range)
    mode = "L" if format == "L" else "RGB"
    width, height = picture.size
    size = (width, height) if orientation in (5, 6, 7, 8) else (height, width)
    array = np.empty((*size, len(mode)), dtype=np.uint8)
    target = _as_stored(array, orientation)[..., :: -1 if format == "BGR" else 1]
    for top, band in _bands(picture):
        if value_range is not None and is_wide:
            band = _to_8_bit(band, value_range)
        if band.mode in ("P", "PA"):
            band = band.convert("RGBA")  # a palette can have transparent colours
        pixels = np.asarray(band if band.mode == mode else band.convert(mode))
        target[top : top + band.height] = pixels.reshape(-1, width, len(mode))
    return torch.from_numpy(array).permute(2, 0, 1)


def _as_stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """Return a view of an upright image (H, W, C) in which its pixels lie as they are stored in the file.

    Args:
        orientation: of EXIF; what is not 1 to 8 counts as 1.
    """
    views: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
        8: lambda a: np.rot90(a, -1),
    }
    return views[orientation](upright) if orientation in views else upright


def _bands(picture: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield the first row, and the image, of each band of rows."""
    width, height = picture.size
    step = max(1, _BAND_PIXELS // max(1, width))
    for top in range(0, height, step):
        yield top, picture if step >= height else picture.crop((0, top, width, min(height, top + step)))


def image_to_tensor(
    image: np.ndarray | Tensor | Image.Image,
    format: ImageFormat = "BGR",
    *,
    value_range: ValueRange | None = None,
) -> Tensor:
    """Return what `read_image` would give of an image in memory.

    Args:
        image: RGB uint8 array (H, W, 3) or tensor (3, H, W), or a Pillow image of any mode, which is taken as
            it is (not turned as its EXIF tag says). For "raw" an array (H, W) or (H, W, C) or a tensor
            (C, H, W) of any numbers, whose channels stay in their order.
        value_range: see `read_image`; for Pillow images, and for "raw".

    Raises:
        ImageError: another shape or type, or no pixels.
    """
    _check_format(format)
    if format == "raw":
        return _raw_tensor(np.asarray(image) if isinstance(image, Image.Image) else image, value_range)
    if isinstance(image, Image.Image):
        return from_pillow(image, format, value_range)
    tensor = image if isinstance(image, Tensor) else None
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.dtype == np.uint8:
        tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    if tensor is None or tensor.ndim != 3 or tensor.shape[0] != 3 or tensor.dtype != torch.uint8:
        got = f"{getattr(image, 'dtype', type(image).__name__)} {tuple(getattr(image, 'shape', ()))}"
        raise ImageError(
            f"an image in memory must be RGB uint8, an array (H, W, 3) or a tensor (3, H, W); got {got}. "
            f"Other images: {_READ_RAW}"
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
    if format not in ("BGR", "RGB", "L", "raw"):
        raise ValueError(f'image format must be "BGR", "RGB", "L" or "raw", got {format!r}')


def _existing_file(file_name: str | os.PathLike[str], what: str = "image file") -> str:
    path = os.fspath(file_name)
    if "\0" in path or not os.path.isfile(path):
        raise FileNotFoundError(f"no {what} {path!r}")
    return path


def _known_range(picture: Image.Image, value_range: ValueRange | None) -> ValueRange:
    """Return the range of the values of an image with more than 8 bits.

    Raises:
        ImageError: it is not known, or no range.
    """
    if value_range is None and picture.mode.startswith("I;16"):
        return _SCALE_16
    if value_range is not None:
        return _checked_range(value_range)
    kind = "floating point numbers" if picture.mode == "F" else "whole numbers of 32 bits"
    finite = [values[np.isfinite(values)] for _, band in _bands(picture) for values in (np.asarray(band),)]
    ends = [end for values in finite if len(values) for end in (values.min(), values.max())]
    seen = f"here {min(ends):.6g} to {max(ends):.6g}" if ends else "none of them finite"
    raise ImageError(
        f"its values are {kind} ({seen}) whose range is not known; pass value_range=(lowest, highest) to "
        "read_image or DatasetMapper to scale them to 0..255"
    )


def _checked_range(value_range: ValueRange) -> ValueRange:
    low, high = map(float, value_range)
    if not low < high:
        raise ImageError(f"value_range must be (lowest, highest), got {value_range}")
    return low, high


def _to_8_bit(picture: Image.Image, value_range: ValueRange) -> Image.Image:
    """Scale one channel of more than 8 bits to 0..255."""
    values = np.asarray(picture).astype(np.float32 if picture.mode != "I" else np.float64)
    if not np.isfinite(values).all():
        raise ImageError("it has values that are not finite numbers")
    low, high = value_range
    scaled = ((values - low) * (255 / (high - low))).round().clip(0, 255)
    return Image.fromarray(scaled.astype(np.uint8))


def _undecodable(path: str, error: Exception) -> str:
    return f"cannot decode image {path!r} ({os.path.getsize(path)} bytes): {_reason(error)}"


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
