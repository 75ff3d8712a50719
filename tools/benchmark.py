#!/usr/bin/env python
"""Benchmarks; each prints ratios measured in one run.

tools/benchmark.py config [--nodes 1000 10000 100000]
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
    args = parser.parse_args()
    if args.command == "config":
        from benchmarks.config import main as run

        run(args.nodes)


if __name__ == "__main__":
    main()
