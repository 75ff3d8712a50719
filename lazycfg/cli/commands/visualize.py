"""The command `visualize`: draw what a data loader gives the model, or what the data set itself holds."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from lazycfg.cli.common import CommandError, load_config, loading_options, say

__all__ = ["visualize"]


def visualize(arguments: argparse.Namespace) -> int:
    """Write the images as PNG files, and print what the data set holds and where the files are.

    Raises:
        CommandError: the data cannot be read.
    """
    if arguments.number < 1:
        raise CommandError(f"--number {arguments.number} must be at least 1")
    if arguments.scale is not None and not 0 < arguments.scale < math.inf:
        raise CommandError(f"--scale {arguments.scale:g} must be a number above 0, as 0.5 or 2")
    if Path(arguments.output_dir).exists() and not Path(arguments.output_dir).is_dir():
        raise CommandError(f"{arguments.output_dir} is no folder: choose another with -o DIR")
    cfg = load_config(arguments.config, arguments.words, real=True, **loading_options(arguments))
    try:
        _show(cfg, arguments)
    except ValueError as error:
        if arguments.traceback:
            raise
        raise CommandError("\n  ".join([str(error), *getattr(error, "__notes__", ())])) from error
    return 0


def _from_loader(loader: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield mapped samples and their images in RGB; of other channels what can be shown."""
    from lazycfg.data.image import visible_rgb

    order = getattr(loader.dataset.map_func, "image_format", "RGB")
    for batch in loader:
        for sample in batch:
            image = sample["image"]
            yield sample, image.flip(0) if order == "BGR" else image if order == "RGB" else visible_rgb(image)


def _draw(sample: dict[str, Any], image: Any, metadata: Any, scale: float | None) -> Any:
    """Return the image with whatever is known of it."""
    from lazycfg.visualization import draw_ground_truth, draw_instances, draw_sem_seg

    if "annotations" in sample:
        return draw_ground_truth(sample, metadata, image=image, scale=scale)
    if "instances" in sample:
        return draw_instances(image, sample["instances"], metadata, scale=scale)
    if "sem_seg" in sample:
        return draw_sem_seg(image, sample["sem_seg"], metadata, scale=scale)
    return image.permute(1, 2, 0).numpy()


def _show(cfg: Any, arguments: argparse.Namespace) -> None:
    from PIL import Image

    from lazycfg.data import load_rgb, summarize
    from lazycfg.engine.build import build_at
    from lazycfg.utils import atomic_write

    path = f"dataloader.{arguments.split}"
    loader = build_at(cfg, [path])[path]
    dataset = loader.dataset.dataset
    summary = summarize(dataset)
    part = f"the first {summary.num_images} of {len(dataset)}: " if summary.num_images < len(dataset) else ""
    say(f"{dataset.metadata.name}: {part}{summary.table(dataset.metadata.thing_classes)}")
    if arguments.source == "loader":
        samples = _from_loader(loader)
    else:
        records = (dataset[i] for i in range(len(dataset)))
        samples = ((record, load_rgb(record, loader.dataset.map_func)) for record in records)
    folder = Path(arguments.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for sample, image in islice(samples, arguments.number):
        name = re.sub(r"\W+", "_", Path(str(sample.get("file_name", sample.get("image_id", "")))).stem)
        drawn = Image.fromarray(_draw(sample, image, dataset.metadata, arguments.scale))
        with atomic_write(folder / f"{written:04d}_{name}.png") as partial:
            drawn.save(partial, format="PNG")
        written += 1
    say(f"{written} image{'' if written == 1 else 's'} in {folder}")
