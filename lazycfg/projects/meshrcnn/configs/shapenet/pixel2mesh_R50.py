"""A sphere of 162 vertices, refined in three stages and subdivided between them, on ShapeNet."""

from lazycfg import LazyCall as L
from lazycfg.projects.meshrcnn import Pixel2MeshHead

from ..common.shapenet import dataloader, lr_multiplier, optimizer, parts, train

model = L(Pixel2MeshHead)(ico_sphere_level=2, **parts(subdivide=True))
dataloader.train.mapper.voxel_size = 0
del parts
