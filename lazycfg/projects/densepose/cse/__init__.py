"""Continuous surface embeddings (arXiv:2011.12438): each pixel is compared with the vertices of a mesh."""
