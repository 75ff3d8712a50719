"""A detector whose findings are known: red objects are class 0, blue ones class 1."""

import torch
from torch import nn

from lazycfg.structures import Boxes, Instances

SCORES = (0.9, 0.3)


class ToyDetector(nn.Module):
    """Finds at most one object of each colour."""

    input_format = "RGB"
    test_score_thresh = 0.1

    def __init__(self, *, classes: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes))

    def forward(self, batch):
        return [{"instances": self.find(sample)} for sample in batch]

    def find(self, sample):
        image = sample["image"].float()
        height, width = image.shape[1:]
        masks = torch.stack([image[c] - image[2 - c] > 150 for c in (0, 2)])
        labels = [label for label in (0, 1) if masks[label].any()]
        found = Instances((height, width))
        pixels = [masks[label].nonzero().flip(1) for label in labels]  # (x, y)
        boxes = [torch.cat((xy.amin(0), xy.amax(0) + 1)).float() for xy in pixels]
        found.pred_boxes = Boxes(torch.stack(boxes) if boxes else torch.zeros(0, 4))
        found.scores = torch.tensor([SCORES[label] for label in labels])
        found.pred_classes = torch.tensor(labels, dtype=torch.int64)
        found.pred_masks = masks[labels]
        return found


class ToySegmenter(ToyDetector):
    """Labels pixels: 0 is neither, 1 red, 2 blue."""

    def forward(self, batch):
        images = [sample["image"].float() for sample in batch]
        red = [(x[0] - x[2] > 150).float() for x in images]
        blue = [(x[2] - x[0] > 150).float() for x in images]
        return [
            {"sem_seg": torch.stack([0.5 * torch.ones_like(r), r, b])} for r, b in zip(red, blue, strict=True)
        ]


class ToyPanoptic(ToySegmenter):
    """Segments 1, red things, and 2, the rest."""

    def forward(self, batch):
        outputs = []
        for labels in super().forward(batch):
            segments = 2 - (labels["sem_seg"].argmax(0) == 1).long()
            info = [
                {"id": 1, "isthing": True, "category_id": 0},
                {"id": 2, "isthing": False, "category_id": 0},
            ]
            outputs.append({"panoptic_seg": (segments, info)})
        return outputs
