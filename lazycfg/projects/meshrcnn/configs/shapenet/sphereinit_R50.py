"""A sphere of 2,562 vertices refined in three stages, on ShapeNet."""

from lazycfg import LazyCall as L
from lazycfg.projects.meshrcnn import SphereInitHead

from ..common.shapenet import dataloader, lr_multiplier, optimizer, parts, train

model = L(SphereInitHead)(ico_sphere_level=4, **parts())
dataloader.train.mapper.voxel_size = 0
del parts
