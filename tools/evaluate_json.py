#!/usr/bin/env python
"""COCO's metrics of a file of detections.

python tools/evaluate_json.py annotations.json detections.json --task segm
"""

from __future__ import annotations

import argparse

from lazycfg.evaluation import evaluate_json
from lazycfg.evaluation.tables import metrics_table, per_class_table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotations", help="COCO annotation file")
    parser.add_argument("detections", help="results file: a list of detections")
    parser.add_argument("--task", choices=("bbox", "segm", "keypoints"), default="bbox")
    parser.add_argument("--max-dets", type=int, nargs="+", help="detections per image to look at (1 10 100)")
    parser.add_argument("--sigmas", type=float, nargs="+", default=(), help="tolerance of each keypoint")
    parser.add_argument("--per-class", action="store_true", help="a line for every class too")
    args = parser.parse_args()
    try:
        scores = evaluate_json(
            args.annotations, args.detections, args.task, max_dets=args.max_dets, kpt_oks_sigmas=args.sigmas
        )
    except (OSError, ValueError, ImportError) as error:
        parser.exit(1, f"{error}\n")
    print(metrics_table({**scores.metrics(), **scores.recalls()}))
    if args.per_class:
        print(per_class_table(scores.per_class()))
    for said in scores.explanations():
        print(said)


if __name__ == "__main__":
    main()
