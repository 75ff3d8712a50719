"""The parts of DensePose: charts, surface embeddings, HRNet."""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.common import Shapes, channels_of, choose, pooler, shapes_of, strided
from lazycfg.convert.yacs.models.roi_heads import standard_arguments
from lazycfg.layers import ShapeSpec
from lazycfg.projects.densepose import (
    HRFPN,
    Decoder,
    DensePoseChartLoss,
    DensePoseChartPredictor,
    DensePoseChartWithConfidenceLoss,
    DensePoseChartWithConfidencePredictor,
    DensePoseConfidenceModelConfig,
    DensePoseCseLoss,
    DensePoseDataFilter,
    DensePoseDeepLabHead,
    DensePoseEmbeddingPredictor,
    DensePoseEmbeddingWithConfidencePredictor,
    DensePoseROIHeads,
    DensePoseSegmConfidenceConfig,
    DensePoseUVConfidenceConfig,
    DensePoseV1ConvXHead,
    Embedder,
    EmbeddingLoss,
    MaskOrSegmentationLoss,
    PixToShapeCycleLoss,
    PoseHigherResolutionNet,
    PublishedMesh,
    ShapeToShapeCycleLoss,
    SoftEmbeddingLoss,
    VertexFeatureEmbedder,
)

__all__ = ["DENSEPOSE_ROOT", "densepose_heads", "hrfpn", "published_mesh"]

_SECTION = "MODEL.ROI_DENSEPOSE_HEAD"
_CSE = f"{_SECTION}.CSE"

DENSEPOSE_ROOT = "${oc.env:DETECTRON2_DATASETS,datasets}/densepose"


def hrfpn(keys: Keys) -> tuple[Any, Shapes]:
    """Return a pyramid over an HRNet."""
    channels = keys("MODEL.HRNET.HRFPN.OUT_CHANNELS")
    width = keys("MODEL.HRNET.STAGE2.NUM_CHANNELS")[0]
    blocks = set()
    modules = []
    if keys("MODEL.HRNET.STEM_INPLANES") != 64:
        raise keys.mistake("MODEL.HRNET.STEM_INPLANES", "is another number than 64, which is not supported")
    for stage, branches in (("STAGE2", 2), ("STAGE3", 3), ("STAGE4", 4)):
        section = f"MODEL.HRNET.{stage}"
        modules.append(keys(f"{section}.NUM_MODULES"))
        blocks |= set(keys(f"{section}.NUM_BLOCKS"))
        expected: dict[str, Any] = {
            "NUM_BRANCHES": branches,
            "NUM_CHANNELS": [width * 2**branch for branch in range(branches)],
            "BLOCK": "BASIC",
            "FUSE_METHOD": "SUM",
        }
        for key, value in expected.items():
            if keys(f"{section}.{key}") != value:
                raise keys.mistake(
                    f"{section}.{key}", f"is another value than {value!r}, which is not supported"
                )
    if len(blocks) != 1:
        raise keys.mistake("MODEL.HRNET.STAGE2.NUM_BLOCKS", "all stages have the same number of blocks")
    levels = len(keys("MODEL.ROI_HEADS.IN_FEATURES"))
    node = L(HRFPN)(
        bottom_up=L(PoseHigherResolutionNet)(
            width=width,
            num_modules=tuple(modules),
            num_blocks=blocks.pop(),
            in_channels=len(keys("MODEL.PIXEL_MEAN")),
        ),
        in_features=["p1", "p2", "p3", "p4"],
        n_out_features=levels,
        out_channels=channels,
    )
    return node, {f"p{n + 1}": ShapeSpec(channels=channels, stride=4 * 2**n) for n in range(levels)}


def densepose_heads(keys: Keys, shapes: Shapes) -> Any:
    """Return ROI heads with a branch for DensePose."""
    arguments = standard_arguments(keys, shapes)
    if not keys("MODEL.DENSEPOSE_ON"):
        raise keys.mistake(
            "MODEL.DENSEPOSE_ON", "DensePoseROIHeads need it", "MODEL.ROI_HEADS.NAME StandardROIHeads"
        )
    features = shapes_of(keys, "MODEL.ROI_HEADS.IN_FEATURES", shapes)
    channels = channels_of(keys, "MODEL.ROI_HEADS.IN_FEATURES", shapes)
    decoder = None
    if keys(f"{_SECTION}.DECODER_ON"):
        channels = keys(f"{_SECTION}.DECODER_NUM_CLASSES")
        decoder = L(Decoder)(
            input_shape=strided(keys, "MODEL.ROI_HEADS.IN_FEATURES", shapes),
            num_classes=channels,
            conv_dims=keys(f"{_SECTION}.DECODER_CONV_DIMS"),
            norm=keys(f"{_SECTION}.DECODER_NORM"),
            common_stride=keys(f"{_SECTION}.DECODER_COMMON_STRIDE"),
        )
        features = features[:1]
    predictor = choose(keys, f"{_SECTION}.PREDICTOR_NAME", _PREDICTORS)
    losses = choose(
        keys,
        f"{_SECTION}.LOSS_NAME",
        {
            "DensePoseChartLoss": chart_loss,
            "DensePoseChartWithConfidenceLoss": chart_loss,
            "DensePoseCseLoss": cse_loss,
        },
    )
    return L(DensePoseROIHeads)(
        **arguments,
        densepose_in_features=keys("MODEL.ROI_HEADS.IN_FEATURES"),
        decoder=decoder,
        densepose_pooler=pooler(keys, _SECTION, features),
        densepose_head=_head(keys, channels),
        densepose_predictor=_predictor(keys, predictor),
        densepose_losses=losses(keys),
        embedder=_embedder(keys) if keys(f"{_SECTION}.LOSS_NAME") == "DensePoseCseLoss" else None,
        densepose_data_filter=L(DensePoseDataFilter)(
            iou_threshold=keys(f"{_SECTION}.FG_IOU_THRESHOLD"),
            keep_masks=keys(f"{_SECTION}.COARSE_SEGM_TRAINED_BY_MASKS"),
        ),
    )


_PREDICTORS = {
    kind.__name__: kind
    for kind in (
        DensePoseChartPredictor,
        DensePoseChartWithConfidencePredictor,
        DensePoseEmbeddingPredictor,
        DensePoseEmbeddingWithConfidencePredictor,
    )
}


def _head(keys: Keys, channels: int) -> Any:
    kind = choose(
        keys,
        f"{_SECTION}.NAME",
        {"DensePoseV1ConvXHead": DensePoseV1ConvXHead, "DensePoseDeepLabHead": DensePoseDeepLabHead},
    )
    more = {}
    if kind is DensePoseDeepLabHead:
        more = {
            "norm": keys(f"{_SECTION}.DEEPLAB.NORM"),
            "nonlocal_on": bool(keys(f"{_SECTION}.DEEPLAB.NONLOCAL_ON")),
        }
    return L(kind)(
        input_channels=channels,
        conv_head_dim=keys(f"{_SECTION}.CONV_HEAD_DIM"),
        conv_head_kernel=keys(f"{_SECTION}.CONV_HEAD_KERNEL"),
        num_stacked_convs=keys(f"{_SECTION}.NUM_STACKED_CONVS"),
        **more,
    )


def _confidences(keys: Keys) -> Any:
    uv, segm = f"{_SECTION}.UV_CONFIDENCE", f"{_SECTION}.SEGM_CONFIDENCE"
    return L(DensePoseConfidenceModelConfig)(
        uv_confidence=L(DensePoseUVConfidenceConfig)(
            enabled=keys(f"{uv}.ENABLED"), epsilon=keys(f"{uv}.EPSILON"), type=keys(f"{uv}.TYPE")
        ),
        segm_confidence=L(DensePoseSegmConfidenceConfig)(
            enabled=keys(f"{segm}.ENABLED"), epsilon=keys(f"{segm}.EPSILON")
        ),
    )


def _predictor(keys: Keys, kind: Any) -> Any:
    given: dict[str, Any] = {
        "input_channels": keys(f"{_SECTION}.CONV_HEAD_DIM"),
        "num_coarse_segm_channels": keys(f"{_SECTION}.NUM_COARSE_SEGM_CHANNELS"),
        "deconv_kernel": keys(f"{_SECTION}.DECONV_KERNEL"),
        "up_scale": keys(f"{_SECTION}.UP_SCALE"),
    }
    if "Embedding" in kind.__name__:
        given["embed_size"] = keys(f"{_CSE}.EMBED_SIZE")
    else:
        given["num_patches"] = keys(f"{_SECTION}.NUM_PATCHES")
    if "WithConfidence" in kind.__name__:
        given["confidence_model_cfg"] = _confidences(keys)
    return L(kind)(**given)


def chart_loss(keys: Keys) -> Any:
    """Return the losses of charts."""
    kind: Any = DensePoseChartLoss
    more = {}
    if keys(f"{_SECTION}.LOSS_NAME") == "DensePoseChartWithConfidenceLoss":
        kind, more = DensePoseChartWithConfidenceLoss, {"confidence_model_cfg": _confidences(keys)}
    return L(kind)(
        heatmap_size=keys(f"{_SECTION}.HEATMAP_SIZE"),
        w_points=keys(f"{_SECTION}.POINT_REGRESSION_WEIGHTS"),
        w_part=keys(f"{_SECTION}.PART_WEIGHTS"),
        w_segm=keys(f"{_SECTION}.INDEX_WEIGHTS"),
        n_segm_chan=keys(f"{_SECTION}.NUM_COARSE_SEGM_CHANNELS"),
        segm_trained_by_masks=keys(f"{_SECTION}.COARSE_SEGM_TRAINED_BY_MASKS"),
        **more,
    )


def published_mesh(name: str) -> Any:
    """Return a mesh by its name."""
    return L(PublishedMesh)(name=name, root=f"{DENSEPOSE_ROOT}/meshes")


def _embedder(keys: Keys) -> Any:
    embedders = {}
    for name, given in keys(f"{_CSE}.EMBEDDERS").items():
        kind = given.get("TYPE", "vertex_feature")
        if kind != "vertex_feature":
            raise keys.mistake(f"{_CSE}.EMBEDDERS", f"{name} is of the type {kind!r}, not 'vertex_feature'")
        file = given.get("INIT_FILE", "")
        known = given.get("FEATURES_TRAINABLE", False), given.get("IS_TRAINABLE", True)
        embedders[name] = L(VertexFeatureEmbedder)(
            num_vertices=given["NUM_VERTICES"],
            feature_dim=given.get("FEATURE_DIM", 256),
            embed_dim=keys(f"{_CSE}.EMBED_SIZE"),
            features_trainable=known[0],
            is_trainable=known[1],
            init_file=f"{DENSEPOSE_ROOT}/cse/lbo/{file.rpartition('/')[2]}" if file else None,
        )
    classes = {int(k): v for k, v in keys("DATASETS.CLASS_TO_MESH_NAME_MAPPING").items()}
    return L(Embedder)(embedders=embedders, class_to_mesh_name=classes)


def cse_loss(keys: Keys) -> Any:
    """Return the losses of surface embeddings."""
    meshes = {name: published_mesh(name) for name in keys(f"{_CSE}.EMBEDDERS")}
    sigma = keys(f"{_CSE}.EMBEDDING_DIST_GAUSS_SIGMA")
    name = keys(f"{_CSE}.EMBED_LOSS_NAME")
    if name == "SoftEmbeddingLoss":
        embed_loss = L(SoftEmbeddingLoss)(
            meshes=meshes,
            embdist_gauss_sigma=sigma,
            geodist_gauss_sigma=keys(f"{_CSE}.GEODESIC_DIST_GAUSS_SIGMA"),
        )
    else:
        embed_loss = choose(
            keys, f"{_CSE}.EMBED_LOSS_NAME", {"EmbeddingLoss": L(EmbeddingLoss)(embdist_gauss_sigma=sigma)}
        )
    shapes, pixels = f"{_CSE}.SHAPE_TO_SHAPE_CYCLE_LOSS", f"{_CSE}.PIX_TO_SHAPE_CYCLE_LOSS"
    shape_loss = pixel_loss = None
    if keys(f"{shapes}.ENABLED"):
        shape_loss = L(ShapeToShapeCycleLoss)(
            meshes=meshes,
            norm_p=keys(f"{shapes}.NORM_P"),
            temperature=keys(f"{shapes}.TEMPERATURE"),
            max_num_vertices=keys(f"{shapes}.MAX_NUM_VERTICES"),
        )
    if keys(f"{pixels}.ENABLED"):
        pixel_loss = L(PixToShapeCycleLoss)(
            norm_p=keys(f"{pixels}.NORM_P"),
            use_all_meshes_not_gt_only=keys(f"{pixels}.USE_ALL_MESHES_NOT_GT_ONLY"),
            num_pixels_to_sample=keys(f"{pixels}.NUM_PIXELS_TO_SAMPLE"),
            temperature_pix_to_vertex=keys(f"{pixels}.TEMPERATURE_PIXEL_TO_VERTEX"),
            temperature_vertex_to_pix=keys(f"{pixels}.TEMPERATURE_VERTEX_TO_PIXEL"),
        )
    return L(DensePoseCseLoss)(
        embed_loss=embed_loss,
        w_embed=keys(f"{_CSE}.EMBED_LOSS_WEIGHT"),
        segm_loss=L(MaskOrSegmentationLoss)(
            segm_trained_by_masks=keys(f"{_SECTION}.COARSE_SEGM_TRAINED_BY_MASKS"),
            n_segm_chan=keys(f"{_SECTION}.NUM_COARSE_SEGM_CHANNELS"),
            heatmap_size=keys(f"{_SECTION}.HEATMAP_SIZE"),
        ),
        w_segm=keys(f"{_SECTION}.INDEX_WEIGHTS"),
        shape2shape_loss=shape_loss,
        w_shape2shape=keys(f"{shapes}.WEIGHT"),
        pix2shape_loss=pixel_loss,
        w_pix2shape=keys(f"{pixels}.WEIGHT"),
    )
