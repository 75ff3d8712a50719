"""The forms in which augmentations and transforms of other code are taken."""

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg.data import DatasetMapper, transform_instance_annotations
from lazycfg.data import transforms as T
from lazycfg.data.transforms.geometric import resize_nearest
from lazycfg.structures import BoxMode
from lazycfg.structures.rle import encode_mask


def rng(seed=0):
    return np.random.default_rng(seed)


IMAGE = rng().integers(0, 256, (12, 16, 3), dtype=np.uint8)


def test_arguments_by_position():
    pairs = [
        (T.ResizeShortestEdge([3, 9], 40), T.ResizeShortestEdge(short_edge_length=[3, 9], max_size=40)),
        (
            T.ResizeShortestEdge([8, 9, 10], 40, "choice"),
            T.ResizeShortestEdge([8, 9, 10], max_size=40, sample_style="choice"),
        ),
        (T.RandomFlip(0.5), T.RandomFlip(prob=0.5)),
        (T.Resize((4, 5)), T.Resize(shape=(4, 5))),
        (T.RandomCrop("absolute", (4, 5)), T.RandomCrop(crop_type="absolute", crop_size=(4, 5))),
        (T.RandomBrightness(0.5, 1.5), T.RandomBrightness(intensity_min=0.5, intensity_max=1.5)),
        (T.RandomLighting(0.1), T.RandomLighting(scale=0.1)),
        (T.RandomRotation([-5, 5], False), T.RandomRotation(angle=[-5, 5], expand=False)),
        (
            T.ResizeScale(0.5, 2, 9, 9),
            T.ResizeScale(min_scale=0.5, max_scale=2, target_height=9, target_width=9),
        ),
        (T.FixedSizeCrop((4, 4), False), T.FixedSizeCrop(crop_size=(4, 4), pad=False)),
        (T.RandomExtent((0.5, 1), (0, 0)), T.RandomExtent(scale_range=(0.5, 1), shift_range=(0, 0))),
        (T.RandomApply(T.NoOpTransform(), 0.3), T.RandomApply(tfm_or_aug=T.NoOpTransform(), prob=0.3)),
    ]
    for mine, named in pairs:
        mine, named = ({k: str(v) for k, v in vars(a).items() if k != "aug"} for a in (mine, named))
        assert mine == named


def test_without_a_generator_and_without_an_input():
    aug_input = T.AugInput(IMAGE)
    T.AugmentationList([T.Resize((6, 8)), T.RandomFlip()])(aug_input)
    assert aug_input.image.shape == (6, 8, 3)
    transform = T.RandomCrop("absolute", (4, 5)).get_transform(IMAGE)
    assert (transform.h, transform.w) == (4, 5)
    assert (
        T.RandomContrast(0.5, 0.5).get_transform(torch.from_numpy(IMAGE).permute(2, 0, 1)).dst_weight == 0.5
    )


class ByImage(T.Augmentation):
    def get_transform(self, img):
        assert isinstance(img, np.ndarray)
        return T.CropTransform(0, 0, img.shape[1] // 2, img.shape[0])


class ByImageAndBoxes(T.Augmentation):
    def get_transform(self, image, boxes):
        assert boxes.shape == (1, 4)
        return T.CropTransform(0, 0, image.shape[1], int(boxes[0, 3]))


class ByInput(T.Augmentation):
    def get_transform(self, aug_input):
        return T.HFlipTransform(aug_input.image_size[1])


class ByGenerator(T.Augmentation):
    def get_transform(self, aug_input, *, rng, unused=3):
        return T.CropTransform(0, 0, int(rng.integers(1, 5)), 2)


def mapped(augmentation, **record):
    mapper = DatasetMapper(is_train=True, augmentations=[augmentation])
    box = {"bbox": [0, 0, 8, 7], "bbox_mode": BoxMode.XYWH_ABS, "category_id": 0}
    return mapper({"image": IMAGE, "annotations": [box], **record}, rng(1))


def test_get_transform_gets_what_it_names():
    assert mapped(ByImage())["image"].shape == (3, 12, 8)
    assert mapped(ByImageAndBoxes())["image"].shape == (3, 7, 16)
    assert mapped(ByInput())["instances"].gt_boxes.tensor.tolist() == [[8, 0, 16, 7]]
    assert torch.equal(mapped(ByGenerator())["image"], mapped(ByGenerator())["image"])
    assert mapped(T.RandomApply(ByGenerator(), 1.0))["image"].shape[1] == 2


class Unknown(T.Augmentation):
    def get_transform(self, image, depth):
        raise AssertionError


class Nothing(T.Augmentation):
    def get_transform(self, image):
        return None


class Silent(T.Transform):
    def apply_coords(self, coords):
        return coords


def test_what_cannot_be_applied_is_refused_when_the_mapper_is_built():
    for wrong, message in [
        (Unknown(), "argument 'depth'"),
        (Silent(), "implement transform_image or apply_image"),
        (T.RandomBrightness, r"RandomBrightness is a class: .*_target_: @lazycfg\.data\.transforms"),
        (lambda image: image, r"ColorTransform\(op\)"),
        ("RandomFlip", "got str"),
        (None, "got NoneType"),
    ]:
        with pytest.raises(TypeError, match=message):
            DatasetMapper(is_train=True, augmentations=[T.RandomFlip(), wrong])
    with pytest.raises(TypeError, match="expected a list of augmentations, got RandomFlip"):
        DatasetMapper(is_train=True, augmentations=T.RandomFlip())
    with pytest.raises(TypeError, match="must return a Transform, got NoneType"):
        mapped(Nothing())


class Mirrored(T.Transform):
    """As one writes it for detectron2: numpy only."""

    def apply_image(self, img):
        assert img.shape[:2] == (12, 16)
        return img[:, ::-1]

    def apply_coords(self, coords):
        coords[:, 0] = 16 - coords[:, 0]
        return coords


class Relabelled(Mirrored):
    def apply_segmentation(self, segmentation):
        assert segmentation.ndim == 2
        return segmentation[:, ::-1] + 1


def test_transforms_of_arrays_are_taken():
    labels = np.arange(192, dtype=np.uint8).reshape(12, 16) % 7
    mine, known = (mapped(t, sem_seg=labels) for t in (Mirrored(), T.HFlipTransform(16)))
    for key in ("image", "sem_seg"):
        assert torch.equal(mine[key], known[key])
    assert torch.equal(mine["instances"].gt_boxes.tensor, known["instances"].gt_boxes.tensor)
    assert torch.equal(mapped(Relabelled(), sem_seg=labels)["sem_seg"], known["sem_seg"] + 1)
    assert mapped(Mirrored())["image"].is_contiguous()


def test_annotations_come_back_as_in_detectron2():
    polygon = {
        "bbox": [1, 1, 4, 4],
        "bbox_mode": BoxMode.XYXY_ABS,
        "category_id": 0,
        "segmentation": [[1, 1, 4, 1, 4, 4]],
    }
    moved = transform_instance_annotations(polygon, T.HFlipTransform(16), (12, 16))
    assert moved["segmentation"][0].tolist() == [15, 1, 12, 1, 12, 4]
    mask = np.zeros((12, 16), dtype=bool)
    mask[2:5, 1:7] = True
    rle = {**polygon, "segmentation": encode_mask(mask)}
    moved = transform_instance_annotations(rle, T.HFlipTransform(16), (12, 16))
    np.testing.assert_array_equal(moved["segmentation"], mask[:, ::-1])
    outlined = transform_instance_annotations(rle, T.HFlipTransform(16), (12, 16), mask_format="polygon")
    assert outlined["segmentation"][0].shape == (8,)


def test_nearest_pixels_are_those_of_pillow():
    random = rng(3)
    for old, new in [(2, 7), (480, 1000), (640, 1333), *random.integers(1, 900, (200, 2)).tolist()]:
        column = np.arange(old, dtype=np.int32)[:, None]
        wanted = np.asarray(Image.fromarray(column).resize((1, new), Image.Resampling.NEAREST))
        np.testing.assert_array_equal(resize_nearest(torch.from_numpy(column), (new, 1)).numpy(), wanted)


def test_extents_are_those_of_pillow():
    random = rng(4)
    flat = np.full((4, 4), 50, np.uint8)
    corner = T.ExtentTransform((-1.2, -1.1, 5, 5), (6, 6)).apply_image(flat)
    assert corner[0].tolist() == [0] * 6
    assert corner[1].tolist() == [0, 50, 50, 50, 50, 0]
    for _ in range(100):
        h, w, out_h, out_w = random.integers(2, 20, 4).tolist()
        image = random.integers(0, 256, (h, w, 3), dtype=np.uint8)
        low, high = random.uniform(-3, (w / 2, h / 2)), random.uniform((w / 2 + 1, h / 2 + 1), (w + 3, h + 3))
        rectangle = (*low.tolist(), *high.tolist())
        wanted = Image.fromarray(image).transform(
            (out_w, out_h), Image.Transform.EXTENT, rectangle, Image.Resampling.BILINEAR
        )
        mine = T.ExtentTransform(rectangle, (out_h, out_w)).apply_image(image)
        np.testing.assert_array_equal(mine, np.asarray(wanted))
