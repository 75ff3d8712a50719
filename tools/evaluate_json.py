#!/usr/bin/env python
"""COCO's metrics of a file of detections, for which no images and no model are needed.

python tools/evaluate_json.py annotations.json detections.json --task segm
python tools/evaluate_json.py annotations.json detections.json --analysis out
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lazycfg.evaluation import analyse_detections, evaluate_json, read_results, to_json
from lazycfg.evaluation.analysis import analysis_metrics
from lazycfg.evaluation.tables import metrics_table, per_class_table
from lazycfg.utils import atomic_write
from lazycfg.visualization import draw_analysis


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
    parser.add_argument("--engine", choices=("hotcoco", "faster-coco-eval"), help="the package that compares")
    parser.add_argument(
        "--analysis", metavar="FOLDER", help="say where detections go wrong, in a JSON file and charts there"
    )
    args = parser.parse_args()
    if args.analysis and args.task == "keypoints":
        parser.error("--analysis is of boxes and masks, not of keypoints")
    try:
        scores = evaluate_json(
            args.annotations,
            args.detections,
            args.task,
            max_dets=args.max_dets,
            kpt_oks_sigmas=args.sigmas,
            engine=args.engine,
        )
        if args.analysis:
            truth, detections = read_results(args.annotations, args.detections, args.task)
            analysis = analyse_detections(truth, detections, args.task, max_dets=scores.max_dets[-1])
    except (OSError, ValueError, ImportError) as error:
        parser.exit(1, f"{error}\n")
    print(metrics_table({**scores.metrics(), **scores.recalls()}))
    if args.per_class:
        print(per_class_table(scores.per_class()))
    for said in scores.explanations():
        print(said)
    if args.analysis:
        print(metrics_table(analysis_metrics(analysis)))
        with atomic_write(Path(args.analysis) / f"{args.task}_analysis.json") as partial:
            partial.write_text(to_json(analysis, indent=1))
        for path in draw_analysis(analysis, args.analysis):
            print(path)


if __name__ == "__main__":
    main()
