"""Train or evaluate what a config file describes.

python tools/train_net.py --config-file model_zoo/quickstart/mask_rcnn_shapes.py train.output_dir=out
python tools/train_net.py --config-file out/config.yaml --resume
python tools/train_net.py --config-file x.py --eval-only train.init_checkpoint=out/model_final.safetensors
torchrun --nproc-per-node 8 tools/train_net.py --config-file x.py dataloader.train.total_batch_size=16
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from lazycfg import LazyConfig
from lazycfg.config import DEFAULT_ALLOW, ConfigError, UntrustedError
from lazycfg.config.tree.repr import printable


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


def complain(error: Exception, *, traceback: bool = False) -> int:
    """Say what is wrong with the command, the config or the data, once for all processes."""
    if traceback:
        raise error
    if os.environ.get("RANK", "0") == "0":
        from lazycfg.engine.problems import short_text

        text = error.with_options() if isinstance(error, UntrustedError) else short_text(error)
        told = "\n".join(["error: " + text, *getattr(error, "__notes__", ())])
        print(printable(told), file=sys.stderr)
    return 2


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        cfg = LazyConfig.load(args.config_file, trusted=args.trusted, allow=(*DEFAULT_ALLOW, *args.allow))
        LazyConfig.apply_overrides(cfg, args.overrides)
    except (ConfigError, OSError) as error:
        return complain(error, traceback=args.traceback)

    from lazycfg.checkpoint import CheckpointError, UnsafeFileError, WeightsMismatchError
    from lazycfg.engine import SettingsError, evaluate, train

    weights = (WeightsMismatchError, UnsafeFileError, CheckpointError)
    try:
        if args.resume and not any("train.output_dir=" in override for override in args.overrides):
            check_not_moved(args.config_file, cfg)
        if args.eval_only:
            evaluate(cfg, resume=args.resume)
        else:
            train(cfg, resume=args.resume)
    except (ConfigError, SettingsError, *weights, OSError, FloatingPointError) as error:
        return complain(error, traceback=args.traceback)
    except Exception as error:
        if not is_of_data(error):
            raise
        return complain(error, traceback=args.traceback)
    except KeyboardInterrupt as error:
        print(f"interrupted{f': {error}' if str(error) else ''}", file=sys.stderr)
        return 130
    return 0


def check_not_moved(config_file: str, cfg: Any) -> None:
    """Refuse to pass by the run that the config lies in, if `train.output_dir` names another folder."""
    from lazycfg.engine import SettingsError

    here, named = Path(config_file).parent, (cfg.get("train") or {}).get("output_dir")
    if not named or not (here / "last_checkpoint").exists():
        return
    if here.resolve() != Path(str(named)).resolve():
        raise SettingsError(
            f"{config_file} lies in the folder of a run, and its train.output_dir is another, {named} (seen "
            f"from {os.getcwd()}): was the folder moved? Say which is to go on: train.output_dir={here} or "
            f"train.output_dir={named}"
        )


def is_of_data(error: Exception) -> bool:
    """Whether an error came from a record of a data set, which its message or a note names."""
    from lazycfg.data import AnnotationError, ImageError

    notes = getattr(error, "__notes__", ())
    return isinstance(error, AnnotationError | ImageError) or any("while mapping" in note for note in notes)


if __name__ == "__main__":
    sys.exit(main())
