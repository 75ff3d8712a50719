"""Augmentations that make one image of several."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg.data import (
    CopyPaste,
    DatasetFromList,
    DatasetMapper,
    Metadata,
    MixUp,
    Mosaic,
    MultiImageAugmentation,
    ShapesDataset,
    build_detection_train_loader,
    create_keypoint_hflip_indices,
)
from lazycfg.data import transforms as T
from lazycfg.data.mixing import Sample
from lazycfg.structures import BoxMode
from lazycfg.structures.rle import encode_mask

SEEDS = st.integers(0, 2**31)
SHAPES = ShapesDataset(num_images=12, image_size=(48, 64), keypoints=True, seed=3)
FLIPS = create_keypoint_hflip_indices(SHAPES.metadata)


def colored(color, size=(40, 60), crowd=False, form="polygon"):
    """A record of a rectangle of one color, the keypoint in its middle, on black."""
    h, w = size
    x0, y0, x1, y1 = w // 4, h // 4, 3 * w // 4, 3 * h // 4
    image = np.zeros((h, w, 3), np.uint8)
    image[y0:y1, x0:x1] = color
    polygon = [x0, y0, x1, y0, x1, y1, x0, y1]
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return {
        "image": image,
        "image_id": int(color),
        "annotations": [
            {
                "bbox": [x0, y0, x1, y1],
                "bbox_mode": BoxMode.XYXY_ABS,
                "category_id": int(color) % 8,
                "segmentation": [polygon] if form == "polygon" else encode_mask(mask),
                "keypoints": [(x0 + x1) / 2, (y0 + y1) / 2, 2],
                "iscrowd": int(crowd),
            }
        ],
    }


def mapper(*augmentations, **options):
    options = {"is_train": True, "use_instance_mask": True, "use_keypoint": True} | options
    return DatasetMapper(augmentations=augmentations, keypoint_hflip_indices=[0], **options)


@pytest.mark.parametrize(
    ("form", "mask_format"), [("polygon", "polygon"), ("polygon", "bitmask"), ("rle", "bitmask")]
)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_mosaic_keeps_objects_on_their_pixels(form, mask_format, seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(20, 80, (6, 2)).tolist()
    records = [colored(40 * (i + 1), size, form=form) for i, size in enumerate(sizes)]
    mixing = mapper(Mosaic((50, 70), fill=0), instance_mask_format=mask_format)
    sample = mixing(records[0], rng=rng, others=records)
    assert sample["image"].shape == (3, 100, 140)
    assert (sample["height"], sample["width"]) == (100, 140)
    instances = sample["instances"]
    masks = instances.gt_masks
    if mask_format == "polygon":
        from lazycfg.structures import BitMasks

        masks = BitMasks.from_polygon_masks(masks.polygons, 100, 140)
    assert 1 <= len(instances) <= 4
    covered = torch.zeros(100, 140, dtype=torch.bool)
    for box, mask, (x, y, visible) in zip(
        instances.gt_boxes.tensor, masks.tensor, instances.gt_keypoints.tensor[:, 0].tolist(), strict=True
    ):
        inner = sample["image"][0][mask].float()
        assert inner.std() < 0.3 * inner.mean()  # one object's color; a border is blended where it is scaled
        ys, xs = torch.nonzero(mask, as_tuple=True)
        around = torch.tensor([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        assert (around - box).abs().max() <= 1.5
        if visible:
            assert mask[min(int(y), 99), min(int(x), 139)]
        covered |= mask
    # What is bright belongs to an object
    assert (sample["image"][0][~covered] > 30).float().mean() < 0.05


def test_mosaic_takes_the_images_it_draws():
    records = [colored(20 + 10 * i) for i in range(20)]
    mixing = mapper(Mosaic(40))
    drawn = np.random.default_rng(5)
    drawn.random(), drawn.uniform(0.5, 1.5, 1), drawn.uniform(0.5, 1.5, 1)
    expected = {20 + 10 * int(drawn.integers(20)) for _ in range(3)} | {20}
    image = mixing(records[0], rng=np.random.default_rng(5), others=records)["image"][0]
    seen = {c for c in range(20, 220, 10) if int((image == c).sum()) > 20}
    assert seen <= expected
    assert len(seen) >= 2


def test_label_maps_are_mixed_along():
    labels = [np.full((30, 40), 7, np.uint8), np.full((30, 40), 300, np.int32)]
    records = [{**colored(100, (30, 40)), "sem_seg": label} for label in labels]
    sample = mapper(Mosaic((30, 40)))(records[0], rng=np.random.default_rng(0), others=records[1:])
    assert set(sample["sem_seg"].unique().tolist()) == {7, 255, 300}
    assert sample["sem_seg"].shape == sample["image"].shape[1:]
    pasted = mapper(CopyPaste(select_prob=1, prob=1))(
        records[0], rng=np.random.default_rng(0), others=records[1:]
    )
    assert int((pasted["sem_seg"] == 300).sum()) == 20 * 15
    with pytest.raises(ValueError, match=r"maps of labels .* cannot be blended"):
        mapper(MixUp(prob=1))(records[0], rng=np.random.default_rng(0), others=records)
    with pytest.raises(ValueError, match="mixes images that are alike; a map of labels"):
        mapper(Mosaic(30))(records[0], rng=np.random.default_rng(0), others=[colored(3)])


def test_mixup_blends_and_keeps_the_objects_of_both():
    first, second = colored(200), colored(100, (80, 120))
    sample = mapper(MixUp(alpha=1e4, prob=1))(first, rng=np.random.default_rng(0), others=[second])
    assert sample["image"].shape == (3, 40, 60)
    assert sample["instances"].gt_classes.tolist() == [200 % 8, 100 % 8]
    assert torch.allclose(sample["instances"].gt_boxes.tensor, torch.tensor([15.0, 10, 45, 30]), atol=0.1)
    assert abs(int(sample["image"][0, 20, 30]) - 150) <= 2
    unmixed = mapper(MixUp(prob=0))(first, rng=np.random.default_rng(0), others=[second])
    assert len(unmixed["instances"]) == 1


def test_copy_paste_hides_what_is_below():
    first, second = colored(200), colored(100)
    second["annotations"][0] |= {
        "segmentation": [[15, 10, 30, 10, 30, 30, 15, 30]], "bbox": [15, 10, 30, 30],
        "keypoints": [20, 20, 2],
    }  # fmt: skip
    first["annotations"][0]["keypoints"] = [20, 20, 2]
    for mask_format in ("polygon", "bitmask"):
        mixing = mapper(CopyPaste(prob=1, select_prob=1), instance_mask_format=mask_format)
        sample = mixing(first, rng=np.random.default_rng(0), others=[second])
        instances = sample["instances"]
        assert instances.gt_classes.tolist() == [200 % 8, 100 % 8]
        assert instances.gt_boxes.tensor.tolist() == [[30, 10, 45, 30], [15, 10, 30, 30]]
        assert instances.gt_masks.area().tolist() == [300, 300]
        assert instances.gt_keypoints.tensor[:, 0, 2].tolist() == [1, 2]
        assert int((sample["image"][0] == 100).sum()) == 300
        assert int((sample["image"][0] == 200).sum()) == 300
        # Drop what is all but hidden, keep it with another limit
        mixing = mapper(CopyPaste(prob=1, select_prob=1, min_visible=0.6))
        assert len(mixing(first, rng=np.random.default_rng(0), others=[second])["instances"]) == 1
    hidden = mapper(CopyPaste(prob=1, select_prob=1))(first, rng=np.random.default_rng(0), others=[first])
    assert len(hidden["instances"]) == 1


def test_crowds_are_neither_pasted_nor_trained_on_and_keep_their_mark():
    first, crowd = colored(200), colored(100, crowd=True, form="rle")
    sample = mapper(CopyPaste(prob=1, select_prob=1))(first, rng=np.random.default_rng(0), others=[crowd])
    assert not (sample["image"] == 100).any()
    seen = []

    class Look(MultiImageAugmentation):
        def mix(self, sample: Sample, draw_other, rng):
            seen.extend(a["iscrowd"] for a in sample.annotations)
            return sample

    mixed = mapper(Mosaic(40, fill=0), Look(1.0))(first, rng=np.random.default_rng(2), others=[crowd])
    assert sorted(seen) == [0, 1, 1, 1]
    assert len(mixed["instances"]) == 1
    assert (mixed["image"] == 100).any()


def test_rotated_boxes_stay_whole_where_their_middle_is_visible():
    data = ShapesDataset(num_images=10, image_size=48, rotated=True)
    mixing = DatasetMapper(is_train=True, use_rotated_box=True, augmentations=[Mosaic(48), MixUp(prob=1)])
    total = 0
    for index in range(10):
        sample = mixing(data[index], rng=np.random.default_rng(index), others=data)
        boxes = sample["instances"].gt_boxes.tensor
        assert boxes.shape[1] == 5
        assert ((boxes[:, :2] >= 0) & (boxes[:, :2] <= 96)).all()
        total += len(boxes)
    assert total > 30


def test_other_augmentations_may_stand_before_between_and_after():
    chain = [
        T.RandomFlip(1.0),
        Mosaic(48),
        T.RandomAffine(size=48),
        MixUp(prob=1, others=[Mosaic(48), T.RandomAffine(size=48), T.RandomFlip(1.0)]),
        CopyPaste(prob=1, others=[T.ResizeScale(0.5, 1.5, 48, 48), T.FixedSizeCrop((48, 48))]),
        T.RandomHSV(),
        T.RandomFlip(1.0),
    ]
    mixing = DatasetMapper(
        is_train=True,
        augmentations=chain,
        use_instance_mask=True,
        use_keypoint=True,
        keypoint_hflip_indices=FLIPS,
    )
    assert [type(a) for a in mixing.augmentations.augs] == [T.RandomHSV, T.RandomFlip]
    for index in range(5):
        sample = mixing(SHAPES[index], rng=np.random.default_rng(index), others=SHAPES)
        assert sample["image"].shape == (3, 48, 48)
        instances = sample["instances"]
        assert instances.has("gt_masks")
        assert instances.has("gt_keypoints")
        boxes = instances.gt_boxes.tensor
        assert boxes.min() >= 0
        assert boxes.max() <= 48
        around = instances.gt_masks.get_bounding_boxes().tensor
        inside = (around[:, :2] >= boxes[:, :2] - 1.5).all(dim=1) & (around[:, 2:] <= boxes[:, 2:] + 1.5).all(
            dim=1
        )
        assert inside.float().mean() > 0.9
    late = mixing.with_augmentations(None)
    assert not late.mixing
    names = [type(a).__name__ for a in late.augmentations.augs]
    assert names == ["RandomFlip", "RandomAffine", "RandomHSV", "RandomFlip"]
    assert mixing.mixing  # the other is as it was


def loader(num_workers=0, **options):
    return build_detection_train_loader(
        dataset=SHAPES,
        mapper=DatasetMapper(
            is_train=True,
            augmentations=[Mosaic(48, prob=0.7), T.RandomAffine(size=48), MixUp(), CopyPaste()],
            use_instance_mask=True,
        ),
        total_batch_size=4,
        num_workers=num_workers,
        **options,
    )


def same(a, b):
    return (
        torch.equal(a["image"], b["image"])
        and torch.equal(a["instances"].gt_boxes.tensor, b["instances"].gt_boxes.tensor)
        and torch.equal(a["instances"].gt_classes, b["instances"].gt_classes)
    )


@pytest.mark.parametrize("num_workers", [0, 2])
def test_mixed_batches_are_a_function_of_their_number(num_workers):
    whole = [batch for batch, _ in zip(loader(), range(5), strict=False)]
    resumed = loader(num_workers)
    resumed.load_state_dict(
        {"position": 3, **{k: v for k, v in resumed.state_dict().items() if k != "position"}}
    )
    for expected, batch in zip(whole[3:], resumed, strict=False):
        assert all(map(same, expected, batch))
    parts = [next(iter(loader(rank=rank, world_size=2))) for rank in range(2)]
    assert all(map(same, whole[0], parts[0] + parts[1]))


SPAWN = """
import torch
from lazycfg.data import *
from lazycfg.data import transforms as T
def batches(workers):
    loader = build_detection_train_loader(
        dataset=ShapesDataset(num_images=9, image_size=48), total_batch_size=3, num_workers=workers,
        mapper=DatasetMapper(
            is_train=True, augmentations=[Mosaic(48), T.RandomAffine(size=48), MixUp(prob=1)]
        ),
    )
    return [torch.stack([sample["image"] for sample in batch]) for batch, _ in zip(loader, range(2))]
if __name__ == "__main__":
    torch.multiprocessing.set_start_method("spawn")
    print(all(map(torch.equal, batches(0), batches(1))))
"""


@pytest.mark.slow
def test_spawned_workers_mix_the_same(tmp_path):
    (tmp_path / "run.py").write_text(SPAWN)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run.py")], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.strip() == "True", done.stderr


def test_records_that_are_mixed_in_are_held_to_the_rules():
    records = [colored(8 * (i + 1)) | {"file_name": f"{i}.png"} for i in range(3)]
    records[2]["annotations"][0]["category_id"] = 50
    data = DatasetFromList(records, metadata=Metadata(thing_classes=("a",), keypoint_names=("k",)))
    options = {"mapper": mapper(Mosaic(40)), "total_batch_size": 1, "aspect_ratio_grouping": False}
    skipping = build_detection_train_loader(dataset=data, on_error="skip", **options)
    for batch, _ in zip(skipping, range(6), strict=False):
        assert set(batch[0]["instances"].gt_classes.tolist()) <= {0}
    assert skipping.num_skipped > 0


def test_a_broken_other_image_is_named(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    bad = {**colored(100), "file_name": str(tmp_path / "bad.png")}
    del bad["image"]
    with pytest.raises(ValueError, match=r"bad\.png") as caught:
        mapper(Mosaic(40))(colored(200), rng=np.random.default_rng(0), others=[bad])
    assert "to mix it in" in caught.value.__notes__[0]


BOX = {"bbox": [1, 1, 9, 9], "bbox_mode": BoxMode.XYXY_ABS, "category_id": 0}


class FieldsMapper(DatasetMapper):
    def further_fields(self, annotations, transforms, image_size, record, rng):
        return {}


class OldMapper(DatasetMapper):
    def __call__(self, dataset_dict, rng=None):
        return super().__call__(dataset_dict, rng)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mosaic(0), r"Mosaic: size must be \(height, width\)"),
        (lambda: Mosaic(40, center_range=(0, 2)), "center_range must be"),
        (lambda: MixUp(alpha=0), "MixUp: alpha must be"),
        (lambda: CopyPaste(min_visible=2), "CopyPaste: min_visible must be"),
        (lambda: mapper(Mosaic(40), is_train=False), "for training only"),
        (lambda: mapper(Mosaic(40), precomputed_proposal_topk=5), "proposals are of one image"),
        (lambda: FieldsMapper(is_train=True, augmentations=[Mosaic(4)]), "FieldsMapper gives fields"),
        (lambda: OldMapper(is_train=True, augmentations=[Mosaic(4)]), "OldMapper cannot mix images"),
        (lambda: mapper(Mosaic(40))(colored(3)), r"call it as mapper\(record, rng=rng, others=dataset\)"),
        (
            lambda: mapper(CopyPaste(prob=1, select_prob=1), use_instance_mask=False)(
                {**colored(3), "annotations": [BOX]},
                others=[colored(9)],
            ),
            "CopyPaste needs the masks of objects, and one of image_id 3 has no 'segmentation'",
        ),
    ],
)
def test_mistakes_are_explained(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_lists_of_one_image_refuse_what_mixes():
    with pytest.raises(TypeError, match="Mosaic makes one image of several"):
        T.AugmentationList([Mosaic(40)])
    with pytest.raises(TypeError, match="Mosaic makes one image of several"):
        T.RandomApply(Mosaic(40))
    with pytest.raises(TypeError, match="Mosaic is a class: write"):
        mapper(Mosaic)
