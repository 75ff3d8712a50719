"""The colour augmentation of SSD, and its conversion of colours."""

import colorsys

import numpy as np
import pytest
import torch

from lazycfg.data.transforms import AugInput, AugmentationList
from lazycfg.projects.point_rend import ColorAugSSDTransform
from lazycfg.projects.point_rend.color_augmentation import SSDColors, bgr_to_hsv, hsv_to_bgr

# as OpenCV 5.0 gives them: BGR, HSV of it, and BGR of that
OPENCV = [
    ([10, 200, 30], [57, 242, 200], [10, 200, 29]),
    ([255, 0, 0], [120, 255, 255], [255, 0, 0]),
    ([0, 255, 0], [60, 255, 255], [0, 255, 0]),
    ([0, 0, 255], [0, 255, 255], [0, 0, 255]),
    ([7, 7, 7], [0, 0, 7], [7, 7, 7]),
    ([0, 0, 0], [0, 0, 0], [0, 0, 0]),
    ([255, 255, 254], [90, 1, 255], [255, 255, 254]),
    ([131, 57, 208], [165, 185, 208], [133, 57, 208]),
    ([90, 91, 89], [75, 6, 91], [90, 91, 89]),
    ([12, 250, 251], [30, 243, 251], [12, 251, 251]),
]


def pixels(rows: list[list[int]]) -> torch.Tensor:
    """(N, 3) -> (3, 1, N) uint8."""
    return torch.tensor(rows, dtype=torch.uint8).T.unsqueeze(1)


def test_colours_are_converted_as_by_opencv() -> None:
    bgr, hsv, back = (pixels([row[i] for row in OPENCV]) for i in range(3))
    assert torch.equal(bgr_to_hsv(bgr), hsv)
    assert (hsv_to_bgr(hsv).int() - back.int()).abs().max() <= 1


def test_conversion_there_and_back() -> None:
    image = torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    hsv = bgr_to_hsv(image)
    assert hsv[0].max() < 180
    # a step of hue is 2 degrees: a channel is off by a thirtieth of the spread
    assert (hsv_to_bgr(hsv).int() - image.int()).abs().max() <= 6
    b, g, r = image[:, 0, 0].tolist()
    h, s, v = colorsys.rgb_to_hsv(r / 255, g / 255, b / 255)
    assert hsv[:, 0, 0].tolist() == pytest.approx([h * 180, s * 255, v * 255], abs=1)


def test_each_change_alone() -> None:
    image = torch.randint(0, 256, (3, 8, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    assert SSDColors(img_format="BGR").transform_image(image) is image
    bright = SSDColors(img_format="BGR", brightness=-20.5).transform_image(image)
    assert torch.equal(bright, (image.float() - 20.5).clamp(0).to(torch.uint8))
    contrast = SSDColors(img_format="BGR", contrast=1.4).transform_image(image)
    assert torch.equal(contrast, (image.float() * 1.4).clamp(max=255).to(torch.uint8))
    grey = SSDColors(img_format="BGR", saturation=0.0).transform_image(image)
    assert torch.equal(grey, image.amax(dim=0).expand(3, -1, -1))
    turned = SSDColors(img_format="BGR", hue=60).transform_image(image)
    # by 120 degrees: blue becomes red, green blue, red green
    assert (turned.int() - image[[1, 2, 0]].int()).abs().max() <= 6
    back = SSDColors(img_format="BGR", hue=-60).transform_image(turned)
    assert (back.int() - image.int()).abs().max() <= 12


def test_the_order_of_channels_makes_no_difference() -> None:
    image = torch.randint(0, 256, (3, 8, 9), dtype=torch.uint8)
    values = {"brightness": 7.0, "contrast": 0.8, "saturation": 1.3, "hue": 11, "contrast_first": False}
    bgr = SSDColors(img_format="BGR", **values).transform_image(image)
    rgb = SSDColors(img_format="RGB", **values).transform_image(image.flip(0))
    assert torch.equal(bgr, rgb.flip(0))


def test_what_is_drawn() -> None:
    augmentation = ColorAugSSDTransform(img_format="BGR")
    drawn = [
        augmentation.get_transform(AugInput(np.zeros((2, 2, 3), np.uint8)), np.random.default_rng(i))
        for i in range(400)
    ]
    for name, nothing, low, high in [
        ("brightness", 0, -32, 32),
        ("contrast", 1, 0.5, 1.5),
        ("saturation", 1, 0.5, 1.5),
        ("hue", 0, -18, 18),
    ]:
        values = np.array([getattr(x, name) for x in drawn])
        changed = values[values != nothing]
        assert 0.4 < len(changed) / 400 < 0.6
        assert low <= changed.min() < low + 0.1 * (high - low)
        assert high >= changed.max() > high - 0.1 * (high - low)
    assert 0.4 < np.mean([x.contrast_first for x in drawn]) < 0.6


def test_it_is_one_of_a_list_and_leaves_labels_alone() -> None:
    labels = np.arange(12).reshape(3, 4)
    aug_input = AugInput(torch.randint(0, 256, (3, 3, 4), dtype=torch.uint8), sem_seg=labels.copy())
    before = aug_input.image.clone()
    AugmentationList([ColorAugSSDTransform("RGB", brightness_delta=99)])(aug_input, np.random.default_rng(1))
    assert not torch.equal(aug_input.image, before)
    assert (aug_input.sem_seg == labels).all()


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(ValueError, match='must be "BGR" or "RGB"'):
        ColorAugSSDTransform(img_format="L")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="contrast_low <= contrast_high"):
        ColorAugSSDTransform(img_format="BGR", contrast_low=2)
    with pytest.raises(TypeError, match="uint8 images of 3 channels"):
        SSDColors(img_format="BGR").transform_image(torch.zeros(3, 4, 4))
