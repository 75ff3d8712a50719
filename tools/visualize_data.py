"""Show what the data loader of a config feeds the model, or what the dataset itself holds, as PNG files.

python tools/visualize_data.py --config-file model_zoo/quickstart/mask_rcnn_shapes.py --output-dir seen
python tools/visualize_data.py --config-file x.py --source dataset --number 50 --split test
python tools/visualize_data.py --config-file x.py dataloader.train.dataset.dataset.json_file=mine.json
"""

import argparse
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from lazycfg import LazyConfig
from lazycfg.config import DEFAULT_ALLOW, ConfigError, UntrustedError


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="a .py, .yaml or .json config")
    parser.add_argument("--output-dir", default="visualized_data", metavar="DIR", help="where the PNGs go")
    parser.add_argument("--number", type=int, default=20, metavar="N", help="how many pictures")
    parser.add_argument(
        "--split", choices=["train", "test"], default="train", help="dataloader.train or .test"
    )
    parser.add_argument(
        "--source",
        choices=["loader", "dataset"],
        default="loader",
        help="loader: after the augmentations, as the model gets it; dataset: as annotated",
    )
    parser.add_argument("--scale", type=float, default=None, help="size of the PNGs relative to the pictures")
    parser.add_argument("--trusted", action="store_true", help="a .yaml or .json config may name anything")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="NAME", help="a name that such a config may have, too"
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes: a.b=1, +a.new=2, ~a.gone")
    return parser.parse_intermixed_args(argv)


def from_loader(loader: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Mapped samples and their pictures in RGB."""
    bgr = getattr(loader.dataset.map_func, "image_format", "RGB") == "BGR"
    for batch in loader:
        for sample in batch:
            yield sample, sample["image"].flip(0) if bgr else sample["image"]


def draw(sample: dict[str, Any], image: Any, metadata: Any, scale: float | None) -> Any:
    """The picture with whatever is known of it."""
    from lazycfg.visualization import draw_ground_truth, draw_instances, draw_sem_seg

    if "annotations" in sample:
        return draw_ground_truth(sample, metadata, image=image, scale=scale)
    if "instances" in sample:
        return draw_instances(image, sample["instances"], metadata, scale=scale)
    if "sem_seg" in sample:
        return draw_sem_seg(image, sample["sem_seg"], metadata, scale=scale)
    return image.permute(1, 2, 0).numpy()


def show(cfg: Any, args: argparse.Namespace) -> None:
    """Write the pictures, and print what the dataset holds and where the files are."""
    from PIL import Image

    from lazycfg.data import load_rgb, summarize
    from lazycfg.engine.build import build_at

    path = f"dataloader.{args.split}"
    loader = build_at(cfg, [path])[path]
    dataset = loader.dataset.dataset
    summary = summarize(dataset)
    part = f"the first {summary.num_images} of {len(dataset)}: " if summary.num_images < len(dataset) else ""
    print(f"{dataset.metadata.name}: {part}{summary.table(dataset.metadata.thing_classes)}")
    if args.source == "loader":
        samples = from_loader(loader)
    else:
        records = (dataset[i] for i in range(len(dataset)))
        samples = ((record, load_rgb(record, loader.dataset.map_func)) for record in records)
    folder = Path(args.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for sample, image in islice(samples, args.number):
        name = re.sub(r"\W+", "_", Path(str(sample.get("file_name", sample.get("image_id", "")))).stem)
        Image.fromarray(draw(sample, image, dataset.metadata, args.scale)).save(
            folder / f"{written:04d}_{name}.png"
        )
        written += 1
    print(f"{written} pictures in {folder}")


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        cfg = LazyConfig.load(args.config_file, trusted=args.trusted, allow=(*DEFAULT_ALLOW, *args.allow))
        LazyConfig.apply_overrides(cfg, args.overrides)
        show(cfg, args)
    except (ConfigError, OSError, ValueError) as error:
        text = error.with_options() if isinstance(error, UntrustedError) else str(error)
        print("\n".join([f"error: {text}", *getattr(error, "__notes__", ())]), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
