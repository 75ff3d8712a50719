"""What batches are normalised by: the batch itself, all levels together, each level by itself."""

import pytest
import torch
from torch import nn

from lazycfg.engine.hooks.precise_bn import update_bn_stats
from lazycfg.layers import CycleBatchNormList, ShapeSpec
from lazycfg.modeling import RetinaNetHead
from lazycfg.projects.rethinking_batchnorm import (
    BatchNormBatchStat,
    RetinaNetHead_SharedTrainingBN,
    split_statistics_by_level,
)

OPTIONS = {
    "input_shape": [ShapeSpec(channels=4)] * 3,
    "num_classes": 2,
    "num_anchors": 1,
    "conv_dims": [8, 8],
}


def maps(seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = [(8, 12), (4, 6), (2, 3)]
    return [torch.randn(2, 4, *s, generator=generator) * (i + 1) + i for i, s in enumerate(sizes)]


def heads(norm: object) -> tuple[RetinaNetHead, RetinaNetHead_SharedTrainingBN]:
    """Both kinds with the same weights, which are large enough to see something."""
    torch.manual_seed(0)
    plain = RetinaNetHead(**OPTIONS, norm=norm)
    shared = RetinaNetHead_SharedTrainingBN(**OPTIONS, norm=norm)
    with torch.no_grad():
        for name, p in plain.named_parameters():
            p.add_(torch.randn_like(p) * (0.3 if "norm" not in name else 0.1))
    shared.load_state_dict(plain.state_dict())
    return plain, shared


def assert_same(got: tuple[list[torch.Tensor], ...], expected: tuple[list[torch.Tensor], ...]) -> None:
    for ours, theirs in zip(got, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_the_batch_counts_in_evaluation() -> None:
    torch.manual_seed(0)
    ours, plain = BatchNormBatchStat(5), nn.BatchNorm2d(5)
    assert list(ours.state_dict()) == list(plain.state_dict())
    nn.init.normal_(plain.weight)
    x = torch.randn(3, 5, 4, 4) * 3 + 1
    ours.load_state_dict(plain.state_dict())
    torch.testing.assert_close(ours(x), plain(x))
    assert torch.equal(ours.running_mean, plain.running_mean)
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    torch.testing.assert_close(ours.eval()(x + 7), plain.train()(x))
    assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())
    assert ours(x[:0]).shape == x[:0].shape
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        ours(x[:1, :, :1, :1])


def test_levels_are_normalised_together() -> None:
    plain, shared = heads(nn.BatchNorm2d)
    assert list(shared.state_dict()) == list(plain.state_dict())
    # the first convolution and norm, done by hand
    features = maps()
    conv, norm = shared.cls_subnet[0], shared.cls_subnet[1]
    values = torch.cat([conv(x).transpose(0, 1).flatten(1) for x in features], dim=1)
    shared(features)
    torch.testing.assert_close(norm.running_mean, 0.1 * values.mean(dim=1))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * values.var(dim=1))
    assert norm.num_batches_tracked == 1
    # in training that is another function than each level by itself, in evaluation the same
    assert not torch.allclose(shared(features)[0][0], plain(features)[0][0], atol=1e-2)
    plain.load_state_dict(shared.state_dict())
    assert_same(shared.eval()(features), plain.eval()(features))


def test_shared_statistics_have_gradients() -> None:
    _, shared = heads(nn.BatchNorm2d)
    features = [x.requires_grad_() for x in maps()]
    logits, deltas = shared(features)
    sum(x.square().mean() for x in (*logits, *deltas)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in shared.parameters())
    assert all(x.grad.abs().sum() > 0 for x in features)


@pytest.mark.parametrize("norm", ["", "GN8", "FrozenBN"])
def test_other_norms_see_one_level_at_a_time(norm: str) -> None:
    plain, shared = heads((lambda c: nn.GroupNorm(8, c)) if norm == "GN8" else norm)
    assert_same(shared(maps()), plain(maps()))


@pytest.mark.parametrize(("norm", "said"), [("BN", "BatchNorm2d"), ("SyncBN", "SyncBatchNorm")])
def test_a_norm_of_each_level_is_refused(norm: str, said: str) -> None:
    with pytest.raises(ValueError, match=rf"model\.head\.norm=@torch\.nn\.{said}"):
        RetinaNetHead_SharedTrainingBN(**OPTIONS, norm=norm)


def test_statistics_of_each_level() -> None:
    plain, _ = heads(nn.BatchNorm2d)
    weight = plain.cls_subnet[1].weight.detach().clone()
    nn.init.normal_(plain.cls_subnet[1].bias)
    bias = plain.cls_subnet[1].bias.detach().clone()
    assert split_statistics_by_level(plain, 3) == 4
    norm = plain.cls_subnet[1]
    assert isinstance(norm, CycleBatchNormList)
    assert torch.equal(norm.weight, weight)
    assert torch.equal(norm.bias, bias)
    batches = [maps(seed) for seed in range(4)]
    assert update_bn_stats(plain.train(), batches) == 12
    conv = plain.cls_subnet[0]
    for level, layer in enumerate(norm):
        means = torch.stack([conv(batch[level]).mean(dim=(0, 2, 3)) for batch in batches])
        torch.testing.assert_close(layer.running_mean, means.mean(dim=0))
    # with exact statistics of one batch, evaluation is as training
    update_bn_stats(plain, batches[:1])
    trained = plain(batches[0])[0][0]
    torch.testing.assert_close(plain.eval()(batches[0])[0][0], trained, rtol=0.1, atol=0.1)
    assert split_statistics_by_level(RetinaNetHead(**OPTIONS), 3) == 0
