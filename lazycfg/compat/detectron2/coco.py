"""Registering and reading data sets in the formats of COCO, LVIS, VOC and Cityscapes, the old way."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lazycfg.data import (
    CityscapesInstances,
    CityscapesSemSeg,
    CocoDataset,
    CocoPanopticDataset,
    LVISDataset,
    VOCDataset,
)
from lazycfg.data import convert_to_coco_dict as _coco_dict
from lazycfg.data import convert_to_coco_json as _write_coco
from lazycfg.data import load_sem_seg as _read_sem_seg
from lazycfg.data.datasets import VOC_CLASSES
from lazycfg.structures import BoxMode

from . import builtin_datasets
from .builtin_meta import _get_builtin_metadata as _get_builtin_metadata
from .builtin_meta import cityscapes_panoptic_meta
from .catalogs import DatasetCatalog, MetadataCatalog, as_dataset

CLASS_NAMES = VOC_CLASSES
_PREDEFINED_SPLITS_COCO = builtin_datasets.COCO
_PREDEFINED_SPLITS_COCO_PANOPTIC = builtin_datasets.COCO_PANOPTIC
_PREDEFINED_SPLITS_LVIS = builtin_datasets.LVIS

Records = list[dict[str, Any]]


def _records(dataset: Any) -> Records:
    return [dataset[i] for i in range(len(dataset))]


def _remember(name: str | None, metadata: Any, **more: Any) -> None:
    """Keep what a file says of its classes, where nothing else was said."""
    if not name:
        return
    kept = MetadataCatalog.get(name)
    known = {
        "thing_classes": list(metadata.thing_classes),
        "thing_dataset_id_to_contiguous_id": dict(metadata.thing_dataset_id_to_contiguous_id),
        **more,
    }
    for key, value in known.items():
        if value and kept.get(key) is None:
            kept.set(**{key: value})


def load_coco_json(
    json_file: str,
    image_root: str,
    dataset_name: str | None = None,
    extra_annotation_keys: Sequence[str] | None = None,
) -> Records:
    """Return the records of an annotation file in COCO's format.

    Args:
        dataset_name: whose metadata is given the names of the classes; classes are then numbered from 0.
            None: they keep the ids of the file.
        extra_annotation_keys: further keys to keep of each annotation.

    Raises:
        AssertionError: the metadata of `dataset_name` name the classes in another way than the file.
        FileNotFoundError, AnnotationError: as `lazycfg.data.CocoDataset`, but images are not looked for, and
            annotations that cannot be right are left out (the log counts them).
    """
    dataset = CocoDataset(
        json_file=json_file,
        image_root=image_root,
        name=dataset_name,
        on_error="skip",
        verify_images=False,
        annotated=not Path(json_file).name.startswith("image_info_"),
        extra_annotation_keys=tuple(extra_annotation_keys or ()),
    )
    if dataset_name is not None:
        said, found = MetadataCatalog.get(dataset_name).get("thing_classes"), dataset.metadata.thing_classes
        if said is not None and found and list(said) != list(found):
            raise AssertionError(
                f"the classes of {json_file}, in the order of their ids, are {list(found)}, but the metadata "
                f"of {dataset_name!r} say {list(said)}: leave thing_classes out, the file has them"
            )
    _remember(dataset_name, dataset.metadata)
    records = sorted(_records(dataset), key=lambda record: record["image_id"])
    if dataset_name is None:
        ids = {number: id for id, number in dataset.metadata.thing_dataset_id_to_contiguous_id.items()}
        for annotation in (a for record in records for a in record.get("annotations", ())):
            annotation["category_id"] = ids[annotation["category_id"]]
    return records


def register_coco_instances(name: str, metadata: Mapping[str, Any], json_file: str, image_root: str) -> None:
    """Give a name to an annotation file in COCO's format, which is read when it is asked for."""
    DatasetCatalog.register(name, lambda: load_coco_json(json_file, image_root, name))
    MetadataCatalog.get(name).set(
        json_file=json_file, image_root=image_root, evaluator_type="coco", **metadata
    )


def convert_to_coco_dict(dataset_name: str) -> dict[str, Any]:
    """Return the records of a registered data set as the content of a file in COCO's format."""
    return _coco_dict(as_dataset(dataset_name))


def convert_to_coco_json(dataset_name: str, output_file: str, allow_cached: bool = True) -> None:
    """Write the records of a registered data set in COCO's format; an existing file is kept if allowed."""
    if not (allow_cached and os.path.exists(output_file)):
        _write_coco(as_dataset(dataset_name), output_file)


def load_sem_seg(gt_root: str, image_root: str, gt_ext: str = "png", image_ext: str = "jpg") -> Records:
    """Return the records of two folders: label maps, and the images of the same names."""
    return list(_read_sem_seg(gt_root, image_root, gt_ext, image_ext))


# -- panoptic


def load_coco_panoptic_json(json_file: str, image_dir: str, gt_dir: str, meta: Mapping[str, Any]) -> Records:
    """Return the records of a panoptic file in COCO's format.

    Raises:
        ValueError: `meta` numbers the classes in another way than the file's order does.
    """
    dataset = CocoPanopticDataset(
        panoptic_json=json_file,
        panoptic_root=gt_dir,
        image_root=image_dir,
        sem_seg=False,
        separated=False,
        on_error="skip",
    )
    _check_numbers(dataset.metadata, meta, json_file)
    return _records(dataset)


def _check_numbers(mine: Any, meta: Mapping[str, Any], file: str) -> None:
    """Raise ValueError where a program's metadata number classes in another way than a file's order does."""
    for key in ("thing_dataset_id_to_contiguous_id", "stuff_dataset_id_to_contiguous_id"):
        numbers = getattr(mine, key)
        other = [id for id, number in meta.get(key, {}).items() if numbers.get(id, number) != number]
        if other:
            raise ValueError(
                f"{file}: category {other[0]} is class {numbers[other[0]]} by the order of the file and "
                f"{meta[key][other[0]]} by the {key} given: let both say the same"
            )


def register_coco_panoptic(
    name: str,
    metadata: Mapping[str, Any],
    image_root: str,
    panoptic_root: str,
    panoptic_json: str,
    instances_json: str | None = None,
) -> None:
    """Give a name to a panoptic file in COCO's format."""
    DatasetCatalog.register(
        name, lambda: load_coco_panoptic_json(panoptic_json, image_root, panoptic_root, metadata)
    )
    MetadataCatalog.get(name).set(
        panoptic_root=panoptic_root,
        image_root=image_root,
        panoptic_json=panoptic_json,
        json_file=instances_json,
        evaluator_type="coco_panoptic_seg",
        ignore_label=255,
        label_divisor=1000,
        **metadata,
    )


def register_coco_panoptic_separated(
    name: str,
    metadata: Mapping[str, Any],
    image_root: str,
    panoptic_root: str,
    panoptic_json: str,
    sem_seg_root: str,
    instances_json: str,
) -> None:
    """Give the names ``<name>_separated`` and ``<name>_stuffonly`` to a panoptic file with maps of stuff."""
    panoptic, semantic = f"{name}_separated", f"{name}_stuffonly"
    DatasetCatalog.register(
        panoptic,
        lambda: merge_to_panoptic(
            load_coco_json(instances_json, image_root, panoptic), load_sem_seg(sem_seg_root, image_root)
        ),
    )
    MetadataCatalog.get(panoptic).set(
        panoptic_root=panoptic_root,
        image_root=image_root,
        panoptic_json=panoptic_json,
        sem_seg_root=sem_seg_root,
        json_file=instances_json,
        evaluator_type="coco_panoptic_seg",
        ignore_label=255,
        **metadata,
    )
    DatasetCatalog.register(semantic, lambda: load_sem_seg(sem_seg_root, image_root))
    MetadataCatalog.get(semantic).set(
        sem_seg_root=sem_seg_root,
        image_root=image_root,
        evaluator_type="sem_seg",
        ignore_label=255,
        **metadata,
    )


def merge_to_panoptic(detection_dicts: Records, sem_seg_dicts: Records) -> Records:
    """Return the records of instances, each with the label map of the same image.

    Raises:
        KeyError: an image has no label map.
    """
    maps = {record["file_name"]: record["sem_seg_file_name"] for record in sem_seg_dicts}
    return [{**record, "sem_seg_file_name": maps[record["file_name"]]} for record in detection_dicts]


# -- LVIS, VOC, Cityscapes


def load_lvis_json(
    json_file: str,
    image_root: str,
    dataset_name: str | None = None,
    extra_annotation_keys: Sequence[str] | None = None,
) -> Records:
    """Return the records of an annotation file of LVIS.

    Raises:
        FileNotFoundError, AnnotationError: as `lazycfg.data.LVISDataset`.
    """
    dataset = LVISDataset(
        json_file=json_file,
        image_root=image_root,
        name=dataset_name,
        verify_images=False,
        extra_annotation_keys=tuple(extra_annotation_keys or ()),
    )
    counts = [{"id": i + 1, "image_count": int(count)} for i, count in enumerate(dataset.class_image_counts)]
    _remember(dataset_name, dataset.metadata, class_image_count=counts)
    return _records(dataset)


def register_lvis_instances(name: str, metadata: Mapping[str, Any], json_file: str, image_root: str) -> None:
    """Give a name to an annotation file of LVIS, which is read when it is asked for."""
    DatasetCatalog.register(name, lambda: load_lvis_json(json_file, image_root, name))
    MetadataCatalog.get(name).set(
        json_file=json_file, image_root=image_root, evaluator_type="lvis", **metadata
    )


def get_lvis_instances_meta(dataset_name: str) -> dict[str, Any]:
    """Return what is known of LVIS without its file: nothing, as the file names the classes.

    A cocofied data set has COCO's classes.
    """
    return _get_builtin_metadata("coco") if "cocofied" in dataset_name else {}


def load_voc_instances(dirname: str, split: str, class_names: Sequence[str] = CLASS_NAMES) -> Records:
    """Return the records of a split of Pascal VOC; boxes are XYXY_ABS."""
    dataset = VOCDataset(root=dirname, split=split, class_names=tuple(class_names), on_error="skip")
    records = _records(dataset)
    for annotation in (a for record in records for a in record["annotations"]):
        annotation["bbox"] = BoxMode.convert(annotation["bbox"], annotation["bbox_mode"], BoxMode.XYXY_ABS)
        annotation["bbox_mode"] = BoxMode.XYXY_ABS
    return records


def register_pascal_voc(
    name: str, dirname: str, split: str, year: int, class_names: Sequence[str] = CLASS_NAMES
) -> None:
    """Give a name to a split of Pascal VOC."""
    DatasetCatalog.register(name, lambda: load_voc_instances(dirname, split, class_names))
    MetadataCatalog.get(name).set(thing_classes=list(class_names), dirname=dirname, year=year, split=split)


def load_cityscapes_instances(
    image_dir: str, gt_dir: str, from_json: bool = True, to_polygons: bool = True
) -> Records:
    """Return the records of Cityscapes with boxes and masks, made of the maps of instances.

    Args:
        from_json, to_polygons: have no effect: in the maps, which are what is evaluated, nothing overlaps.
    """
    return _records(CityscapesInstances(image_dir=image_dir, gt_dir=gt_dir))


def load_cityscapes_semantic(image_dir: str, gt_dir: str) -> Records:
    """Return the records of Cityscapes with the files of labels."""
    return _records(CityscapesSemSeg(image_dir=image_dir, gt_dir=gt_dir))


def load_cityscapes_panoptic(image_dir: str, gt_dir: str, gt_json: str, meta: Mapping[str, Any]) -> Records:
    """Return the records of Cityscapes with panoptic labels.

    Raises:
        ValueError: `meta` numbers the classes in another way than the file's order does.
    """
    from lazycfg.data import CityscapesPanoptic

    dataset = CityscapesPanoptic(
        panoptic_json=gt_json, panoptic_root=gt_dir, image_dir=image_dir, sem_seg=False
    )
    _check_numbers(dataset.metadata, meta, gt_json)
    return _records(dataset)


def register_cityscapes_panoptic_split(root: str, split: str) -> None:
    """Register panoptic labels of a split of Cityscapes below a folder."""
    images = os.path.join(root, "cityscapes", "leftImg8bit", split)
    truth = os.path.join(root, "cityscapes", "gtFine")
    panoptic = os.path.join(truth, f"cityscapes_panoptic_{split}")
    name, meta = f"cityscapes_fine_panoptic_{split}", cityscapes_panoptic_meta()
    DatasetCatalog.register(
        name, lambda: load_cityscapes_panoptic(images, panoptic, f"{panoptic}.json", meta)
    )
    MetadataCatalog.get(name).set(
        panoptic_root=panoptic,
        image_root=images,
        panoptic_json=f"{panoptic}.json",
        gt_dir=os.path.join(truth, split),
        evaluator_type="cityscapes_panoptic_seg",
        ignore_label=255,
        label_divisor=1000,
        **meta,
    )


def register_cityscapes_split(root: str, split: str) -> None:
    """Register instances and semantic labels of a split of Cityscapes below a folder."""
    meta = _get_builtin_metadata("cityscapes")
    images = os.path.join(root, "cityscapes", "leftImg8bit", split)
    truth = os.path.join(root, "cityscapes", "gtFine", split)
    instances, semantic = (f"cityscapes_fine_{kind}_{split}" for kind in ("instance_seg", "sem_seg"))
    DatasetCatalog.register(instances, lambda: load_cityscapes_instances(images, truth))
    MetadataCatalog.get(instances).set(
        image_dir=images, gt_dir=truth, evaluator_type="cityscapes_instance", **meta
    )
    DatasetCatalog.register(semantic, lambda: load_cityscapes_semantic(images, truth))
    MetadataCatalog.get(semantic).set(
        image_dir=images, gt_dir=truth, evaluator_type="cityscapes_sem_seg", ignore_label=255, **meta
    )


def register_all_coco(root: str = "datasets") -> None:
    """Register COCO below a folder. All data sets are registered below ``$DETECTRON2_DATASETS`` from the
    beginning, so that this is for after ``DatasetCatalog.clear()``, as are the functions that follow.

    Raises:
        AssertionError: they are registered already.
    """
    builtin_datasets.register_coco(root)


def register_all_lvis(root: str = "datasets") -> None:
    """Register LVIS below a folder, see `register_all_coco`."""
    builtin_datasets.register_lvis(root)


def register_all_cityscapes(root: str = "datasets") -> None:
    """Register Cityscapes' instances and semantic labels below a folder, see `register_all_coco`."""
    builtin_datasets.register_cityscapes(root)


def register_all_cityscapes_panoptic(root: str = "datasets") -> None:
    """Register Cityscapes' panoptic labels below a folder, see `register_all_coco`."""
    builtin_datasets.register_cityscapes_panoptic(root)


def register_all_pascal_voc(root: str = "datasets") -> None:
    """Register VOC 2007 and 2012 below a folder, see `register_all_coco`."""
    builtin_datasets.register_voc(root)


def register_all_ade20k(root: str = "datasets") -> None:
    """Register the scene parsing of ADE20K below a folder, see `register_all_coco`."""
    builtin_datasets.register_ade20k(root)
