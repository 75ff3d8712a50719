"""Whole models."""

from .rcnn import GeneralizedRCNN, ProposalNetwork

__all__ = ["GeneralizedRCNN", "ProposalNetwork"]
