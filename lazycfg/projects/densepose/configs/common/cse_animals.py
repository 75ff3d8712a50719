"""Animals of LVIS with points on meshes, and DensePose-Chimps with vertices.

In `$DETECTRON2_DATASETS` (`datasets` when unset) there are expected
`lvis/densepose_lvis_v1_ds1_train_v1.json` and its like, whose images are in `coco_train2017` and
`coco_val2017`; `densepose_chimps/images` and `densepose_chimps/densepose_chimps_cse_train.json` and its like;
and the symmetries of vertices in `densepose/meshes/symmetry`.
"""

from collections.abc import Sequence
from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import FilteredDataset
from lazycfg.projects.densepose import (
    DensePoseCocoDataset,
    DensePoseLVISDataset,
    has_densepose,
    has_densepose_or_masks,
)
from lazycfg.projects.densepose.evaluation import MeshAlignmentEvaluator

from .densepose_cse_fpn import densepose_root, mesh, use_meshes

_root = "${oc.env:DETECTRON2_DATASETS,datasets}"

CATEGORIES = {
    "bear": 76,
    "cow": 80,
    "cat": 225,
    "dog": 378,
    "elephant": 422,
    "giraffe": 496,
    "horse": 569,
    "sheep": 943,
    "zebra": 1202,
}
"""Of LVIS v1, in the order of their ids, and so of the classes."""

_OTHERS = ["elephant_5002", "giraffe_5002", "horse_5004", "sheep_5004", "zebra_5002"]
MESHES = {
    "ds1": ["bear_4936", "cow_5002", "cat_5001", "dog_5002", *_OTHERS],
    "ds2": ["bear_4936", "cow_5002", "cat_7466", "dog_7466", *_OTHERS],
}
"""That the annotations of a data set are on, one for each of the categories."""


def animals(split: str, one_class: bool) -> Any:
    """Record the data set of one split of the animals."""
    ids = list(CATEGORIES.values())
    return L(DensePoseLVISDataset)(
        name=f"densepose_lvis_v1_{split}_v1",
        json_file=f"{_root}/lvis/densepose_lvis_v1_{split}_v1.json",
        image_root=_root,
        folder_prefix="coco_",
        category_ids=ids,
        category_map=dict.fromkeys(ids, CATEGORIES["sheep"]) if one_class else None,
        on_error="skip",
    )


def use_animals(dataloader: Any, name: str, one_class: bool = False) -> None:
    """Train and test on one of the sets of animals, "ds1" or "ds2"; with masks."""
    train, test = dataloader.train, dataloader.test
    train.dataset = L(FilteredDataset)(
        dataset=animals(f"{name}_train", one_class), keep=has_densepose_or_masks
    )
    train.mapper.update(
        use_instance_mask=True,
        instance_mask_format="bitmask",
        meshes=[mesh(m) for m in MESHES[name]],
    )
    test.dataset = animals(f"{name}_val", one_class)
    dataloader.evaluator[1].meshes = {m: mesh(m) for m in MESHES[name]}


def use_animal_meshes(model: Any, name: str, others: Sequence[str] = ()) -> None:
    """The meshes of a set of animals, "ds1" or "ds2", and other meshes."""
    use_meshes(model, MESHES[name], others)


def evaluate_alignment(dataloader: Any, name: str) -> None:
    """Measure how well the embeddings of a set of animals lie on each other, too."""
    dataloader.evaluator.append(
        L(MeshAlignmentEvaluator)(
            embedder=ref("model.roi_heads.embedder"),
            meshes=dataloader.evaluator[1].meshes,
            keyvertices=f"{densepose_root}/cse/mesh_keyvertices_v0.json",
            mesh_names=MESHES[name],
        )
    )


def use_chimps(dataloader: Any) -> None:
    """Train and test on DensePose-Chimps."""

    def chimps(split: str) -> Any:
        return L(DensePoseCocoDataset)(
            name=f"densepose_chimps_cse_{split}",
            json_file=f"{_root}/densepose_chimps/densepose_chimps_cse_{split}.json",
            image_root=f"{_root}/densepose_chimps/images",
            on_error="skip",
        )

    dataloader.train.dataset = L(FilteredDataset)(dataset=chimps("train"), keep=has_densepose)
    dataloader.train.mapper.update(meshes=[mesh("chimp_5029")])
    dataloader.test.dataset = chimps("val")
    dataloader.evaluator[1].meshes = {"chimp_5029": mesh("chimp_5029")}
