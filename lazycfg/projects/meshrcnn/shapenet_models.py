"""Meshes of whole images of single objects: the models of Mesh R-CNN (arXiv:1906.02739) on ShapeNet.

Coordinates are those of the camera that rendered the images: x right, y up, and the camera looks along -z.
A point p = (x, y, z, 1) is seen at K p, divided by its last coordinate: x and y in [-1, 1] of the image.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import get_model

from lazycfg.layers import (
    GraphConv,
    SubdivideMeshes,
    chamfer_distance,
    cubify,
    ico_sphere,
    mesh_edge_loss,
    sample_points_from_meshes,
    vert_align,
)
from lazycfg.structures import Meshes
from lazycfg.utils.events import get_event_storage

from .structures import MeshInstances

__all__ = [
    "INTRINSICS",
    "MeshLoss",
    "MeshRefinementHead",
    "Pixel2MeshHead",
    "ResNetMaps",
    "SphereInitHead",
    "VoxMeshHead",
    "project",
    "voxel_to_world",
    "world_to_voxel",
]

INTRINSICS = (
    (2.1875, 0.0, 0.0, 0.0),
    (0.0, 2.1875, 0.0, 0.0),
    (0.0, 0.0, -1.002002, -0.2002002),
    (0.0, 0.0, -1.0, 0.0),
)
Z_RANGE = (0.67, 0.92)
"""Depths of the projection between which the voxel grid lies."""


def project(points: Tensor, matrix: Tensor, eps: float = 0.1) -> Tensor:
    """Apply a projective transform.

    Args:
        points: (..., P, 3).
        matrix: (..., 4, 4).
        eps: the last coordinate, by which the others are divided, is at least so far from 0.
    """
    homogeneous = F.pad(points, (0, 1), value=1.0) @ matrix.transpose(-1, -2)
    w = homogeneous[..., 3:]
    w = torch.where(w < 0, -1.0, 1.0) * w.abs().clamp(min=eps)
    return homogeneous[..., :3] / w


def world_to_voxel(points: Tensor) -> Tensor:
    """Take points (..., 3) before the camera to [-1, 1] of the voxel grid: x right, y down, z ahead."""
    seen = project(points, points.new_tensor(INTRINSICS), eps=1e-6)
    near, far = Z_RANGE
    depth = 2 * (seen[..., 2:] - near) / (far - near) - 1
    return torch.cat((seen[..., :2] * points.new_tensor((1, -1)), depth), dim=-1)


def voxel_to_world(points: Tensor) -> Tensor:
    """Take points (..., 3) of the voxel grid back before the camera: undo `world_to_voxel`."""
    near, far = Z_RANGE
    depth = (points[..., 2:] + 1) * (far - near) / 2 + near
    z = INTRINSICS[2][3] / (-INTRINSICS[2][2] - depth)
    across = points[..., :2] * points.new_tensor((1, -1)) * -z / INTRINSICS[0][0]
    return torch.cat((across, z), dim=-1)


class ResNetMaps(nn.Module):
    """The maps of all four stages of one of torchvision's ResNets.

    Args:
        name: "resnet50" and the like.
        weights: a file of weights of torchvision's, such as resnet50-0676ba61.pth; "": none. Not needed where
            the weights of the whole model are loaded.
    """

    def __init__(self, name: str = "resnet50", *, weights: str = "") -> None:
        super().__init__()
        net = get_model(name, weights=None)
        if weights:
            net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.stage1, self.stage2, self.stage3, self.stage4 = net.layer1, net.layer2, net.layer3, net.layer4
        last = net.fc.in_features
        self.channels = [last // 8, last // 4, last // 2, last]

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> maps of strides 4, 8, 16 and 32."""
        x = self.stem(images)
        maps = []
        for stage in (self.stage1, self.stage2, self.stage3, self.stage4):
            x = stage(x)
            maps.append(x)
        return maps


class _Stage(nn.Module):
    """`MeshRefinementStage` for meshes before a camera: features are read where a vertex is projected to.

    Args:
        img_feat_dim: channels of all maps together.
        vert_feat_dim: features of a vertex from the stage before; 0 for the first one.
        hidden_dim: of all layers.
        stage_depth: number of graph convolutions.
        gconv_init: their initialisation.
    """

    def __init__(
        self,
        img_feat_dim: int,
        vert_feat_dim: int,
        hidden_dim: int,
        stage_depth: int,
        gconv_init: Literal["normal", "zero"],
    ) -> None:
        super().__init__()
        self.bottleneck = nn.Linear(img_feat_dim, hidden_dim)
        nn.init.normal_(self.bottleneck.weight, std=0.01)
        nn.init.zeros_(self.bottleneck.bias)
        self.vert_offset = nn.Linear(hidden_dim + 3, 3)
        nn.init.zeros_(self.vert_offset.weight)
        nn.init.zeros_(self.vert_offset.bias)
        dims = [hidden_dim + vert_feat_dim + 3] + [hidden_dim + 3] * (stage_depth - 1)
        self.gconvs = nn.ModuleList(GraphConv(dim, hidden_dim, init=gconv_init) for dim in dims)

    def forward(
        self, maps: Sequence[Tensor], meshes: Meshes, edges: Tensor, matrix: Tensor, feats: Tensor | None
    ) -> tuple[Meshes, Tensor]:
        """Return the meshes with their vertices moved, and features (V, hidden_dim); see
        `MeshRefinementStage`. `matrix` (4, 4) is that of `project`.
        """
        seen = project(meshes.verts_padded(), matrix)
        image = vert_align(maps, seen * seen.new_tensor((1, -1, 1)))  # lines are counted from the top
        image = F.relu(self.bottleneck(meshes.pack_verts(image)))
        positions = meshes.pack_verts(seen)
        x = torch.cat((image, positions) if feats is None else (image, positions, feats), dim=1)
        for gconv in self.gconvs:
            hidden = F.relu(gconv(x, edges))
            x = torch.cat((hidden, positions), dim=1)
        offsets = torch.tanh(self.vert_offset(x))
        return meshes.offset_verts(offsets.to(meshes.verts_packed().dtype)), hidden


class MeshRefinementHead(nn.Module):
    """Several stages that move the vertices of meshes before a camera.

    Args:
        input_channels: of all maps together.
        num_stages, num_graph_convs, graph_conv_dim, graph_conv_init: as for `MeshRCNNGraphConvHead`.
        subdivide: cut each triangle into four between the stages.
    """

    def __init__(
        self,
        *,
        input_channels: int,
        num_stages: int = 3,
        num_graph_convs: int = 3,
        graph_conv_dim: int = 128,
        graph_conv_init: Literal["normal", "zero"] = "normal",
        subdivide: bool = False,
    ) -> None:
        super().__init__()
        self.subdivide = subdivide
        self.stages = nn.ModuleList(
            _Stage(
                input_channels, graph_conv_dim if i else 0, graph_conv_dim, num_graph_convs, graph_conv_init
            )
            for i in range(num_stages)
        )

    def forward(self, maps: Sequence[Tensor], meshes: Meshes, matrix: Tensor) -> list[Meshes]:
        """Refine meshes in stages.

        Args:
            maps: each (N, C_i, H_i, W_i).
            meshes: N meshes before the camera.
            matrix: (4, 4), see `project`.

        Returns:
            The meshes after each stage.
        """
        out: list[Meshes] = []
        feats = None
        edges = meshes.edges_packed()
        for stage in self.stages:
            if self.subdivide and feats is not None:
                meshes, feats = SubdivideMeshes()(meshes, feats)
                edges = meshes.edges_packed()
            meshes, feats = stage(maps, meshes, edges, matrix, feats)
            out.append(meshes)
        return out


class MeshLoss(nn.Module):
    """Compares points drawn from the meshes of each stage with points of the true surface.

    Args:
        chamfer_weight, normal_weight, edge_weight: of the losses, each averaged over the stages.
        voxel_weight: of the mean binary cross-entropy of the voxels.
        pred_num_samples: points drawn from a mesh.
    """

    def __init__(
        self,
        *,
        chamfer_weight: float = 1.0,
        normal_weight: float = 0.0,
        edge_weight: float = 0.2,
        voxel_weight: float = 1.0,
        pred_num_samples: int = 5000,
    ) -> None:
        super().__init__()
        self.chamfer_weight = chamfer_weight
        self.normal_weight = normal_weight
        self.edge_weight = edge_weight
        self.voxel_weight = voxel_weight
        self.pred_num_samples = pred_num_samples

    def forward(
        self,
        refined: Sequence[Meshes],
        points: Tensor,
        normals: Tensor,
        voxel_logits: Tensor | None,
        voxels: Any,
    ) -> dict[str, Tensor]:
        """Compute the losses of voxels and meshes.

        Args:
            refined: of each stage N meshes.
            points, normals: (N, P, 3) of the true surface.
            voxel_logits: (N, V, V, V), None of a model without voxels; voxels: as many, bool.

        Returns:
            "chamfer_i", "normal_i" and "edge_i" of each stage i, and "voxel"; the loss is their sum.
        """
        losses: dict[str, Tensor] = {}
        for i, meshes in enumerate(refined):
            own, own_normals = sample_points_from_meshes(meshes, self.pred_num_samples, return_normals=True)
            chamfer, angle = chamfer_distance(own, points, x_normals=own_normals, y_normals=normals)
            share = 1 / len(refined)
            losses[f"chamfer_{i}"] = chamfer * (self.chamfer_weight * share)
            losses[f"normal_{i}"] = angle * (self.normal_weight * share)
            losses[f"edge_{i}"] = mesh_edge_loss(meshes) * (self.edge_weight * share)
        if voxel_logits is not None:
            loss = F.binary_cross_entropy_with_logits(voxel_logits.float(), voxels.float())
            losses["voxel"] = loss * self.voxel_weight
        return losses


class _ImageToMesh(nn.Module):
    """What the models share: maps of the images, meshes to begin with, and their refinement.

    Args:
        backbone: as `ResNetMaps`.
        mesh_head: as `MeshRefinementHead`.
        loss: as `MeshLoss`.
        pixel_mean, pixel_std: of each channel, RGB, 0 to 255.
    """

    def __init__(
        self,
        *,
        backbone: nn.Module,
        mesh_head: nn.Module,
        loss: MeshLoss,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.mesh_head = mesh_head
        self.loss = loss
        self.input_format = "RGB"
        self.register_buffer("pixel_mean", torch.tensor(list(pixel_mean)).view(-1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(list(pixel_std)).view(-1, 1, 1), persistent=False)
        self.register_buffer("K", torch.tensor(INTRINSICS))

    @property
    def device(self) -> torch.device:
        """Return the device of the parameters."""
        return self.pixel_mean.device

    def first_meshes(self, maps: Sequence[Tensor]) -> tuple[Meshes, Tensor | None]:
        """Return the meshes that refinement begins with, and the logits of voxels (N, V, V, V), if there are
        any.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def forward(self, batched_inputs: Sequence[Mapping[str, Any]]) -> Any:
        """Compute the losses in training, and predict meshes otherwise.

        Args:
            batched_inputs: per image a dict with "image" (3, H, W), all of one size; in training "points" and
                "normals" (P, 3) and, for a model with voxels, "voxels" (V, V, V) bool.

        Returns:
            In training the losses by name (see `MeshLoss`); at inference per image a dict of "mesh",
            (vertices, faces) after the last stage, and perhaps "voxels", probabilities (V, V, V).
        """
        images = torch.stack([x["image"].to(self.device) for x in batched_inputs])
        maps = self.backbone((images - self.pixel_mean) / self.pixel_std)
        meshes, logits = self.first_meshes(maps)
        refined = self.mesh_head(maps, meshes, self.K)
        if not self.training:
            outputs: list[dict[str, Any]] = [
                {"mesh": mesh} for mesh in MeshInstances.from_meshes(refined[-1])
            ]
            if logits is not None:
                for output, grid in zip(outputs, logits.float().sigmoid(), strict=True):
                    output["voxels"] = grid
            return outputs
        points, normals = (
            torch.stack([x[key].to(self.device) for x in batched_inputs]) for key in ("points", "normals")
        )
        voxels = None
        if logits is not None:
            voxels = torch.stack([x["voxels"].to(self.device) for x in batched_inputs])
        return self.loss(refined, points, normals, logits, voxels)


class VoxMeshHead(_ImageToMesh):
    """Voxels, and their surface refined.

    Args:
        voxel_head: as `VoxelRCNNConvUpsampleHead`, class-agnostic.
        voxel_size: cells of a side.
        cubify_thresh: probability from which on a cell is occupied.
        voxel_only_iters: for so many steps the mesh head is given random tetrahedra: voxels come first.
        kwargs: those that all models share: backbone, mesh_head, loss, pixel_mean, pixel_std.
    """

    def __init__(
        self,
        *,
        voxel_head: nn.Module,
        voxel_size: int = 48,
        cubify_thresh: float = 0.2,
        voxel_only_iters: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.voxel_head = voxel_head
        self.voxel_size = voxel_size
        self.cubify_thresh = cubify_thresh
        self.voxel_only_iters = voxel_only_iters

    def first_meshes(self, maps: Sequence[Tensor]) -> tuple[Meshes, Tensor | None]:
        """Return the cubified voxels, and their logits (N, V, V, V), of maps (N, C, H, W)."""
        side = self.voxel_size // 2
        x = F.interpolate(maps[-1], size=(side, side), mode="bilinear", align_corners=False)
        logits = self.voxel_head(x)[:, 0]
        if self.training and get_event_storage().iter < self.voxel_only_iters:
            return tetrahedra(len(logits), logits.device), logits
        return self.surface(logits.detach().float().sigmoid()), logits

    def surface(self, probabilities: Tensor) -> Meshes:
        """Return the surface of voxels (N, V, V, V) before the camera. Where no cell is occupied, the half of
        the grid around its centre is.
        """
        quarter = self.voxel_size // 4
        inner = torch.zeros_like(probabilities[0], dtype=torch.bool)
        middle = slice(quarter, quarter + self.voxel_size // 2)
        inner[middle, middle, middle] = True
        occupied = probabilities >= self.cubify_thresh
        occupied = torch.where(occupied.any(dim=(1, 2, 3), keepdim=True), occupied, inner)
        meshes = cubify(occupied.float(), 0.5)
        return meshes.with_verts(voxel_to_world(meshes.verts_packed()))


def tetrahedra(count: int, device: torch.device) -> Meshes:
    """Return so many tetrahedra with corners drawn at random."""
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]], device=device)
    return Meshes(list(torch.randn(count, 4, 3, device=device)), [faces] * count)


class SphereInitHead(_ImageToMesh):
    """A sphere around the origin, refined.

    Args:
        ico_sphere_level: of the sphere.
        kwargs: those that all models share: backbone, mesh_head, loss, pixel_mean, pixel_std.
    """

    def __init__(self, *, ico_sphere_level: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ico_sphere_level = ico_sphere_level

    def first_meshes(self, maps: Sequence[Tensor]) -> tuple[Meshes, Tensor | None]:
        """Return a sphere for each image of the maps (N, C, H, W), and None."""
        return ico_sphere(self.ico_sphere_level, maps[0].device).extend(len(maps[0])), None


class Pixel2MeshHead(SphereInitHead):
    """A sphere, refined and subdivided between the stages (Pixel2Mesh, arXiv:1804.01654): its mesh head has
    subdivide=True.
    """

    def __init__(self, *, ico_sphere_level: int = 2, **kwargs: Any) -> None:
        super().__init__(ico_sphere_level=ico_sphere_level, **kwargs)
