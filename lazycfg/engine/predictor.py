"""`Predictor`: a model with everything needed to predict on files and arrays: reading, resizing, class names,
drawing.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from lazycfg.checkpoint import load_weights, local_weights
from lazycfg.config.lazy import LazyConfig
from lazycfg.data import DatasetMapper, Metadata, load_rgb
from lazycfg.data.image import image_to_tensor
from lazycfg.layers import fuse as fold
from lazycfg.modeling import TiledInference
from lazycfg.structures import Instances

from .build import as_config, build_at
from .distributed import resolve_device
from .hub import CONFIG, WEIGHTS, pull_from_hub
from .prediction_images import draw_output
from .run_metadata import metadata_of_weights
from .settings import SettingsError

__all__ = ["ImageInput", "Predictor"]

logger = logging.getLogger(__name__)

ImageInput = str | os.PathLike[str] | np.ndarray | Tensor | Image.Image
"""A file, a Pillow image, a uint8 array (H, W, 3) or a uint8 tensor (3, H, W). For a mapper that reads "raw"
images, arrays (H, W) and (H, W, C) and tensors (C, H, W) of any numbers."""

ChannelOrder = Literal["RGB", "BGR"]
OnError = Literal["raise", "return"]


class Predictor:
    """Predicts on images: reads and resizes them, runs the model, and draws what it finds.

    Reading and resizing run in threads, one batch ahead of the model.

        predictor = Predictor.from_config("out/config.yaml", weights="out/model_final.safetensors")
        for file, instances in zip(files, predictor(files)):
            print(file, instances.pred_boxes, instances.scores, instances.pred_classes)
            rgb = predictor.draw(file, instances)

    Files and Pillow images are turned upright as their EXIF orientation says, and results are in pixels of
    the upright image.

    Args:
        model: is put on ``device`` and into evaluation mode.
        mapper: from ``{"file_name": ...}`` or ``{"image": RGB uint8}`` to what the model takes: the mapper of
            the test loader, with its resizing and channel order. When left out, images keep their size and
            get the channel order of the model's ``input_format`` (BGR if it has none). If its `image_format`
            is "raw", arrays and tensors are taken with all their channels and values.
        weights: a file of weights to load first, or the name of one that is downloaded (see
            `lazycfg.checkpoint.local_weights`).
        metadata: class names, colors and keypoints for `draw`; when left out, those that the file of weights
            holds (`train` writes them into it).
        batch_size: images the model sees at a time.
        channel_order: of the arrays and tensors given, "RGB" or "BGR" (what ``cv2.imread`` returns). Nothing
            in an array tells which it is, so arrays are refused when it is given neither here nor in the
            call. Files and Pillow images know theirs.
        device: "auto" takes a GPU where there is one; None leaves the model where it is.
        autocast: run the model under autocast with this type, e.g. ``torch.bfloat16``.
        fuse: fold batch normalizations into convolutions (`lazycfg.layers.fuse`), which is faster; the
            predictor then has a copy of the model.
        num_threads: that read and resize.
        tiles: arguments of `lazycfg.modeling.TiledInference`, such as ``{"slice_size": 640}``: images are
            looked at in overlapping tiles at their full size. The mapper's augmentations (resizing) are then
            applied to each tile instead of the image.

    Raises:
        SettingsError: the weights leave a part of the model as it was initialized.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        mapper: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        weights: str | os.PathLike[str] | None = None,
        metadata: Metadata | None = None,
        batch_size: int = 1,
        channel_order: ChannelOrder | None = None,
        device: str | None = "auto",
        autocast: torch.dtype | None = None,
        fuse: bool = False,
        num_threads: int = 4,
        tiles: Mapping[str, Any] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: expected at least 1")
        _check_order(channel_order)
        if weights is not None:
            metadata = _load(model, weights, metadata)
        if fuse:
            model = fold(model)
        self.model = model.eval() if device is None else model.to(resolve_device(device)).eval()
        if mapper is None:
            wanted = getattr(model, "input_format", None) or "BGR"
            mapper = DatasetMapper(is_train=False, image_format=wanted)
        if tiles is not None:
            self.model, mapper = _tiled(self.model, mapper, tiles)
        self.mapper = mapper
        self.metadata = metadata
        self.batch_size = batch_size
        self.channel_order = channel_order
        self.autocast = autocast
        self.num_threads = num_threads

    @classmethod
    def from_config(
        cls,
        config: str | os.PathLike[str] | Mapping[str, Any],
        *,
        weights: str | os.PathLike[str] | None = None,
        overrides: Sequence[str] = (),
        metadata: Metadata | None = None,
        trusted: bool = False,
        allow: Iterable[Any] | None = None,
        **options: Any,
    ) -> Self:
        """Build from ``model``, ``dataloader.test.mapper`` and ``train.init_checkpoint`` of a config.

        Args:
            config: a file, or a loaded config; it is not changed.
            weights: a file of weights or a name, instead of ``train.init_checkpoint``.
            overrides: changes such as ``["model.roi_heads.box_predictor.test_score_thresh=0.5"]``.
            trusted, allow: what a data file may name, as for `LazyConfig.load`.
            metadata: as for `Predictor`.
            **options: as for `Predictor`. ``fuse`` is true if left out: the model is built here, and nobody
                else has a use for it as it was.

        Raises:
            SettingsError: the config has no model; there are no weights, or they leave a part of the model
                as it was initialized.
        """
        if isinstance(config, (str, os.PathLike)):
            if os.path.isdir(config):
                raise SettingsError(
                    f"{os.fspath(config)} is a folder; give the config in it: "
                    f"{os.path.join(config, 'config.yaml')}"
                )
            cfg = LazyConfig.load(config, trusted=trusted, allow=allow)
        else:
            cfg = as_config(config)
        if overrides:
            cfg = LazyConfig.apply_overrides(cfg.copy(), overrides)
        if "model" not in cfg:
            raise SettingsError(f"the config has no model; it has {', '.join(map(str, cfg))}")
        paths = ["model"]
        test = cfg.get("dataloader", {}).get("test", {})
        if "mapper" not in options and isinstance(test, Mapping) and test.get("mapper") is not None:
            paths.append("dataloader.test.mapper")
        train = cfg.get("train", {})
        if weights is None:
            weights = train.get("init_checkpoint") or None
        if weights is None:
            raise SettingsError("no weights to predict with: give weights=FILE, or train.init_checkpoint")
        built = build_at(cfg, paths)
        if "dataloader.test.mapper" in built:
            options["mapper"] = built["dataloader.test.mapper"]
        model = built["model"]
        metadata = _load(model, weights, metadata)
        if options.pop("fuse", True):
            fold(model, inplace=True)
        return cls(model, metadata=metadata, **options)

    @classmethod
    def from_zoo(
        cls,
        name: str,
        *,
        overrides: Sequence[str] = (),
        metadata: Metadata | None = None,
        **options: Any,
    ) -> Self:
        """Build a model of the model zoo with its published weights, which are downloaded once.

            predictor = Predictor.from_zoo("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x")

        Args:
            name: of the config; ``.py`` or ``.yaml`` may follow.
            overrides, metadata, **options: as for `from_config`. Class names of COCO are known without
                ``metadata``.

        Raises:
            FileNotFoundError: no such config.
            CheckpointError: no weights were published for it, or they cannot be downloaded.
        """
        from lazycfg import model_zoo  # which stands on top of everything: only this name leads there

        cfg = model_zoo.get_config(name, trained=True)
        if metadata is None:
            metadata = model_zoo.get_metadata(name)
        return cls.from_config(cfg, overrides=overrides, metadata=metadata, **options)

    @classmethod
    def from_hub(
        cls,
        repo: str | os.PathLike[str],
        *,
        trusted: bool = False,
        allow: Iterable[Any] | None = None,
        token: str | None = None,
        **options: Any,
    ) -> Self:
        """Build a model of the Hugging Face Hub that `push_to_hub` uploaded.

        Its config is a data file of somebody else: it may name only what the default policy allows, or
        `allow`.

            predictor = Predictor.from_hub("ORG/NAME")

        Args:
            repo: ``ORG/NAME`` or ``ORG/NAME@REVISION``; or a folder that `save_for_hub` wrote.
            trusted, allow: what the config may name, as for `LazyConfig.load`.
            token: of the hub, for a private repository.
            **options: as for `from_config`.

        Raises:
            CheckpointError: the repository cannot be had, or holds no model of lazycfg.
            UntrustedError: the config names something else. Nothing was built.
        """
        folder = Path(repo) if os.path.isdir(repo) else pull_from_hub(os.fspath(repo), token=token)
        return cls.from_config(
            folder / CONFIG, weights=folder / WEIGHTS, trusted=trusted, allow=allow, **options
        )

    def __call__(
        self,
        images: ImageInput | Iterable[ImageInput],
        *,
        channel_order: ChannelOrder | None = None,
        on_error: OnError = "raise",
    ) -> Any:
        """Predict the objects in images.

        Args:
            images: one image (see `ImageInput`), or several of any sizes.
            channel_order: of the arrays and tensors among them; default: the predictor's.
            on_error: what to do with an image that cannot be read. "raise" ends the call. "return" puts the
                exception into the list in place of the result, and goes on with the others.

        Returns:
            `Instances` on the CPU, in pixels of the image: of one image, or a list in the order given. The
            dict of the model's outputs instead, when it has other outputs than instances.

        Raises:
            FileNotFoundError, IsADirectoryError, ImageError: a file cannot be read; an array is of another
                shape or type, or has no pixels; the values of an image of floating point numbers have no
                known range (see ``value_range`` of `DatasetMapper`).
            ValueError: an array of unknown channel order.
        """
        one = _is_one(images)
        source: Any = [images] if one else images
        results = list(self.stream(source, channel_order=channel_order, on_error=on_error))
        return results[0] if one else results

    def stream(
        self,
        images: Iterable[ImageInput],
        *,
        channel_order: ChannelOrder | None = None,
        on_error: OnError = "raise",
    ) -> Iterator[Any]:
        """Predict one after another, for more images than fit in memory; arguments as in a call.

        Raises:
            ValueError: `on_error` or `channel_order` is none of those that there are
        """
        _check_order(channel_order)
        if on_error not in ("raise", "return"):
            raise ValueError(f"on_error={on_error!r}: expected 'raise' or 'return'")
        return self._stream(enumerate(images), channel_order or self.channel_order, on_error)

    def draw(
        self,
        image: ImageInput,
        result: Any,
        *,
        channel_order: ChannelOrder | None = None,
        score_threshold: float = 0.5,
        **options: Any,
    ) -> np.ndarray:
        """Draw a result on its image, with the class names of `metadata`.

        Args:
            image: as it was given to the predictor.
            result: what the predictor returned for it.
            channel_order: of an array or tensor; default: the predictor's.
            score_threshold: leave out objects below it.
            **options: for `lazycfg.visualization.draw_instances`: ``scale``, ``max_instances``, ``font``...

        Returns:
            (H, W, 3) uint8, RGB, enlarged if the image is small (``scale=1`` keeps its size).

        Raises:
            TypeError: the image could not be read, so that there is no result
        """
        if isinstance(result, Exception):
            raise TypeError(f"there is no result to draw; the image could not be read: {result}") from result
        _check_order(channel_order)
        rgb = self._read(image, channel_order or self.channel_order)
        output = result if isinstance(result, Mapping) else {"instances": result}
        return draw_output(rgb, dict(output), self.metadata, score_threshold=score_threshold, **options)

    def _stream(
        self, images: Iterator[tuple[int, ImageInput]], order: ChannelOrder | None, on_error: OnError
    ) -> Iterator[Any]:
        with ThreadPoolExecutor(max_workers=self.num_threads, thread_name_prefix="predictor") as pool:
            waiting: deque[list[Future[dict[str, Any]]]] = deque()
            while True:
                while len(waiting) < 2:
                    batch = [
                        pool.submit(self._prepare, *each, order) for each in islice(images, self.batch_size)
                    ]
                    if not batch:
                        break
                    waiting.append(batch)
                if not waiting:
                    return
                samples = [_outcome(future, on_error) for future in waiting.popleft()]
                found = iter(self._predict([each for each in samples if not isinstance(each, Exception)]))
                for sample in samples:
                    yield sample if isinstance(sample, Exception) else next(found)

    def _prepare(self, index: int, image: ImageInput, order: ChannelOrder | None) -> dict[str, Any]:
        try:
            if isinstance(image, (str, os.PathLike)):
                return self.mapper({"file_name": _file(image)})
            if self._is_raw and isinstance(image, (np.ndarray, Tensor)):
                return self.mapper({"image": image.cpu() if isinstance(image, Tensor) else image})
            return self.mapper({"image": self._read(image, order)})
        except Exception as error:
            error.add_note(f"while preparing image {index} of the call (counted from 0)")
            raise

    @property
    def _is_raw(self) -> bool:
        """Return whether images are read with all their channels."""
        return getattr(self.mapper, "image_format", None) == "raw"

    def _read(self, image: ImageInput, order: ChannelOrder | None) -> Tensor:
        """Return a uint8 tensor (3, H, W), RGB, upright."""
        if isinstance(image, (str, os.PathLike)):
            return load_rgb({"file_name": _file(image)}, self.mapper)
        if isinstance(image, Image.Image):
            return load_rgb({"image": ImageOps.exif_transpose(image)}, self.mapper)
        if self._is_raw and isinstance(image, (np.ndarray, Tensor)):
            return load_rgb({"image": image.cpu() if isinstance(image, Tensor) else image}, self.mapper)
        if isinstance(image, (np.ndarray, Tensor)):
            tensor = image_to_tensor(image.cpu() if isinstance(image, Tensor) else image, "RGB")
            _check_array_order(order)
            return tensor.flip(0) if order == "BGR" else tensor
        raise TypeError(
            f"an image is a file, an array, a tensor or a Pillow image, got {type(image).__name__}"
            + (" (cv2.imread returns None for a file that it cannot read)" if image is None else "")
        )

    @torch.no_grad()
    def _predict(self, batch: list[dict[str, Any]]) -> list[Any]:
        if not batch:
            return []
        device = next((p.device.type for p in self.model.parameters()), "cpu")
        with torch.autocast(device, dtype=self.autocast, enabled=self.autocast is not None):
            outputs = self.model(batch)
        return [_on_cpu(output) for output in outputs]


def _load(model: nn.Module, weights: str | os.PathLike[str], metadata: Metadata | None) -> Metadata | None:
    """Load all weights of a model, and find the names of its classes."""
    weights = local_weights(weights)
    report = load_weights(model, weights)
    if report.newly_initialized:
        shown = ", ".join(report.newly_initialized[:3])
        raise SettingsError(
            f"{os.fspath(weights)} has weights for a part of the model only (of a backbone?): "
            f"{len(report.newly_initialized)} tensors are not in it ({shown}, ...), so predictions would be "
            "random. Give the weights of a trained model: weights=.../model_final.safetensors"
        )
    if metadata is not None:
        return metadata
    found = metadata_of_weights(weights)
    if found is None:
        logger.warning(
            "%s holds no class names (it was written by another program, or by an older version): labels are "
            "numbers. For names, pass metadata=Metadata(thing_classes=(...)) of lazycfg.data; lazycfg "
            "predict takes them from --annotations FILE",
            os.fspath(weights),
        )
    return found


def _tiled(model: nn.Module, mapper: Any, tiles: Mapping[str, Any]) -> tuple[TiledInference, DatasetMapper]:
    """Return a model that looks at tiles, and a mapper that leaves resizing to it.

    Raises:
        ValueError: the mapper is of another kind, so that its resizing is not known.
    """
    if not isinstance(mapper, DatasetMapper):
        raise ValueError(
            f"tiles: the mapper is a {type(mapper).__name__}, whose resizing cannot be moved to the tiles; "
            "wrap the model in lazycfg.modeling.TiledInference, and give a mapper that does not resize"
        )
    own: dict[str, Any] = {"resize": mapper.augmentations} if mapper.augmentations.augs else {}
    made = TiledInference(model=model, **{**own, **tiles}).eval()
    return made, mapper.with_augmentations([])


def _check_order(order: str | None) -> None:
    if order not in (None, "RGB", "BGR"):
        raise ValueError(f"channel_order={order!r}: expected 'RGB' or 'BGR'")


def _file(image: str | os.PathLike[str]) -> str:
    path = os.fspath(image)
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"{path} is a folder; pass its files: sorted(pathlib.Path({path!r}).glob('*.jpg'))"
        )
    return path


def _check_array_order(order: ChannelOrder | None) -> None:
    if order is None:
        raise ValueError(
            "the channel order of an array cannot be seen: pass channel_order='BGR' (of cv2.imread) or "
            "channel_order='RGB' (of Pillow, torchvision, matplotlib), or give the file itself"
        )


def _outcome(future: Future[dict[str, Any]], on_error: OnError) -> dict[str, Any] | Exception:
    """Return what was prepared; or the exception, of an image that could not be read."""
    try:
        return future.result()
    except (OSError, ValueError) as error:
        if on_error == "raise":
            raise
        return error


def _is_one(images: Any) -> bool:
    return images is None or isinstance(images, (str, os.PathLike, np.ndarray, Tensor, Image.Image))


def _on_cpu(output: dict[str, Any]) -> Any:
    moved = {
        name: value.to("cpu") if isinstance(value, (Tensor, Instances)) else value
        for name, value in output.items()
    }
    return moved["instances"] if set(moved) == {"instances"} else moved
