"""Cycle losses of surface embeddings against versions with plain loops."""

import math

import pytest
import torch

from lazycfg.projects.densepose.cse.cycle_losses import (
    GeodesicDistances,
    PixToShapeCycleLoss,
    ShapeToShapeCycleLoss,
    pix_to_shape_cycle_loss,
    sample_pixels,
    shape_to_shape_cycle_loss,
)
from lazycfg.projects.densepose.cse.embedders import Embedder, VertexDirectEmbedder, normalize_embeddings
from lazycfg.projects.densepose.cse.mesh import Mesh
from lazycfg.utils import SyncCounter

SIZES = {"bear_4936": 7, "cat_5001": 9, "cow_5002": 5}


def make_embedder(seed: int = 0) -> Embedder:
    torch.manual_seed(seed)
    return Embedder(
        embedders={name: VertexDirectEmbedder(num_vertices=n, embed_dim=4) for name, n in SIZES.items()}
    )


def make_meshes() -> dict[str, Mesh]:
    points = {name: torch.rand(n, 2, generator=torch.Generator().manual_seed(n)) for name, n in SIZES.items()}
    return {name: Mesh(name=name, geodists=torch.cdist(p, p)) for name, p in points.items()}


def softmax(values: list[float]) -> list[float]:
    exponentials = [math.exp(v - max(values)) for v in values]
    return [e / sum(exponentials) for e in exponentials]


def dot(a: torch.Tensor, b: torch.Tensor) -> float:
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))


def slow_shape_to_shape(e1, e2, g1, g2, temperature: float, p: float) -> float:
    def one_way(a, b, distances):
        total = 0.0
        there = [softmax([dot(x, y) / temperature for y in b]) for x in a]
        back = [softmax([dot(y, x) / temperature for x in a]) for y in b]
        for i in range(len(a)):
            for j in range(len(a)):
                chance = sum(there[i][k] * back[k][j] for k in range(len(b)))
                total += (distances[i, j].item() * chance) ** p
        return total ** (1 / p)

    return one_way(e1, e2, g1) + one_way(e2, e1, g2)


@pytest.mark.parametrize("p", [2, 1, 3])
def test_shape_to_shape(p: int) -> None:
    embedder, meshes = make_embedder(), make_meshes()
    e1, e2 = embedder("bear_4936"), embedder("cat_5001")
    g1, g2 = (meshes[name].read_geodists() for name in ("bear_4936", "cat_5001"))
    loss = shape_to_shape_cycle_loss(e1, e2, g1, g2, 0.3, p)
    assert loss.item() == pytest.approx(slow_shape_to_shape(e1, e2, g1, g2, 0.3, p), rel=1e-4)


def test_each_pair_of_meshes_is_drawn() -> None:
    embedder, meshes = make_embedder(), make_meshes()
    module = ShapeToShapeCycleLoss(meshes=meshes)
    values = {round(module(embedder).item(), 5) for _ in range(60)}
    expected = set()
    for first, second in [("bear_4936", "cat_5001"), ("bear_4936", "cow_5002"), ("cat_5001", "cow_5002")]:
        geodists = [meshes[name].read_geodists() for name in (first, second)]
        expected.add(
            round(shape_to_shape_cycle_loss(embedder(first), embedder(second), *geodists, 0.05).item(), 5)
        )
    assert values == expected
    assert module.state_dict() == {}


def test_some_vertices_of_large_meshes_are_drawn() -> None:
    embedder, meshes = make_embedder(), {k: v for k, v in make_meshes().items() if k != "cow_5002"}
    module = ShapeToShapeCycleLoss(meshes=meshes, max_num_vertices=8)
    torch.manual_seed(3)
    loss = module(embedder)
    torch.manual_seed(3)
    rows = torch.randperm(9)[:8]
    e1, e2 = embedder("bear_4936"), embedder("cat_5001")[rows]
    g1, g2 = meshes["bear_4936"].read_geodists(), meshes["cat_5001"].read_geodists()[rows][:, rows]
    assert loss.item() == pytest.approx(slow_shape_to_shape(e1, e2, g1, g2, 0.05, 2), rel=1e-4)
    loss.backward()
    drawn = embedder.embedder_cat_5001.embeddings.grad.abs().sum(1) > 0
    assert drawn.sum() == 8


def test_two_meshes_are_needed() -> None:
    with pytest.raises(ValueError, match="two meshes"):
        ShapeToShapeCycleLoss(meshes={"cow_5002": make_meshes()["cow_5002"]})


def test_distances_are_read_once_and_fit_the_embedder() -> None:
    distances = GeodesicDistances(make_meshes())
    assert distances.state_dict() == {}
    first = distances("cow_5002", torch.zeros(5, 2))
    assert distances("cow_5002", torch.zeros(5, 2)) is first
    assert distances.double()("cow_5002", torch.zeros(5, 2)).dtype == torch.float64
    with pytest.raises(ValueError, match="of 9 vertices, but its embedder has 8: num_vertices=9"):
        distances("cat_5001", torch.zeros(8, 2))
    with pytest.raises(KeyError, match="dog_5002"):
        distances("dog_5002", torch.zeros(8, 2))


# ---------------------------------------------------------------------- pixels


def slow_pix_to_shape(maps, pixels, drawn, vertices, t_there: float, t_back: float, p: float) -> float:
    losses = []
    for map_, numbers, keep in zip(maps, pixels.tolist(), drawn.tolist(), strict=True):
        numbers = [n for n, k in zip(numbers, keep, strict=True) if k]
        places = [divmod(n, map_.shape[2]) for n in numbers]
        rows = [normalize_embeddings(map_[:, y, x][None])[0] for y, x in places]
        there = [softmax([dot(r, v) / t_there for v in vertices]) for r in rows]
        back = [softmax([dot(v, r) / t_back for r in rows]) for v in vertices] if rows else []
        total = 0.0
        for i, (y, x) in enumerate(places):
            for j, (b, a) in enumerate(places):
                chance = sum(there[i][k] * back[k][j] for k in range(len(vertices)))
                total += (((y - b) ** 2 + (x - a) ** 2) * chance) ** p
        losses.append(total ** (1 / p))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("p", [2, 1])
def test_pix_to_shape(p: int) -> None:
    torch.manual_seed(1)
    maps, vertices = torch.randn(4, 4, 5, 6), make_embedder()("cow_5002")
    masks = torch.rand(4, 5, 6) > 0.5
    masks[1] = False  # no pixel
    masks[2] = False
    masks[2, 1, 2] = True  # one
    pixels, drawn = sample_pixels(masks, 7)
    loss = pix_to_shape_cycle_loss(maps, pixels, drawn, vertices, 0.3, 0.4, p)
    assert loss.item() == pytest.approx(
        slow_pix_to_shape(maps, pixels, drawn, vertices, 0.3, 0.4, p), rel=1e-4
    )


def test_gradients_are_finite_without_pixels() -> None:
    maps = torch.randn(2, 4, 5, 5, requires_grad=True)
    vertices = make_embedder()("cow_5002")
    masks = torch.zeros(2, 5, 5, dtype=torch.bool)
    loss = pix_to_shape_cycle_loss(maps, *sample_pixels(masks, 7), vertices, 0.05, 0.05)
    loss.backward()
    assert loss.item() == 0
    assert maps.grad.abs().sum() == 0


def test_pixels_are_drawn_evenly_from_the_mask() -> None:
    torch.manual_seed(0)
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, :2] = True
    masks[1, 0, :3] = True
    counts = torch.zeros(2, 16)
    for _ in range(400):
        pixels, drawn = sample_pixels(masks, 4)
        assert drawn.sum(1).tolist() == [4, 3]
        for row in range(2):
            own = pixels[row][drawn[row]]
            assert len(own.unique()) == len(own)
            counts[row, own] += 1
    assert counts[0, 8:].sum() == 0
    assert counts[1, :3].tolist() == [400.0] * 3
    assert counts[0, :8].min() > 150  # 200 expected


def test_which_meshes_pixels_go_to() -> None:
    torch.manual_seed(0)
    embedder = make_embedder()
    maps, masks = torch.randn(3, 4, 4, 4), torch.ones(3, 4, 4)
    one, all_ = (
        PixToShapeCycleLoss(use_all_meshes_not_gt_only=flag, num_pixels_to_sample=16)
        for flag in (False, True)
    )
    cow, cat = (one(maps, masks, embedder, [name]) for name in ("cow_5002", "cat_5001"))
    bear = one(maps, masks, embedder, ["bear_4936"])
    both = one(maps, masks, embedder, ["cow_5002", "cat_5001"])
    assert both.item() == pytest.approx((cow + cat).item() / 2, rel=1e-5)
    assert all_(maps, masks, embedder, []).item() == pytest.approx((bear + cow + cat).item() / 3, rel=1e-5)
    assert one(maps, masks, embedder, []).item() == 0
    assert one(maps[:0], masks[:0], embedder, ["cow_5002"]).item() == 0


def test_nothing_waits_for_the_device() -> None:
    embedder, meshes = make_embedder(), make_meshes()
    shape, pix = ShapeToShapeCycleLoss(meshes=meshes), PixToShapeCycleLoss()
    maps, masks = torch.randn(3, 4, 8, 8, requires_grad=True), torch.ones(3, 8, 8)
    for name in SIZES:  # distances are read once
        shape.geodists(name, embedder(name))
    with SyncCounter() as counter:
        (shape(embedder) + pix(maps, masks, embedder, ["cow_5002"])).backward()
    assert counter.num_syncs == 0, counter.waits()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert shape(embedder).dtype == torch.float32
        assert torch.isfinite(pix(maps.bfloat16(), masks, embedder, ["cow_5002"]))
