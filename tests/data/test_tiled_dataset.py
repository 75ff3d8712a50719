"""A dataset of tiles."""

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg.data import (
    CocoDataset,
    ConcatDataset,
    DatasetFromList,
    DatasetMapper,
    FilteredDataset,
    ImageError,
    ShapesDataset,
    TiledDataset,
    build_detection_train_loader,
    create_keypoint_hflip_indices,
    export_coco,
)
from lazycfg.data.datasets.wrappers import part_of_records
from lazycfg.structures import BoxMode
from lazycfg.structures.rle import decode_rle, encode_mask

SHAPES = ShapesDataset(num_images=3, image_size=(100, 140), keypoints=True, num_objects=(4, 5))


def test_tiles_are_of_the_dataset_that_their_image_is_of():
    both = ConcatDataset(
        datasets=[SHAPES, ShapesDataset(num_images=1, image_size=(100, 140), keypoints=True)]
    )
    tiled = TiledDataset(dataset=both, slice_size=(60, 80), overlap=0.25)
    part, count = part_of_records(tiled)
    assert (part.tolist(), count) == ([0] * 12 + [1] * 4, 2)


def test_tiles_are_parts_of_their_images():
    tiled = TiledDataset(dataset=SHAPES, slice_size=(60, 80), overlap=0.25)
    assert len(tiled) == 3 * 2 * 2
    assert (tiled.image_sizes == [60, 80]).all()
    ids = set()
    for index in range(len(tiled)):
        record, owner = tiled[index], SHAPES[int(tiled.owners[index])]
        x0, y0, x1, y1 = tiled.tiles[index]
        assert (record["image"] == owner["image"][y0:y1, x0:x1]).all()
        assert (record["height"], record["width"]) == record["image"].shape[:2]
        without = tiled.get_annotations(index)
        assert "image" not in without
        assert without["annotations"] == record["annotations"]
        ids.add(record["image_id"])
        for annotation in record["annotations"]:
            assert annotation["bbox_mode"] == BoxMode.XYXY_ABS
            box = np.array(annotation["bbox"])
            assert (box >= 0).all()
            assert (box <= [80, 60, 80, 60]).all()
    assert len(ids) == len(tiled)
    assert "1_0_0" in ids


def test_masks_keypoints_and_small_parts():
    mask = np.zeros((50, 100), bool)
    mask[10:30, 40:70] = True
    polygon = [40, 10, 70, 10, 70, 30, 40, 30]
    common = {"bbox": [40, 10, 30, 20], "bbox_mode": BoxMode.XYWH_ABS, "category_id": 0, "area": 600.0}
    record = {
        "image": np.zeros((50, 100, 3), np.uint8), "image_id": 4, "height": 50, "width": 100,
        "annotations": [
            {**common, "segmentation": [polygon], "keypoints": [45, 20, 2, 65, 20, 2]},
            {**common, "segmentation": encode_mask(mask), "iscrowd": 1, "keypoints": [0] * 6},
        ],
    }  # fmt: skip
    data = DatasetFromList([record])
    left, right = TiledDataset(dataset=data, slice_size=(50, 50), overlap=0)
    for tile, box, area in ((left, [40, 10, 50, 30], 200), (right, [0, 10, 20, 30], 400)):
        plain, crowd = tile["annotations"]
        assert plain["bbox"] == box
        assert "area" not in plain
        assert crowd["iscrowd"] == 1
        assert int(decode_rle(crowd["segmentation"]).sum()) == area
    assert left["annotations"][0]["keypoints"] == [45, 20, 2, 0, 0, 0]
    assert right["annotations"][0]["keypoints"] == [0, 0, 0, 15, 20, 2]
    left, right = TiledDataset(dataset=data, slice_size=(50, 50), overlap=0, min_area_ratio=0.5)
    assert (len(left["annotations"]), len(right["annotations"])) == (0, 2)


def test_rotated_boxes_belong_to_the_tile_of_their_middle():
    data = ShapesDataset(num_images=4, image_size=96, rotated=True)
    tiled = TiledDataset(dataset=data, slice_size=48, overlap=0)
    counts = np.bincount(tiled.owners, weights=[len(r["annotations"]) for r in tiled])
    assert counts.tolist() == [len(r["annotations"]) for r in data]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_training_on_tiles(num_workers, caplog):
    tiled = FilteredDataset(dataset=TiledDataset(dataset=SHAPES, slice_size=48, overlap=0.2))
    loader = build_detection_train_loader(
        dataset=tiled,
        mapper=DatasetMapper(
            is_train=True,
            use_instance_mask=True,
            use_keypoint=True,
            keypoint_hflip_indices=create_keypoint_hflip_indices(SHAPES.metadata),
        ),
        total_batch_size=4,
        num_workers=num_workers,
    )
    corners = 0
    for sample in next(iter(loader)):
        assert sample["image"].shape == (3, 48, 48)
        instances = sample["instances"]
        around, boxes = instances.gt_masks.get_bounding_boxes().tensor, instances.gt_boxes.tensor
        assert (around[:, :2] >= boxes[:, :2] - 1.5).all()
        assert (around[:, 2:] <= boxes[:, 2:] + 1.5).all()
        corners += int((around - boxes).abs().max() < 1.5)
    assert corners >= 1
    assert "two images or more" not in caplog.text


def test_tiles_can_be_written_and_read(tmp_path):
    tiled = TiledDataset(dataset=SHAPES, slice_size=64)
    json_file, _ = export_coco(tiled, tmp_path)
    read = CocoDataset(json_file=json_file)
    assert len(read) == len(tiled)
    assert sum(len(r["annotations"]) for r in read) == sum(len(r["annotations"]) for r in tiled)


def test_files_are_read(tmp_path):
    json_file, root = export_coco(SHAPES, tmp_path)
    tiled = TiledDataset(dataset=CocoDataset(json_file=json_file, image_root=root), slice_size=64)
    direct = TiledDataset(dataset=SHAPES, slice_size=64)
    assert (tiled[5]["image"] == direct[5]["image"]).all()


def test_all_channels_and_values_are_kept(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 4096, (40, 60, 5)).astype(np.uint16)
    np.save(tmp_path / "a.npy", pixels)
    box = {"bbox": [2, 3, 30, 20], "bbox_mode": BoxMode.XYWH_ABS, "category_id": 0}
    records = [
        {"file_name": str(tmp_path / "a.npy"), "height": 40, "width": 60, "image_id": 1, "annotations": [box]}
    ]
    data = DatasetFromList(records)
    mapper = DatasetMapper(is_train=True, image_format="raw")
    for reader in (None, np.load):
        tiled = TiledDataset(dataset=data, slice_size=30, overlap=0, image_format="raw", reader=reader)
        last = mapper(tiled[3])["image"]
        assert torch.equal(last, torch.from_numpy(pixels[10:, 30:].astype(np.float32)).permute(2, 0, 1))
    with pytest.raises(ImageError) as raised:
        TiledDataset(dataset=data, slice_size=30)[0]
    assert "image_format= and value_range= are its own" in raised.value.__notes__[0]

    Image.fromarray(pixels[..., 0]).save(tmp_path / "a.png")
    records[0]["file_name"] = str(tmp_path / "a.png")
    tiled = TiledDataset(dataset=DatasetFromList(records), slice_size=60, value_range=(0, 4095))
    assert (np.abs(tiled[0]["image"][..., 0] - pixels[..., 0] * (255 / 4095)) <= 1).all()


def test_mistakes_are_explained():
    for options, message in (
        ({"slice_size": -1}, "slice_size"),
        ({"min_area_ratio": 2}, "min_area_ratio"),
        ({"image_format": "L"}, '"RGB" or "raw"'),
        ({"image_format": "raw", "value_range": (0, 9)}, "the mapper's"),
    ):
        with pytest.raises(ValueError, match=message):
            TiledDataset(dataset=SHAPES, **options)
    labels = ShapesDataset(num_images=1, image_size=64, label_maps="semantic")
    with pytest.raises(ValueError, match="a record has 'sem_seg' too"):
        TiledDataset(dataset=labels)[0]
