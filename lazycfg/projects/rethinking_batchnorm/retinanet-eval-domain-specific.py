#!/usr/bin/env python
"""Evaluate a RetinaNet whose head was trained with one batch normalisation for all levels, with statistics of
each level: rows 2 and 4 of table 5 of arXiv:2105.07576.

python projects/rethinking_batchnorm/retinanet-eval-domain-specific.py model_final.safetensors

The statistics are recomputed from images as in training. Overrides of the config may follow the weights.
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from pathlib import Path

CONFIG = Path(__file__).parent / "configs" / "retinanet_SyncBNhead.py"


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="weights of the trained model")
    parser.add_argument("overrides", nargs="*", help="of the config: key=value")
    parser.add_argument("--config-file", default=str(CONFIG), help="of the training (%(default)s)")
    parser.add_argument("--num-batches", type=int, default=500, help="for the statistics (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=8, help="images in each of them (%(default)s)")
    return parser.parse_intermixed_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command, and return its exit status.

    Raises:
        SettingsError: the head has no batch normalisation.
    """
    args = parse(argv)
    from lazycfg import LazyConfig, instantiate
    from lazycfg.checkpoint import CheckpointError, WeightsMismatchError, load_weights
    from lazycfg.config import ConfigError
    from lazycfg.engine import SettingsError, evaluate
    from lazycfg.engine.distributed import resolve_device
    from lazycfg.engine.hooks.precise_bn import update_bn_stats
    from lazycfg.projects.rethinking_batchnorm import split_statistics_by_level

    try:
        cfg = LazyConfig.load(args.config_file)
        LazyConfig.apply_overrides(cfg, args.overrides)
        cfg.dataloader.train.total_batch_size = args.batch_size
        model = instantiate(cfg.model)
        load_weights(model, args.checkpoint)
        model.to(resolve_device(cfg.train.device)).train()
        if not split_statistics_by_level(model.head, len(model.head_in_features)):
            raise SettingsError(
                f"{args.config_file}: there is no batch normalisation in the head to compute statistics for; "
                "was it trained with model.head.norm=@torch.nn.SyncBatchNorm?"
            )
        update_bn_stats(model, islice(instantiate(cfg.dataloader.train), args.num_batches))
        evaluate(cfg, model)
    except (ConfigError, SettingsError, CheckpointError, WeightsMismatchError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
