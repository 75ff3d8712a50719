import pytest
import torch
import torch.nn.functional as F

from lazycfg.structures import Keypoints, heatmaps_to_keypoints, keypoints


class TestKeypoints:
    def test_basics(self):
        k = Keypoints(torch.rand(4, 17, 3))
        assert len(k) == 4
        assert k[1].tensor.shape == (1, 17, 3)
        assert len(k[torch.tensor([True, False, True, False])]) == 2
        assert len(Keypoints.cat([k, k[:1]])) == 5
        assert repr(k) == "Keypoints(num_instances=4, num_keypoints=17)"
        assert Keypoints([[[1, 2, 2]]]).tensor.dtype == torch.float32
        with pytest.raises(ValueError, match=r"\(N, K, 3\), got \(4, 17, 2\)"):
            Keypoints(torch.zeros(4, 17, 2))

    def test_to_heatmap(self):
        boxes = torch.tensor([[10.0, 20, 20, 60]])
        points = [
            [10, 20, 2],  # upper left corner
            [14.9, 39.9, 1],  # cell (1, 1) of 4
            [20, 60, 2],  # on the far sides: the last cell
            [20.1, 40, 2],  # outside
            [9.9, 40, 2],  # outside
            [12, 30, 0],  # not labelled
        ]
        at, valid = Keypoints([points]).to_heatmap(boxes, 4)
        assert at.tolist() == [[0, 1 * 4 + 1, 15, 0, 0, 0]]
        assert valid.tolist() == [[1, 1, 1, 0, 0, 0]]
        assert at.dtype == valid.dtype == torch.int64

    def test_a_device_is_not_waited_for(self):
        """The meta device has no numbers to ask for."""
        k = Keypoints(torch.zeros(3, 17, 3, device="meta"))
        assert k.to_heatmap(torch.zeros(3, 4, device="meta"), 56)[0].shape == (3, 17)

    def test_no_objects(self):
        at, valid = Keypoints(torch.zeros(0, 17, 3)).to_heatmap(torch.zeros(0, 4), 56)
        assert at.numel() == valid.numel() == 0


def one_box_at_a_time(maps, rois):
    """The definition, with torch's own bicubic interpolation."""
    out = torch.zeros(*maps.shape[:2], 4)
    for i, (x0, y0, x1, y1) in enumerate(rois):
        w, h = (x1 - x0).clamp(min=1), (y1 - y0).clamp(min=1)
        size = (int(h.ceil()), int(w.ceil()))
        resized = F.interpolate(maps[i : i + 1], size=size, mode="bicubic", align_corners=False)[0]
        logit, at = resized.flatten(1).max(dim=1)
        x, y = at % size[1], at // size[1]
        out[i, :, 0] = x0 + (x + 0.5) * w / w.ceil()
        out[i, :, 1] = y0 + (y + 0.5) * h / h.ceil()
        out[i, :, 2] = logit
        peak = logit[:, None, None]
        total = (maps[i] - peak).exp().sum((1, 2))
        out[i, :, 3] = (resized - peak).exp().flatten(1).max(dim=1).values / total
    return out


def random_case(num, seed, largest=150.0):
    g = torch.Generator().manual_seed(seed)
    maps = torch.randn(num, 5, 14, 14, generator=g)
    corner = torch.rand(num, 2, generator=g) * 100
    extent = torch.rand(num, 2, generator=g) ** 2 * largest
    return maps, torch.cat((corner, corner + extent), dim=1)


class TestHeatmaps:
    @pytest.mark.parametrize("seed", range(3))
    def test_against_one_at_a_time(self, seed):
        maps, rois = random_case(25, seed)
        rois[0, 2:] = rois[0, :2]  # no extent
        rois[1, 2:] = rois[1, :2] + 14  # nothing to resize
        torch.testing.assert_close(heatmaps_to_keypoints(maps, rois), one_box_at_a_time(maps, rois))

    @pytest.mark.parametrize("pixels", [1 << 26, 5 * 3000])
    def test_the_way_of_a_device(self, monkeypatch, pixels):
        """Boxes in padded chunks, however large, show the same peaks as boxes one by one on the host."""
        maps, rois = random_case(25, 7)
        monkeypatch.setattr(keypoints, "_CHUNK_PIXELS", pixels)
        size = keypoints._pixels_of(rois)
        on_host = keypoints._peaks_on_host(maps, size.long().numpy())
        for one, other in zip(keypoints._peaks(maps, size, size.long().numpy()), on_host, strict=True):
            torch.testing.assert_close(one, other.float())

    def test_autocast_does_not_move_the_points(self):
        maps, rois = random_case(8, 3)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = heatmaps_to_keypoints(maps, rois)
        torch.testing.assert_close(out, heatmaps_to_keypoints(maps, rois))

    def test_a_peak_is_found(self):
        maps = torch.full((1, 1, 8, 8), -5.0)
        maps[0, 0, 2, 6] = 5
        rois = torch.tensor([[100.0, 200, 180, 280]])
        x, y, logit, score = heatmaps_to_keypoints(maps, rois)[0, 0].tolist()
        assert x == pytest.approx(165, abs=1)
        assert y == pytest.approx(225, abs=1)
        assert logit == pytest.approx(5, abs=0.2)
        assert 0.8 < score < 1

    def test_nothing(self):
        assert heatmaps_to_keypoints(torch.zeros(0, 17, 56, 56), torch.zeros(0, 4)).shape == (0, 17, 4)
