import pytest
import torch
from torch import nn

from lazycfg.solver import ClipGradNorm, ClipGradNormPerParameter, ClipGradValue


@pytest.fixture
def parameters():
    generator = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in ((3, 4), (5,), (2, 2))]
    for parameter, size in zip(parameters, (10.0, 0.01, 1.0), strict=True):
        parameter.grad = torch.randn(parameter.shape, generator=generator) * size
    return [*parameters, nn.Parameter(torch.zeros(1))]  # the last got no gradient


def grads(parameters):
    return [p.grad.clone() for p in parameters if p.grad is not None]


def test_joint_norm(parameters):
    before = grads(parameters)
    norm = torch.cat([g.flatten() for g in before]).norm()
    returned = ClipGradNorm(1.0)(parameters)
    torch.testing.assert_close(returned, norm)
    for old, new in zip(before, grads(parameters), strict=True):
        torch.testing.assert_close(new, old / norm, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("norm_type", [1.0, 2.0])
def test_norm_of_each_parameter(parameters, norm_type):
    before = grads(parameters)
    ClipGradNormPerParameter(0.5, norm_type)(parameters)
    for old, new in zip(before, grads(parameters), strict=True):
        torch.testing.assert_close(
            new, old * min(1.0, 0.5 / old.norm(norm_type).item()), rtol=1e-4, atol=1e-8
        )
    torch.testing.assert_close(grads(parameters)[1], before[1], rtol=0, atol=0)


def test_value(parameters):
    before = grads(parameters)
    ClipGradValue(0.3)(parameters)
    for old, new in zip(before, grads(parameters), strict=True):
        assert torch.equal(new, old.clamp(-0.3, 0.3))
