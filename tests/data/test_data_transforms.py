import math
import random

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from lazycfg.data import transforms as T
from lazycfg.data.transforms.clip import clip_polygon_to_rectangle
from lazycfg.structures import polygons_to_bitmask

SIZES = st.tuples(st.integers(20, 60), st.integers(20, 60))


@st.composite
def transforms_for(draw, size, invertible=False):
    """A transform for pictures of `size` (h, w)."""
    h, w = size
    kinds = ["hflip", "vflip", "crop", "pad", "resize", "noop", "rotate"] + ([] if invertible else ["extent"])
    kind = draw(st.sampled_from(kinds))
    if kind == "hflip":
        return T.HFlipTransform(w)
    if kind == "vflip":
        return T.VFlipTransform(h)
    if kind == "crop":
        ch, cw = draw(st.integers(5, h)), draw(st.integers(5, w))
        return T.CropTransform(draw(st.integers(0, w - cw)), draw(st.integers(0, h - ch)), cw, ch, w, h)
    if kind == "pad":
        return T.PadTransform(*(draw(st.integers(0, 9)) for _ in range(4)), w, h)
    if kind == "resize":
        return T.ResizeTransform(h, w, draw(st.integers(10, 90)), draw(st.integers(10, 90)))
    if kind == "rotate":
        return T.RotationTransform(h, w, draw(st.floats(-180, 180)), expand=True)
    if kind == "extent":
        x0, y0 = draw(st.floats(-9, w / 2)), draw(st.floats(-9, h / 2))
        rect = (x0, y0, x0 + draw(st.floats(8, w)), y0 + draw(st.floats(8, h)))
        return T.ExtentTransform(rect, (draw(st.integers(10, 60)), draw(st.integers(10, 60))))
    return T.NoOpTransform()


@st.composite
def chains(draw, invertible=False):
    """A picture size, and up to three transforms that fit one after another."""
    size = draw(SIZES)
    current, steps = size, []
    for _ in range(draw(st.integers(1, 3))):
        t = draw(transforms_for(current, invertible))
        steps.append(t)
        current = tuple(t.apply_segmentation(torch.zeros(current, dtype=torch.uint8)[None]).shape[-2:])
        assume(min(current) >= 12)
    return size, T.TransformList(steps)


def star(cx, cy, radius):
    angles = np.arange(10) * math.pi / 5 + 0.2
    radii = np.where(np.arange(10) % 2, 0.5, 1.0) * radius
    return np.stack((cx + radii * np.cos(angles), cy + radii * np.sin(angles)), axis=1)


@given(chains(invertible=True), st.integers(0, 2**32 - 1))
def test_inverse_brings_points_back(chain, seed):
    (h, w), transform = chain
    points = np.random.default_rng(seed).uniform(0, [w, h], (7, 2))
    back = transform.inverse().apply_coords(transform.apply_coords(points))
    # Rotation enlarges the canvas to whole pixels: its inverse is off by up to a pixel.
    slack = sum(1.0 for t in transform if isinstance(t, T.RotationTransform))
    scale = max(
        [1.0, *(max(t.h / t.new_h, t.w / t.new_w) for t in transform if isinstance(t, T.ResizeTransform))]
    )
    assert np.abs(back - points).max() <= 1e-6 + slack * 1.5 * scale**2


@given(chains(), st.integers(0, 2**32 - 1))
def test_boxes_surround_their_points(chain, seed):
    (h, w), transform = chain
    points = np.random.default_rng(seed).uniform(0, [w, h], (5, 2))
    box = np.concatenate((points.min(0), points.max(0)))[None]
    moved = transform.apply_coords(points)
    result = transform.apply_box(box)
    assert result.shape == (1, 4)
    assert (result[0, :2] <= moved.min(0) + 1e-6).all()
    assert (result[0, 2:] >= moved.max(0) - 1e-6).all()


@given(chains(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_polygons_move_with_their_pixels(chain, seed):
    (h, w), transform = chain
    rng = np.random.default_rng(seed)
    polygon = star(rng.uniform(0.3, 0.7) * w, rng.uniform(0.3, 0.7) * h, rng.uniform(0.3, 0.45) * min(h, w))
    mask = torch.from_numpy(polygons_to_bitmask([polygon.ravel()], h, w).astype(np.uint8))
    by_pixels = transform.apply_segmentation(mask[None])[0].numpy().astype(bool)
    moved = transform.apply_polygons([polygon])
    assert len(moved) == 1
    flat = [p.ravel() for p in moved if len(p) >= 3]
    by_outline = polygons_to_bitmask(flat, *by_pixels.shape) if flat else np.zeros_like(by_pixels)
    # Both are rasters of one outline: they differ along the border only, by about a (resized) pixel.
    stretch = max([1.0, *(max(t.new_h / t.h, t.new_w / t.w) for t in transform if hasattr(t, "new_h"))])
    for t in transform:
        if isinstance(t, T.ExtentTransform):
            x0, y0, x1, y1 = t.src_rect
            stretch *= max(1.0, t.output_size[0] / (y1 - y0), t.output_size[1] / (x1 - x0))
    closed = np.concatenate((polygon, polygon[:1]))
    border = np.hypot(*np.diff(transform.apply_coords(closed), axis=0).T).sum()
    assert (by_pixels != by_outline).sum() <= border * 1.5 * stretch**2 * len(transform) + 8


@pytest.mark.parametrize(
    "transform",
    [
        T.HFlipTransform(31),
        T.VFlipTransform(20),
        T.CropTransform(3, 2, 20, 15),
        T.PadTransform(2, 3, 4, 5, pad_value=7),
        T.ResizeTransform(20, 31, 40, 62),
        T.RotationTransform(20, 31, 90),
        T.ExtentTransform((2.0, 3.0, 22.0, 18.0), (15, 20)),
    ],
)
def test_numpy_and_tensor_pictures_give_the_same(transform):
    picture = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    from_array = transform.apply_image(picture)
    from_tensor = transform.apply_image(torch.from_numpy(picture).permute(2, 0, 1))
    assert from_array.dtype == np.uint8
    np.testing.assert_array_equal(from_array, from_tensor.permute(1, 2, 0).numpy())
    grey = transform.apply_image(picture[..., 0])
    np.testing.assert_array_equal(grey, from_array[..., 0])


def test_rotation_by_a_quarter_is_exact_and_counter_clockwise():
    picture = torch.arange(6, dtype=torch.uint8).reshape(1, 2, 3)
    rotation = T.RotationTransform(2, 3, 90)
    assert torch.equal(rotation.apply_image(picture), torch.rot90(picture, 1, (1, 2)))
    np.testing.assert_allclose(rotation.apply_coords(np.array([[3.0, 0.0]])), [[0, 0]], atol=1e-9)


def test_rotation_around_a_center_keeps_it_in_place():
    rotation = T.RotationTransform(40, 60, 33.0, expand=False, center=(10.0, 12.0))
    np.testing.assert_allclose(rotation.apply_coords(np.array([[10.0, 12.0]])), [[10, 12]])
    assert rotation.apply_image(torch.zeros(3, 40, 60)).shape == (3, 40, 60)
    with pytest.raises(TypeError, match="no inverse"):
        rotation.inverse()


@pytest.mark.parametrize("shape", [(480, 640, 800, 1067), (640, 427, 300, 200), (100, 130, 800, 1040)])
def test_resize_gives_the_pixels_of_pil(shape):
    h, w, new_h, new_w = shape
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (h // 8, w // 8, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize((w, h), Image.Resampling.BICUBIC)).copy()
    picture[: h // 2] = rng.integers(0, 256, (h // 2, w, 3), dtype=np.uint8)
    ours = T.ResizeTransform(h, w, new_h, new_w).apply_image(picture).astype(int)
    theirs = np.asarray(Image.fromarray(picture).resize((new_w, new_h), Image.Resampling.BILINEAR)).astype(
        int
    )
    difference = np.abs(ours - theirs)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def test_resizing_labels_invents_none():
    labels = torch.tensor([[0, 255], [1000000007, 3]])
    resized = T.ResizeTransform(2, 2, 7, 5).apply_segmentation(labels)
    assert set(resized.unique().tolist()) == {0, 3, 255, 1000000007}
    assert resized.dtype == torch.int64
    rotated = T.RotationTransform(2, 2, 45).apply_segmentation(labels[None])
    assert set(rotated.unique().tolist()) <= {0, 3, 255, 1000000007}


def test_resize_refuses_a_picture_of_another_size():
    with pytest.raises(ValueError, match=r"\(4, 5\).*\(5, 4\)"):
        T.ResizeTransform(4, 5, 8, 10).apply_image(torch.zeros(3, 5, 4))


@given(st.integers(0, 2**32 - 1))
def test_clipping_a_polygon_keeps_its_raster_inside(seed):
    rng = np.random.default_rng(seed)
    polygon = star(rng.uniform(-5, 45), rng.uniform(-5, 35), rng.uniform(8, 30))
    cut = clip_polygon_to_rectangle(polygon, 40, 30)
    shifted = polygons_to_bitmask([(polygon + 40).ravel()], 120, 130)[40:70, 40:80]
    inside = polygons_to_bitmask([cut.ravel()], 30, 40) if len(cut) else np.zeros((30, 40), dtype=bool)
    if len(cut):
        assert cut.min() >= 0
        assert cut[:, 0].max() <= 40
        assert cut[:, 1].max() <= 30
    # Corner points created by the cut may move an edge's rounding by a pixel here and there.
    assert (shifted != inside).sum() <= 0.03 * 1200


def test_crop_leaves_an_empty_polygon_in_place_of_one_outside():
    inside, outside = star(10, 10, 5), star(50, 50, 5)
    cut = T.CropTransform(0, 0, 20, 20).apply_polygons([outside, inside])
    assert [len(p) for p in cut] == [0, 10]


@pytest.mark.parametrize(
    ("size", "short", "longest", "expected"),
    [
        ((480, 640), 800, 1333, (800, 1067)),
        ((640, 480), 800, 1333, (1067, 800)),
        ((400, 1000), 800, 1333, (533, 1333)),
        ((500, 500), 800, 1333, (800, 800)),
        ((427, 640), 640, 640, (427, 640)),
    ],
)
def test_resize_shortest_edge_shapes(size, short, longest, expected):
    assert T.ResizeShortestEdge.get_output_shape(*size, short, longest) == expected


AUGMENTATIONS = [
    T.RandomFlip(),
    T.RandomFlip(horizontal=False, vertical=True),
    T.Resize(shape=(30, 40)),
    T.RandomResize(shape_list=[(30, 40), (50, 20)]),
    T.ResizeShortestEdge(short_edge_length=[30, 50], max_size=90),
    T.ResizeShortestEdge(short_edge_length=[30, 40, 50], sample_style="choice"),
    T.ResizeScale(min_scale=0.1, max_scale=2.0, target_height=64, target_width=64),
    T.FixedSizeCrop(crop_size=(40, 80)),
    T.RandomCrop(crop_type="relative", crop_size=(0.5, 0.6)),
    T.RandomCrop(crop_type="relative_range", crop_size=(0.5, 0.6)),
    T.RandomCrop(crop_type="absolute", crop_size=(30, 200)),
    T.RandomCrop(crop_type="absolute_range", crop_size=(20, 40)),
    T.RandomCrop_CategoryAreaConstraint(
        crop_type="relative", crop_size=(0.5, 0.5), single_category_max_area=0.8
    ),
    T.MinIoURandomCrop(),
    T.RandomRotation(angle=[-30, 30]),
    T.RandomRotation(
        angle=[10, 90, 200], sample_style="choice", expand=False, center=[[0.4, 0.4], [0.6, 0.6]]
    ),
    T.RandomExtent(scale_range=(0.6, 1.4), shift_range=(0.2, 0.2)),
    T.RandomContrast(intensity_min=0.5, intensity_max=1.5),
    T.RandomBrightness(intensity_min=0.5, intensity_max=1.5),
    T.RandomSaturation(intensity_min=0.5, intensity_max=1.5),
    T.RandomLighting(scale=20.0),
    T.RandomApply(tfm_or_aug=T.RandomFlip(prob=1.0)),
]


def make_input(seed=0, h=60, w=70):
    rng = np.random.default_rng(seed)
    return T.AugInput(
        torch.from_numpy(rng.integers(0, 256, (3, h, w), dtype=np.uint8)),
        boxes=np.array([[5.0, 6, 30, 40], [20, 10, 60, 50]]),
        sem_seg=torch.from_numpy(rng.integers(0, 4, (h, w))),
    )


@pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=lambda a: type(a).__name__)
def test_augmentations_draw_from_the_given_generator_only(augmentation):
    states = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()
    results = []
    for seed in (0, 0, *range(1, 30)):
        aug_input = make_input()
        transform = augmentation(aug_input, np.random.default_rng(seed))
        assert isinstance(transform, T.Transform)
        assert aug_input.boxes.shape == (2, 4)
        assert aug_input.image.dtype == torch.uint8
        assert aug_input.image.shape[-2:] == aug_input.sem_seg.shape
        replayed = make_input()
        replayed.transform(transform)
        assert torch.equal(replayed.image, aug_input.image)
        results.append(aug_input.image)
    assert torch.equal(results[0], results[1])
    if not isinstance(augmentation, T.Resize):
        assert any(r.shape != results[0].shape or not torch.equal(r, results[0]) for r in results)
    assert (np.random.get_state()[1] == states[0]).all()
    assert torch.equal(torch.get_rng_state(), states[1])
    assert random.getstate() == states[2]


@given(st.integers(0, 10**6), SIZES)
def test_sizes_after_crops(seed, size):
    h, w = size
    rng = np.random.default_rng(seed)
    image = torch.zeros(3, h, w, dtype=torch.uint8)

    def shape_after(augmentation):
        aug_input = T.AugInput(image)
        augmentation(aug_input, rng)
        return tuple(aug_input.image.shape[-2:])

    assert shape_after(T.FixedSizeCrop(crop_size=(33, 41))) == (33, 41)
    assert shape_after(T.FixedSizeCrop(crop_size=(33, 41), pad=False)) == (min(33, h), min(41, w))
    assert shape_after(T.RandomCrop(crop_type="absolute", crop_size=(25, 99))) == (min(25, h), w)
    relative = shape_after(T.RandomCrop(crop_type="relative", crop_size=(0.5, 0.25)))
    assert relative == (int(h * 0.5 + 0.5), int(w * 0.25 + 0.5))
    low, high = shape_after(T.RandomCrop(crop_type="relative_range", crop_size=(0.5, 0.5)))
    assert 0.5 * h - 1 <= low <= h
    assert 0.5 * w - 1 <= high <= w
    rh, rw = shape_after(T.RandomCrop(crop_type="absolute_range", crop_size=(10, 30)))
    assert 10 <= rh <= min(30, h)
    assert 10 <= rw <= min(30, w)


def test_fixed_size_crop_pads_right_and_bottom():
    aug_input = T.AugInput(torch.zeros(3, 10, 20, dtype=torch.uint8), sem_seg=torch.zeros(10, 20).long())
    transform = T.FixedSizeCrop(crop_size=(16, 24), pad_value=128.0)(aug_input, np.random.default_rng(0))
    assert (aug_input.image[:, :10, :20] == 0).all()
    assert (aug_input.image[:, 10:] == 128).all()
    assert (aug_input.image[:, :, 20:] == 128).all()
    assert (aug_input.sem_seg[10:] == 255).all()
    np.testing.assert_allclose(transform.apply_box(np.array([[1, 2, 3, 4]])), [[1, 2, 3, 4]])


def test_augmentations_see_the_result_of_those_before():
    augmentations = T.AugmentationList(
        [T.Resize(shape=(40, 80)), T.RandomFlip(prob=1.0), T.HFlipTransform(80), T.RandomCrop(
            crop_type="relative", crop_size=(0.5, 0.5))]
    )  # fmt: skip
    aug_input = make_input()
    transforms = augmentations(aug_input, np.random.default_rng(0))
    assert [type(t).__name__ for t in transforms] == [
        "ResizeTransform",
        "HFlipTransform",
        "HFlipTransform",
        "CropTransform",
    ]
    assert transforms[1].width == 80
    assert aug_input.image.shape[-2:] == (20, 40)
    untouched = make_input()
    augmentations.get_transform(untouched, np.random.default_rng(0))
    assert untouched.image.shape[-2:] == (60, 70)


def test_category_area_constraint_avoids_a_crop_of_one_label():
    labels = torch.zeros(40, 40, dtype=torch.int64)
    labels[:, 20:] = 1
    crop = T.RandomCrop_CategoryAreaConstraint(
        crop_type="relative", crop_size=(0.5, 0.5), single_category_max_area=0.75
    )
    plain = T.RandomCrop(crop_type="relative", crop_size=(0.5, 0.5))

    def share_of_one_label(augmentation, seed):
        aug_input = T.AugInput(torch.zeros(3, 40, 40), sem_seg=labels)
        augmentation(aug_input, np.random.default_rng(seed))
        part = aug_input.sem_seg.float().mean().item()
        return max(part, 1 - part)

    constrained = [share_of_one_label(crop, s) for s in range(40)]
    unconstrained = [share_of_one_label(plain, s) for s in range(40)]
    assert sum(s < 0.75 for s in constrained) > sum(s < 0.75 for s in unconstrained) + 5


def test_min_iou_crop_keeps_a_box():
    for seed in range(20):
        aug_input = make_input()
        T.MinIoURandomCrop(min_ious=(0.3,))(aug_input, np.random.default_rng(seed))
        h, w = aug_input.image.shape[-2:]
        centers = (aug_input.boxes[:, :2] + aug_input.boxes[:, 2:]) / 2
        assert ((centers > 0) & (centers < [w, h])).all(axis=1).any()


def test_blend_clamps_and_truncates_uint8():
    image = torch.tensor([[[0, 100, 255]]], dtype=torch.uint8).expand(3, 1, 3)
    assert T.BlendTransform(0.0, 0.5, 0.999).apply_image(image)[0, 0].tolist() == [0, 99, 254]
    assert T.BlendTransform(255.0, 1.0, 1.0).apply_image(image)[0, 0].tolist() == [255, 255, 255]
    assert T.BlendTransform(0.0, 0.0, 2.0).apply_image(image.float())[0, 0].tolist() == [0, 200, 510]


def test_color_transforms_touch_colors_only():
    invert = T.ColorTransform(lambda im: 255 - im)
    pil_invert = T.PILColorTransform(lambda im: Image.fromarray(255 - np.asarray(im)))
    image, points = make_input().image, np.array([[1.0, 2.0]])
    for transform in (invert, pil_invert):
        assert torch.equal(transform.apply_image(image), 255 - image)
        assert torch.equal(transform.apply_segmentation(image), image)
        assert transform.apply_coords(points) is points
        assert isinstance(transform.inverse(), T.NoOpTransform)


def test_saturation_knows_the_channel_order():
    rgb = make_input().image
    seed = np.random.default_rng
    as_rgb = T.RandomSaturation(intensity_min=0.2, intensity_max=0.2)(T.AugInput(rgb), seed(0))
    as_bgr = T.RandomSaturation(intensity_min=0.2, intensity_max=0.2, channel_order="BGR")(
        T.AugInput(rgb.flip(0)), seed(0)
    )
    assert (as_rgb.apply_image(rgb).int() - as_bgr.apply_image(rgb.flip(0)).flip(0).int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: T.RandomFlip(horizontal=True, vertical=True), "two RandomFlip"),
        (lambda: T.ResizeShortestEdge(short_edge_length=[1, 2, 3]), "two values"),
        (lambda: T.ResizeShortestEdge(short_edge_length=[1, 2], sample_style="rang"), "rang"),
        (lambda: T.RandomCrop(crop_type="relativ", crop_size=(1, 1)), "relativ"),
        (lambda: T.RandomCrop(crop_type="relative", crop_size=(2, 1)), r"\(0, 1\]"),
        (lambda: T.RandomApply(tfm_or_aug=T.RandomFlip(), prob=2), "prob"),
        (lambda: T.RandomContrast(intensity_min=2, intensity_max=1), "intensity_min"),
        (lambda: T.Resize(shape=(1, 2), interp="blinear"), "bilinear"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_lists_hold_transforms_only():
    with pytest.raises(TypeError, match="RandomFlip"):
        T.TransformList([T.RandomFlip()])
    with pytest.raises(TypeError, match="expected an Augmentation"):
        T.AugmentationList([3])
    assert len(T.HFlipTransform(3) + T.VFlipTransform(4)) == 2
    with pytest.raises(TypeError, match="orig_w"):
        T.CropTransform(0, 0, 3, 3).inverse()
