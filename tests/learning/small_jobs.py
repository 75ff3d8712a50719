"""Jobs that learn generated shapes within seconds on one core: the zoo's models, made small."""

from collections.abc import Sequence
from functools import cache

from small_models import shrink

from lazycfg import LazyCall as L
from lazycfg import model_zoo
from lazycfg.config.tree.node import Node
from lazycfg.data import DatasetFromList, ShapesDataset
from lazycfg.evaluation import COCOEvaluator, COCOPanopticEvaluator, SemSegEvaluator
from lazycfg.solver import ClipGradNorm

CLASSES = ("circle", "star")
LABELS = {"semantic": 1 + len(CLASSES), "panoptic": 2}
EVALUATORS: dict[str, Sequence[type]] = {
    "none": [COCOEvaluator],
    "semantic": [SemSegEvaluator],
    "panoptic": [COCOEvaluator, SemSegEvaluator, COCOPanopticEvaluator],
}


@cache
def shapes(num_images: int, seed: int, label_maps: str) -> DatasetFromList:
    """Pictures of 64x64 pixels with one or two shapes, kept in memory."""
    dataset = ShapesDataset(
        num_images=num_images,
        seed=seed,
        image_size=64,
        classes=CLASSES,
        num_objects=(1, 2),
        radius=(0.2, 0.35),
        keypoints=True,
        label_maps=label_maps,
    )
    return DatasetFromList(dataset, metadata=dataset.metadata)


def small_job(entry: str, *, steps: int, lr: float, label_maps: str = "none") -> Node:
    """The quickstart's job with the model of another zoo entry, small, on smaller pictures."""
    job = model_zoo.get_config("quickstart/mask_rcnn_shapes.py")
    job.model = model_zoo.get_config(entry).model
    shrink(job.model, len(CLASSES), LABELS.get(label_maps))
    train, test = job.dataloader.train, job.dataloader.test
    train.dataset = L(shapes)(num_images=200, seed=1, label_maps=label_maps)
    test.dataset = L(shapes)(num_images=24, seed=2, label_maps=label_maps)
    job.dataloader.evaluator = [L(kind)(dataset=test.dataset) for kind in EVALUATORS[label_maps]]
    heads = job.model.get("roi_heads", {})
    train.mapper.update(
        augmentations=[],
        use_instance_mask="mask_head" in heads,
        use_keypoint="keypoint_head" in heads,
    )
    job.optimizer.update(lr=lr, weight_decay=1e-4)
    job.train.update(device="cpu", max_iter=steps, log_period=steps, pictures=0, seed=1)
    job.train.clip_grad = L(ClipGradNorm)(max_norm=5.0)
    return job
