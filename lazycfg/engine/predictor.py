"""A model with all that stands between it and a picture."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from lazycfg.checkpoint import load_weights
from lazycfg.config.lazy import LazyConfig
from lazycfg.data import DatasetMapper
from lazycfg.layers import fuse as fold
from lazycfg.structures import Instances

from .build import as_config, build_at
from .session import resolve_device
from .settings import SettingsError

__all__ = ["Picture", "Predictor"]

Picture = str | os.PathLike[str] | np.ndarray | Tensor | Any
"""A file, a uint8 array (H, W, 3), a uint8 tensor (3, H, W), or a Pillow image."""


class Predictor:
    """Takes pictures and gives what the model finds in them.

    Reading and resizing run in threads, one batch ahead of the model.

        predictor = Predictor.from_config("x.py", weights="output/model_final.safetensors")
        for file, instances in zip(files, predictor(files)):
            print(file, instances.pred_boxes, instances.scores, instances.pred_classes)

    Args:
        model: is put on ``device`` and into evaluation mode.
        mapper: from ``{"file_name": ...}`` or ``{"image": RGB uint8}`` to what the model takes: the mapper of
            the test loader, with its resizing and channel order. When left out, pictures keep their size and
            get the channel order of the model's ``input_format`` (BGR if it has none).
        weights: a file of weights to load first.
        batch_size: pictures the model sees at a time.
        input_format: channel order of the arrays and tensors given (files and Pillow images know theirs).
            OpenCV reads "BGR".
        device: "auto" takes a GPU where there is one; None leaves the model where it is.
        autocast: run the model under autocast with this type, e.g. ``torch.bfloat16``.
        fuse: fold batch normalisations into convolutions (`lazycfg.layers.fuse`), which is faster; the
            predictor then has a copy of the model.
        num_threads: that read and resize.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        mapper: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        weights: str | os.PathLike[str] | None = None,
        batch_size: int = 1,
        input_format: Literal["RGB", "BGR"] = "RGB",
        device: str | None = "auto",
        autocast: torch.dtype | None = None,
        fuse: bool = False,
        num_threads: int = 4,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: expected at least 1")
        if input_format not in ("RGB", "BGR"):
            raise ValueError(f"input_format {input_format!r}: expected 'RGB' or 'BGR'")
        if weights is not None:
            load_weights(model, weights)
        if fuse:
            model = fold(model)
        self.model = model.eval() if device is None else model.to(resolve_device(device)).eval()
        if mapper is None:
            wanted = getattr(model, "input_format", None) or "BGR"
            mapper = DatasetMapper(is_train=False, image_format=wanted)
        self.mapper = mapper
        self.batch_size = batch_size
        self.input_format = input_format
        self.autocast = autocast
        self.num_threads = num_threads

    @classmethod
    def from_config(
        cls,
        config: str | os.PathLike[str] | Mapping[str, Any],
        *,
        weights: str | os.PathLike[str] | None = None,
        overrides: Sequence[str] = (),
        trusted: bool = False,
        allow: Iterable[Any] | None = None,
        **options: Any,
    ) -> Self:
        """From ``model``, ``dataloader.test.mapper`` and ``train.init_checkpoint`` of a config.

        Args:
            config: a file, or a loaded config; it is not changed.
            weights: a file of weights, instead of ``train.init_checkpoint``.
            overrides: changes such as ``["model.roi_heads.box_predictor.test_score_thresh=0.5"]``.
            trusted, allow: what a data file may name, as for `LazyConfig.load`.
            **options: as for `Predictor`. ``fuse`` is true if left out: the model is built here, and nobody
                else has a use for it as it was.

        Raises:
            SettingsError: the config has no model, or there are no weights.
        """
        if isinstance(config, (str, os.PathLike)):
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
        load_weights(model, weights)
        if options.pop("fuse", True):
            fold(model, inplace=True)
        return cls(model, **options)

    def __call__(self, pictures: Picture | Iterable[Picture]) -> Any:
        """Predict.

        Args:
            pictures: one picture (see `Picture`), or several of any sizes.

        Returns:
            `Instances` on the CPU, in pixels of the picture: of one picture, or a list in the order given.
            The dict of the model's outputs instead, when it has other outputs than instances.
        """
        if _is_one(pictures):
            return next(self.stream([pictures]))
        return list(self.stream(pictures))

    def stream(self, pictures: Iterable[Picture]) -> Iterator[Any]:
        """Predict one after another: for more pictures than fit in memory."""
        source = iter(pictures)
        with ThreadPoolExecutor(max_workers=self.num_threads, thread_name_prefix="predictor") as pool:
            waiting: deque[list[Future[dict[str, Any]]]] = deque()
            while True:
                while len(waiting) < 2:
                    batch = [pool.submit(self._prepare, each) for each in islice(source, self.batch_size)]
                    if not batch:
                        break
                    waiting.append(batch)
                if not waiting:
                    return
                yield from self._predict([future.result() for future in waiting.popleft()])

    def _prepare(self, picture: Picture) -> dict[str, Any]:
        if isinstance(picture, (str, os.PathLike)):
            return self.mapper({"file_name": os.fspath(picture)})
        if isinstance(picture, (np.ndarray, Tensor)):
            array = self._rgb(picture)
        elif hasattr(picture, "convert"):
            array = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
        else:
            raise TypeError(f"a picture is a file, an array, a tensor or a Pillow image, got {type(picture)}")
        return self.mapper({"image": array})

    def _rgb(self, picture: np.ndarray | Tensor) -> Tensor:
        """A uint8 tensor (3, H, W), RGB."""
        in_numpy = isinstance(picture, np.ndarray)
        tensor = torch.from_numpy(np.ascontiguousarray(picture)) if in_numpy else picture.cpu()
        if tensor.ndim != 3 or tensor.shape[2 if in_numpy else 0] != 3 or tensor.dtype != torch.uint8:
            raise ValueError(
                "a picture in memory is a uint8 array (H, W, 3) or a uint8 tensor (3, H, W), got "
                f"{type(picture).__name__} {picture.dtype} {tuple(picture.shape)}"
            )
        tensor = tensor.permute(2, 0, 1) if in_numpy else tensor
        return tensor.flip(0) if self.input_format == "BGR" else tensor

    @torch.no_grad()
    def _predict(self, batch: list[dict[str, Any]]) -> list[Any]:
        device = next((p.device.type for p in self.model.parameters()), "cpu")
        with torch.autocast(device, dtype=self.autocast, enabled=self.autocast is not None):
            outputs = self.model(batch)
        return [_on_cpu(output) for output in outputs]


def _is_one(pictures: Any) -> bool:
    return isinstance(pictures, (str, os.PathLike, np.ndarray, Tensor)) or hasattr(pictures, "convert")


def _on_cpu(output: dict[str, Any]) -> Any:
    moved = {
        name: value.to("cpu") if isinstance(value, (Tensor, Instances)) else value
        for name, value in output.items()
    }
    return moved["instances"] if set(moved) == {"instances"} else moved
