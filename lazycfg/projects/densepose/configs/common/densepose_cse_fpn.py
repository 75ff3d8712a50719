"""DensePose R-CNN with continuous surface embeddings (arXiv:2011.12438) of people, and what its relatives
differ in, as functions that change a config's model.

The files of meshes and of their vertices are looked for in `meshes` and `cse/lbo` of
`$DETECTRON2_DATASETS/densepose` (`datasets/densepose` when unset). The embeddings can have a rate of
their own:

    optimizer.params.overrides={embeddings: {lr: 0.02}}
"""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.projects.densepose import (
    DensePoseCseLoss,
    DensePoseEmbeddingPredictor,
    Embedder,
    EmbeddingLoss,
    MaskOrSegmentationLoss,
    PublishedMesh,
    SoftEmbeddingLoss,
    VertexFeatureEmbedder,
)

from .densepose_rcnn_fpn import model

densepose_root = "${oc.env:DETECTRON2_DATASETS,datasets}/densepose"


def mesh(name):
    """A published mesh."""
    return L(PublishedMesh)(name=name, root=f"{densepose_root}/meshes")


def vertex_embedder(name):
    """Embeddings of the vertices of a published mesh; its name ends with their number."""
    return L(VertexFeatureEmbedder)(
        num_vertices=int(name.rpartition("_")[2]),
        feature_dim=256,
        embed_dim=ref("model.roi_heads.densepose_predictor.embed_size"),
        features_trainable=False,
        is_trainable=True,
        init_file=f"{densepose_root}/cse/lbo/phi_{name}_256.pkl",
    )


def use_meshes(model, names, others=()):
    """The meshes of the classes of objects, in their order, and other meshes."""
    model.roi_heads.embedder.update(
        embedders={name: vertex_embedder(name) for name in (*names, *others)},
        class_to_mesh_name=dict(enumerate(names)),
    )


def use_soft_loss(model, sigma=0.01):
    """Soft: vertices near to the true one are right, too."""
    model.roi_heads.densepose_losses.embed_loss = L(SoftEmbeddingLoss)(
        meshes={name: mesh(name) for name in model.roi_heads.embedder.embedders},
        embdist_gauss_sigma=sigma,
        geodist_gauss_sigma=sigma,
    )


model.roi_heads.update(
    densepose_predictor=L(DensePoseEmbeddingPredictor)(
        input_channels=ref("..densepose_head.conv_head_dim"),
        embed_size=16,
        num_coarse_segm_channels=2,
        deconv_kernel=4,
        up_scale=2,
    ),
    embedder=L(Embedder)(
        embedders={"smpl_27554": vertex_embedder("smpl_27554")}, class_to_mesh_name={0: "smpl_27554"}
    ),
    densepose_losses=L(DensePoseCseLoss)(
        embed_loss=L(EmbeddingLoss)(embdist_gauss_sigma=0.01),
        w_embed=0.6,
        segm_loss=L(MaskOrSegmentationLoss)(
            segm_trained_by_masks=False,
            n_segm_chan=ref("...densepose_predictor.num_coarse_segm_channels"),
            heatmap_size=112,
        ),
        w_segm=5.0,
        shape2shape_loss=None,
        w_shape2shape=0.025,
        pix2shape_loss=None,
        w_pix2shape=0.0001,
    ),
)
model.roi_heads.densepose_data_filter.keep_masks = ref("..densepose_losses.segm_loss.segm_trained_by_masks")
