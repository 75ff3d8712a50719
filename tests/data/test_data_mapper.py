import io

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg.data import (
    DatasetMapper,
    ImageError,
    Metadata,
    ShapesDataset,
    annotations_to_instances,
    create_keypoint_hflip_indices,
    filter_empty_instances,
    read_image,
    transform_instance_annotations,
)
from lazycfg.data import transforms as T
from lazycfg.data.image import read_image_size
from lazycfg.structures import BitMasks, BoxMode, PolygonMasks


def rng(seed=0):
    return np.random.default_rng(seed)


def picture(h=20, w=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)


def record(**annotation):
    base = {
        "bbox": [4.0, 5.0, 10.0, 8.0],
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": 2,
        "iscrowd": 0,
        "segmentation": [[4.0, 5.0, 14.0, 5.0, 14.0, 13.0, 4.0, 13.0]],
    }
    return {
        "image": picture(),
        "height": 20,
        "width": 30,
        "image_id": 11,
        "file_name": "x.png",
        "annotations": [{**base, **annotation}],
    }


def test_training_sample():
    source = record()
    mapper = DatasetMapper(
        is_train=True,
        augmentations=[T.Resize(shape=(40, 60)), T.RandomFlip(prob=1.0)],
        use_instance_mask=True,
    )
    sample = mapper(source, rng())
    assert sample["image"].shape == (3, 40, 60)
    assert sample["image"].dtype == torch.uint8
    assert sample["image"].is_contiguous()
    assert (sample["height"], sample["width"], sample["image_id"], sample["file_name"]) == (
        20,
        30,
        11,
        "x.png",
    )
    assert "annotations" not in sample
    instances = sample["instances"]
    assert instances.image_size == (40, 60)
    assert instances.gt_boxes.tensor.tolist() == [[32, 10, 52, 26]]
    assert instances.gt_classes.tolist() == [2]
    assert isinstance(instances.gt_masks, PolygonMasks)
    assert instances.gt_masks.get_bounding_boxes().tensor.tolist() == [[32, 10, 52, 26]]
    assert not instances.has("gt_keypoints")
    assert len(source["annotations"]) == 1
    assert source["annotations"][0]["bbox"] == [4.0, 5.0, 10.0, 8.0]


def test_test_sample_has_no_annotations():
    sample = DatasetMapper(is_train=False, augmentations=[T.Resize(shape=(40, 60))])(record())
    assert sample["image"].shape == (3, 40, 60)
    assert (sample["height"], sample["width"]) == (20, 30)
    assert not {"annotations", "instances"} & set(sample)


def test_channel_order():
    source = record()
    bgr, rgb, grey = (
        DatasetMapper(is_train=False, image_format=f)(source)["image"] for f in ("BGR", "RGB", "L")
    )
    np.testing.assert_array_equal(rgb.permute(1, 2, 0).numpy(), source["image"])
    assert torch.equal(bgr, rgb.flip(0))
    assert grey.shape == (1, 20, 30)
    expected = np.asarray(Image.fromarray(source["image"]).convert("L")).astype(int)
    assert np.abs(grey[0].numpy().astype(int) - expected).max() <= 1


def test_augmentation_follows_the_generator():
    mapper = DatasetMapper(
        is_train=True,
        augmentations=[T.RandomFlip(), T.RandomCrop(crop_type="relative_range", crop_size=(0.3, 0.3))],
    )
    dataset = ShapesDataset(num_images=1, image_size=64)
    same = [mapper(dataset[0], rng(5)) for _ in range(2)]
    assert torch.equal(same[0]["image"], same[1]["image"])
    assert torch.equal(same[0]["instances"].gt_boxes.tensor, same[1]["instances"].gt_boxes.tensor)
    assert len({tuple(mapper(dataset[0], rng(s))["image"].shape) for s in range(10)}) > 3


def test_crowds_are_left_out_of_training():
    source = record(iscrowd=1, segmentation={"size": [20, 30], "counts": [600]})
    sample = DatasetMapper(is_train=True, use_instance_mask=True)(source, rng())
    assert len(sample["instances"]) == 0
    assert sample["instances"].gt_boxes.tensor.shape == (0, 4)
    assert isinstance(sample["instances"].gt_masks, PolygonMasks)
    bits = DatasetMapper(is_train=True, use_instance_mask=True, instance_mask_format="bitmask")(source, rng())
    assert bits["instances"].gt_masks.tensor.shape == (0, 20, 30)
    empty = DatasetMapper(is_train=True)({**source, "annotations": []}, rng())["instances"]
    assert len(empty) == 0
    assert not empty.has("gt_masks")


def test_masks_as_polygons_and_as_bits_agree():
    dataset = ShapesDataset(num_images=6, image_size=96, seed=1, num_objects=(2, 5))
    augmentations = [T.ResizeShortestEdge(short_edge_length=[80, 130]), T.RandomFlip()]
    for i in range(6):
        polygon, bits = (
            DatasetMapper(
                is_train=True, augmentations=augmentations, use_instance_mask=True, instance_mask_format=f
            )(dataset[i], rng(i))["instances"]
            for f in ("polygon", "bitmask")
        )
        assert isinstance(bits.gt_masks, BitMasks)
        h, w = polygon.image_size
        again = BitMasks.from_polygon_masks(polygon.gt_masks, h, w)
        assert torch.equal(again.tensor, bits.gt_masks.tensor)
        assert torch.equal(polygon.gt_boxes.tensor, bits.gt_boxes.tensor)


def test_run_length_masks_serve_both_formats():
    mask = np.zeros((20, 30), dtype=bool)
    mask[5:13, 4:14] = True
    mask[7:9, 6:9] = False
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flat)).astype(int)))
    rle = {"size": [20, 30], "counts": np.diff([0, *edges.tolist(), flat.size]).tolist()}
    for mask_format in ("bitmask", "polygon"):
        mapper = DatasetMapper(
            is_train=True,
            augmentations=[T.RandomFlip(prob=1.0)],
            use_instance_mask=True,
            instance_mask_format=mask_format,
        )
        masks = mapper(record(segmentation=rle), rng())["instances"].gt_masks
        if mask_format == "polygon":
            masks = BitMasks.from_polygon_masks(masks, 20, 30)
        assert (masks.tensor[0].numpy() != mask[:, ::-1]).sum() <= 2


def test_boxes_from_masks_are_tighter_after_a_crop():
    triangle = [[0.0, 0.0, 20.0, 20.0, 0.0, 20.0]]
    source = record(bbox=[0.0, 0.0, 20.0, 20.0], segmentation=triangle)
    crop = T.CropTransform(0, 0, 30, 10, 30, 20)
    boxes = {
        recompute: DatasetMapper(
            is_train=True, augmentations=[crop], use_instance_mask=True, recompute_boxes=recompute
        )(source, rng())["instances"].gt_boxes.tensor.tolist()[0]
        for recompute in (False, True)
    }
    assert boxes == {False: [0, 0, 20, 10], True: [0, 0, 10, 10]}
    with pytest.raises(ValueError, match="use_instance_mask=True"):
        DatasetMapper(is_train=True, recompute_boxes=True)


def test_instances_that_left_the_picture_are_dropped():
    crop = T.CropTransform(15, 0, 15, 20, 30, 20)
    sample = DatasetMapper(is_train=True, augmentations=[crop], use_instance_mask=True)(record(), rng())
    assert len(sample["instances"]) == 0


KEYPOINTS = Metadata(
    name="k", keypoint_names=("nose", "left_eye", "right_eye"), keypoint_flip_map=(("left_eye", "right_eye"),)
)


def test_keypoints_swap_when_mirrored():
    indices = create_keypoint_hflip_indices(KEYPOINTS)
    assert indices.tolist() == [0, 2, 1]
    points = [5.0, 6.0, 2, 8.0, 7.0, 1, 40.0, 3.0, 2]
    mapper = DatasetMapper(
        is_train=True,
        augmentations=[T.RandomFlip(prob=1.0)],
        use_keypoint=True,
        keypoint_hflip_indices=indices,
    )
    moved = mapper(record(keypoints=points), rng())["instances"].gt_keypoints.tensor[0].tolist()
    assert moved == [[25, 6, 2], [0, 0, 0], [22, 7, 1]]
    vertical = DatasetMapper(is_train=True, augmentations=[T.VFlipTransform(20)], use_keypoint=True)
    assert vertical(record(keypoints=points), rng())["instances"].gt_keypoints.tensor[0, 0].tolist() == [
        5,
        14,
        2,
    ]


def test_keypoint_mistakes_are_explained():
    points = [5.0, 6.0, 2, 8.0, 7.0, 1]
    flip = T.HFlipTransform(30)
    with pytest.raises(ValueError, match="create_keypoint_hflip_indices"):
        transform_instance_annotations(record(keypoints=points)["annotations"][0], flip, (20, 30))
    with pytest.raises(ValueError, match="has 2 keypoints, keypoint_hflip_indices has 3"):
        transform_instance_annotations(
            record(keypoints=points)["annotations"][0],
            flip,
            (20, 30),
            keypoint_hflip_indices=np.array([0, 2, 1]),
        )
    with pytest.raises(ValueError, match="left_ear"):
        create_keypoint_hflip_indices(KEYPOINTS.replace(keypoint_flip_map=(("left_ear", "nose"),)))


def test_transform_instance_annotations_takes_a_list_of_transforms():
    annotation = record()["annotations"][0]
    moved = transform_instance_annotations(annotation, [T.HFlipTransform(30), T.VFlipTransform(20)], (20, 30))
    assert moved["bbox"].tolist() == [16, 7, 26, 15]
    assert moved["bbox_mode"] == BoxMode.XYXY_ABS
    assert moved["segmentation"][0].tolist() == [26, 15, 16, 15, 16, 7, 26, 7]
    instances = annotations_to_instances([moved], (20, 30), "bitmask")
    assert instances.gt_masks.tensor.sum() == 80


def test_missing_annotations_name_the_record():
    source = record()
    del source["annotations"][0]["segmentation"]
    with pytest.raises(ValueError, match=r"image_id 11, file x\.png: annotation 0 has no 'segmentation'"):
        DatasetMapper(is_train=True, use_instance_mask=True)(source, rng())
    with pytest.raises(ValueError, match="use_keypoint=True"):
        DatasetMapper(is_train=True, use_keypoint=True)(source, rng())
    assert len(DatasetMapper(is_train=True)(source, rng())["instances"]) == 1


def test_size_must_be_that_of_the_record():
    with pytest.raises(ImageError, match=r"'x\.png' \(image_id 11\) is 30x20.*says 20x30; sides are swapped"):
        DatasetMapper(is_train=False)({**record(), "height": 30, "width": 20})
    with pytest.raises(ImageError, match="says 31x20"):
        DatasetMapper(is_train=False)({**record(), "width": 31})
    source = record()
    del source["height"], source["width"]
    assert DatasetMapper(is_train=False)(source)["height"] == 20


def test_proposals_are_transformed_and_cut_to_the_best():
    source = {
        **record(),
        "proposal_boxes": np.array([[0, 0, 10, 10], [25, 0, 5, 5], [100, 100, 3, 3], [1, 1, 2, 2]]),
        "proposal_bbox_mode": BoxMode.XYWH_ABS,
        "proposal_objectness_logits": np.array([4.0, 3, 2, 1]),
    }
    mapper = DatasetMapper(is_train=True, augmentations=[T.HFlipTransform(30)], precomputed_proposal_topk=2)
    proposals = mapper(source, rng())["proposals"]
    assert proposals.proposal_boxes.tensor.tolist() == [[20, 0, 30, 10], [0, 0, 5, 5]]
    assert proposals.objectness_logits.tolist() == [4, 3]


def test_label_maps_follow_the_picture(tmp_path):
    labels = np.arange(600, dtype=np.uint32).reshape(20, 30).astype(np.uint8)
    Image.fromarray(labels).save(tmp_path / "labels.png")
    source = {**record(), "sem_seg_file_name": str(tmp_path / "labels.png")}
    sample = DatasetMapper(is_train=True, augmentations=[T.HFlipTransform(30)])(source, rng())
    assert sample["sem_seg"].dtype == torch.int64
    np.testing.assert_array_equal(sample["sem_seg"].numpy(), labels[:, ::-1])
    assert "sem_seg" not in DatasetMapper(is_train=False)(source)


def test_filter_empty_instances_by_box_and_mask():
    annotations = [
        {"bbox": b, "bbox_mode": BoxMode.XYXY_ABS, "category_id": i, "segmentation": s}
        for i, (b, s) in enumerate(
            [
                ([1.0, 1, 5, 5], [np.array([1.0, 1, 5, 1, 5, 5])]),
                ([1.0, 1, 1, 5], [np.array([1.0, 1, 5, 1, 5, 5])]),
                ([1.0, 1, 5, 5], []),
            ]
        )
    ]
    instances = annotations_to_instances(annotations, (10, 10))
    assert filter_empty_instances(instances).gt_classes.tolist() == [0]
    assert filter_empty_instances(instances, by_mask=False).gt_classes.tolist() == [0, 2]
    assert filter_empty_instances(instances, by_box=False).gt_classes.tolist() == [0, 1]
    del annotations[0]["segmentation"]
    with pytest.raises(ValueError, match="2 of the 3 annotations"):
        annotations_to_instances(annotations, (10, 10))
    with pytest.raises(ValueError, match="bitmask"):
        annotations_to_instances([{**annotations[1], "segmentation": np.zeros((10, 10))}], (10, 10))


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.bmp", "x.tiff", "x.webp"])
def test_formats(tmp_path, name):
    array = np.asarray(Image.fromarray(picture(5, 7)).resize((35, 25), Image.Resampling.BICUBIC))
    image = read_image(save(tmp_path / name, array, quality=95), "RGB")
    assert image.shape == (3, 25, 35)
    assert image.dtype == torch.uint8
    assert np.abs(image.permute(1, 2, 0).numpy().astype(int) - array).mean() < (
        12 if name[2:] in ("jpg", "webp") else 0.1
    )
    assert torch.equal(read_image(tmp_path / name), image.flip(0))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_color_modes_become_three_channels(tmp_path, mode):
    name = "x.jpg" if mode == "CMYK" else "x.png"
    Image.fromarray(picture()).convert(mode).save(tmp_path / name)
    assert read_image(tmp_path / name, "RGB").shape == (3, 20, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    array = np.kron(picture(2, 3), np.ones((10, 10, 1))).astype(np.uint8)
    for name in ("x.jpg", "x.tiff"):
        save(tmp_path / name, array, exif=exif)
        image = read_image(tmp_path / name, "RGB")
        from PIL import ImageOps

        expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / name)))
        assert image.shape[1:] == ((30, 20) if orientation >= 5 else (20, 30))
        assert read_image_size(tmp_path / name) == image.shape[1:]
        assert np.abs(image.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 2


def test_files_that_are_no_pictures(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.jpg"):
        read_image(tmp_path / "none.jpg")
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(ImageError, match=r"text\.jpg.*10 bytes"):
        read_image(tmp_path / "text.jpg")
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match="0 bytes"):
        read_image(tmp_path / "empty.jpg")
    buffer = io.BytesIO()
    Image.fromarray(picture(200, 200)).save(buffer, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(buffer.getvalue()[:3000])
    with pytest.raises(ImageError, match=r"cut\.jpg"):
        read_image(tmp_path / "cut.jpg")
    with pytest.raises(ValueError, match="RBG"):
        read_image(tmp_path / "cut.jpg", "RBG")
    with pytest.raises(ImageError, match="uint8"):
        DatasetMapper(is_train=False)({"image": np.zeros((4, 4, 3))})
