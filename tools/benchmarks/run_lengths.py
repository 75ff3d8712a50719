"""Milliseconds that turning the masks of an image into run lengths takes, and those of the COCO tools on the
whole image, in turn.

python tools/benchmarks/run_lengths.py --objects 20
"""

import argparse

import numpy as np
import torch
from timing import in_turn

from lazycfg.evaluation.predictions import encode_masks
from lazycfg.structures import ROIMasks, paste_masks_in_image

SIZE = 480, 640


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=20)
    count = parser.parse_args().objects
    from faster_coco_eval import mask as coco_mask

    torch.manual_seed(0)
    torch.set_num_threads(1)
    corner = torch.rand(count, 2) * torch.tensor([440.0, 300.0])
    boxes = torch.cat([corner, corner + 30 + 150 * torch.rand(count, 2)], dim=1)
    axis = torch.linspace(-1, 1, 28)
    round_ = torch.sigmoid(6 * (0.8 - (axis[:, None] ** 2 + axis**2).sqrt()))
    probabilities = (round_ + 0.1 * torch.rand(count, 28, 28)).clamp(max=1)
    whole = paste_masks_in_image(probabilities, boxes, SIZE)

    def by_coco_tools():
        return [coco_mask.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in whole.numpy()]

    times = in_turn(
        {
            "COCO tools, from the whole image": by_coco_tools,
            "masks of the whole image": lambda: encode_masks(whole, boxes, SIZE),
            "masks inside boxes, pasting included": lambda: encode_masks(
                ROIMasks(probabilities), boxes, SIZE
            ),
        },
        budget=1.0,
    )
    slowest = max(times.values())
    for name, seconds in times.items():
        print(f"{name:37} {1000 * seconds:6.2f} ms, {slowest / seconds:5.1f} times as fast as the slowest")


if __name__ == "__main__":
    main()
