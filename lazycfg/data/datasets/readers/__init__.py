"""Readers of formats besides COCO's: each gives records, judged as those of `CocoDataset` are."""
