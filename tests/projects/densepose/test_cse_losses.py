"""Losses of surface embeddings against versions with plain loops, and the predictor."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from lazycfg.projects.densepose import DensePoseDataRelative, DensePoseList
from lazycfg.projects.densepose.cse.cycle_losses import (
    PixToShapeCycleLoss,
    ShapeToShapeCycleLoss,
    pix_to_shape_cycle_loss,
)
from lazycfg.projects.densepose.cse.embedders import Embedder, VertexDirectEmbedder
from lazycfg.projects.densepose.cse.losses import DensePoseCseLoss, EmbeddingLoss, SoftEmbeddingLoss
from lazycfg.projects.densepose.cse.mesh import Mesh
from lazycfg.projects.densepose.cse.predictor import (
    DensePoseEmbeddingPredictor,
    DensePoseEmbeddingWithConfidencePredictor,
)
from lazycfg.projects.densepose.modeling.confidence import (
    DensePoseConfidenceModelConfig,
    DensePoseSegmConfidenceConfig,
    DensePoseUVConfidenceConfig,
)
from lazycfg.projects.densepose.modeling.losses import MaskOrSegmentationLoss
from lazycfg.projects.densepose.structures.cse_outputs import DensePoseEmbeddingPredictorOutput
from lazycfg.structures import BitMasks, Boxes, Instances
from lazycfg.utils import SyncCounter

SIZES = {"cat_5001": 9, "cow_5002": 12, "dog_5002": 7}
SIDE = 14


def make_meshes() -> dict[str, Mesh]:
    points = {name: torch.rand(n, 2, generator=torch.Generator().manual_seed(n)) for name, n in SIZES.items()}
    return {name: Mesh(name=name, geodists=torch.cdist(p, p)) for name, p in points.items()}


@pytest.fixture
def embedder() -> Embedder:
    torch.manual_seed(0)
    return Embedder(
        embedders={name: VertexDirectEmbedder(num_vertices=n, embed_dim=5) for name, n in SIZES.items()}
    )


def annotation(mesh: str | None, points: int, seed: int) -> DensePoseDataRelative | None:
    if mesh is None:
        return None
    g = torch.Generator().manual_seed(seed)
    return DensePoseDataRelative(
        {
            "dp_x": torch.rand(points, generator=g) * 256,
            "dp_y": torch.rand(points, generator=g) * 256,
            "dp_vertex": torch.randint(-1, SIZES[mesh], (points,), generator=g),
            "ref_model": mesh,
            "dp_masks": (torch.rand(256, 256, generator=g) > 0.5).float(),
        }
    )


def make_proposals(*images: list[tuple[str | None, int]], shift: float = 0.2) -> list[Instances]:
    """Per image of each object its mesh and number of points; boxes of proposals are off by a share."""
    out = []
    for number, objects in enumerate(images):
        g = torch.Generator().manual_seed(number)
        x = Instances((64, 64))
        start = torch.rand(len(objects), 2, generator=g) * 20
        size = 10 + torch.rand(len(objects), 2, generator=g) * 30
        boxes = torch.cat((start, start + size), dim=1)
        x.proposal_boxes = Boxes(boxes + shift * size.repeat(1, 2) * torch.tensor([1.0, -1, 1, -1]))
        x.gt_boxes = Boxes(boxes)
        datas = [annotation(mesh, points, 10 * number + k) for k, (mesh, points) in enumerate(objects)]
        x.gt_densepose = DensePoseList(datas, boxes, (64, 64))
        masks = torch.zeros(len(objects), 64, 64, dtype=torch.bool)
        for mask, (x0, y0, x1, y1) in zip(masks, boxes.long().tolist(), strict=True):
            mask[y0:y1, x0 : (x0 + x1) // 2] = True
        x.gt_masks = BitMasks(masks)
        out.append(x)
    return out


def make_output(count: int, seed: int = 3) -> DensePoseEmbeddingPredictorOutput:
    g = torch.Generator().manual_seed(seed)
    return DensePoseEmbeddingPredictorOutput(
        embedding=torch.randn(count, 5, SIDE, SIDE, generator=g).requires_grad_(),
        coarse_segm=torch.randn(count, 2, SIDE, SIDE, generator=g).requires_grad_(),
    )


SOME = make_proposals([("cow_5002", 6), (None, 0), ("cat_5001", 4)], [], [("cow_5002", 5), ("cow_5002", 0)])


def points_of(proposals: list[Instances], mesh_id: int) -> list[tuple[int, float, float, int]]:
    """Row of the maps, cell of the maps (x, y), and vertex, of the points that their proposals cover."""
    out, row = [], 0
    for x in proposals:
        for gt, box, data in zip(x.gt_boxes.tensor, x.proposal_boxes.tensor, x.gt_densepose, strict=True):
            points = [] if data is None or data.mesh_id != mesh_id else list(range(len(data.x)))
            for k in points:
                px = (gt[0] + data.x[k] * (gt[2] - gt[0]) / 256 - box[0]) / (box[2] - box[0])
                py = (gt[1] + data.y[k] * (gt[3] - gt[1]) / 256 - box[1]) / (box[3] - box[1])
                if 0 <= px < 1 and 0 <= py < 1 and data.vertex_ids[k] >= 0:
                    out.append((row, px.item() * SIDE, py.item() * SIDE, int(data.vertex_ids[k])))
            row += 1
    return out


def bilinear(map_: torch.Tensor, x: float, y: float) -> torch.Tensor:
    x, y = min(x, SIDE - 1), min(y, SIDE - 1)
    x0, y0 = int(x), int(y)
    x1, y1 = min(x0 + 1, SIDE - 1), min(y0 + 1, SIDE - 1)
    u, v = x - x0, y - y0
    return (
        map_[:, y0, x0] * (1 - u) * (1 - v)
        + map_[:, y0, x1] * u * (1 - v)
        + map_[:, y1, x0] * (1 - u) * v
        + map_[:, y1, x1] * u * v
    )


def slow_loss(proposals, output, embedder, name: str, sigma: float, soft: tuple[Any, float] | None) -> float:
    losses = []
    vertices = embedder(name).detach()
    for row, x, y, vertex in points_of(proposals, embedder.mesh_ids[name]):
        e = F.normalize(bilinear(output.embedding[row].detach(), x, y), dim=0)
        scores = [-((e - v) ** 2).sum().item() / sigma for v in vertices]
        log_sum = max(scores) + math.log(sum(math.exp(s - max(scores)) for s in scores))
        if soft is None:
            losses.append(log_sum - scores[vertex])
        else:
            distances, geo_sigma = soft
            shares = [math.exp(-d / geo_sigma) for d in distances[vertex].tolist()]
            shares = [s / sum(shares) for s in shares]
            losses.append(sum(s * (log_sum - score) for s, score in zip(shares, scores, strict=True)))
    return sum(losses) / len(losses)


def test_embedding_loss(embedder: Embedder) -> None:
    output = make_output(5)
    losses = EmbeddingLoss(embdist_gauss_sigma=0.2)(SOME, output, embedder)
    assert set(losses) == set(SIZES)
    for name in ("cow_5002", "cat_5001"):
        expected = slow_loss(SOME, output, embedder, name, 0.2, None)
        assert losses[name].item() == pytest.approx(expected, rel=1e-4)
    assert losses["dog_5002"].item() == 0
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in embedder.parameters())
    assert output.embedding.grad[1].abs().sum() == 0  # no annotation


def test_soft_embedding_loss(embedder: Embedder) -> None:
    output, meshes = make_output(5), make_meshes()
    module = SoftEmbeddingLoss(meshes=meshes, embdist_gauss_sigma=0.2, geodist_gauss_sigma=0.1)
    losses = module(SOME, output, embedder)
    for name in ("cow_5002", "cat_5001"):
        soft = (meshes[name].read_geodists(), 0.1)
        expected = slow_loss(SOME, output, embedder, name, 0.2, soft)
        assert losses[name].item() == pytest.approx(expected, rel=1e-4)
    assert module.state_dict() == {}


def make_loss(**kwargs: Any) -> DensePoseCseLoss:
    arguments: dict[str, Any] = {
        "embed_loss": EmbeddingLoss(),
        "segm_loss": MaskOrSegmentationLoss(heatmap_size=SIDE),
    }
    return DensePoseCseLoss(**(arguments | kwargs))


def test_all_losses(embedder: Embedder) -> None:
    meshes = make_meshes()
    pix = PixToShapeCycleLoss(num_pixels_to_sample=SIDE * SIDE)  # all: nothing is left to chance
    loss = make_loss(
        shape2shape_loss=ShapeToShapeCycleLoss(meshes={k: meshes[k] for k in ("cow_5002", "cat_5001")}),
        pix2shape_loss=pix,
    )
    output = make_output(5)
    losses = loss(SOME, output, embedder)
    assert set(losses) == {
        "loss_densepose_S",
        *(f"loss_densepose_E{name}" for name in SIZES),
        "loss_shape2shape",
        "loss_pix2shape",
    }
    plain = make_loss()(SOME, output, embedder)
    embed = EmbeddingLoss()(SOME, output, embedder)
    assert losses["loss_densepose_Ecow_5002"].item() == pytest.approx(0.6 * embed["cow_5002"].item())
    assert all(losses[name].item() == pytest.approx(value.item()) for name, value in plain.items())
    sum(losses.values()).backward()
    assert torch.isfinite(output.embedding.grad).all()


def test_pixels_go_to_the_meshes_of_the_batch(embedder: Embedder) -> None:
    loss = make_loss(pix2shape_loss=PixToShapeCycleLoss(num_pixels_to_sample=SIDE * SIDE))
    output = make_output(5)
    masks = torch.cat([x.gt_masks.crop_and_resize(x.proposal_boxes.tensor, SIDE) for x in SOME])
    pixels = torch.arange(SIDE * SIDE).expand(5, -1)
    expected = [
        pix_to_shape_cycle_loss(output.embedding, pixels, masks.flatten(1), embedder(name), 0.05, 0.05)
        for name in ("cat_5001", "cow_5002")
    ]
    got = loss(SOME, output, embedder)["loss_pix2shape"].item()
    assert got == pytest.approx(1e-4 * sum(expected).item() / 2, rel=1e-4)


@pytest.mark.parametrize(
    "proposals",
    [[], make_proposals([]), make_proposals([(None, 0)]), make_proposals([("cow_5002", 5)], shift=5)],
    ids=["no image", "no proposal", "no annotation", "no point covered"],
)
def test_nothing_to_learn(embedder: Embedder, proposals: list[Instances]) -> None:
    output = make_output(sum(len(x) for x in proposals))
    loss = make_loss(embed_loss=SoftEmbeddingLoss(meshes=make_meshes()), pix2shape_loss=PixToShapeCycleLoss())
    losses = loss(proposals, output, embedder)
    sum(losses.values()).backward()
    of_points = [value.item() for name, value in losses.items() if name.startswith("loss_densepose_E")]
    assert of_points == [0.0] * 3
    assert all(torch.isfinite(value) for value in losses.values())
    assert all(torch.isfinite(p.grad).all() for p in embedder.parameters())


def test_annotations_that_do_not_fit(embedder: Embedder) -> None:
    proposals = make_proposals([("cow_5002", 5)])
    proposals[0].gt_densepose[0].vertex_ids[0] = 12
    with pytest.raises(ValueError, match="vertex 12 of mesh 'cow_5002', whose embedder has 12"):
        EmbeddingLoss()(proposals, make_output(1), embedder)
    proposals[0].gt_densepose[0].mesh_id = 0
    with pytest.raises(ValueError, match="mesh number 0, but there are embedders of"):
        EmbeddingLoss()(proposals, make_output(1), embedder)


def test_charts_alone_are_no_points_on_a_mesh(embedder: Embedder) -> None:
    proposals = make_proposals([("cow_5002", 5)])
    proposals[0].gt_densepose = DensePoseList(
        [DensePoseDataRelative({"dp_x": [1.0], "dp_y": [1.0], "dp_I": [1], "dp_U": [0.5], "dp_V": [0.5]})],
        proposals[0].gt_boxes.tensor,
        (64, 64),
    )
    assert EmbeddingLoss()(proposals, make_output(1), embedder)["cow_5002"].item() == 0


def test_nothing_waits_for_the_device(embedder: Embedder) -> None:
    loss = make_loss(embed_loss=SoftEmbeddingLoss(meshes=make_meshes()))
    loss(SOME, make_output(5), embedder)
    counts = []
    for times in (1, 4):
        output = make_output(5 * times)
        with SyncCounter() as counter:
            sum(loss(SOME * times, output, embedder).values()).backward()
        counts.append((counter.num_syncs, counter.num_ops))
    assert counts[0][0] == counts[1][0] == 0
    assert counts[1][1] - counts[0][1] <= 10, counts  # of four times as many images


def test_half_precision(embedder: Embedder) -> None:
    loss, output = make_loss(), make_output(5)
    expected = loss(SOME, output, embedder)
    half = output.to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = loss(SOME, half, embedder)
    for name, value in losses.items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(expected[name].item(), rel=0.02)


# ---------------------------------------------------------------------- predictor


def test_predictor() -> None:
    predictor = DensePoseEmbeddingPredictor(6, embed_size=5)
    shapes = {name: tuple(t.shape) for name, t in predictor.state_dict().items()}
    assert shapes == {
        "coarse_segm_lowres.weight": (6, 2, 4, 4),
        "coarse_segm_lowres.bias": (2,),
        "embed_lowres.weight": (6, 5, 4, 4),
        "embed_lowres.bias": (5,),
    }
    out = predictor(torch.randn(3, 6, 7, 8))
    assert out.embedding.shape == (3, 5, 28, 32)
    assert out.coarse_segm.shape == (3, 2, 28, 32)
    assert set(vars(out)) == {"embedding", "coarse_segm"}
    with torch.device("meta"):
        predictor = DensePoseEmbeddingPredictor(6)
        assert predictor(torch.empty(3, 6, 7, 7)).embedding.shape == (3, 16, 28, 28)


def test_predictor_with_confidence() -> None:
    config = DensePoseConfidenceModelConfig(
        segm_confidence=DensePoseSegmConfidenceConfig(enabled=True, epsilon=0.5)
    )
    predictor = DensePoseEmbeddingWithConfidencePredictor(6, embed_size=5, confidence_model_cfg=config)
    features = torch.randn(3, 6, 7, 7)
    out = predictor(features)
    plain = DensePoseEmbeddingPredictor.forward(predictor, features)
    assert out.coarse_segm_confidence.shape == (3, 1, 28, 28)
    assert out.coarse_segm_confidence.min() >= 0.5
    assert torch.allclose(out.coarse_segm, plain.coarse_segm * out.coarse_segm_confidence)
    assert torch.equal(out.embedding, plain.embedding)
    assert len(out[1].coarse_segm_confidence) == 1
    without = DensePoseEmbeddingWithConfidencePredictor(6)(features)
    assert without.coarse_segm_confidence is None
    assert len(without[torch.tensor([True, False, True])]) == 2
    with pytest.raises(ValueError, match="no charts"):
        DensePoseEmbeddingWithConfidencePredictor(
            6,
            confidence_model_cfg=DensePoseConfidenceModelConfig(
                uv_confidence=DensePoseUVConfidenceConfig(enabled=True)
            ),
        )
