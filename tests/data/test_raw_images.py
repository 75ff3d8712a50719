"""Images of any number of channels and more than 8 bits: read, augmented, shown, refused where damaged."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg.data import DatasetMapper, ImageError, load_rgb
from lazycfg.data import transforms as T
from lazycfg.data.image import read_image, read_image_size, visible_rgb

FIVE = np.random.default_rng(0).integers(0, 4096, (6, 8, 5)).astype(np.uint16)


def png16(values, *, filter_type=0, cut=0, crc=0, interlaced=False):
    """A PNG of 16 bits, (H, W, C) of 1 to 4 channels, which Pillow cannot write."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data) ^ crc)

    height, width, channels = values.shape
    passes = [values]
    if interlaced:
        starts = (
            (0, 0, 8, 8),
            (0, 4, 8, 8),
            (4, 0, 8, 4),
            (0, 2, 4, 4),
            (2, 0, 4, 2),
            (0, 1, 2, 2),
            (1, 0, 2, 1),
        )
        passes = [values[y::down, x::right] for y, x, down, right in starts]
    lines = b"".join(
        bytes([filter_type]) + row.astype(">u2").tobytes() for part in passes if part.size for row in part
    )
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, int(interlaced))
    lines = lines[: len(lines) - cut]
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def same(image, expected):
    assert image.dtype == (torch.uint8 if expected.dtype == np.uint8 else torch.float32)
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, bool])
@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 1), (6, 8, 5), (6, 8, 13)])
def test_arrays_of_numpy_are_read_as_they_are(tmp_path, dtype, shape):
    values = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    np.save(tmp_path / "a.npy", values)
    same(read_image(tmp_path / "a.npy", "raw"), values.reshape(6, 8, -1))
    assert read_image_size(tmp_path / "a.npy") == (6, 8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_16_bits_keeps_them(tmp_path, channels):
    values = np.random.default_rng(0).integers(0, 65536, (6, 8, channels)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(png16(values))
    same(read_image(tmp_path / "a.png", "raw"), values)
    # Read for three channels, it has 8 bits, as before
    assert read_image(tmp_path / "a.png", "RGB").dtype == torch.uint8


@pytest.mark.parametrize("channels", [2, 4])
def test_interlaced_png_of_16_bits(tmp_path, channels):
    values = np.random.default_rng(0).integers(0, 65536, (11, 13, channels)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(png16(values, interlaced=True))
    same(read_image(tmp_path / "a.png", "raw"), values)


def test_filtered_lines_of_grey_and_transparency(tmp_path):
    """Each byte is told by its distance to the one a pixel before, which is four bytes away."""
    values = np.random.default_rng(0).integers(0, 65536, (6, 8, 2)).astype(np.uint16)
    rows = values.astype(">u2").view(np.uint8).reshape(6, 8, 4)
    rows = np.diff(rows, axis=1, prepend=np.zeros((6, 1, 4), np.uint8)).reshape(6, -1).view(">u2")
    (tmp_path / "a.png").write_bytes(png16(rows.reshape(6, 8, 2), filter_type=1))
    same(read_image(tmp_path / "a.png", "raw"), values)


@pytest.mark.parametrize("axes", ["YXS", "SYX", "pages"])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_tiff_of_many_channels(tmp_path, axes, compression):
    tifffile = pytest.importorskip("tifffile")
    path, planes = tmp_path / "a.tif", FIVE.transpose(2, 0, 1)
    if axes == "YXS":
        tifffile.imwrite(path, FIVE, photometric="minisblack", planarconfig="contig", compression=compression)
    elif axes == "SYX":
        tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", compression=compression)
    else:
        tifffile.imwrite(path, planes, photometric="minisblack", compression=compression)
    same(read_image(path, "raw"), FIVE)
    assert read_image_size(path) == (6, 8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_the_usual_reading(tmp_path, orientation):
    values = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(values).save(tmp_path / "a.png", exif=exif)
    assert torch.equal(read_image(tmp_path / "a.png", "raw"), read_image(tmp_path / "a.png", "RGB"))
    tifffile = pytest.importorskip("tifffile")
    tags = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "5.tif", np.repeat(values[..., :1], 5, 2), photometric="minisblack",
                     planarconfig="contig", extratags=tags)  # fmt: skip
    raw, single = read_image(tmp_path / "5.tif", "raw"), read_image(tmp_path / "a.png", "RGB")[:1]
    assert torch.equal(raw, single.expand(5, -1, -1))
    assert read_image_size(tmp_path / "5.tif") == tuple(single.shape[1:])


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "1"])
def test_what_pillow_holds_whole_keeps_its_channels(tmp_path, mode):
    picture = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8) * 5)
    picture = picture.convert("I").convert(mode) if mode == "I;16" else picture.convert(mode)
    picture.save(tmp_path / "a.tif" if mode in ("CMYK", "I;16") else tmp_path / "a.png")
    (path,) = tmp_path.iterdir()
    channels = {"LA": 2, "RGBA": 4, "CMYK": 4, "RGB": 3, "P": 3}.get(mode, 1)
    assert tuple(read_image(path, "raw").shape) == (channels, 6, 8)


def test_a_phones_file_of_two_jpeg_images_is_read_as_the_first(tmp_path):
    first = Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 24, 3)).astype(np.uint8))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[first.rotate(180)])
    assert Image.open(tmp_path / "a.jpg").format == "MPO"
    assert torch.equal(read_image(tmp_path / "a.jpg", "raw"), read_image(tmp_path / "a.jpg", "RGB"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (png16(FIVE[..., :3], filter_type=9), ""),
        (png16(FIVE[..., :2], filter_type=9), ""),
        (png16(FIVE[..., :2], cut=3), "truncated"),
        (png16(FIVE[..., :3], cut=5), "truncated"),
        (png16(FIVE[..., :3], crc=1), "checksum"),
        (png16(FIVE[..., :3])[:-60], ""),
        (b"\x93NUMPY rubbish", ""),
        (b"II*\0 rubbish", ""),
    ],
)
def test_damaged_files_are_refused_and_the_process_lives(tmp_path, content, words):
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(ImageError, match=rf"a\.bin.*{words}"):
        read_image(tmp_path / "a.bin", "raw")


def test_arrays_that_are_no_image_are_refused(tmp_path):
    wrong = [np.zeros(4), np.zeros((2, 2, 2, 2)), np.array([[None]]), np.zeros((2, 2), dtype="U3")]
    for values in wrong:
        np.save(tmp_path / "a.npy", values, allow_pickle=True)
        with pytest.raises(ImageError):
            read_image(tmp_path / "a.npy", "raw")
    np.save(tmp_path / "a.npy", np.full((2, 2), np.nan))
    with pytest.raises(ImageError, match="finite"):
        read_image(tmp_path / "a.npy", "raw")
    np.save(tmp_path / "a.npy", np.zeros((100, 100), np.uint8))
    with pytest.raises(ImageError, match="more than the 50 allowed"):
        read_image(tmp_path / "a.npy", "raw", max_pixels=50)
    with pytest.raises(ImageError, match='image_format="raw"'):
        read_image(tmp_path / "a.npy")


def test_value_range_scales_to_255_without_rounding(tmp_path):
    np.save(tmp_path / "a.npy", FIVE)
    mapper = DatasetMapper(is_train=False, image_format="raw", value_range=(0, 4095))
    image = mapper({"file_name": str(tmp_path / "a.npy")})["image"]
    np.testing.assert_allclose(image.permute(1, 2, 0).numpy(), FIVE * (255 / 4095), rtol=1e-6)


def test_a_reader_of_ones_own(tmp_path):
    (tmp_path / "a.own").write_bytes(FIVE.tobytes())

    def read(name):
        with open(name, "rb") as file:
            return np.frombuffer(file.read(), np.uint16).reshape(6, 8, 5)

    record = {"file_name": str(tmp_path / "a.own")}
    same(DatasetMapper(is_train=False, image_format="raw", reader=read)(record)["image"], FIVE)
    with pytest.raises(ImageError, match="RGB uint8") as caught:
        DatasetMapper(is_train=False, reader=read)(record)
    assert "a.own" in caught.value.__notes__[0]


GEOMETRIC = [
    T.RandomFlip(prob=1.0),
    T.ResizeShortestEdge(12, 40),
    T.RandomCrop("absolute", (4, 4)),
    T.RandomRotation([30, 30]),
    T.RandomAffine(degrees=20),
    T.RandomContrast(0.5, 0.5),
    T.RandomBrightness(0.5, 0.5),
]
PIXELS = [T.RandomBlur(prob=1.0), T.RandomNoise(prob=1.0)]
COLOURS = [
    T.RandomHSV(),
    T.PhotometricDistortion(),
    T.RandomSaturation(0.5, 0.6),
    T.RandomLighting(1.0),
    T.RandomJPEG(prob=1.0),
    T.RandAugment(operations=["color"]),
    T.RandAugment(operations=["equalize"]),
]


@pytest.mark.parametrize("augmentation", GEOMETRIC + PIXELS, ids=lambda a: type(a).__name__)
def test_each_channel_is_augmented_alike(augmentation):
    """A channel does not depend on how many others there are."""
    image = torch.from_numpy(FIVE.astype(np.float32) * (255 / 4095)).permute(2, 0, 1)
    image[1:] = image[0]
    aug_input = T.AugInput(image, channel_order="raw")
    augmentation(aug_input, np.random.default_rng(1))
    result = aug_input.image
    assert result.shape[0] == 5
    assert result.dtype == torch.float32
    if not isinstance(augmentation, T.RandomNoise):
        torch.testing.assert_close(result, result[:1].expand_as(result), rtol=0, atol=1e-4)


@pytest.mark.parametrize("augmentation", COLOURS, ids=lambda a: f"{type(a).__name__}")
def test_changes_of_colour_are_refused_for_other_channels(augmentation):
    aug_input = T.AugInput(torch.rand(5, 6, 8) * 255, channel_order="raw")
    with pytest.raises(ValueError, match=r"3 channels|uint8"):
        augmentation(aug_input, np.random.default_rng(1))


@pytest.mark.parametrize("augmentation", PIXELS, ids=lambda a: type(a).__name__)
def test_values_beyond_255_are_not_clipped_but_refused(augmentation):
    aug_input = T.AugInput(torch.rand(5, 6, 8) * 4095, channel_order="raw")
    with pytest.raises(ValueError, match="value_range"):
        augmentation(aug_input, np.random.default_rng(1))


def test_what_is_shown_of_five_channels(tmp_path):
    np.save(tmp_path / "a.npy", FIVE)
    mapper = DatasetMapper(is_train=False, image_format="raw")
    shown = load_rgb({"file_name": str(tmp_path / "a.npy")}, mapper)
    assert shown.dtype == torch.uint8
    assert tuple(shown.shape) == (3, 6, 8)
    assert shown.flatten(1).amin(1).tolist() == [0, 0, 0]
    assert shown.flatten(1).amax(1).tolist() == [255, 255, 255]
    grey = visible_rgb(torch.rand(2, 6, 8))
    assert torch.equal(grey[0], grey[2])
    colours = torch.randint(0, 255, (4, 6, 8), dtype=torch.uint8)
    assert torch.equal(visible_rgb(colours), colours[:3])
