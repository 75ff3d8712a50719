"""The model zoo: configs by name, and their published weights.

Example::

    from lazycfg import model_zoo
    cfg = model_zoo.get_config("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py")
    model = model_zoo.get("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x", trained=True)

``.py`` may be left out, and ``.yaml``, as the reference names its configs, may stand in its place.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.node import Node

if TYPE_CHECKING:
    from torch import nn

    from lazycfg.data import Metadata

__all__ = ["get", "get_checkpoint_url", "get_config", "get_config_file", "get_metadata", "list_configs"]

_ROOT = Path(__file__).resolve().parent


def list_configs() -> list[str]:
    """Return the names of all configs of the zoo that describe a whole training."""
    files = (path.relative_to(_ROOT) for path in _ROOT.rglob("*.py") if path.name != "__init__.py")
    return sorted(path.as_posix() for path in files if path.parts[0] != "common" and len(path.parts) > 1)


def get_config_file(config_path: str) -> str:
    """Return the absolute path of a zoo config such as ``"COCO-Detection/faster_rcnn_R_50_FPN_1x.py"``.

    Raises:
        FileNotFoundError: no such config; the message names the nearest ones.
    """
    path = _ROOT / _with_suffix(config_path)
    if not path.is_file():
        known = list_configs()
        near = difflib.get_close_matches(_with_suffix(config_path), known, n=3, cutoff=0.4) or known
        raise FileNotFoundError(f"no config {config_path!r} in the model zoo; nearest: {', '.join(near)}")
    return str(path)


def get_config(config_path: str, trained: bool = False) -> Node:
    """Load a zoo config: a new tree for every call, which you may edit.

    Args:
        config_path: its path below the zoo's folder.
        trained: set ``train.init_checkpoint`` to the weights published for it. Nothing is downloaded yet.

    Raises:
        FileNotFoundError: no such config; the message names the nearest ones.
        CheckpointError: with ``trained``, no weights were published for it.
    """
    cfg = LazyConfig.load(get_config_file(config_path))
    if trained:
        get_checkpoint_url(config_path)
        cfg.train.update(init_checkpoint=_with_suffix(config_path).removesuffix(".py"), init_ignore=[])
    return cfg


def get_checkpoint_url(config_path: str) -> str:
    """Return the URL of the weights that were published for a config.

    The names of the reference's projects are known, too: ``"PointRend/InstanceSegmentation/..."``.

    Raises:
        CheckpointError: none were; the message names the nearest config that has some.
    """
    from lazycfg.checkpoint import CheckpointError, published_checkpoints, published_url
    from lazycfg.utils import closest

    url = published_url(config_path)
    if url is None:
        name = _with_suffix(config_path).removesuffix(".py")
        raise CheckpointError(
            f"no weights were published for {config_path}{closest(name, published_checkpoints())}; "
            "`lazycfg.checkpoint.published_checkpoints()` lists those that were"
        )
    return url


def get(config_path: str, trained: bool = False, device: str | None = None) -> nn.Module:
    """Build the model of a zoo config, and load weights into it.

    Args:
        config_path: its path below the zoo's folder.
        trained: load the weights published for it; otherwise those that its training begins with
            (``train.init_checkpoint``), if any. They are downloaded once.
        device: to put it on; None leaves it on the CPU.

    Returns:
        the model, in evaluation mode.

    Raises:
        FileNotFoundError: no such config.
        CheckpointError: no weights were published for it, or they cannot be downloaded.
        WeightsMismatchError: they do not fit the model.
    """
    from lazycfg.checkpoint import load_weights
    from lazycfg.config import instantiate

    cfg = get_config(config_path, trained)
    model: nn.Module = instantiate(cfg.model)
    if cfg.train.init_checkpoint:
        load_weights(model, cfg.train.init_checkpoint, ignore=cfg.train.init_ignore)
    return (model if device is None else model.to(device)).eval()


def get_metadata(config_path: str) -> Metadata | None:
    """Return the class names and ids of a config's test data without its annotation files.

    Returns:
        those of COCO and of its persons' keypoints; None for other data.

    Raises:
        FileNotFoundError: no such config.
    """
    from lazycfg.data import Metadata
    from lazycfg.data.datasets import coco_classes, coco_keypoints

    dataset = get_config(config_path).dataloader.test.get("dataset", {})
    name = str(dataset.get("name") or dataset.get("dataset", {}).get("name", ""))
    if name.startswith("keypoints_coco_"):
        return Metadata(
            name=name,
            thing_classes=("person",),
            thing_dataset_id_to_contiguous_id={1: 0},
            keypoint_names=coco_keypoints.COCO_PERSON_KEYPOINT_NAMES,
            keypoint_flip_map=coco_keypoints.COCO_PERSON_KEYPOINT_FLIP_MAP,
            keypoint_connection_rules=coco_keypoints.COCO_PERSON_KEYPOINT_CONNECTION_RULES,
            keypoint_oks_sigmas=coco_keypoints.COCO_PERSON_KEYPOINT_OKS_SIGMAS,
        )
    if name in ("coco_2017_val", "coco_2017_train"):
        ids = {number: label for label, number in enumerate(coco_classes.COCO_CATEGORY_IDS)}
        return Metadata(
            name=name, thing_classes=coco_classes.COCO_CLASSES, thing_dataset_id_to_contiguous_id=ids
        )
    return None


def _with_suffix(config_path: str) -> str:
    path = config_path.removesuffix(".yaml")
    return path if path.endswith(".py") else f"{path}.py"
