"""The images and ground truth behind the golden files: integers and literal numbers only, so that
they are the same bit for bit on every machine.  Depends on torch alone.

A training batch holds, per image i of IMAGES: "image" = image(seed, h, w) (uint8, 3 x h x w, channel
order as the model takes it), "height"/"width" = the output size, and by the golden file's
train.targets.kinds: boxes GT_BOXES[i], classes GT_CLASSES[i] modulo the model's number of classes,
polygons()/bit masks of them, keypoints(), sem_seg(h, w, classes, shift=5 * i), rotated(),
densepose(), panoptic_deeplab_targets().
"""

import torch


def image(seed, h, w):
    """uint8 (3, h, w).  Blocks of 64 and of 16 pixels plus noise; integers only, so exact."""
    g = torch.Generator().manual_seed(seed)
    big = torch.randint(0, 256, (3, -(-h // 64), -(-w // 64)), generator=g)
    mid = torch.randint(0, 256, (3, -(-h // 16), -(-w // 16)), generator=g)
    tiny = torch.randint(0, 256, (3, h, w), generator=g)

    def up(t, k):
        return t.repeat_interleave(k, 1).repeat_interleave(k, 2)[:, :h, :w]

    return ((6 * up(big, 64) + 3 * up(mid, 16) + tiny) // 10).to(torch.uint8)


# (seed, h, w, output height, output width): the first is resized by postprocessing, the second not
IMAGES = [(11, 192, 256, 240, 320), (12, 160, 224, 160, 224)]

# ground truth per image: boxes XYXY, contiguous classes (taken modulo the model's number of classes)
GT_BOXES = [
    [
        [20.0, 24.0, 110.0, 150.0],
        [90.5, 60.25, 230.75, 180.5],
        [150.0, 10.0, 190.0, 52.0],
        [8.0, 120.0, 60.0, 186.0],
    ],
    [[30.0, 20.0, 120.5, 130.0], [100.0, 50.0, 210.0, 150.25], [5.5, 90.0, 40.0, 140.0]],
]
GT_CLASSES = [[3, 17, 44, 79], [0, 62, 17]]
# an eight-sided polygon in the unit square, scaled to each box; and for odd instances a second part
OCTAGON = [0.25, 0.0, 0.75, 0.0, 1.0, 0.25, 1.0, 0.75, 0.75, 1.0, 0.25, 1.0, 0.0, 0.75, 0.0, 0.25]
TRIANGLE = [0.0, 0.0, 0.2, 0.0, 0.0, 0.2]


def polygons(boxes):
    out = []
    for i, (x0, y0, x1, y1) in enumerate(boxes):
        parts = []
        for unit in [OCTAGON] + ([TRIANGLE] if i % 2 else []):
            p = [x0 + u * (x1 - x0) if k % 2 == 0 else y0 + u * (y1 - y0) for k, u in enumerate(unit)]
            parts.append(p)
        out.append(parts)
    return out


def keypoints(boxes, K=17):
    """Keypoint k of instance i at ((5k+3i+2) % 17 + 0.5)/17 of the width and ((7k+i+1) % 17 + 0.5)/17 of
    the height of its box; visibility 2, but 1 where (k+i) % 5 == 0 and 0 (x=y=0) where (k+i) % 7 == 3."""
    out = []
    for i, (x0, y0, x1, y1) in enumerate(boxes):
        pts = []
        for k in range(K):
            fx = ((5 * k + 3 * i + 2) % 17 + 0.5) / 17
            fy = ((7 * k + i + 1) % 17 + 0.5) / 17
            v = 0.0 if (k + i) % 7 == 3 else (1.0 if (k + i) % 5 == 0 else 2.0)
            pts.append([x0 + fx * (x1 - x0), y0 + fy * (y1 - y0), v] if v else [0.0, 0.0, 0.0])
        out.append(pts)
    return out


def sem_seg(h, w, num_classes, shift=0):
    """(h, w) int64: 32-pixel tiles, class (3 * row + col + shift) % num_classes; rows 0..3 ignored (255)."""
    r = (torch.arange(h) // 32)[:, None]
    c = (torch.arange(w) // 32)[None]
    s = (3 * r + c + shift) % num_classes
    s = s.expand(h, w).clone()
    s[:4] = 255
    return s


def rotated(boxes):
    """(cx, cy, w, h, angle) of each box shrunk to 0.8 and turned by 15 * (i + 1) * (-1)**i degrees."""
    out = []
    for i, (x0, y0, x1, y1) in enumerate(boxes):
        out.append(
            [(x0 + x1) / 2, (y0 + y1) / 2, 0.8 * (x1 - x0), 0.8 * (y1 - y0), 15.0 * (i + 1) * (-1) ** i]
        )
    return out


def densepose(j_count=24):
    """Annotations of one instance, as a dict of tensors in DensePose's COCO terms.  With j the point:
    dp_x = (j*37+5) % 256, dp_y = (j*53+9) % 256, dp_I = j % 24 + 1, dp_U = ((j*29) % 101)/100,
    dp_V = ((j*31+7) % 101)/100; the 256x256 segmentation is (row // 64 * 4 + col // 64) % 15.
    The last instance of each image carries no DensePose annotation; the others all carry this one."""
    j = torch.arange(j_count)
    r = (torch.arange(256) // 64)[:, None]
    c = (torch.arange(256) // 64)[None]
    return {
        "dp_x": ((j * 37 + 5) % 256).float(),
        "dp_y": ((j * 53 + 9) % 256).float(),
        "dp_I": (j % 24 + 1).float(),
        "dp_U": ((j * 29) % 101).float() / 100,
        "dp_V": ((j * 31 + 7) % 101).float() / 100,
        "dp_masks": ((r * 4 + c) % 15).float(),
    }


def panoptic_deeplab_targets(boxes, h, w):
    """center: sum over boxes, clamped to 1, of a box-shaped tent max(0, 1 - max(|x-cx|/20, |y-cy|/20));
    offset (2, h, w): (cy - y, cx - x) inside the box (later boxes win), else 0; weights 1 inside a box."""
    ys = torch.arange(h).float()[:, None].expand(h, w)
    xs = torch.arange(w).float()[None].expand(h, w)
    center = torch.zeros(h, w)
    offset = torch.zeros(2, h, w)
    inside = torch.zeros(h, w)
    for x0, y0, x1, y1 in boxes:
        cx, cy = float(int((x0 + x1) / 2)), float(int((y0 + y1) / 2))
        center = torch.maximum(
            center, (1 - torch.maximum((xs - cx).abs(), (ys - cy).abs()) / 20).clamp(min=0)
        )
        m = (xs >= x0) & (xs < x1) & (ys >= y0) & (ys < y1)
        offset[0][m] = cy - ys[m]
        offset[1][m] = cx - xs[m]
        inside[m] = 1
    return {
        "center": center,
        "offset": offset,
        "center_weights": torch.ones(h, w),
        "offset_weights": inside,
    }


def points(boxes, k=10):
    """PointSup: gt_point_coords (n, k, 2) in pixels and gt_point_labels (n, k).  Point j of instance i stands
    at ((7j+3i+1) % 11 + 0.5)/11 of the width and ((5j+2i+4) % 11 + 0.5)/11 of the height of its box; its
    label is (j + i) % 2, and the last point's -1 (ignored)."""
    coords, labels = [], []
    for i, (x0, y0, x1, y1) in enumerate(boxes):
        across = [((7 * j + 3 * i + 1) % 11 + 0.5) / 11 for j in range(k)]
        down = [((5 * j + 2 * i + 4) % 11 + 0.5) / 11 for j in range(k)]
        coords.append([[x0 + a * (x1 - x0), y0 + d * (y1 - y0)] for a, d in zip(across, down, strict=True)])
        labels.append([(j + i) % 2 for j in range(k - 1)] + [-1])
    return torch.tensor(coords), torch.tensor(labels)
