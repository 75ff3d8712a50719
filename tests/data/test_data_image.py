import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg.data import DatasetMapper, ImageError, check_image_size, load_rgb, read_image
from lazycfg.data import transforms as T
from lazycfg.data.datasets.label_maps import read_labels
from lazycfg.data.image import image_to_tensor, read_image_size

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)


def encode(array_or_image, format, **options):
    buffer = io.BytesIO()
    image = array_or_image if isinstance(array_or_image, Image.Image) else Image.fromarray(array_or_image)
    image.save(buffer, format, **options)
    return buffer.getvalue()


def test_a_flipped_bit_gives_an_image_or_an_image_error(tmp_path):
    """In a process of its own: the decoder of PNG that was used once ended it."""
    picture = Image.fromarray(RGB)
    files = {
        "png": encode(picture, "PNG"),
        "png16": encode(RGB[..., 0].astype(np.uint16) * 257, "PNG"),
        "palette": encode(Image.fromarray(RGB[..., 0]).convert("P", colors=4), "PNG")[:400],
        "jpeg": encode(picture, "JPEG"),
        "webp": encode(picture, "WEBP"),
        "gif": encode(picture.quantize(4), "GIF", save_all=True, append_images=[picture.quantize(3)]),
        "bmp": encode(picture, "BMP"),
        "tiff": encode(picture, "TIFF"),
        "lzw": encode(picture, "TIFF", compression="tiff_lzw"),
        "ppm": encode(picture, "PPM"),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    script = """
import sys
from pathlib import Path
import torch
from lazycfg.data import ImageError, read_image
torch.set_num_threads(1)
folder = Path(sys.argv[1])
for path in sorted(folder.iterdir()):
    whole, counts = path.read_bytes(), {"image": 0, "error": 0}
    def attempt(data):
        target = folder / "damaged"
        target.write_bytes(data)
        try:
            image = read_image(target)
            assert image.dtype == torch.uint8 and image.shape[0] == 3 and image.numel() > 0
            counts["image"] += 1
        except ImageError as error:
            assert "damaged" in str(error)
            counts["error"] += 1
    bits = len(whole) * 8
    for bit in range(0, bits, 2 if path.name == "png" else max(1, bits // 60)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        attempt(bytes(damaged))
    for length in range(0, len(whole), max(1, len(whole) // 8)):
        attempt(whole[:length])
    print(path.name, counts["image"], counts["error"])
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path)], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]
    results = {name: (int(a), int(b)) for name, a, b in map(str.split, run.stdout.splitlines())}
    assert set(results) == set(files)
    assert all(errors > 0 for _, errors in results.values())
    # Zlib's checksum finds all damage of pixels; the filler bits of a header do no harm.
    assert results["png"][1] > 400


def save(folder, array, name="x.png", **options):
    path = folder / name
    Image.fromarray(array).save(path, **options)
    return path


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    ramp = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    expected = np.round(ramp / 257).astype(np.uint8)
    for name in ("x.png", "x.tiff"):
        image = read_image(save(tmp_path, ramp, name), "RGB")
        np.testing.assert_array_equal(image.numpy(), np.stack([expected] * 3))
    np.testing.assert_array_equal(read_image(tmp_path / "x.png", "L")[0].numpy(), expected)
    np.testing.assert_array_equal(image_to_tensor(Image.fromarray(ramp), "RGB")[0].numpy(), expected)
    # 12 bits in 16
    image = read_image(save(tmp_path, ramp // 16), "L", value_range=(0, 4095))
    assert (image.min(), image.max()) == (0, 255)
    mapper = DatasetMapper(is_train=False, value_range=(0, 4095))
    assert mapper({"file_name": str(tmp_path / "x.png")})["image"].max() == 255
    np.testing.assert_array_equal(read_labels(tmp_path / "x.tiff"), ramp)


def test_floats_need_their_range(tmp_path):
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    path = save(tmp_path, values, "x.tiff")
    with pytest.raises(
        ImageError, match=r"x\.tiff.*floating point numbers \(here 0 to 1\).*value_range=\(lowest"
    ):
        read_image(path)
    expected = np.round(values * 255).astype(np.uint8)
    np.testing.assert_array_equal(read_image(path, "L", value_range=(0, 1))[0].numpy(), expected)
    with pytest.raises(ImageError, match="value_range must be"):
        read_image(path, value_range=(1, 1))
    values[0, 0] = np.nan
    with pytest.raises(ImageError, match="not finite"):
        read_image(save(tmp_path, values, "x.tiff"), value_range=(0, 1))
    with pytest.raises(ImageError, match="32 bits"):
        read_image(save(tmp_path, np.arange(4, dtype=np.int32).reshape(2, 2), "i.tiff"))
    with pytest.raises(ImageError, match="expected labels"):
        read_labels(tmp_path / "x.tiff")


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("1", "x.png"),
        ("L", "x.png"),
        ("LA", "x.png"),
        ("P", "x.png"),
        ("RGBA", "x.png"),
        ("RGB", "x.bmp"),
        ("P", "x.gif"),
        ("CMYK", "x.tiff"),
    ],
)
def test_every_mode_gives_the_colours_seen(tmp_path, mode, name):
    original = Image.fromarray(RGB).convert(mode)
    original.save(tmp_path / name)
    wanted = np.asarray(original.convert("RGB"))
    image = read_image(tmp_path / name, "RGB").permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(image, wanted)
    np.testing.assert_array_equal(image_to_tensor(original, "RGB").permute(1, 2, 0).numpy(), wanted)
    assert read_image_size(tmp_path / name) == (5, 4)


def test_transparent_palettes_keep_their_colours(tmp_path):
    original = Image.fromarray(RGB).quantize(8)
    wanted = np.asarray(original.convert("RGB"))
    original.info["transparency"] = bytes([0, 128, 255])
    original.save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png", "RGB").permute(1, 2, 0).numpy(), wanted)


def test_only_known_formats_are_decoded(tmp_path):
    eps = tmp_path / "x.jpg"
    eps.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(ImageError, match=r"x\.jpg.*no image of the formats JPEG, PNG"):
        read_image(eps)
    Image.fromarray(RGB).save(tmp_path / "x.tga")
    with pytest.raises(ImageError, match="no image of the formats"):
        read_image(tmp_path / "x.tga")
    # The content decides, not the name
    Image.fromarray(RGB).save(tmp_path / "y.jpg", "PNG")
    assert torch.equal(read_image(tmp_path / "y.jpg", "RGB"), torch.from_numpy(RGB).permute(2, 0, 1))


def test_large_images_are_refused_before_they_are_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(path)
    with pytest.raises(ImageError, match=r"bomb\.png.*20000x20000 pixels.*max_pixels=400000000"):
        read_image(path)
    with pytest.raises(ImageError, match=r"bomb\.png.*20000x20000"):
        read_labels(path)
    assert read_image_size(path) == (20_000, 20_000)
    small = save(tmp_path, RGB)
    with pytest.raises(ImageError, match="more than the 19 allowed"):
        read_image(small, max_pixels=19)
    with pytest.raises(ImageError, match="max_image_pixels"):
        DatasetMapper(is_train=False, max_image_pixels=19)({"file_name": str(small)})
    assert read_image(small, max_pixels=20).shape == (3, 5, 4)
    assert read_image(small, max_pixels=10**12).shape == (3, 5, 4)  # beyond Pillow's own limit


MEMORY = """
import resource, sys
from lazycfg.data import read_image

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = peak()
image = read_image(sys.argv[1])
print(tuple(image.shape), (peak() - before) / 1024)
"""


def test_a_large_turned_image_takes_seven_bytes_for_a_pixel(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (2**13, 2**12)).save(tmp_path / "x.jpg", exif=exif)
    output = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path / "x.jpg"], capture_output=True, text=True, check=True
    ).stdout
    shape, _, mib = output.strip().rpartition(" ")
    assert shape == "(3, 8192, 4096)"
    assert float(mib) < 300  # 4 bytes for each pixel in Pillow, 3 in the result: 224


@pytest.mark.parametrize("name", ["x.gif", "x.tiff", "x.webp", "x.png"])
def test_of_several_frames_the_first_is_taken(tmp_path, name):
    frames = [Image.new("RGB", (6, 5), color) for color in ("red", "lime", "blue")]
    options = {"lossless": True} if name == "x.webp" else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    image = read_image(tmp_path / name, "RGB")
    assert image.shape == (3, 5, 6)
    assert image[:, 2, 2].tolist() == [255, 0, 0]


def test_images_in_memory_are_checked():
    for wrong in (
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 4), np.uint8),
        [1, 2],
        None,
    ):
        with pytest.raises(ImageError, match="must be RGB uint8"):
            image_to_tensor(wrong)
    with pytest.raises(ImageError, match=r"0x4 \(width x height\) has no pixels"):
        image_to_tensor(np.zeros((4, 0, 3), np.uint8))


def test_sizes_are_those_of_arrays_and_tensors():
    for image in (np.zeros((7, 5, 3)), np.zeros((7, 5)), torch.zeros(3, 7, 5)):
        record = {}
        check_image_size(record, image)
        assert record == {"height": 7, "width": 5}
    with pytest.raises(ImageError, match="is 5x7"):
        check_image_size({"height": 7, "width": 3}, np.zeros((7, 5, 3)))


@pytest.mark.parametrize("size", [(3, 4000), (4000, 5), (1, 1), (1, 3000)])
def test_strips_keep_a_pixel(size):
    mapper = DatasetMapper(
        is_train=False, augmentations=[T.ResizeShortestEdge(short_edge_length=80, max_size=133)]
    )
    image = mapper({"image": np.zeros((*size, 3), np.uint8)})["image"]
    assert min(image.shape) >= 1
    assert max(image.shape) == 133 or size == (1, 1)


def test_images_are_drawn_on_as_the_mapper_reads_them(tmp_path):
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    record = {"file_name": str(save(tmp_path, values, "x.tiff"))}
    mapper = DatasetMapper(is_train=False, image_format="BGR", value_range=(0, 1))
    assert load_rgb(record, mapper).unique().numel() == 64
    with pytest.raises(ImageError, match="value_range"):
        load_rgb(record)
    first = load_rgb({"image": RGB}, lambda record: record)
    assert torch.equal(first, torch.from_numpy(RGB).permute(2, 0, 1))
