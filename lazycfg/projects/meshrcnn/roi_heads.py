"""The heads of Mesh R-CNN on regions: boxes, depth extents, masks, voxels and meshes."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg.layers import cubify, ico_sphere
from lazycfg.modeling import StandardROIHeads, select_foreground_proposals
from lazycfg.modeling.batched_instances import cat_field
from lazycfg.modeling.protocols import RegionPooler
from lazycfg.modeling.roi_heads.standard import pool_branch
from lazycfg.structures import ImageList, Instances, Meshes

from .camera import crop_meshes
from .structures import MeshInstances

__all__ = ["MeshRCNNROIHeads"]


class MeshRCNNROIHeads(StandardROIHeads):
    """Box and mask heads of Mask R-CNN, and heads for the shape of each object (arXiv:1906.02739).

    A branch without its head is left out. Meshes begin as the surface of the predicted voxels, or without a
    voxel head as a sphere, and are refined by the mesh head, if there is one.

    Args:
        z_in_features, z_pooler, z_head: as `FastRCNNFCHead`, the extent in depth.
        voxel_in_features, voxel_pooler, voxel_head: as `VoxelRCNNConvUpsampleHead`.
        mesh_in_features, mesh_pooler, mesh_head: as `MeshRCNNGraphConvHead`.
        cubify_thresh: probability from which on a cell is occupied.
        ico_sphere_level: of the sphere that meshes begin with where there are no voxels.
        kwargs: the arguments of `StandardROIHeads`.

    Raises:
        ValueError: meshes cannot begin with voxels of several classes.
    """

    def __init__(
        self,
        *,
        z_in_features: Sequence[str] = (),
        z_pooler: RegionPooler | None = None,
        z_head: nn.Module | None = None,
        voxel_in_features: Sequence[str] = (),
        voxel_pooler: RegionPooler | None = None,
        voxel_head: nn.Module | None = None,
        mesh_in_features: Sequence[str] = (),
        mesh_pooler: RegionPooler | None = None,
        mesh_head: nn.Module | None = None,
        cubify_thresh: float = 0.2,
        ico_sphere_level: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if voxel_head is not None and getattr(voxel_head, "num_classes", 1) != 1:
            raise ValueError(
                "MeshRCNNROIHeads: meshes are made of class-agnostic voxels: model.roi_heads.voxel_head."
                "num_classes=1"
            )
        self.z_in_features, self.z_pooler, self.z_head = list(z_in_features), z_pooler, z_head
        self.voxel_in_features, self.voxel_pooler = list(voxel_in_features), voxel_pooler
        self.mesh_in_features, self.mesh_pooler = list(mesh_in_features), mesh_pooler
        self.voxel_head, self.mesh_head = voxel_head, mesh_head
        self.cubify_thresh = cubify_thresh
        self.ico_sphere_level = ico_sphere_level

    def forward(
        self,
        images: ImageList,
        features: Mapping[str, Tensor],
        proposals: Sequence[Instances],
        targets: Sequence[Instances] | None = None,
    ) -> tuple[list[Instances], dict[str, Tensor]]:
        """Return what `StandardROIHeads.forward` does, with the losses of depth, voxels and meshes. Maps are
        (N, C, H, W).
        """
        if self.training and targets is not None:
            self._check_targets(targets)
        sampled, losses = super().forward(images, features, proposals, targets)
        if not self.training:
            return sampled, losses
        foreground, _ = select_foreground_proposals(sampled, self.num_classes)
        if self.z_head is not None:
            x = pool_branch(features, self.z_in_features, self.z_pooler, foreground, True)
            losses.update(self.z_head(x, foreground))
        losses.update(self._shape_losses(features, foreground))
        return sampled, losses

    def forward_with_given_boxes(
        self, features: Mapping[str, Tensor], instances: Sequence[Instances]
    ) -> Sequence[Instances]:
        """Predict masks, ``pred_dz``, ``pred_voxels`` and ``pred_meshes`` of instances with ``pred_boxes``
        and ``pred_classes``, from maps (N, C, H, W).

        ``pred_dz`` (n, 1) is the extent in depth, in heights of the box. ``pred_voxels`` (n, 1, D, H, W) are
        probabilities, ``pred_meshes`` are `MeshInstances`; both are in the frustum of the box, straightened
        to [-1, 1], x to the right, y down and z ahead.
        """
        instances = super().forward_with_given_boxes(features, instances)
        if self.z_head is not None:
            x = pool_branch(features, self.z_in_features, self.z_pooler, instances, False)
            instances = self.z_head(x, instances)
        counts = [len(x) for x in instances]
        meshes, logits = self._first_meshes(features, instances)
        if self.voxel_head is not None:
            for x, part in zip(instances, logits.float().sigmoid().split(counts), strict=True):
                x.pred_voxels = part
        if meshes is None:
            return instances
        if self.mesh_head is not None:
            regions = pool_branch(features, self.mesh_in_features, self.mesh_pooler, instances, False)
            refined = self.mesh_head(regions, meshes)
            meshes = refined[-1] if refined else meshes
        for x, part in zip(instances, meshes.split(counts), strict=True):
            x.pred_meshes = MeshInstances.from_meshes(part)
        return instances

    def _first_meshes(
        self, features: Mapping[str, Tensor], instances: Sequence[Instances]
    ) -> tuple[Meshes | None, Tensor]:
        """Return the meshes that refinement begins with (None without a shape head), and the logits of
        voxels.
        """
        count = sum(len(x) for x in instances)
        some = next(iter(features.values()))
        if self.voxel_head is not None:
            regions = pool_branch(
                features, self.voxel_in_features, self.voxel_pooler, instances, self.training
            )
            logits = self.voxel_head(regions)
            return cubify(logits.detach().float().sigmoid()[:, 0], self.cubify_thresh), logits
        if self.mesh_head is None:
            return None, some.new_zeros(count)
        return ico_sphere(self.ico_sphere_level, some.device).extend(count), some.new_zeros(count)

    def _shape_losses(
        self, features: Mapping[str, Tensor], foreground: Sequence[Instances]
    ) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        meshes, logits = self._first_meshes(features, foreground)
        if self.voxel_head is not None:
            losses.update(self.voxel_head.losses(logits, foreground))
        if self.mesh_head is None or meshes is None:
            return losses
        regions = pool_branch(features, self.mesh_in_features, self.mesh_pooler, foreground, True)
        refined = self.mesh_head(regions, meshes)
        filled = [x for x in foreground if len(x)]
        with torch.no_grad():
            truth = MeshInstances.cat([x.gt_meshes for x in filled]).meshes()
            if filled:
                truth = crop_meshes(truth, cat_field(filled, "proposal_boxes"), cat_field(filled, "gt_K"))
        return losses | self.mesh_head.losses(refined, truth)

    def _check_targets(self, targets: Sequence[Instances]) -> None:
        """Raise ValueError if the ground truth of an image with objects lacks what a head is trained on."""
        needs = {
            "gt_dz": self.z_head is not None,
            "gt_masks": self.mask_on,
            "gt_voxels": self.voxel_head is not None,
            "gt_meshes": self.mesh_head is not None,
            "gt_K": self.voxel_head is not None or self.mesh_head is not None,
        }
        for x in targets:
            missing = [name for name, needed in needs.items() if needed and len(x) and not x.has(name)]
            if missing:
                raise ValueError(
                    f"MeshRCNNROIHeads needs {', '.join(missing)} in the ground truth, which has "
                    f"{sorted(x.get_fields())}. Pix3DMapper gives them: "
                    "dataloader.train.mapper=@lazycfg.projects.meshrcnn.Pix3DMapper"
                )
