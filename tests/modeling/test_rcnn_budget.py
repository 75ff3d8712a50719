"""How often Mask R-CNN waits for its device, and how many ops it takes, whatever the size of the batch."""

import pytest
import torch
from tiny_rcnn import make_batch, tiny_model

from lazycfg.utils import SyncCounter

# bookkeeping of host numbers, and views, which no device sees
FREE = {"aten.detach", "aten.lift_fresh", "aten.unsqueeze", "aten.expand", "aten.slice", "aten.select"}


def count(ops) -> int:
    return sum(n for name, n in ops.items() if name not in FREE)


@pytest.mark.parametrize("masks", ["polygons", "bitmasks"])
def test_training_step(masks: str) -> None:
    model = tiny_model().train()
    ops = []
    for n in (2, 4, 8):
        batch = make_batch(n, masks)
        for item in batch:  # of one size, as in training with fixed-size crops
            item["image"] = item["image"][:, :64, :64].contiguous()
            item["instances"]._image_size = (64, 64)
            if masks == "bitmasks":
                item["instances"].gt_masks = type(item["instances"].gt_masks)(
                    item["instances"].gt_masks.tensor[:, :64, :64]
                )
        model(batch)  # anchors of a size are made once
        with SyncCounter() as counter:
            losses = model(batch)
            sum(losses.values())
        # the proposals, the sample, and the foreground of the masks
        assert counter.num_syncs == 3, counter.waits()
        ops.append(count(counter.ops))
    assert max(ops) - min(ops) <= 4, ops


def test_inference() -> None:
    model = tiny_model().eval()
    model.roi_heads.box_predictor.test_score_thresh = 0.0
    ops = []
    for n in (1, 2, 8):
        batch = make_batch(3)[:1] * n
        with torch.no_grad():
            model(batch)
        with torch.no_grad(), SyncCounter() as counter:
            results = model.inference(batch, do_postprocess=False)
        assert sum(len(x) for x in results) > 0
        # The NMS of the proposals and one copy to the host; the second NMS works on that copy.
        assert counter.num_syncs == 2, counter.waits()
        ops.append(count(counter.ops))
        with torch.no_grad(), SyncCounter() as counter:
            model(batch)
        assert counter.num_syncs == 3, counter.waits()  # and which boxes are empty in the output
    assert max(ops) - min(ops) <= 4, ops


def test_counter_sees_what_waits() -> None:
    x = torch.arange(6.0)
    with SyncCounter() as counter:
        x[0].item()
        x.nonzero()
        x[x > 2]
        x.unique()
        torch.repeat_interleave(torch.tensor([1, 2]))
        x.tolist()
    assert sum(counter.syncs.values()) == 6
    with SyncCounter() as counter:
        x[torch.tensor([1])]
        x.topk(2)
        torch.repeat_interleave(torch.tensor([1, 2]), output_size=3)
    assert not counter.syncs
