import pytest
import torch

from lazycfg.layers.roi_align import ROIAlign


def test_a_ramp_is_sampled_exactly():
    """Bilinear sampling of a linear function gives the function: cell centres in continuous coordinates."""
    x = torch.arange(20.0).repeat(20, 1)[None, None]
    rois = torch.tensor([[0, 2.0, 3.0, 10.0, 7.0]])
    out = ROIAlign((2, 4), 1.0, 2, aligned=True)(x, rois)
    assert out.shape == (1, 1, 2, 4)
    # Pixel i has its centre at i + 0.5; cells are 2 wide, so centres are at 3, 5, 7, 9.
    torch.testing.assert_close(out[0, 0, 0], torch.tensor([3.0, 5, 7, 9]) - 0.5)
    shifted = ROIAlign((2, 4), 1.0, 2, aligned=False)(x, rois)
    torch.testing.assert_close(shifted, out + 0.5)


def test_scale_and_batch_index():
    x = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
    out = ROIAlign(2, 0.5, 0)(x, torch.tensor([[1.0, 0, 0, 16, 16], [0, 0, 0, 16, 16]]))
    assert out.flatten(1).mean(1).tolist() == [1, 0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_types(dtype):
    x = torch.rand(1, 2, 30, 30).to(dtype)
    rois = torch.tensor([[0, 1.3, 2.7, 20.2, 25.1]])
    out = ROIAlign(7, 1.0, 2)(x, rois)
    assert out.dtype == dtype
    assert torch.equal(
        out, ROIAlign(7, 1.0, 2)(x.to(torch.promote_types(dtype, torch.float32)), rois).to(dtype)
    )


def test_autocast_and_gradient():
    x = torch.rand(1, 2, 30, 30, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = torch.nn.functional.conv2d(x, torch.ones(2, 2, 1, 1))
        out = ROIAlign(3, 1.0, 0)(y, torch.tensor([[0, 1.0, 2, 20, 25]]))
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert x.grad.abs().sum() > 0


def test_no_regions():
    x = torch.rand(1, 2, 30, 30, requires_grad=True)
    out = ROIAlign(3, 1.0, 0)(x, torch.zeros(0, 5))
    assert out.shape == (0, 2, 3, 3)
    out.sum().backward()
    assert x.grad.abs().sum() == 0
    with pytest.raises(ValueError, match=r"\(R, 5\)"):
        ROIAlign(3, 1.0, 0)(x, torch.zeros(3, 4))
