"""COCO 2017 test-dev: as `coco.py`, tested on images whose annotations are not published.

Nothing is scored; with an `output_dir` the evaluator writes `coco_instances_results.json` for COCO's server.
"""

from .coco import dataloader

_coco = "${oc.env:DETECTRON2_DATASETS,datasets}/coco"

dataloader.test.dataset.update(
    name="coco_2017_test-dev",
    json_file=f"{_coco}/annotations/image_info_test-dev2017.json",
    image_root=f"{_coco}/test2017",
    annotated=False,
)
