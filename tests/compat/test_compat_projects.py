"""Small programs that use detectron2 as public projects do: their own parts in registries, mappers,
trainers.
"""

import numpy as np
import old_files
import pytest
import torch
from torch import nn


def test_a_project_with_its_own_meta_architecture_heads_and_matcher():
    """As Mask2Former: new keys, a registered model, backbone and head, `configurable`, point features."""
    from detectron2.config import CfgNode as CN
    from detectron2.config import configurable, get_cfg
    from detectron2.layers import Conv2d, ShapeSpec
    from detectron2.modeling import (
        BACKBONE_REGISTRY,
        META_ARCH_REGISTRY,
        SEM_SEG_HEADS_REGISTRY,
        Backbone,
        build_backbone,
        build_model,
        build_sem_seg_head,
    )
    from detectron2.modeling.postprocessing import sem_seg_postprocess
    from detectron2.projects.deeplab import add_deeplab_config
    from detectron2.projects.point_rend.point_features import (
        get_uncertain_point_coords_with_randomness,
        point_sample,
    )
    from detectron2.structures import ImageList
    from detectron2.utils.memory import retry_if_cuda_oom
    from fvcore.nn import weight_init

    def add_maskformer2_config(cfg):
        cfg.INPUT.DATASET_MAPPER_NAME = "mask_former_semantic"
        cfg.SOLVER.OPTIMIZER = "ADAMW"
        cfg.MODEL.MASK_FORMER = CN()
        cfg.MODEL.MASK_FORMER.NUM_OBJECT_QUERIES = 5
        cfg.MODEL.SEM_SEG_HEAD.MASK_DIM = 8

    @BACKBONE_REGISTRY.register()
    class D2TestTrunk(Backbone):
        def __init__(self, cfg, input_shape):
            super().__init__()
            self.conv = Conv2d(input_shape.channels, 8, kernel_size=3, stride=4, padding=1)
            weight_init.c2_msra_fill(self.conv)
            self._out_features = ["res2"]
            self._out_feature_channels = {"res2": 8}
            self._out_feature_strides = {"res2": 4}

        def forward(self, x):
            return {"res2": self.conv(x)}

        @property
        def size_divisibility(self):
            return 32

    @SEM_SEG_HEADS_REGISTRY.register()
    class D2TestHead(nn.Module):
        @configurable
        def __init__(self, input_shape, *, num_classes, mask_dim):
            super().__init__()
            self.num_classes = num_classes
            self.layer = nn.Conv2d(input_shape["res2"].channels, num_classes, 1)

        @classmethod
        def from_config(cls, cfg, input_shape):
            return {
                "input_shape": {
                    k: v for k, v in input_shape.items() if k in cfg.MODEL.SEM_SEG_HEAD.IN_FEATURES
                },
                "num_classes": cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES,
                "mask_dim": cfg.MODEL.SEM_SEG_HEAD.MASK_DIM,
            }

        def forward(self, features):
            return self.layer(features["res2"])

    @META_ARCH_REGISTRY.register()
    class D2TestFormer(nn.Module):
        @configurable
        def __init__(self, *, backbone, sem_seg_head, num_queries, pixel_mean, pixel_std):
            super().__init__()
            self.backbone, self.sem_seg_head, self.num_queries = backbone, sem_seg_head, num_queries
            self.register_buffer("pixel_mean", torch.Tensor(pixel_mean).view(-1, 1, 1), False)
            self.register_buffer("pixel_std", torch.Tensor(pixel_std).view(-1, 1, 1), False)

        @classmethod
        def from_config(cls, cfg):
            backbone = build_backbone(cfg)
            return {
                "backbone": backbone,
                "sem_seg_head": build_sem_seg_head(cfg, backbone.output_shape()),
                "num_queries": cfg.MODEL.MASK_FORMER.NUM_OBJECT_QUERIES,
                "pixel_mean": cfg.MODEL.PIXEL_MEAN,
                "pixel_std": cfg.MODEL.PIXEL_STD,
            }

        def forward(self, batched_inputs):
            images = [(x["image"] - self.pixel_mean) / self.pixel_std for x in batched_inputs]
            images = ImageList.from_tensors(images, self.backbone.size_divisibility)
            logits = self.sem_seg_head(self.backbone(images.tensor))
            logits = nn.functional.interpolate(logits, images.tensor.shape[-2:], mode="bilinear")
            return [
                {"sem_seg": retry_if_cuda_oom(sem_seg_postprocess)(logit, size, x["height"], x["width"])}
                for logit, size, x in zip(logits, images.image_sizes, batched_inputs, strict=True)
            ]

    cfg = get_cfg()
    add_deeplab_config(cfg)
    add_maskformer2_config(cfg)
    cfg.merge_from_list(
        [
            "MODEL.META_ARCHITECTURE", "D2TestFormer", "MODEL.BACKBONE.NAME", "D2TestTrunk",
            "MODEL.SEM_SEG_HEAD.NAME", "D2TestHead", "MODEL.SEM_SEG_HEAD.IN_FEATURES", ["res2"],
            "MODEL.SEM_SEG_HEAD.NUM_CLASSES", 4, "MODEL.DEVICE", "cpu",
        ]
    )  # fmt: skip
    cfg.freeze()
    model = build_model(cfg).eval()
    assert model.num_queries == 5
    assert isinstance(model.backbone.output_shape()["res2"], ShapeSpec)
    out = model([{"image": torch.zeros(3, 40, 50), "height": 80, "width": 100}])
    assert out[0]["sem_seg"].shape == (4, 80, 100)
    with pytest.raises(AttributeError, match="frozen"):
        cfg.MODEL.DEVICE = "cuda"

    masks = torch.rand(3, 1, 16, 16)
    points = get_uncertain_point_coords_with_randomness(masks, lambda x: -x.abs(), 12, 3, 0.75)
    assert point_sample(masks, points, align_corners=False).shape == (3, 1, 12)


def test_own_roi_heads_on_the_parts_of_the_library():
    """As Detic and PointRend: heads derived from the library's, `_init_box_head`, an own box head."""
    from detectron2.config import get_cfg
    from detectron2.modeling import ROI_BOX_HEAD_REGISTRY, ROI_HEADS_REGISTRY, StandardROIHeads, build_model
    from detectron2.modeling.roi_heads import CascadeROIHeads, FastRCNNConvFCHead, FastRCNNOutputLayers
    from detectron2.modeling.roi_heads.cascade_rcnn import _ScaleGradient  # noqa: F401

    @ROI_BOX_HEAD_REGISTRY.register()
    class D2TestBoxHead(FastRCNNConvFCHead):
        pass

    class OwnPredictor(FastRCNNOutputLayers):
        @classmethod
        def from_config(cls, cfg, input_shape):
            return {**super().from_config(cfg, input_shape), "test_score_thresh": 0.25}

    @ROI_HEADS_REGISTRY.register()
    class D2TestROIHeads(CascadeROIHeads):
        @classmethod
        def _init_box_head(cls, cfg, input_shape):
            made = super()._init_box_head(cfg, input_shape)
            made["box_predictors"] = [
                OwnPredictor(cfg, head.output_shape, box2box_transform=old.box2box_transform)
                for head, old in zip(made["box_heads"], made["box_predictors"], strict=True)
            ]
            return made

    cfg = old_files.config("cascade_mask_rcnn_R_50_FPN")
    cfg.MODEL.ROI_HEADS.NAME = "D2TestROIHeads"
    cfg.MODEL.ROI_BOX_HEAD.NAME = "D2TestBoxHead"
    cfg.MODEL.FPN.OUT_CHANNELS = 32
    cfg.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        model = build_model(cfg)
    heads = model.roi_heads
    assert isinstance(heads, StandardROIHeads)
    assert isinstance(heads.box_head[0], D2TestBoxHead)
    assert heads.box_head[0].fc1.in_features == 32 * 49  # follows from the backbone
    assert [p.test_score_thresh for p in heads.box_predictor] == [0.25] * 3
    assert [p.box2box_transform.weights[0] for p in heads.box_predictor] == [10.0, 20.0, 30.0]

    with pytest.raises(TypeError, match="_sample_proposals would be called with other arguments"):

        class Changed(StandardROIHeads):
            def _sample_proposals(self, matched_idxs, matched_labels, gt_classes):
                return matched_idxs, gt_classes

    assert get_cfg().MODEL.ROI_HEADS.NAME == "Res5ROIHeads"


@pytest.mark.parametrize("name", ["mask_rcnn_R_50_FPN", "mask_rcnn_R_50_C4", "retinanet_R_50_FPN"])
def test_the_old_builders_build_what_the_translator_does(name):
    from detectron2.modeling import META_ARCH_REGISTRY, build_model

    cfg = old_files.config(name)
    cfg.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        tree, parts = build_model(cfg), META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE)(cfg)
    assert isinstance(tree, META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE))
    assert [(k, v.shape) for k, v in tree.state_dict().items()] == [
        (k, v.shape) for k, v in parts.state_dict().items()
    ]
    for (path, a), (_, b) in zip(tree.named_modules(), parts.named_modules(), strict=True):
        for key in set(vars(a)) & set(vars(b)):
            if isinstance(vars(a)[key], int | float | str | bool) and not key.startswith("_"):
                assert vars(a)[key] == vars(b)[key], (path, key)


def test_a_lazy_vitdet_with_a_predictor_of_its_own():
    """As 4D-Humans: `model_zoo.get_config` of a ViTDet file, edits, `instantiate`, T.ResizeShortestEdge."""
    import detectron2.data.transforms as T
    from detectron2 import model_zoo
    from detectron2.checkpoint import DetectionCheckpointer
    from detectron2.config import instantiate
    from omegaconf import OmegaConf

    cfg = OmegaConf.create({"model": None})
    assert instantiate(cfg) is cfg
    cfg = model_zoo.get_config("common/models/mask_rcnn_vitdet.py")
    net = cfg.model.backbone.net
    net.img_size, net.embed_dim, net.depth, net.num_heads = 64, 32, 2, 2
    net.window_block_indexes, net.drop_path_rate = [0], 0.0
    cfg.model.backbone.square_pad = 64
    cfg.model.roi_heads.box_predictor.test_score_thresh = 0.0
    model = instantiate(cfg.model).eval()
    DetectionCheckpointer(model).load("")
    aug = T.AugmentationList([T.ResizeShortestEdge(short_edge_length=48, max_size=64)])
    original = np.random.default_rng(0).integers(0, 255, (90, 110, 3), dtype=np.uint8)
    aug_input = T.AugInput(original)
    aug(aug_input)
    assert aug_input.image.shape == (48, 59, 3)
    image = torch.as_tensor(aug_input.image.astype("float32").transpose(2, 0, 1))
    with torch.no_grad():
        found = model([{"image": image, "height": 90, "width": 110}])[0]["instances"]
    assert found.image_size == (90, 110)


def test_a_lazy_config_with_a_trainer_of_its_own(tmp_path):
    """As ODISE: LazyConfig, `instantiate`, AMPTrainer, hooks, an evaluator, comm, events, a lazy dict."""
    from detectron2.config import LazyCall as L
    from detectron2.config import LazyConfig, instantiate
    from detectron2.engine import (
        AMPTrainer,
        SimpleTrainer,
        create_ddp_model,
        default_setup,
        default_writers,
        hooks,
    )
    from detectron2.evaluation import DatasetEvaluator, inference_on_dataset
    from detectron2.solver.build import get_default_optimizer_params
    from detectron2.utils import comm
    from detectron2.utils.events import EventStorage, get_event_storage

    class Toy(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.layer = nn.Linear(width, 1)

        def forward(self, batch):
            x = torch.stack([item["image"] for item in batch])
            if not self.training:
                return [{"value": float(v)} for v in self.layer(x)]
            get_event_storage().put_scalar("toy/seen", len(batch))
            return {"loss_toy": self.layer(x).square().mean()}

    class Mean(DatasetEvaluator):
        def reset(self):
            self.values = []

        def process(self, inputs, outputs):
            self.values += [output["value"] for output in outputs]

        def evaluate(self):
            return {"toy": {"mean": float(np.mean(np.abs(self.values)))}}

    file = tmp_path / "toy.py"
    file.write_text(
        "import torch\n"
        "from detectron2.config import LazyCall as L\n"
        "from detectron2.solver import get_default_optimizer_params\n"
        "optimizer = L(torch.optim.SGD)(params=L(get_default_optimizer_params)(base_lr='${..lr}'), lr=0.1)\n"
        "train = dict(output_dir='', max_iter=6, seed=1)\n"
    )
    cfg = LazyConfig.load(str(file))
    cfg = LazyConfig.apply_overrides(cfg, ["optimizer.lr=0.05"])
    cfg.train.output_dir = str(tmp_path / "out")
    cfg.model = L(Toy)(width=4)
    default_setup(cfg, None)
    model = create_ddp_model(instantiate(cfg.model))
    cfg.optimizer.params.model = model
    optimizer = instantiate(cfg.optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.05
    assert get_default_optimizer_params(model, 0.1)[0]["lr"] == 0.1
    batches = [[{"image": torch.ones(4)}]] * 8
    for cls in (SimpleTrainer, AMPTrainer):
        trainer = cls(
            model, batches, optimizer, **({"precision": torch.bfloat16} if cls is AMPTrainer else {})
        )
        seen = []
        trainer.register_hooks(
            [
                hooks.IterationTimer(),
                hooks.CallbackHook(
                    after_step=lambda t, seen=seen: seen.append(t.storage.latest()["total_loss"][0])
                ),
                hooks.EvalHook(3, lambda: inference_on_dataset(model, batches, Mean())),
                hooks.PeriodicWriter(default_writers(cfg.train.output_dir, 6), period=2)
                if comm.is_main_process()
                else None,
            ]
        )
        trainer.train(0, cfg.train.max_iter)
        assert len(seen) == 6
        assert seen[-1] < seen[0]
        assert "toy/mean" in trainer.storage.latest()
    lines = (tmp_path / "out" / "metrics.json").read_text().splitlines()
    assert any("toy/seen" in line for line in lines)
    with EventStorage(3) as storage:
        assert get_event_storage() is storage
        assert storage.iter == 3
    with pytest.raises(AssertionError, match="has to be called inside"):
        get_event_storage()
