"""Data sets with the keys of DensePose, and the mapper."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lazycfg.data import AnnotationError, FilteredDataset, build_detection_train_loader
from lazycfg.data import transforms as T
from lazycfg.projects.densepose.data import (
    DensePoseCocoDataset,
    DensePoseLVISDataset,
    DensePoseMapper,
    has_densepose,
    has_densepose_or_masks,
)
from lazycfg.projects.densepose.figures.body import build_surface
from lazycfg.projects.densepose.structures import DensePoseList
from lazycfg.structures import BitMasks

NAMES = ("figure",)


class FigureMesh:
    name = "figure"

    def read_symmetry(self):
        return torch.from_numpy(build_surface().mirror)


@pytest.fixture
def own_root(figures, tmp_path):
    """A copy of the files that may be changed."""
    return Path(shutil.copytree(figures, tmp_path / "figures"))


def dataset_at(root, name="train", **options):
    return DensePoseCocoDataset(
        json_file=root / f"figures_{name}.json", image_root=root, mesh_names=NAMES, **options
    )


def change(root, index=0, image=None, **values):
    path = root / "figures_train.json"
    data = json.loads(path.read_text())
    data["annotations"][index].update(values)
    data["images"][0].update(image or {})
    path.write_text(json.dumps(data))


def annotated(dataset):
    """The first record with an annotation of points, and that annotation."""
    for record in dataset:
        for annotation in record["annotations"]:
            if "dp_x" in annotation:
                return record, annotation
    raise AssertionError("nothing is annotated")


def test_records(figures):
    dataset = dataset_at(figures)
    record, annotation = annotated(dataset)
    assert record["dataset"] == "figures_train"
    assert dataset.metadata.thing_classes == ("person",)
    source = json.loads((figures / "figures_train.json").read_text())
    (same,) = [a for a in source["annotations"] if a.get("dp_x") == annotation["dp_x"]]
    for key in ("dp_y", "dp_I", "dp_U", "dp_V", "dp_masks", "dp_vertex", "ref_model"):
        assert annotation[key] == same[key]
    assert has_densepose(record)
    assert not has_densepose({"annotations": [{**annotation, "iscrowd": 1}, {"segmentation": [1]}]})
    assert has_densepose_or_masks({"annotations": [{"segmentation": [1]}]})
    kept = FilteredDataset(dataset=dataset, keep=has_densepose)
    assert 0 < len(kept) <= len(dataset)
    assert all(has_densepose(each) for each in kept)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"dp_x": None}, "it has points, but no dp_x"),
        ({"dp_y": [1, 2]}, r"different numbers of values: \d+ of dp_x, 2 of dp_y"),
        ({"dp_I": [25.0]}, "dp_I must be parts, 1 to 24, got 25.0"),
        ({"dp_I": [1.5]}, "dp_I must be parts, 1 to 24, got 1.5"),
        ({"dp_U": [float("nan")]}, "dp_U must be 0 to 1, got nan"),
        ({"dp_V": "abc"}, "dp_V must be a list, got 'abc'"),
        ({"dp_vertex": [-1]}, "dp_vertex must be numbers of vertices, got -1"),
        ({"ref_model": "smpl_27554"}, "ref_model 'smpl_27554' is none of the meshes figure"),
        (
            {"dp_masks": [[], {"size": [2, 2], "counts": [4]}]},
            r"dp_masks\[1\] must be an RLE mask of 256 x 256",
        ),
        ({"dp_masks": [[1, 2, 3]]}, r"dp_masks\[0\] must be an RLE mask"),
        ({"dp_masks": [[]] * 15}, "at most 14 RLE masks, or one, got 15 of them"),
    ],
)
def test_wrong_annotations_are_named(own_root, values, reason):
    source = json.loads((own_root / "figures_train.json").read_text())
    index = next(i for i, a in enumerate(source["annotations"]) if "dp_x" in a)
    change(own_root, index, **values)
    with pytest.raises(AnnotationError, match=rf"annotation {index + 1} of img/train_0000.*{reason}"):
        dataset_at(own_root)
    dataset = dataset_at(own_root, on_error="skip")
    assert len(dataset.problems) == 1
    assert next(iter(dataset.problems)).startswith("DensePose annotation: ")
    annotations = [a for record in dataset for a in record["annotations"]]
    assert len(annotations) == len(source["annotations"])  # the box is good
    assert sum("dp_x" in a for a in annotations) == sum("dp_x" in a for a in source["annotations"]) - 1


def test_images_of_videos(own_root):
    region = {"ignore_regions_x": [[0, 9, 9]], "ignore_regions_y": [[0, 0, 9]], "frame_id": 3, "vid_id": "a"}
    change(own_root, image=region)
    record = dataset_at(own_root)[0]
    assert {key: record[key] for key in region} == region
    change(own_root, image={"ignore_regions_y": [[0, 0]]})
    with pytest.raises(AnnotationError, match=r"image 0 \(img/train_00000.png\): ignore_regions_x and"):
        dataset_at(own_root)
    change(own_root, image={"ignore_regions_y": [[0, 0, 9]]}, ignore=1)
    with pytest.raises(AnnotationError, match="ignore must be 0, got 1"):
        dataset_at(own_root)


def test_categories_stand_for_others(own_root):
    path = own_root / "figures_train.json"
    data = json.loads(path.read_text())
    data["categories"] = [{"id": k, "name": name} for k, name in ((1, "person"), (16, "bird"), (17, "cat"))]
    for index, annotation in enumerate(data["annotations"]):
        annotation["category_id"] = (1, 16, 17)[index % 3]
    path.write_text(json.dumps(data))
    assert dataset_at(own_root).metadata.thing_classes == ("person", "bird", "cat")
    dataset = dataset_at(own_root, category_ids=[1, 16], category_map={16: 1})
    assert dataset.metadata.thing_classes == ("person",)
    count = sum(len(record["annotations"]) for record in dataset)
    assert count == sum(a["category_id"] in (1, 16) for a in data["annotations"])
    with pytest.raises(AnnotationError, match=r"category_map name \[99\]"):
        dataset_at(own_root, category_map={99: 1})


def test_lvis(own_root):
    path = own_root / "figures_train.json"
    data = json.loads(path.read_text())
    (own_root / "coco_img").symlink_to(own_root / "img")
    for image in data["images"]:
        image["coco_url"] = f"http://images.cocodataset.org/{image.pop('file_name')}"
        image.update(neg_category_ids=[2], not_exhaustive_category_ids=[])
    data["categories"] = [{"id": 1, "name": "a", "synonyms": ["sheep"]}, {"id": 2, "name": "b"}]
    path.write_text(json.dumps(data))
    options = {"json_file": path, "image_root": own_root, "mesh_names": NAMES, "folder_prefix": "coco_"}
    dataset = DensePoseLVISDataset(**options)
    record, annotation = annotated(dataset)
    assert record["file_name"].startswith(str(own_root / "coco_img" / "train_"))
    assert dataset.metadata.thing_classes == ("sheep", "b")
    assert record["neg_category_ids"] == [2]
    assert annotation["ref_model"] == "figure"
    assert DensePoseLVISDataset(**options, category_ids=[1])[0]["neg_category_ids"] == []


def mapper(figures, **options):
    return DensePoseMapper(
        **{
            "is_train": True,
            "use_instance_mask": True,
            "instance_mask_format": "bitmask",
            "symmetry_file": figures / "UV_symmetry_transforms.mat",
            "meshes": [FigureMesh()],
            "mesh_names": NAMES,
            **options,
        }
    )


def test_mapper(figures):
    record, annotation = annotated(dataset_at(figures))
    plain = mapper(figures)(record)["instances"]
    number = record["annotations"].index(annotation)
    data = plain.gt_densepose[number]
    assert isinstance(plain.gt_masks, BitMasks)
    assert isinstance(plain.gt_densepose, DensePoseList)
    torch.testing.assert_close(data.x, torch.tensor(annotation["dp_x"]))
    assert torch.equal(plain.gt_densepose.boxes_xyxy_abs, plain.gt_boxes.tensor)
    assert data.vertex_ids.tolist() == annotation["dp_vertex"]
    # What the mask of parts says is foreground is what the mask of the object says
    box = plain.gt_boxes.tensor[number].long()
    inside = plain.gt_masks.tensor[number, box[1] : box[3], box[0] : box[2]]
    again = (
        torch.nn.functional.interpolate(inside[None, None].float(), (256, 256), mode="nearest-exact")[0, 0]
        > 0
    )
    assert ((data.segm > 0) == again).float().mean() > 0.99

    flipped = mapper(figures, augmentations=[T.HFlipTransform(record["width"])])(record)["instances"]
    torch.testing.assert_close(flipped.gt_densepose[number].x, 256 - data.x, atol=1e-3, rtol=0)
    assert (
        flipped.gt_densepose[number].vertex_ids.tolist() == build_surface().mirror[data.vertex_ids].tolist()
    )


def test_mapper_of_all_images(figures):
    """Through workers, with everything random."""
    dataset = dataset_at(figures)
    augmentations = [
        T.ResizeShortestEdge((64, 120), 200),
        T.RandomFlip(),
        T.RandomCrop("relative_range", (0.6, 0.6)),
        T.RandomRotation([-20, 0, 20], expand=False, sample_style="choice"),
    ]
    loader = build_detection_train_loader(
        dataset=dataset,
        mapper=mapper(figures, augmentations=augmentations),
        total_batch_size=4,
        num_workers=1,
    )
    batches = iter(loader)
    annotated_objects = 0
    for _ in range(4):
        for sample in next(batches):
            instances = sample["instances"]
            if not instances.has("gt_densepose"):
                continue
            assert len(instances.gt_densepose) == len(instances)
            for data in instances.gt_densepose:
                if data is None:
                    continue
                annotated_objects += 1
                points = torch.stack((data.x, data.y))
                assert len(data.x) == len(data.i) == len(data.vertex_ids)
                if points.numel():
                    assert points.min() >= 0
                    assert points.max() <= 256
    assert annotated_objects >= 4


def test_mapper_of_images_without_annotations(figures):
    record, annotation = annotated(dataset_at(figures))
    plain = {k: v for k, v in annotation.items() if not k.startswith("dp_")}
    one = mapper(figures)({**record, "annotations": [plain]})["instances"]
    assert not one.has("gt_densepose")
    none = mapper(figures)({**record, "annotations": []})["instances"]
    assert len(none) == 0
    both = mapper(figures)({**record, "annotations": [plain, annotation]})["instances"]
    assert both.gt_densepose[0] is None
    assert both.gt_densepose[1] is not None
    crowd = mapper(figures)({**record, "annotations": [{**annotation, "iscrowd": 1}]})["instances"]
    assert len(crowd) == 0
    assert "instances" not in mapper(figures, is_train=False)(record)


def test_what_a_model_is_not_trained_on_is_left_out(figures):
    record, annotation = annotated(dataset_at(figures))
    number = record["annotations"].index(annotation)
    flips = [T.HFlipTransform(record["width"])]
    charts = mapper(figures, meshes=(), use_vertices=False, augmentations=flips)(record)["instances"]
    assert charts.gt_densepose[number].vertex_ids is None
    assert charts.gt_densepose[number].i is not None
    vertices = mapper(figures, symmetry_file=None, use_charts=False, augmentations=flips)(record)["instances"]
    assert vertices.gt_densepose[number].i is None
    assert vertices.gt_densepose[number].segm is not None
    none = mapper(figures, use_charts=False, use_vertices=False)(record)["instances"]
    assert not none.has("gt_densepose")


def test_what_the_mapper_refuses(figures, tmp_path):
    with pytest.raises(ValueError, match="neither use_rotated_box nor recompute_boxes"):
        mapper(figures, recompute_boxes=True)
    with pytest.raises(ValueError, match=r"\['figure'\] are not among mesh_names"):
        mapper(figures, mesh_names=("cat_5001",))
    with pytest.raises(FileNotFoundError, match="It is published at"):
        mapper(figures, symmetry_file=tmp_path / "UV_symmetry_transforms.mat")
    record, annotation = annotated(dataset_at(figures))
    bad = {**record, "annotations": [{**annotation, "dp_U": [0.5]}]}
    with pytest.raises(
        ValueError, match=rf"image_id {record['image_id']}.*annotation 0: no DensePose annotation"
    ):
        mapper(figures)(bad)
    flips = [T.HFlipTransform(record["width"])]
    with pytest.raises(ValueError, match="symmetry_file=") as caught:
        mapper(figures, symmetry_file=None, augmentations=flips)(record)
    assert "at image_id" in caught.value.__notes__[0]


def test_mapper_is_picklable(figures):
    """For workers that are spawned."""
    record, annotation = annotated(dataset_at(figures))
    again = pickle.loads(pickle.dumps(mapper(figures)))
    a, b = (m(record)["instances"].gt_densepose for m in (again, mapper(figures)))
    number = record["annotations"].index(annotation)
    assert torch.equal(a[number].x, b[number].x)
    assert "DensePoseTransformData()" in repr(again)
    assert np.isfinite(a[number].segm.numpy()).all()


def test_published_sets_lie_where_they_should(monkeypatch, tmp_path):
    from lazycfg import check, instantiate
    from lazycfg.projects.densepose.configs.common import more_datasets as sets

    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    for node, file, images in (
        (
            sets.posetrack2017("val"),
            "posetrack2017/densepose_posetrack_val2017.json",
            "posetrack2017/posetrack_data_2017",
        ),
        (sets.densepose_coco_100(), "coco/annotations/densepose_minival2014_100.json", "coco/val2014"),
        (sets.lvis_v05("train"), "lvis/lvis_v0.5_plus_dp_train.json", "coco/train2017"),
        (sets.base_coco_2017("val_100"), "coco/annotations/instances_val2017_100.json", "coco/val2017"),
    ):
        check(node)
        with pytest.raises(FileNotFoundError, match=file):
            instantiate(node)
        (tmp_path / images).mkdir(parents=True, exist_ok=True)
        (tmp_path / images / "a.jpg").touch()
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        image = {"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}
        path.write_text(
            json.dumps({"images": [image], "annotations": [], "categories": [{"id": 1, "name": "person"}]})
        )
        assert instantiate(node)[0]["file_name"] == str(tmp_path / images / "a.jpg")
