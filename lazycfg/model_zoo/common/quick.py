"""Short runs that show whether something works: some steps on generated images, or a test on 100 of COCO."""

from typing import Any

from .schedules import warmup_multi_step


def on_shapes(
    model: Any,
    dataloader: Any,
    optimizer: Any,
    train: Any,
    *,
    max_iter: int,
    lr: float,
    name: str,
    **labels: Any,
) -> Any:
    """Set up a short training on images of 256 pixels, four at a time; the four arguments are changed.

    Args:
        model: gets layers of batch normalization that learn, for it begins with random weights.
        dataloader: that of `data/shapes.py`.
        optimizer: gets the rate ``lr``.
        train: runs ``max_iter`` steps; results go to ``./output/<name>``.
        labels: what else `ShapesDataset` annotates, ``keypoints=True`` or ``label_maps="semantic"``. With
            keypoints, the model's head and the mapper take those of the shapes, and no masks.

    Returns:
        the schedule: up in a line, a tenth of the rate for the last quarter.
    """
    resnet = model.backbone.get("bottom_up", model.backbone)
    resnet.update(freeze_at=0)
    resnet.stem.norm = resnet.stages.norm = "BN"
    if "res5" in model.get("roi_heads", {}):
        model.roi_heads.res5.norm = "BN"
    if labels.get("keypoints"):
        model.roi_heads.keypoint_head.num_keypoints = 5
        dataloader.train.mapper.update(
            use_instance_mask=False,
            use_keypoint=True,
            keypoint_hflip_indices=(0, 1, 2, 4, 3),  # left and right of centre, top, bottom, left, right
        )
    for part in (dataloader.train, dataloader.test):
        part.dataset.update(image_size=256, **labels)
    dataloader.train.total_batch_size = 4
    dataloader.test.dataset.num_images = 20
    optimizer.lr = lr
    train.update(output_dir=f"./output/{name}", max_iter=max_iter, eval_period=0)
    return warmup_multi_step((0.75,), warmup_length=0.25)


def on_coco_val_100(dataloader: Any, train: Any, *, weights: str) -> None:
    """Test published weights on 100 images of COCO's val2017; run it with ``--eval-only``.

    The annotations of these images are the files of val2017 with `_100` in the name, as those that the
    reference offers.

    Args:
        dataloader: one of COCO 2017, of any kind; it is changed.
        train: it is changed.
        weights: the name of a zoo config.
    """
    train.init_checkpoint = weights
    dataset = dataloader.test.dataset
    for node in (dataset, dataset.get("dataset"), dataset.get("instances")):
        for key in ("json_file", "panoptic_json", "panoptic_root"):
            if node is not None and key in node:
                node[key] = node[key].replace("val2017", "val2017_100")
