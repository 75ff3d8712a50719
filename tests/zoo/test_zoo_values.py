"""What is built from the zoo's configs equals what the reference builds from its configs of the same names.

`reference_values*.json` hold for each entry what `zoo_values` compares.
"""

import json
from pathlib import Path

import pytest
from zoo_values import assert_builds

from lazycfg import model_zoo

REFERENCE = {
    name: values
    for file in sorted(Path(__file__).parent.glob("reference_values*.json"))
    for name, values in json.loads(file.read_text()).items()
}


@pytest.mark.parametrize("name", REFERENCE)
def test_entry_builds_what_the_reference_builds(name):
    assert_builds(model_zoo.get_config(name), REFERENCE[name])


def of(name, path):
    value = model_zoo.get_config(name)
    for key in path.split("."):
        value = value[key]
    return value


CASCADE = "Misc/cascade_mask_rcnn_R_50_FPN_{}x.py"
VITDET = "ViTDet/mask_rcnn_vitdet_{}ep.py"
IMAGENET_STD = [57.375, 57.12, 58.395]


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        (CASCADE.format(1), "model.proposal_generator.post_nms_topk", (2000, 1000)),
        (CASCADE.format(3), "model.proposal_generator.post_nms_topk", (2000, 1000)),
        ("COCO-Detection/rpn_R_50_C4_1x.py", "model.proposal_generator.pre_nms_topk", (12000, 12000)),
        ("COCO-Detection/rpn_R_50_C4_1x.py", "model.proposal_generator.post_nms_topk", (2000, 2000)),
        ("COCO-Detection/rpn_R_50_FPN_1x.py", "model.proposal_generator.pre_nms_topk", (2000, 1000)),
        ("COCO-Detection/rpn_R_50_FPN_1x.py", "model.proposal_generator.post_nms_topk", (1000, 2000)),
        ("Misc/cascade_mask_rcnn_X_152_32x8d_FPN_IN5k_gn_dconv.py", "model.pixel_std", [1.0, 1.0, 1.0]),
        (
            "Misc/cascade_mask_rcnn_X_152_32x8d_FPN_IN5k_gn_dconv.py",
            "dataloader.train.mapper.recompute_boxes",
            True,
        ),
        ("Misc/cascade_mask_rcnn_X_152_32x8d_FPN_IN5k_gn_dconv.py", "train.eval_period", 2500),
        ("Misc/scratch_mask_rcnn_R_50_FPN_3x_gn.py", "model.pixel_std", [1.0, 1.0, 1.0]),
        ("Misc/scratch_mask_rcnn_R_50_FPN_9x_gn.py", "model.pixel_std", IMAGENET_STD),
        ("Misc/scratch_mask_rcnn_R_50_FPN_9x_syncbn.py", "model.pixel_std", IMAGENET_STD),
        ("Misc/scratch_mask_rcnn_R_50_FPN_9x_gn.py", "train.eval_period", 2500),
        ("Misc/scratch_mask_rcnn_R_50_FPN_9x_syncbn.py", "train.eval_period", 2500),
        ("Misc/panoptic_fpn_R_101_dconv_cascade_gn_3x.py", "lr_multiplier.warmup_length", 1000 / 135000),
        ("ViTDet/cascade_mask_rcnn_swin_b_in21k_50ep.py", "lr_multiplier.warmup_length", 125 / 92187),
        (VITDET.format("h_75"), "optimizer.params.overrides", {}),
        (VITDET.format("h_75"), "optimizer.params.weight_decay_norm", None),
        (VITDET.format("l_100"), "optimizer.params.weight_decay_norm", 0.0),
        (VITDET.format("b_100"), "train.ddp.fp16_compression", True),
        ("ViTDet/cascade_mask_rcnn_swin_b_in21k_50ep.py", "train.ddp.fp16_compression", True),
        ("MViTv2/cascade_mask_rcnn_mvitv2_t_3x.py", "train.ddp.fp16_compression", True),
        ("new_baselines/mask_rcnn_regnetx_4gf_dds_FPN_400ep_LSJ.py", "train.cudnn_benchmark", True),
        ("new_baselines/mask_rcnn_R_50_FPN_100ep_LSJ.py", "train.cudnn_benchmark", False),
        ("common/models/mvitv2.py", "mvitv2_s.drop_path_rate", 0.2),
    ],
)
def test_values_that_change_training_or_testing(name, path, expected):
    assert of(name, path) == expected


def test_cascade_panoptic_has_two_plain_layers_in_its_box_heads():
    heads = of("Misc/panoptic_fpn_R_101_dconv_cascade_gn_3x.py", "model.roi_heads")
    for head in heads.box_heads:
        assert (head.conv_dims, head.fc_dims, head.conv_norm) == ([], [1024, 1024], "")
    assert heads.mask_head.conv_norm == "GN"


@pytest.mark.parametrize("name", ["3x_syncbn", "9x_syncbn"])
def test_exact_statistics_come_from_the_data_of_the_training(name):
    (found,) = [entry for entry in model_zoo.list_configs() if entry.endswith(f"FPN_{name}.py")]
    cfg = model_zoo.get_config(found)
    (hook,) = cfg.train.hooks
    assert hook.num_iter == 200
    assert hook.data_loader.dataset is cfg.dataloader.train.dataset
    cfg.dataloader.train.total_batch_size = 2
    cfg.train.eval_period = 7
    assert (hook.data_loader.total_batch_size, hook.period) == (2, 7)


@pytest.mark.parametrize("name", model_zoo.list_configs())
def test_what_test_data_share_with_training_data_follows_an_edit(name):
    cfg = model_zoo.get_config(name)
    order = "RGB" if cfg.model.input_format == "BGR" else "BGR"
    cfg.dataloader.train.mapper.image_format = order
    assert cfg.dataloader.test.mapper.image_format == order
    cfg.dataloader.test.dataset = "another"
    evaluators = (
        cfg.dataloader.evaluator if isinstance(cfg.dataloader.evaluator, list) else [cfg.dataloader.evaluator]
    )
    assert {evaluator.dataset for evaluator in evaluators} == {"another"}
