import math

import pytest
import torch

from lazycfg.solver import (
    CompositeParamScheduler,
    ConstantParamScheduler,
    CosineParamScheduler,
    ExponentialParamScheduler,
    LinearParamScheduler,
    LRMultiplier,
    MultiStepParamScheduler,
    PolynomialDecayParamScheduler,
    WarmupParamScheduler,
)


def rates(multiplier, max_iter, lr=1.0):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = LRMultiplier(optimizer, multiplier, max_iter)
    found = []
    for _ in range(max_iter):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("max_iter", [30, 97, 90_000])
def test_multi_step_changes_exactly_at_the_milestones(max_iter):
    milestones = [max_iter * 2 // 3, max_iter * 8 // 9]
    schedule = MultiStepParamScheduler([1.0, 0.1, 0.01], milestones, max_iter)
    for i in {0, max_iter - 1, *(m + d for m in milestones for d in (-1, 0, 1))}:
        assert schedule(i / max_iter) == [1.0, 0.1, 0.01][sum(i >= m for m in milestones)]


def test_multi_step_takes_the_last_milestone_as_the_end():
    schedule = MultiStepParamScheduler([1.0, 0.1], [60, 90])
    assert schedule.num_updates == 90
    assert (schedule(59 / 90), schedule(60 / 90)) == (1.0, 0.1)


def test_multi_step_without_milestones_is_constant():
    assert MultiStepParamScheduler([0.5], [], 10)(0.9) == 0.5


@pytest.mark.parametrize(
    ("values", "milestones", "num_updates", "message"),
    [
        ([1.0, 0.1], [10, 20], 30, "2 values"),
        ([1.0, 0.1, 0.01], [20, 10], 30, "increase"),
        ([1.0, 0.1], [30], 30, "before num_updates"),
        ([1.0], [], None, "num_updates"),
    ],
)
def test_multi_step_refuses_nonsense(values, milestones, num_updates, message):
    with pytest.raises(ValueError, match=message):
        MultiStepParamScheduler(values, milestones, num_updates)


def test_closed_forms():
    for where in (0.0, 0.25, 0.5, 0.9):
        assert CosineParamScheduler(1.0, 0.2)(where) == pytest.approx(
            0.2 + 0.4 * (1 + math.cos(math.pi * where))
        )
        assert LinearParamScheduler(2.0, 1.0)(where) == pytest.approx(2.0 - where)
        assert ExponentialParamScheduler(2.0, 0.1)(where) == pytest.approx(2 * 0.1**where)
        assert PolynomialDecayParamScheduler(3.0, 0.9)(where) == pytest.approx(3 * (1 - where) ** 0.9)
        assert ConstantParamScheduler(0.3)(where) == 0.3


def test_linear_warm_up_then_steps_in_a_torch_optimizer():
    steps = MultiStepParamScheduler([1.0, 0.1, 0.01], [10, 15, 20])
    found = rates(WarmupParamScheduler(steps, 0.001, 5 / 20), 20, lr=5.0)
    warmup = [5.0 * (0.001 + (1 - 0.001) * i / 5) for i in range(5)]
    assert found == pytest.approx(warmup + [5.0] * 5 + [0.5] * 5 + [0.05] * 5)


def test_linear_warm_up_meets_the_cosine_it_hides():
    cosine = CosineParamScheduler(1.0, 0.0)
    found = rates(WarmupParamScheduler(cosine, 0.1, 5 / 20), 20)
    assert found[5:] == pytest.approx([cosine(i / 20) for i in range(5, 20)])
    assert found[:5] == pytest.approx([0.1 + (cosine(0.25) - 0.1) * i / 5 for i in range(5)])


def test_rescaled_warm_up_keeps_the_whole_schedule():
    cosine = CosineParamScheduler(1.0, 0.0)
    found = rates(WarmupParamScheduler(cosine, 0.5, 0.25, rescale_interval=True), 20)
    assert found[:5] == pytest.approx([0.5 + 0.5 * i / 5 for i in range(5)])
    assert found[5:] == pytest.approx([cosine(i / 15) for i in range(15)])


def test_constant_warm_up():
    found = rates(WarmupParamScheduler(ConstantParamScheduler(1.0), 0.25, 0.5, "constant"), 4)
    assert found == [0.25, 0.25, 1.0, 1.0]


def test_warm_up_in_iterations_is_refused_with_the_unit():
    with pytest.raises(ValueError, match="iterations / max_iter"):
        WarmupParamScheduler(ConstantParamScheduler(1.0), 0.001, 1000)
    with pytest.raises(ValueError, match="'linear' or 'constant'"):
        WarmupParamScheduler(ConstantParamScheduler(1.0), 0.001, 0.1, "exponential")


def test_composite():
    schedule = CompositeParamScheduler(
        [ConstantParamScheduler(2.0), LinearParamScheduler(0.0, 1.0)], [0.5, 0.5], ["fixed", "rescaled"]
    )
    assert [schedule(w) for w in (0.0, 0.4999, 0.5, 0.75)] == pytest.approx([2.0, 2.0, 0.0, 0.5])
    with pytest.raises(ValueError, match="sum to"):
        CompositeParamScheduler([ConstantParamScheduler(1.0)], [0.5])


def test_multiplier_keeps_the_ratio_of_groups_and_resumes():
    def build():
        a, b = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([{"params": [a], "lr": 1.0}, {"params": [b], "lr": 10.0}], lr=0.1)
        return optimizer, LRMultiplier(optimizer, LinearParamScheduler(1.0, 0.0), 10)

    optimizer, scheduler = build()
    for _ in range(4):
        optimizer.step()
        scheduler.step()
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.6, 6.0])

    resumed_optimizer, resumed = build()
    resumed_optimizer.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    for pair in ((optimizer, scheduler), (resumed_optimizer, resumed)):
        pair[0].step()
        pair[1].step()
    assert [g["lr"] for g in resumed_optimizer.param_groups] == [g["lr"] for g in optimizer.param_groups]
    assert "_multiplier" not in scheduler.state_dict()
