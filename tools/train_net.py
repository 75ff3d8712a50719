"""Train or evaluate what a config file describes: `lazycfg train`, with the options of detectron2's script.

python tools/train_net.py --config-file model_zoo/quickstart/mask_rcnn_shapes.py train.output_dir=out
python tools/train_net.py --config-file out/config.yaml --resume
python tools/train_net.py --config-file x.py --eval-only train.init_checkpoint=out/model_final.safetensors
torchrun --nproc-per-node 8 tools/train_net.py --config-file x.py dataloader.train.total_batch_size=16
"""

import argparse
import sys

from lazycfg.cli.commands.train import run_job


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="a .py, .yaml or .json config")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint of the run")
    parser.add_argument("--eval-only", action="store_true", help="evaluate train.init_checkpoint and stop")
    parser.add_argument("--trusted", action="store_true", help="a .yaml or .json config may name anything")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="NAME", help="a name that such a config may have, too"
    )
    parser.add_argument(
        "--traceback", action="store_true", help="show where an error came from, not only its message"
    )
    parser.add_argument("--num-gpus", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--num-machines", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="changes: a.b=1, +a.new=2, ~a.gone, **.norm=BN"
    )
    args = parser.parse_intermixed_args(argv)
    if args.num_gpus > 1 or args.num_machines > 1:
        parser.error(
            "processes are started by torchrun: torchrun --nnodes MACHINES --nproc-per-node GPUS "
            "tools/train_net.py --config-file ..."
        )
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    return run_job(
        args.config_file,
        args.overrides,
        eval_only=args.eval_only,
        resume=args.resume,
        traceback=args.traceback,
        trusted=args.trusted,
        allow=args.allow,
    )


if __name__ == "__main__":
    sys.exit(main())
