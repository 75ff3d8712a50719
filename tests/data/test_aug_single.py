"""Augmentations of one image: pixels and coordinates agree; the generator decides all that is random."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg.data import DatasetMapper, ShapesDataset, build_detection_train_loader
from lazycfg.data import transforms as T
from lazycfg.data.transforms.pixels import hsv_to_rgb, rgb_to_hsv
from lazycfg.data.transforms.rand_augment import OPERATIONS
from lazycfg.structures import BoxMode, polygons_to_bitmask

SEEDS = st.integers(0, 2**31)
MOVING = [
    T.RandomAffine(degrees=40, scale=(0.6, 1.6), shear=15, fill=0),
    T.RandomAffine(degrees=(-180, 180), scale=(0.8, 1.2), size=(90, 110), fill=0),
    T.RandomIoUCrop(),
    T.RandomZoomOut(side_range=(1, 2), pad_value=0, prob=1.0),
    *(T.RandAugment(num_ops=1, operations=[name], magnitude=15, fill=0) for name in OPERATIONS[:5]),
]
STILL = [
    T.RandomHSV(hue=0.5, saturation=1, value=0.9),
    T.PhotometricDistortion(prob=1.0, swap_prob=1.0),
    T.RandomBlur(prob=1.0),
    T.RandomNoise(std=(0.02, 0.1), prob=1.0),
    T.RandomJPEG(prob=1.0),
    T.RandomErasing(prob=1.0, max_count=3),
    *(T.RandAugment(operations=[name], magnitude=15) for name in OPERATIONS[5:]),
]


def star(cx, cy, radius):
    angles = np.arange(10) * math.pi / 5 + 0.2
    radii = np.where(np.arange(10) % 2, 0.5, 1.0) * radius
    return np.stack((cx + radii * np.cos(angles), cy + radii * np.sin(angles)), axis=1)


def boxes_around(points):
    return np.concatenate((points - 6, points + 6), axis=1)


def spots(points, size):
    """An image that is white within 2.5 pixels of points."""
    ys, xs = np.mgrid[: size[0], : size[1]] + 0.5
    near = sum(np.hypot(xs - x, ys - y) < 2.5 for x, y in points) > 0
    return torch.from_numpy(np.repeat(near[None] * np.uint8(255), 3, axis=0))


@pytest.mark.parametrize("augmentation", MOVING, ids=repr)
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_points_boxes_and_polygons_move_as_the_pixels_do(augmentation, seed):
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(60, 100)), int(rng.integers(60, 100)))
    points = rng.uniform(12, np.array(size[::-1]) - 12, (4, 2))
    aug_input = T.AugInput(spots(points, size), boxes=boxes_around(points))
    transform = augmentation(aug_input, rng)
    image = aug_input.image
    h, w = image.shape[-2:]
    for x, y in transform.apply_coords(points.copy()):
        if 1 <= x < w - 1 and 1 <= y < h - 1:
            assert image[0, int(y), int(x)] > 100
    outline = star(size[1] / 2, size[0] / 2, min(size) / 3)
    mask = polygons_to_bitmask([outline.reshape(-1)], *size)
    moved = transform.apply_segmentation(mask.astype(np.uint8)) == 1
    (polygon,) = transform.apply_polygons([outline])
    drawn = polygons_to_bitmask([polygon.reshape(-1)], h, w) if len(polygon) else np.zeros((h, w), bool)
    union = (moved | drawn).sum()
    assert (moved & drawn).sum() >= 0.9 * union or union < 60
    if len(polygon):
        assert polygon.min() >= 0
        assert (polygon <= [w, h]).all()


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, angle=st.floats(-180, 180), turn=st.floats(-90, 90), scale=st.floats(0.5, 2))
def test_rotated_boxes_move_as_their_corners_do(seed, angle, turn, scale):
    from lazycfg.data.transforms.affine import affine_matrix

    rng = np.random.default_rng(seed)
    shift = tuple(rng.uniform(-20, 20, 2))
    matrix = affine_matrix((60, 80), (70, 90), angle=turn, scale=scale, shift=shift)
    transform = T.AffineTransform(matrix, 60, 80, 70, 90)
    box = np.array([[*rng.uniform(10, 50, 2), *rng.uniform(4, 30, 2), angle]])
    expected = transform.apply_coords(corners(box[0]))
    np.testing.assert_allclose(corners(transform.apply_rotated_box(box)[0]), expected, atol=1e-6)


def corners(box):
    x, y, w, h, angle = box
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.array(
        [
            [x + u * w / 2 * c + v * h / 2 * s, y - u * w / 2 * s + v * h / 2 * c]
            for u in (-1, 1)
            for v in (-1, 1)
        ]
    )


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_an_affine_map_has_an_inverse(seed):
    rng = np.random.default_rng(seed)
    image = torch.zeros(3, 50, 70, dtype=torch.uint8)
    augmentation = T.RandomAffine(degrees=90, shear=20, size=(40, 60))
    transform = augmentation.get_transform(T.AugInput(image), rng)
    points = rng.uniform(0, 50, (5, 2))
    np.testing.assert_allclose(transform.inverse().apply_coords(transform.apply_coords(points)), points)
    assert transform.inverse().transform_image(transform.transform_image(image)).shape == image.shape


@pytest.mark.parametrize("augmentation", STILL, ids=repr)
def test_what_changes_pixels_moves_nothing(augmentation):
    rng = np.random.default_rng(3)
    image = torch.from_numpy(rng.integers(20, 200, (3, 40, 50), dtype=np.uint8))
    labels = torch.from_numpy(rng.integers(0, 5, (40, 50)))
    before = image.clone()
    aug_input = T.AugInput(image, boxes=np.array([[1.0, 2, 30, 40]]), sem_seg=labels)
    transform = augmentation(aug_input, rng)
    assert torch.equal(image, before)
    assert aug_input.image.dtype == torch.uint8
    assert aug_input.image.shape == image.shape
    assert torch.equal(aug_input.sem_seg, labels)
    points = np.array([[3.0, 4.0]])
    assert (transform.apply_coords(points) == points).all()
    assert "identity" in repr(augmentation) or not torch.equal(aug_input.image, image)
    assert torch.equal(transform.apply_image(image), transform.apply_image(image))


@pytest.mark.parametrize("augmentation", MOVING + STILL, ids=repr)
def test_the_generator_alone_decides(augmentation):
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 40, 50), dtype=np.uint8))
    boxes = np.array([[5.0, 5, 20, 20], [20, 10, 45, 38]])

    def result(seed, global_seed):
        np.random.seed(global_seed)
        torch.manual_seed(global_seed)
        state = np.random.get_state()[1].copy(), torch.get_rng_state()
        given = T.AugInput(image, boxes=boxes)
        augmentation(given, np.random.default_rng(seed))
        assert (np.random.get_state()[1] == state[0]).all()
        assert torch.equal(torch.get_rng_state(), state[1])
        return given

    first, second = result(7, 1), result(7, 2)
    assert torch.equal(first.image, second.image)
    assert (first.boxes == second.boxes).all()


def test_hue_saturation_and_value_are_those_of_the_standard_library():
    import colorsys

    rgb = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    rgb[:, 0, 0], rgb[:, 0, 1] = 0.5, 0.0
    hsv = rgb_to_hsv(rgb)
    for y in range(8):
        for x in range(8):
            expected = colorsys.rgb_to_hsv(*rgb[:, y, x].tolist())
            np.testing.assert_allclose(hsv[:, y, x], expected, atol=1e-6)
    torch.testing.assert_close(hsv_to_rgb(hsv), rgb)


def test_colors_follow_the_channel_order_of_the_mapper():
    augmentations = [T.RandomHSV(hue=0.3), T.PhotometricDistortion(swap_prob=0), T.RandomJPEG(prob=1)]
    augmentations += [T.RandAugment(operations=["color", "contrast"])]
    record = ShapesDataset(num_images=1, image_size=64)[0]
    images = [
        DatasetMapper(is_train=True, augmentations=augmentations, image_format=order)(
            record, rng=np.random.default_rng(5)
        )["image"]
        for order in ("RGB", "BGR")
    ]
    assert (images[0].int() - images[1].flip(0).int()).abs().max() <= 1  # sums in another order


def test_erased_rectangles_have_their_value_and_keep_the_rest():
    image = torch.full((3, 20, 30), 7, dtype=torch.uint8)
    result = T.EraseTransform(((2, 3, 10, 8), (25, 0, 30, 20)), 50.0).apply_image(image)
    assert (result[:, 3:8, 2:10] == 50).all()
    assert (result[:, :, 25:] == 50).all()
    assert int((result == 7).sum()) == 3 * (600 - 40 - 100)
    noisy = T.EraseTransform(((0, 0, 30, 20),), None, 3).apply_image(image)
    assert 100 < noisy.float().mean() < 155


def test_noise_has_its_strength_and_blur_keeps_the_mean():
    image = torch.full((3, 100, 100), 128, dtype=torch.uint8)
    assert abs(T.NoiseTransform(0.05, 1).apply_image(image).float().std() - 0.05 * 255) < 0.3
    rough = T.NoiseTransform(0.2, 1).apply_image(image)
    smooth = T.BlurTransform(2.0).apply_image(rough)
    assert abs(smooth.float().mean() - rough.float().mean()) < 1
    assert smooth.float().std() < 0.3 * rough.float().std()
    assert torch.equal(T.BlurTransform(2.0).apply_image(image[:, :1, :1]), image[:, :1, :1])


def test_jpeg_of_low_quality_is_further_from_the_image():
    image = ShapesDataset(num_images=1, image_size=64)[0]["image"]
    low, high = (np.abs(T.JPEGTransform(q).apply_image(image).astype(int) - image).mean() for q in (10, 95))
    assert high < low < 30
    with pytest.raises(ValueError, match="JPEG holds uint8 images of 1 or 3 channels"):
        T.JPEGTransform(50).apply_image(torch.zeros(5, 8, 8, dtype=torch.uint8))


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS)
def test_iou_crops_keep_objects_by_their_middle(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(10, 90, (5, 2))
    boxes = boxes_around(points)
    given_input = T.AugInput(torch.zeros(3, 100, 100, dtype=torch.uint8), boxes=boxes)
    transform = T.RandomIoUCrop()(given_input, rng)
    moved = transform.apply_coords(points.copy())
    inside = ((moved > 0) & (moved < np.array(given_input.image_size[::-1]))).all(axis=1)
    assert inside.any()
    kept = (given_input.boxes[:, 2:] > given_input.boxes[:, :2]).all(axis=1)
    assert (kept == inside).all()
    rotated = transform.apply_rotated_box(np.column_stack((points, np.full((5, 2), 12), np.zeros(5))))
    assert ((rotated[:, 2] > 0) == inside).all()


def test_what_a_crop_drops_stays_dropped_when_boxes_are_made_of_masks():
    class Crop(T.Augmentation):
        def get_transform(self, image):
            return T.CropByCenterTransform(0, 0, 30, 40, 60, 40)

    outline = [28.0, 5, 50, 5, 50, 20, 28, 20]
    near = [5.0, 5, 20, 5, 20, 20, 5, 20]
    record = {
        "image": np.zeros((40, 60, 3), np.uint8),
        "annotations": [
            {
                "bbox": [p[0], 5, p[2], 20],
                "bbox_mode": BoxMode.XYXY_ABS,
                "category_id": c,
                "segmentation": [p],
            }
            for c, p in enumerate((outline, near))
        ],
    }
    for recompute in (False, True):
        mapper = DatasetMapper(
            is_train=True, augmentations=[Crop()], use_instance_mask=True, recompute_boxes=recompute
        )
        assert mapper(record)["instances"].gt_classes.tolist() == [1]


def test_padding_of_labels_is_no_part_of_masks():
    from lazycfg.structures.rle import encode_mask

    mask = np.zeros((20, 30), bool)
    mask[5:15, 5:15] = True
    record = {
        "image": np.zeros((20, 30, 3), np.uint8),
        "annotations": [
            {
                "bbox": [5, 5, 15, 15],
                "bbox_mode": BoxMode.XYXY_ABS,
                "category_id": 0,
                "segmentation": encode_mask(mask),
            }
        ],
    }
    for augmentation in (
        T.FixedSizeCrop((40, 50)),
        T.RandomAffine(translate=(0, 0), scale=(1, 1), size=(40, 50)),
        T.RandomZoomOut(prob=1),
    ):
        mapper = DatasetMapper(
            is_train=True,
            augmentations=[augmentation],
            use_instance_mask=True,
            instance_mask_format="bitmask",
        )
        masks = mapper(record, rng=np.random.default_rng(0))["instances"].gt_masks
        assert int(masks.tensor.sum()) == 100


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: T.RandomHSV(hue=0.7), "RandomHSV: hue must be a number from 0 to 0.5, got 0.7"),
        (lambda: T.PhotometricDistortion(contrast=(1.5, 0.5)), r"contrast must be \(lowest, highest\)"),
        (lambda: T.RandomBlur(sigma=(0, 1)), "sigma must be"),
        (lambda: T.RandomBlur(prob=1.5), "prob must be a number from 0 to 1"),
        (lambda: T.RandomNoise(std=0.1), "std must be"),
        (lambda: T.RandomJPEG(quality=(10.5, 20)), "two whole numbers"),
        (lambda: T.RandomErasing(value="random"), 'value \\(or "noise"\\) must be'),
        (lambda: T.RandomErasing(max_count=0), "max_count must be a whole number of at least 1"),
        (lambda: T.RandomAffine(scale=(0, 1)), "scale must be"),
        (lambda: T.RandomAffine(translate=0.1), r"translate must be \(x, y\)"),
        (lambda: T.RandomAffine(shear=80), "shear must lie in -60..60"),
        (lambda: T.RandomAffine(degrees="many"), "degrees must be"),
        (lambda: T.RandomAffine(size=(0, 5)), r"size must be \(height, width\)"),
        (lambda: T.RandomIoUCrop(min_scale=0), "min_scale and max_scale must be"),
        (lambda: T.RandomIoUCrop(min_ious=()), "min_ious is empty"),
        (lambda: T.RandomZoomOut(side_range=(0.5, 2)), "side_range must be"),
        (lambda: T.RandAugment(magnitude=31), "magnitude must be a number from 0 to 30"),
        (lambda: T.RandAugment(operations=["sher_x"]), "no operation 'sher_x'.*shear_x"),
        (lambda: T.AffineTransform(((-1, 0, 0), (0, 1, 0)), 4, 4, 4, 4), "mirror with HFlipTransform"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("augmentation", STILL[:2], ids=repr)
def test_colors_need_three_channels(augmentation):
    with pytest.raises(ValueError, match="3 channels"):
        augmentation(T.AugInput(torch.zeros(4, 8, 8, dtype=torch.uint8)), np.random.default_rng(0))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_resumed_batches_are_the_same_to_the_bit(num_workers):
    augmentations = [
        T.RandomIoUCrop(),
        T.RandAugment(),
        T.RandomNoise(prob=1),
        T.RandomErasing(),
        T.Resize(48),
    ]

    def loader(workers):
        return build_detection_train_loader(
            dataset=ShapesDataset(num_images=20, image_size=48, keypoints=True),
            mapper=DatasetMapper(is_train=True, augmentations=augmentations, use_instance_mask=True),
            total_batch_size=2,
            num_workers=workers,
        )

    whole = [batch for batch, _ in zip(loader(0), range(5), strict=False)]
    resumed = loader(num_workers)
    resumed.set_start(3)
    for expected, batch in zip(whole[3:], resumed, strict=False):
        for a, b in zip(expected, batch, strict=True):
            assert torch.equal(a["image"], b["image"])
            assert torch.equal(a["instances"].gt_boxes.tensor, b["instances"].gt_boxes.tensor)
