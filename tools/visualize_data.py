"""`lazycfg visualize`: show what a data loader feeds the model, or what the data set holds, as PNG files.

python tools/visualize_data.py --config-file model_zoo/quickstart/mask_rcnn_shapes.py --output-dir seen
python tools/visualize_data.py --config-file x.py --source dataset --number 50 --split test
python tools/visualize_data.py --config-file x.py dataloader.train.dataset.dataset.json_file=mine.json
"""

import argparse
import sys

from lazycfg.cli import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="a .py, .yaml or .json config")
    args, others = parser.parse_known_args()
    sys.exit(main(["visualize", args.config_file, *others]))
