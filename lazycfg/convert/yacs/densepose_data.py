"""The data of DensePose: data sets, mapper, evaluators, and images that a trained model annotates."""

from __future__ import annotations

from typing import Any

from lazycfg import REQUIRED, ref
from lazycfg import LazyCall as L
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.densepose import DENSEPOSE_ROOT, published_mesh
from lazycfg.data import DatasetMapper
from lazycfg.data import transforms as T
from lazycfg.evaluation import COCOEvaluator, DatasetEvaluators
from lazycfg.projects.densepose import DensePoseMapper
from lazycfg.projects.densepose.bootstrapping import (
    BootstrappingTrainLoader,
    ChartPointSampler,
    InferenceBasedLoader,
    ScoreBasedFilter,
    SelectFrames,
    VideoKeyframeDataset,
)
from lazycfg.projects.densepose.evaluation import (
    ChartSurface,
    DensePoseCOCOEvaluator,
    MeshAlignmentEvaluator,
)

__all__ = ["bootstrapped", "densepose_dataset", "densepose_evaluators", "densepose_mapper", "with_teacher"]

_CSE = "MODEL.ROI_DENSEPOSE_HEAD.CSE"


def _is_cse(keys: Keys) -> bool:
    return bool(keys("MODEL.ROI_DENSEPOSE_HEAD.LOSS_NAME") == "DensePoseCseLoss")


def densepose_dataset(keys: Keys, name: str, node: Any) -> Any:
    """Return a data set with the categories that the keys leave it; it is changed."""
    allowed = keys("DATASETS.WHITELISTED_CATEGORIES").get(name)
    mapped = keys("DATASETS.CATEGORY_MAPS").get(name)
    if allowed:
        node.category_ids = [int(category) for category in allowed]
    if mapped:
        node.category_map = {int(old): int(new) for old, new in mapped.items()}
    return node


def densepose_mapper(keys: Keys, given: dict[str, Any]) -> Any:
    """Return the mapper for training; `given` are the arguments of any mapper."""
    masks = keys("MODEL.MASK_ON") or keys("MODEL.ROI_DENSEPOSE_HEAD.COARSE_SEGM_TRAINED_BY_MASKS")
    given = {**given, "use_instance_mask": masks}
    if masks:
        given["instance_mask_format"] = "bitmask"
    if _is_cse(keys):
        given |= {"use_charts": False, "meshes": [published_mesh(name) for name in keys(f"{_CSE}.EMBEDDERS")]}
    else:
        given["symmetry_file"] = f"{DENSEPOSE_ROOT}/UV_symmetry_transforms.mat"
    return L(DensePoseMapper)(**given)


def densepose_evaluators(keys: Keys) -> Any:
    """Return what evaluates boxes and points."""
    section = "DENSEPOSE_EVALUATION"
    dataset = ref("dataloader.test.dataset")
    boxes = L(COCOEvaluator)(dataset=dataset, tasks=["bbox"])
    threshold = keys(f"{section}.MIN_IOU_THRESHOLD")
    if not _is_cse(keys):
        points = L(DensePoseCOCOEvaluator)(
            dataset=dataset,
            evaluator_type="iuv",
            surface=L(ChartSurface)(folder=DENSEPOSE_ROOT),
            min_iou_threshold=threshold,
        )
        return L(DatasetEvaluators)(evaluators=[boxes, points])
    meshes = {name: published_mesh(name) for name in keys(f"{_CSE}.EMBEDDERS")}
    found = [
        boxes,
        L(DensePoseCOCOEvaluator)(
            dataset=dataset,
            evaluator_type="cse",
            embedder=ref("model.roi_heads.embedder"),
            meshes=meshes,
            min_iou_threshold=threshold,
        ),
    ]
    if keys(f"{section}.EVALUATE_MESH_ALIGNMENT"):
        names = keys(f"{section}.MESH_ALIGNMENT_MESH_NAMES")
        found.append(
            L(MeshAlignmentEvaluator)(
                embedder=ref("model.roi_heads.embedder"),
                meshes={name: published_mesh(name) for name in names},
                keyvertices=f"{DENSEPOSE_ROOT}/cse/mesh_keyvertices_v0.json",
                mesh_names=names,
            )
        )
    return found


_VIDEOS = "${oc.env:DETECTRON2_DATASETS,datasets}/chimpnsee/cdna.eva.mpg.de"
# How points are drawn, by the confidence that they are drawn by
_SAMPLERS = {
    "densepose_uniform": None,
    "densepose_UV_confidence": "sigma_2",
    "densepose_fine_segm_confidence": "fine_segm_confidence",
    "densepose_coarse_segm_confidence": "coarse_segm_confidence",
}


def with_teacher(dataloader: Any, model: Any) -> None:
    """Let models like one that is trained annotate the images of `bootstrapped`."""
    for other in dataloader.train.get("others", ()):
        other.teacher = model.copy()


def bootstrapped(keys: Keys, given: dict[str, Any]) -> Any:
    """Return the loader of annotated images, and of others with the predictions of a trained model.

    Raises:
        ConvertError: a data set or a way to take images from it is not known.
    """
    key = "BOOTSTRAP_DATASETS"
    others, ratios = [], []
    if keys("BOOTSTRAP_MODEL.WEIGHTS") != keys("MODEL.WEIGHTS"):
        weights: Any = keys("BOOTSTRAP_MODEL.WEIGHTS")
    else:
        weights = ref("train.init_checkpoint")
    keys("BOOTSTRAP_MODEL.DEVICE")
    for entry in keys(key):
        loader = entry.get("IMAGE_LOADER", {})
        if entry.get("DATASET") != "chimpnsee" or loader.get("TYPE") != "video_keyframe":
            raise keys.mistake(key, f"only key frames of 'chimpnsee' are known, not {entry.get('DATASET')!r}")
        select, transform = loader.get("SELECT", {}), loader.get("TRANSFORM", {})
        sampler = entry.get("DATA_SAMPLER", {})
        if sampler.get("TYPE") not in _SAMPLERS:
            raise keys.mistake(
                key, f"DATA_SAMPLER.TYPE is {sampler.get('TYPE')!r}, not one of {', '.join(_SAMPLERS)}"
            )
        ratios.append(float(entry.get("RATIO", 1.0)))
        others.append(
            L(InferenceBasedLoader)(
                teacher=REQUIRED,  # see `with_teacher`
                weights=weights,
                frames=L(VideoKeyframeDataset)(
                    files=f"{_VIDEOS}/video_list.txt",
                    root=_VIDEOS,
                    select=L(SelectFrames)(
                        strategy=select.get("STRATEGY", "random_k"), count=select.get("NUM_IMAGES", 4)
                    ),
                ),
                mapper=L(DatasetMapper)(
                    is_train=False,
                    augmentations=[
                        L(T.ResizeShortestEdge)(
                            short_edge_length=transform.get("MIN_SIZE", 800),
                            max_size=transform.get("MAX_SIZE", 1333),
                        )
                    ],
                    image_format=ref("dataloader.train.mapper.image_format"),
                ),
                point_sampler=L(ChartPointSampler)(
                    count_per_class=sampler.get("COUNT_PER_CLASS", 8), confidence=_SAMPLERS[sampler["TYPE"]]
                ),
                data_filter=L(ScoreBasedFilter)(min_score=entry.get("FILTER", {}).get("MIN_VALUE", 0.8)),
                masks=keys("MODEL.ROI_DENSEPOSE_HEAD.COARSE_SEGM_TRAINED_BY_MASKS"),
                files_at_once=loader.get("BATCH_SIZE", 8),
                batch_size=entry.get("INFERENCE", {}).get("INPUT_BATCH_SIZE", 1),
                num_workers=loader.get("NUM_WORKERS", 1),
                seed=ref("oc.select:train.seed,0"),
                on_error="skip",
            )
        )
    return L(BootstrappingTrainLoader)(**given, others=others, ratios=ratios)
