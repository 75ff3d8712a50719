"""Quickstart: a small DensePose R-CNN with surface embeddings on generated figures.  A CPU, some minutes,
nothing to download.

    python -m lazycfg.projects.densepose.make_figures --output datasets/figures
    python tools/train_net.py --config-file projects/densepose/configs/quickstart_densepose_cse_figures.py

The model is the published one made smaller, see `common/figures.py`; the mesh is that of the figures.
"""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.model_zoo.common.optim import AdamW as optimizer
from lazycfg.model_zoo.common.schedules import warmup_cosine
from lazycfg.model_zoo.common.train import train
from lazycfg.projects.densepose import PublishedMesh, VertexFeatureEmbedder

from .common.densepose_cse_fpn import model, use_soft_loss
from .common.figures import dataloader, make_small
from .common.figures import mesh_names as _mesh_names
from .common.figures import root as _root

make_small(model)
_mesh = L(PublishedMesh)(name="figure", root=f"{_root}/meshes")
model.roi_heads.embedder.update(
    embedders={
        "figure": L(VertexFeatureEmbedder)(
            num_vertices=530,
            feature_dim=64,
            embed_dim=ref("model.roi_heads.densepose_predictor.embed_size"),
            init_file=f"{_root}/meshes/phi_figure.pkl",
        )
    },
    class_to_mesh_name={0: "figure"},
    mesh_names=list(_mesh_names),
)
use_soft_loss(model, sigma=0.1)
model.roi_heads.densepose_losses.embed_loss.meshes = {"figure": _mesh}
model.roi_heads.densepose_losses.segm_loss.heatmap_size = 56

dataloader.train.mapper.update(use_charts=False, use_vertices=True, symmetry_file=None, meshes=[_mesh])
dataloader.evaluator[1].update(
    evaluator_type="cse",
    surface=None,
    embedder=ref("model.roi_heads.embedder"),
    meshes={"figure": _mesh},
)

optimizer.update(lr=2e-3, weight_decay=0.05)
lr_multiplier = warmup_cosine(warmup_length=0.1)

train.update(output_dir="./output/quickstart_densepose_cse", max_iter=600, eval_period=0)
