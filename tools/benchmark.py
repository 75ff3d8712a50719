#!/usr/bin/env python
"""Benchmarks; each prints ratios measured in one run, `parts` the shares of a step.

tools/benchmark.py config [--nodes 1000 10000 100000]
tools/benchmark.py model [--models mask_rcnn retinanet] [--device cuda] [--batch 1 8] [--quick]
tools/benchmark.py meshes [--points 10000]
tools/benchmark.py parts CONFIG [key=value ...] [--device cuda]
"""

from __future__ import annotations

import argparse


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    config = commands.add_parser("config", help="the construction core against direct construction")
    config.add_argument(
        "--nodes", type=int, nargs="+", default=[1000, 10_000, 100_000], help="sizes of the tree"
    )
    model = commands.add_parser("model", help="detectors against torchvision's with the same weights")
    model.add_argument("--models", nargs="+", default=["mask_rcnn", "retinanet"], help="which of the two")
    model.add_argument("--device", default="cuda" if _has_cuda() else "cpu", help="where to run")
    model.add_argument(
        "--batch", type=int, nargs="+", help="images at a time; by default what suits the device"
    )
    model.add_argument("--jobs", nargs="+", default=["inference", "training"], help="which of the two")
    model.add_argument("--variants", nargs="+", help="of our models; by default all")
    model.add_argument("--repeats", type=int, default=5, help="turns of each model")
    model.add_argument("--quick", action="store_true", help="batch 1, two turns, nothing compiled")
    meshes = commands.add_parser("meshes", help="operations on meshes against their plain forms")
    meshes.add_argument("--points", type=int, default=10_000, help="of each cloud")
    parts = commands.add_parser("parts", help="where the time of a config's model goes")
    parts.add_argument("config", help="config file")
    parts.add_argument("overrides", nargs="*", help="key=value")
    parts.add_argument("--device", default="cuda" if _has_cuda() else "cpu", help="where to run")
    parts.add_argument("--repeats", type=int, default=3, help="steps that are measured")
    parts.add_argument("--depth", type=int, default=1, help="of the names of parts, in dots")
    args = parser.parse_args()
    if args.command == "config":
        from benchmarks.config import main as run

        run(args.nodes)
    elif args.command == "model":
        from benchmarks.model import main as run_model

        run_model(args.models, args.device, args.batch, args.variants, args.jobs, args.repeats, args.quick)
    elif args.command == "meshes":
        from benchmarks.meshes import main as run_meshes

        run_meshes(args.points)
    elif args.command == "parts":
        from benchmarks.parts import main as run_parts

        run_parts(args.config, args.overrides, args.device, args.repeats, args.depth)


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    main()
