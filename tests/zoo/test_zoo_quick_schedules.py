"""The quick schedules: those on generated images train, those that test published weights name them."""

import pytest

from lazycfg import LazyConfig, model_zoo
from lazycfg.checkpoint import remote_file
from lazycfg.engine import train

NAMES = [name for name in model_zoo.list_configs() if name.startswith("quick_schedules/")]
# Fewer regions and smaller images, for a CPU
SMALL = {
    "proposal_generator": [
        "model.proposal_generator.pre_nms_topk=[100,100]",
        "model.proposal_generator.post_nms_topk=[50,20]",
    ],
    "roi_heads": ["model.roi_heads.batch_size_per_image=16"],
}


def test_there_are_as_many_as_the_reference_has():
    kinds = [
        sum(name.endswith(f"_{kind}_test.py") for name in NAMES)
        for kind in ("instant", "training_acc", "inference_acc")
    ]
    assert (kinds, len(NAMES)) == ([10, 7, 10], 27)


@pytest.mark.parametrize("name", [name for name in NAMES if "inference" in name])
def test_published_weights_are_named_and_100_images_tested(name):
    cfg = model_zoo.get_config(name)
    assert len(remote_file(cfg.train.init_checkpoint).digest) >= 6
    dataset = cfg.dataloader.test.dataset
    files = [
        node[key]
        for node in (dataset, dataset.get("dataset"), dataset.get("instances"))
        if node is not None
        for key in ("json_file", "panoptic_json", "panoptic_root")
        if key in node
    ]
    assert files
    assert all("val2017_100" in file for file in files)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in NAMES if "instant" in n and "fast_rcnn" not in n])
def test_two_steps_on_generated_images(name, tmp_path):
    cfg = model_zoo.get_config(name)
    overrides = [line for part, lines in SMALL.items() if part in cfg.model for line in lines]
    for loader in ("train", "test"):
        overrides.append(f"dataloader.{loader}.dataset.image_size=96")
    LazyConfig.apply_overrides(
        cfg,
        [
            *overrides,
            "dataloader.train.total_batch_size=2",
            "dataloader.test.dataset.num_images=2",
            f"train.output_dir={tmp_path}",
            "train.device=cpu",
            "train.max_iter=2",
            "train.pictures=1",
        ],
    )
    assert train(cfg)
