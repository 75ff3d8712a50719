#!/usr/bin/env python
"""`lazycfg prepare`: make the files that some data sets need besides those of their archives.

python tools/prepare_data.py panoptic-to-semantic datasets/coco/annotations/panoptic_val2017.json
python tools/prepare_data.py ade20k datasets/ADEChallengeData2016
python tools/prepare_data.py cocofied-lvis datasets/lvis/lvis_v1_val.json
python tools/prepare_data.py coco-subset datasets/coco/annotations/instances_val2017.json
"""

import sys

from lazycfg.cli import main

if __name__ == "__main__":
    sys.exit(main(["prepare", *sys.argv[1:]]))
