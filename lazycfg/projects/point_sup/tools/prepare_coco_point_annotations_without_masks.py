r"""Make an annotation file with labelled points in place of masks, of one in COCO's format with masks.

python projects/point_sup/tools/prepare_coco_point_annotations_without_masks.py \\
    datasets/coco/annotations/instances_train2017.json --num-points 10

writes instances_train2017_n10_v1_without_masks.json beside it. The seed is that of the published files, so
that the points are the same.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lazycfg._atomic import atomic_write
from lazycfg.data.datasets.coco_files import read_coco_json
from lazycfg.projects.point_sup.datasets import label_points

SEED = 12345


def with_points(data: dict[str, Any], num_points: int, rng: np.random.RandomState) -> dict[str, Any]:
    """Return the contents of an annotation file with "point_coords" and "point_labels" in place of
    "segmentation", drawn for one annotation after the other. Crowd regions have points, too.

    Raises:
        ValueError: an annotation has no mask, or one that cannot be read.
    """
    sizes = {image["id"]: (image["height"], image["width"]) for image in data["images"]}
    annotations = []
    for annotation in data["annotations"]:
        where = f"annotation {annotation.get('id')} of image {annotation.get('image_id')}"
        segmentation = annotation.get("segmentation")
        if not segmentation or annotation.get("image_id") not in sizes:
            lacking = "no 'segmentation'" if not segmentation else "an image_id that no image has"
            raise ValueError(f"{where} has {lacking}")
        drawn = rng.rand(num_points, 2)
        height, width = sizes[annotation["image_id"]]
        try:
            boxes = np.asarray([annotation["bbox"]], dtype=np.float64)
            (coords,), (labels,) = label_points(drawn[None], boxes, [segmentation], height, width)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{where}: {error}") from error
        own = {k: v for k, v in annotation.items() if k != "segmentation"}
        annotations.append(own | {"point_coords": coords, "point_labels": labels})
    return {**data, "annotations": annotations}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("json_file", type=Path, help="annotations with masks, in COCO's format")
    parser.add_argument("--num-points", type=int, default=10, metavar="P", help="points of each object (10)")
    parser.add_argument(
        "--versions", type=int, default=1, metavar="N", help="how many files with other points to make (1)"
    )
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the points ({SEED})")
    args = parser.parse_args(argv)
    if args.num_points < 1 or args.versions < 1:
        parser.error("--num-points and --versions must be 1 or more")
    data = read_coco_json(args.json_file)
    rng = np.random.RandomState(args.seed)
    for version in range(1, args.versions + 1):
        name = f"{args.json_file.stem}_n{args.num_points}_v{version}_without_masks.json"
        target = args.json_file.with_name(name)
        try:
            contents = with_points(data, args.num_points, rng)
        except ValueError as error:
            sys.exit(f"{args.json_file}: {error}")
        with atomic_write(target) as path:
            path.write_text(json.dumps(contents))
        print(f"{target}: {len(contents['annotations'])} annotations with {args.num_points} points each")


if __name__ == "__main__":
    main()
