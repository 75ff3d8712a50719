"""Colours over the frames of a video."""

import numpy as np
import torch

from lazycfg.data import Metadata
from lazycfg.structures import Boxes, Instances
from lazycfg.tracking import BBoxIOUTracker
from lazycfg.visualization import ColorMode, VideoVisualizer

SIZE = (240, 320)
NAMES = Metadata(thing_classes=("cat", "dog"), stuff_classes=("sky",), stuff_colors=((0, 0, 255),))
FRAME = np.full((*SIZE, 3), 128, np.uint8)
BOXES = [[20.0, 60, 100, 200], [150, 60, 230, 200], [250, 60, 310, 200]]


def found(*boxes, **fields):
    boxes = torch.tensor(boxes).reshape(-1, 4)
    return Instances(
        SIZE, pred_boxes=Boxes(boxes), **{"pred_classes": torch.zeros(len(boxes)).long(), **fields}
    )


def border(canvas, box):
    """The colour of the left border of a box."""
    return tuple(canvas.get_image()[150, int(box[0])].tolist())


def test_an_object_keeps_its_colour_by_its_box():
    visualizer = VideoVisualizer(NAMES)
    first = visualizer.draw_instance_predictions(FRAME, found(*BOXES))
    colors = [border(first, box) for box in BOXES]
    assert len(set(colors)) == 3
    for step in (3, 6, 9):
        moved = [[x0 + step, y0, x1 + step, y1] for x0, y0, x1, y1 in BOXES]
        order = [2, 0, 1]
        drawn = visualizer.draw_instance_predictions(FRAME, found(*(moved[i] for i in order)))
        assert [border(drawn, moved[i]) for i in order] == [colors[i] for i in order]


def test_a_colour_waits_for_an_object_that_is_out_of_sight():
    visualizer = VideoVisualizer(NAMES)
    color = border(visualizer.draw_instance_predictions(FRAME, found(BOXES[0])), BOXES[0])
    for _ in range(6):
        other = border(visualizer.draw_instance_predictions(FRAME, found(BOXES[1])), BOXES[1])
        assert other != color
    assert border(visualizer.draw_instance_predictions(FRAME, found(BOXES[0])), BOXES[0]) == color
    for _ in range(12):
        visualizer.draw_instance_predictions(FRAME, found())
    drawn = visualizer.draw_instance_predictions(FRAME, found(BOXES[2]))
    assert border(drawn, BOXES[2]) == color  # free again


def test_boxes_of_another_class_are_other_objects():
    visualizer = VideoVisualizer(NAMES)
    first = border(visualizer.draw_instance_predictions(FRAME, found(BOXES[0])), BOXES[0])
    other = found(BOXES[0], pred_classes=torch.tensor([1]))
    assert border(visualizer.draw_instance_predictions(FRAME, other), BOXES[0]) != first


def test_numbers_of_a_tracker_and_given_colours_come_first():
    visualizer = VideoVisualizer(NAMES, period_threshold=1)
    tracker = BBoxIOUTracker(video_height=240, video_width=320)
    drawn = visualizer.draw_instance_predictions(FRAME, tracker.update(found(BOXES[0])))
    assert np.array_equal(drawn.get_image(), FRAME)  # seen once only
    drawn = visualizer.draw_instance_predictions(FRAME, tracker.update(found(*BOXES[:2])))
    assert border(drawn, BOXES[0]) != (128, 128, 128)
    assert border(drawn, BOXES[1]) == (128, 128, 128)
    swapped = found(*BOXES[:2], ID=[5, 9])
    visualizer = VideoVisualizer(NAMES)
    first = visualizer.draw_instance_predictions(FRAME, swapped)
    second = visualizer.draw_instance_predictions(FRAME, found(*BOXES[:2], ID=[9, 5]))
    assert border(first, BOXES[0]) == border(second, BOXES[1]) != border(second, BOXES[0])
    given = found(BOXES[0], COLOR=[(0.0, 1.0, 0.0)])
    assert border(visualizer.draw_instance_predictions(FRAME, given), BOXES[0]) == (0, 255, 0)


def masked(*boxes):
    masks = torch.zeros(len(boxes), *SIZE, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[int(y0) : int(y1), int(x0) : int(x1)] = True
    return masks


def test_masks_alone_are_recognised_and_modes_are_obeyed():
    visualizer = VideoVisualizer(NAMES)
    drawn = []
    for order in ([0, 1], [1, 0]):
        boxes = [BOXES[i] for i in order]
        only = Instances(SIZE, pred_masks=masked(*boxes), pred_classes=torch.zeros(2).long())
        drawn.append(visualizer.draw_instance_predictions(FRAME, only).get_image())
    assert np.array_equal(drawn[0][150], drawn[1][150])
    noisy = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    grey = VideoVisualizer(NAMES, ColorMode.IMAGE_BW).draw_instance_predictions(
        noisy, found(*BOXES[:2], pred_masks=masked(*BOXES[:2]))
    )
    outside = grey.get_image()[210:, 240:]
    assert (outside[..., 0] == outside[..., 1]).all()
    same = VideoVisualizer(NAMES, ColorMode.SEGMENTATION).draw_instance_predictions(FRAME, found(*BOXES[:2]))
    assert border(same, BOXES[0]) == border(same, BOXES[1])


def test_things_of_panoptic_frames_keep_their_colour():
    visualizer = VideoVisualizer(NAMES)
    colors = []
    for ids in ((1, 2), (2, 1)):
        segments = np.full(SIZE, 9)
        for number, box in zip(ids, BOXES, strict=False):
            segments[60:200, int(box[0]) : int(box[2])] = number
        info = [
            {"id": 1, "isthing": True, "category_id": 0},
            {"id": 9, "isthing": False, "category_id": 0},
            {"id": 2, "isthing": True, "category_id": 0},
        ]
        drawn = visualizer.draw_panoptic_seg_predictions(FRAME, segments, info, alpha=1).get_image()
        assert tuple(drawn[230, 10]) == (0, 0, 255)
        colors.append([tuple(drawn[190, int(box[0]) + 10]) for box in BOXES[:2]])
    assert colors[0] == colors[1]
    assert colors[0][0] != colors[0][1]


def test_nothing_in_a_frame():
    visualizer = VideoVisualizer(NAMES)
    assert np.array_equal(visualizer.draw_instance_predictions(FRAME, found()).get_image(), FRAME)
    assert np.array_equal(
        visualizer.draw_panoptic_seg_predictions(FRAME, np.zeros(SIZE, int), []).get_image(), FRAME
    )
    labels = np.zeros(SIZE, int)
    assert (visualizer.draw_sem_seg(FRAME, labels).get_image()[200, 10] != 128).any()
