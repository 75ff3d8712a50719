"""Augmentations of torchvision.transforms.v2 and albumentations among the others."""

import sys

import numpy as np
import pytest
import torch
from test_aug_single import boxes_around, spots, star
from torchvision.transforms import v2

from lazycfg.data import DatasetMapper, ShapesDataset, create_keypoint_hflip_indices
from lazycfg.data import transforms as T
from lazycfg.structures import polygons_to_bitmask

SHAPES = ShapesDataset(num_images=4, image_size=(64, 80), keypoints=True)
FLIPS = create_keypoint_hflip_indices(SHAPES.metadata)
TORCHVISION = {
    "flip": v2.RandomHorizontalFlip(1.0),
    "affine": v2.RandomAffine(degrees=40, translate=(0.1, 0.1), scale=(0.7, 1.3), shear=10),
    "rotation": v2.RandomRotation(60, expand=True),
    "crop": v2.RandomResizedCrop((70, 90)),
    "perspective": v2.RandomPerspective(0.4, p=1.0),
    "several": v2.Compose([v2.RandomHorizontalFlip(), v2.RandomChoice([v2.Resize(50), v2.RandomCrop(50)])]),
    "colors": v2.ColorJitter(0.5, 0.5, 0.5, 0.2),
}


def agrees(augmentation, seed, tolerance=0.0):
    """Points, polygons and labels move as the pixels do."""
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(60, 100)), int(rng.integers(60, 100)))
    points = rng.uniform(12, np.array(size[::-1]) - 12, (4, 2))
    aug_input = T.AugInput(spots(points, size), boxes=boxes_around(points))
    transform = augmentation(aug_input, rng)
    h, w = aug_input.image_size
    for x, y in transform.apply_coords(points.copy()):
        if 1 <= x < w - 1 and 1 <= y < h - 1:
            assert aug_input.image[0, int(y), int(x)] > 90
    outline = star(size[1] / 2, size[0] / 2, min(size) / 3)
    mask = polygons_to_bitmask([outline.reshape(-1)], *size)
    moved = transform.apply_segmentation(mask.astype(np.uint8)) == 1
    (polygon,) = T.TransformList([transform, T.CropTransform(0, 0, w, h)]).apply_polygons([outline])
    drawn = polygons_to_bitmask([polygon.reshape(-1)], h, w) if len(polygon) else np.zeros((h, w), bool)
    union = (moved | drawn).sum()
    assert (moved & drawn).sum() >= (0.9 - tolerance) * union or union < 60


def global_state():
    return np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_moves_everything_alike(name):
    before = global_state()
    for seed in range(15):
        # Where it resizes, torchvision's masks are off by half a pixel (its "nearest" rounds down)
        agrees(T.TorchvisionAugmentation(TORCHVISION[name]), seed, tolerance=0.12)
    assert global_state() == before


@pytest.mark.parametrize("name", TORCHVISION)
def test_samples_depend_on_their_generator(name):
    mapper = DatasetMapper(
        is_train=True,
        augmentations=[T.RandomFlip(), T.TorchvisionAugmentation(TORCHVISION[name]), T.RandomHSV()],
        use_instance_mask=True,
        use_keypoint=True,
        keypoint_hflip_indices=FLIPS,
    )
    torch.manual_seed(0)
    first = mapper(SHAPES[1], rng=np.random.default_rng(3))
    torch.manual_seed(1)
    second = mapper(SHAPES[1], rng=np.random.default_rng(3))
    assert torch.equal(first["image"], second["image"])
    for field in ("gt_boxes", "gt_keypoints"):
        assert torch.equal(*(x["instances"].get(field).tensor for x in (first, second)))


def test_mirrored_keypoints_swap():
    plain, adapted = (
        DatasetMapper(is_train=True, augmentations=[flip], use_keypoint=True, keypoint_hflip_indices=FLIPS)(
            SHAPES[0], rng=np.random.default_rng(0)
        )
        for flip in (T.RandomFlip(1.0), T.TorchvisionAugmentation(v2.RandomHorizontalFlip(1.0)))
    )
    assert torch.equal(plain["image"], adapted["image"])
    for field in ("gt_boxes", "gt_keypoints"):
        assert torch.allclose(*(x["instances"].get(field).tensor for x in (plain, adapted)), atol=1e-4)


def test_colors_are_those_of_an_rgb_image():
    augmentation = T.TorchvisionAugmentation(v2.ColorJitter(hue=0.3))
    images = [
        DatasetMapper(is_train=True, augmentations=[augmentation], image_format=order)(
            SHAPES[0], rng=np.random.default_rng(0)
        )["image"]
        for order in ("RGB", "BGR")
    ]
    assert torch.equal(images[0], images[1].flip(0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: T.TorchvisionAugmentation("flip"), "expected a transform of torchvision, got 'flip'"),
        (lambda: T.TorchvisionAugmentation(v2.Compose([v2.RandomIoUCrop()])), "RandomIoUCrop looks at boxes"),
        (
            lambda: T.TorchvisionAugmentation(v2.ToDtype(torch.float32, scale=True))(
                T.AugInput(torch.zeros(3, 8, 8, dtype=torch.uint8)), np.random.default_rng(0)
            ),
            "leave out what changes the type",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_albumentations_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "albumentations", None)
    with pytest.raises(ImportError, match="pip install albumentations"):
        T.AlbumentationsAugmentation([])


def test_albumentations_moves_everything_alike():
    albumentations = pytest.importorskip("albumentations")
    chains = [
        albumentations.HorizontalFlip(p=1.0),
        [albumentations.Affine(rotate=(-40, 40), scale=(0.7, 1.3), p=1.0)],
        [albumentations.RandomCrop(50, 50), albumentations.RandomBrightnessContrast(p=1.0)],
        [albumentations.OneOf([albumentations.VerticalFlip(), albumentations.Transpose()], p=1.0)],
        [albumentations.Resize(50, 70)],
    ]
    before = global_state()
    for transforms in chains:
        augmentation = T.AlbumentationsAugmentation(transforms)
        for seed in range(10):
            agrees(augmentation, seed, tolerance=0.05)
        mapper = DatasetMapper(
            is_train=True,
            augmentations=[augmentation],
            use_instance_mask=True,
            use_keypoint=True,
            keypoint_hflip_indices=FLIPS,
        )
        first, second = (mapper(SHAPES[2], rng=np.random.default_rng(3)) for _ in range(2))
        assert torch.equal(first["image"], second["image"])
        assert torch.equal(*(x["instances"].gt_boxes.tensor for x in (first, second)))
    assert global_state() == before
    labels = np.full((64, 80), 300, np.int32)
    sample = DatasetMapper(is_train=True, augmentations=[T.AlbumentationsAugmentation(chains[1])])(
        {**SHAPES[0], "sem_seg": labels}, rng=np.random.default_rng(0)
    )
    assert set(sample["sem_seg"].unique().tolist()) <= {0, 300}
