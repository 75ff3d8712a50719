"""The heads of Mesh R-CNN: keys of the published checkpoints, losses against plain loops, small cases."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lazycfg.layers import ShapeSpec, chamfer_distance, cubify, ico_sphere, mesh_edge_loss
from lazycfg.projects.meshrcnn import (
    FastRCNNFCHead,
    MeshRCNNGraphConvHead,
    MeshRCNNGraphConvSubdHead,
    MeshRCNNMaskHead,
    MeshRefinementStage,
    VoxelInstances,
    VoxelRCNNConvUpsampleHead,
    crop_voxels,
)
from lazycfg.projects.meshrcnn.heads import crop_masks
from lazycfg.structures import BitMasks, Boxes, Instances, Meshes
from lazycfg.utils.events import EventStorage

REGION = ShapeSpec(channels=8, height=4, width=4)


def proposals(counts=(3, 2), classes=3):
    """Foreground of two images of 40 x 50 pixels."""
    torch.manual_seed(0)
    out = []
    for n in counts:
        corner = torch.rand(n, 2) * 20
        boxes = torch.cat((corner, corner + 5 + torch.rand(n, 2) * 14), dim=1)
        x = Instances((40, 50), proposal_boxes=Boxes(boxes), gt_classes=torch.randint(0, classes, (n,)))
        x.gt_dz = 1 + torch.rand(n) * 30
        x.gt_masks = BitMasks(torch.rand(n, 40, 50) < 0.02)
        x.gt_K = torch.tensor([[60.0, 25.0, 20.0]]).expand(n, 3)
        x.gt_voxels = VoxelInstances(
            [torch.rand(60, 3) * 0.4 + torch.tensor([-0.2, -0.2, 1.0]) for _ in range(n)]
        )
        out.append(x)
    return out


def randomize(module):
    torch.manual_seed(1)
    for p in module.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return module


# ---------------------------------------------------------------- depth


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_extent_loss_is_that_of_a_loop(beta):
    head = randomize(FastRCNNFCHead(REGION, num_classes=3, fc_dim=6, smooth_l1_beta=beta, loss_weight=5.0))
    assert list(head.state_dict()) == [
        f"{name}.{kind}" for name in ("z_fc1", "z_fc2", "z_pred") for kind in ("weight", "bias")
    ]
    instances, x = proposals(), torch.randn(5, 8, 4, 4)
    loss = head(x, instances)["loss_z_reg"]
    with torch.no_grad():
        logs = head.z_pred(F.relu(head.z_fc2(F.relu(head.z_fc1(x.flatten(1))))))
    total, row = 0.0, 0
    for own in instances:
        for box, dz, label in zip(own.proposal_boxes.tensor, own.gt_dz, own.gt_classes, strict=True):
            gap = abs(float(logs[row, label]) - math.log(float(dz) / float(box[3] - box[1])))
            total += 0.5 * gap**2 if beta and gap < 1 else gap - 0.5 * beta
            row += 1
    assert loss.item() == pytest.approx(5 * total / 5, rel=1e-4)


def test_extents_at_inference_and_of_nothing():
    head = randomize(FastRCNNFCHead(REGION, num_classes=3, fc_dim=6))
    with torch.no_grad():
        head.z_pred.weight.zero_()
        head.z_pred.bias.copy_(torch.tensor([0.0, 1.0, 100.0]))
    found = [
        Instances((4, 4), pred_classes=torch.tensor([2, 0])),
        Instances((4, 4), pred_classes=torch.tensor([1])),
    ]
    head.eval()(torch.randn(3, 8, 4, 4), found)
    assert found[0].pred_dz[:, 0].tolist() == pytest.approx([1000 / 16, 1.0])
    assert found[1].pred_dz.tolist() == [[pytest.approx(math.e)]]
    loss = head.train()(torch.zeros(0, 8, 4, 4), proposals((0, 0)))["loss_z_reg"]
    loss.backward()
    assert loss == 0
    assert head.z_fc1.weight.grad is not None
    agnostic = FastRCNNFCHead(REGION, num_classes=3, cls_agnostic=True)
    assert agnostic.z_pred.out_features == 1
    assert agnostic(torch.randn(5, 8, 4, 4), proposals())["loss_z_reg"].isfinite()


# ---------------------------------------------------------------- masks


def test_mask_targets_are_those_of_one_box_after_another():
    instances = proposals((6, 5))
    masks = torch.cat([x.gt_masks.tensor for x in instances])
    boxes = torch.cat([x.proposal_boxes.tensor for x in instances])
    boxes[0] = torch.tensor([3.2, 4.1, 3.9, 30.0])  # no whole pixel wide
    boxes[1] = torch.tensor([40.0, 30.0, 50.0, 40.0])  # to the border
    got = crop_masks(masks, torch.arange(11), boxes, 7)
    for mask, box, own in zip(masks, boxes.int().tolist(), got, strict=True):
        x0, y0, x1, y1 = box
        crop = mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)].float()
        expected = (
            F.interpolate(crop[None, None], size=(7, 7), mode="bilinear", align_corners=False)[0, 0] > 0
        )
        assert torch.equal(own, expected)
    assert 0 < got.float().mean() < 1


def test_mask_loss():
    head = randomize(MeshRCNNMaskHead(REGION, num_classes=3, conv_dims=[8, 8]))
    instances, x = proposals(), torch.randn(5, 8, 4, 4)
    with EventStorage():
        loss = head(x, instances)["loss_mask"]
        nothing = head(x[:0], proposals((0, 0)))["loss_mask"]
        half = head(x[:3], [*proposals((3,)), *proposals((0,))])["loss_mask"]
    logits = head.layers(x)[torch.arange(5), torch.cat([i.gt_classes for i in instances])]
    targets = [
        crop_masks(i.gt_masks.tensor, torch.arange(len(i)), i.proposal_boxes.tensor, 8) for i in instances
    ]
    expected = F.binary_cross_entropy_with_logits(logits, torch.cat(targets).float())
    torch.testing.assert_close(loss, expected)
    assert nothing == 0
    assert half.isfinite()
    found = [Instances((40, 50), pred_classes=torch.tensor([0, 2]), pred_boxes=Boxes(torch.zeros(2, 4)))]
    assert head.eval()(x[:2], found)[0].pred_masks.shape == (2, 1, 8, 8)


# ---------------------------------------------------------------- voxels


def test_voxel_head():
    head = randomize(VoxelRCNNConvUpsampleHead(REGION, num_depth=8, num_conv=2, conv_dim=6, loss_weight=3.0))
    names = ("voxel_fcn1", "voxel_fcn2", "deconv", "predictor")
    assert list(head.state_dict()) == [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]
    instances, x = proposals(), torch.randn(5, 8, 4, 4)
    logits = head(x)
    assert logits.shape == (5, 1, 8, 8, 8)
    loss = head.losses(logits, [*instances, *proposals((0,))])["loss_voxel"]
    total = 0.0
    for own, rows in zip(instances, logits[:, 0].split([3, 2]), strict=True):
        for i in range(len(own)):
            grid = crop_voxels(own.gt_voxels[i], own.proposal_boxes.tensor[i : i + 1], own.gt_K[i : i + 1], 8)
            assert grid.any()
            total += F.binary_cross_entropy_with_logits(rows[i], grid[0].float()).item()
    assert loss.item() == pytest.approx(3 * total / 5, rel=1e-5)
    assert head.losses(head(x[:0]), proposals((0,)))["loss_voxel"] == 0
    wrong = VoxelRCNNConvUpsampleHead(REGION, num_depth=9, num_conv=1, conv_dim=4)
    with pytest.raises(ValueError, match="num_depth=8"):
        wrong.losses(wrong(x), instances)


# ---------------------------------------------------------------- meshes


def small_head(cls=MeshRCNNGraphConvHead, **kwargs):
    options = {"input_channels": 8, "num_stages": 3, "num_graph_convs": 2, "graph_conv_dim": 5}
    return cls(**{**options, "gt_num_samples": 50, "pred_num_samples": 40, **kwargs})


def test_keys_and_shapes_are_those_of_the_published_weights():
    shapes = {name: tuple(value.shape) for name, value in small_head().state_dict().items()}
    expected = {}
    for i in range(3):
        expected |= {f"stages.{i}.bottleneck.weight": (5, 8), f"stages.{i}.bottleneck.bias": (5,)}
        expected |= {f"stages.{i}.verts_offset.weight": (3, 8), f"stages.{i}.verts_offset.bias": (3,)}
        for j in range(2):
            dim = 5 + 3 + (5 if i and j == 0 else 0)
            for w in ("w0", "w1"):
                expected |= {
                    f"stages.{i}.gconvs.{j}.{w}.weight": (5, dim),
                    f"stages.{i}.gconvs.{j}.{w}.bias": (5,),
                }
    assert shapes == expected


def test_a_new_head_moves_nothing():
    spheres = ico_sphere(1).extend(2)
    for cls, counts in ((MeshRCNNGraphConvHead, [42, 42, 42]), (MeshRCNNGraphConvSubdHead, [42, 162, 642])):
        out = small_head(cls)(torch.randn(2, 8, 6, 6), spheres)
        assert [m.verts_per_mesh for m in out] == [[n, n] for n in counts]
        torch.testing.assert_close(out[0].verts_packed(), spheres.verts_packed())


def test_a_stage_computed_by_hand():
    """A map that is its column in one channel and 1 in the other; two vertices that are neighbours."""
    stage = MeshRefinementStage(2, 1, 1, 1)
    with torch.no_grad():
        for p in stage.parameters():
            p.zero_()
        stage.bottleneck.weight.copy_(torch.tensor([[1.0, 0.5]]))
        stage.gconvs[0].w0.weight.copy_(torch.tensor([[1.0, 2.0, 0, 0, 1.0]]))  # previous, image, x, y, z
        stage.gconvs[0].w1.weight.copy_(torch.tensor([[0.0, 1.0, 0, 0, 0]]))
        stage.verts_offset.weight.copy_(torch.tensor([[0.1, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, -1.0]]))
        stage.verts_offset.bias.copy_(torch.tensor([0.0, 0.0, 0.3]))
    column = torch.linspace(-1, 1, 3).expand(3, 3)
    x = torch.stack((column, torch.ones(3, 3)))[None]
    verts = torch.tensor([[0.5, 0.0, 0.2], [-5.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    meshes = Meshes([verts], [torch.zeros(0, 3, dtype=torch.int64)])
    moved, features = stage(x, meshes, torch.tensor([[0, 1]]), torch.tensor([[0.7], [0.0], [-3.0]]))
    image = [0.5 + 0.5, 0.0, 0.0 + 0.5]  # -1 at the border, + 0.5, and ReLU
    expected = [0.7 + 2 * image[0] + 0.2 + image[1], 2 * image[1] + image[0], max(0.0, -3 + 2 * image[2])]
    assert features[:, 0].tolist() == pytest.approx(expected)
    offsets = [(0.1 * f, v[0], 0.3 - v[2]) for f, v in zip(expected, verts.tolist(), strict=True)]
    np.testing.assert_allclose(
        moved.verts_packed().detach(), verts + torch.tensor(offsets).tanh(), rtol=1e-5, atol=1e-6
    )


def test_mesh_losses_add_up_over_stages_and_skip_what_is_missing(monkeypatch):
    """Every mesh samples its own vertices, so that a plain sum is the same."""
    module = "lazycfg.projects.meshrcnn.mesh_head.sample_points_from_meshes"

    def vertices(meshes, count, return_normals):
        padded = meshes.verts_padded()
        return padded, F.normalize(padded + 1, dim=2)

    monkeypatch.setattr(module, vertices)
    sphere, empty = ico_sphere(1), Meshes([torch.zeros(0, 3)], [torch.zeros(0, 3, dtype=torch.int64)])
    truth = Meshes.cat([sphere.scale_verts(1.5), sphere, sphere.scale_verts(0.8)])
    first = Meshes.cat([sphere, empty, sphere.offset_verts(torch.tensor([0.1, 0, 0]))])
    stages = [first, first.scale_verts(1.1)]
    head = small_head(chamfer_loss_weight=2.0, normals_loss_weight=0.1, edge_loss_weight=0.3)
    losses = head.losses(stages, truth)
    total = {"loss_chamfer": 0.0, "loss_normals": 0.0, "loss_edge": 0.0}
    for meshes in stages:
        for i in (0, 2):  # the second mesh is empty, and has no part
            a, b = (m.verts_list()[i][None] for m in (meshes, truth))
            chamfer, normals = chamfer_distance(
                a, b, x_normals=F.normalize(a + 1, dim=2), y_normals=F.normalize(b + 1, dim=2)
            )
            total["loss_chamfer"] += 2.0 * chamfer.item() / 2
            total["loss_normals"] += 0.1 * normals.item() / 2
        total["loss_edge"] += 0.3 * mesh_edge_loss(meshes).item()
    assert {k: v.item() for k, v in losses.items()} == pytest.approx(total, rel=1e-4)


def test_mesh_losses_are_zero_where_the_truth_is_far_out_or_nothing_is_predicted():
    sphere = ico_sphere(1)
    head = randomize(small_head())
    stages = head(torch.randn(1, 8, 4, 4), sphere)
    near, far = head.losses(stages, sphere), head.losses(stages, sphere.scale_verts(6))
    assert all(v > 0 for v in near.values())
    assert all(v == 0 for v in far.values())
    nothing = head.losses(head(torch.zeros(1, 8, 4, 4), cubify(torch.zeros(1, 4, 4, 4), 0.5)), sphere)
    sum(nothing.values()).backward()
    assert all(v == 0 for v in nothing.values())
    assert all(p.grad is not None and not p.grad.any() for p in head.parameters())


def test_refinement_learns_a_shape():
    """A head alone makes an ellipsoid of a sphere."""
    torch.manual_seed(0)
    head = small_head(num_stages=2, graph_conv_dim=16, gt_num_samples=200, pred_num_samples=200)
    sphere = ico_sphere(2).scale_verts(0.7)
    truth = sphere.with_verts(sphere.verts_packed() * torch.tensor([1.2, 0.6, 1.0]))
    x = torch.randn(1, 8, 4, 4)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    history = []
    for _ in range(60):
        losses = head.losses(head(x, sphere), truth)
        optimizer.zero_grad()
        losses["loss_chamfer"].backward()
        optimizer.step()
        history.append(losses["loss_chamfer"].item())
    assert history[-1] < 0.4 * history[0]
