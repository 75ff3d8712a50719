"""Continuous surface embeddings (arXiv:2011.12438): each pixel is compared with the vertices of a mesh."""

from .closest_vertices import ClosestVertices, find_closest_vertices
from .cycle_losses import PixToShapeCycleLoss, ShapeToShapeCycleLoss
from .embedders import Embedder, VertexDirectEmbedder, VertexFeatureEmbedder, normalize_embeddings
from .losses import DensePoseCseLoss, EmbeddingLoss, SoftEmbeddingLoss
from .mesh import Mesh, PublishedMesh
from .predictor import DensePoseEmbeddingPredictor, DensePoseEmbeddingWithConfidencePredictor

__all__ = [
    "ClosestVertices",
    "DensePoseCseLoss",
    "DensePoseEmbeddingPredictor",
    "DensePoseEmbeddingWithConfidencePredictor",
    "Embedder",
    "EmbeddingLoss",
    "Mesh",
    "PixToShapeCycleLoss",
    "PublishedMesh",
    "ShapeToShapeCycleLoss",
    "SoftEmbeddingLoss",
    "VertexDirectEmbedder",
    "VertexFeatureEmbedder",
    "find_closest_vertices",
    "normalize_embeddings",
]
