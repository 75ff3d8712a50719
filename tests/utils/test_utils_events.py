import numpy as np
import pytest
import torch

from lazycfg.utils import EventStorage, get_event_storage, has_event_storage


def test_values_of_tensors_and_numbers_arrive_in_order_with_their_iterations():
    storage = EventStorage(5)
    for i in range(4):
        storage.put_scalar("a", torch.tensor(float(i)))
        storage.put_scalar("b", i * 10)
        storage.put_scalar("c", torch.tensor([i], dtype=torch.int64))
        storage.step()
    assert storage.history("a").values() == [(0.0, 5), (1.0, 6), (2.0, 7), (3.0, 8)]
    assert storage.latest() == {"a": (3.0, 8), "b": (30.0, 8), "c": (3.0, 8)}


def test_a_tensor_changed_in_place_afterwards_keeps_the_value_it_had():
    storage = EventStorage()
    running = torch.ones(())
    storage.put_scalar("x", running)
    running.add_(1)
    assert storage.history("x").latest() == 1.0


def test_no_gradient_graph_is_kept():
    storage = EventStorage()
    storage.put_scalar("x", torch.ones((), requires_grad=True) * 2)
    ((_, value, _),) = storage._pending
    assert not value.requires_grad


def test_smoothing():
    storage = EventStorage()
    for value in (1.0, 100.0, 2.0, 3.0):
        storage.put_scalar("smooth", value)
        storage.put_scalar("plain", value, smoothing_hint=False)
    assert storage.latest_with_smoothing_hint(3) == {"smooth": (3.0, 0), "plain": (3.0, 0)}
    history = storage.history("smooth")
    assert history.median(4) == 2.5
    assert history.avg(2) == 2.5
    assert history.global_avg() == pytest.approx(26.5)


def test_scopes_nest_and_end():
    storage = EventStorage()
    with storage.name_scope("a"), storage.name_scope("b/"):
        storage.put_scalar("x", 1)
    storage.put_scalar("x", 2)
    assert {name: value for name, (value, _) in storage.latest().items()} == {"a/b/x": 1.0, "x": 2.0}


def test_the_innermost_storage_is_current_and_outside_nothing_is_kept():
    outer, inner = EventStorage(), EventStorage()
    get_event_storage().put_scalar("lost", 1)
    assert not has_event_storage()
    with outer:
        with inner:
            get_event_storage().put_scalar("x", 1)
        get_event_storage().put_scalar("y", 1)
        assert has_event_storage()
    assert set(inner.latest()) == {"x"}
    assert set(outer.latest()) == {"y"}
    assert get_event_storage().latest() == {}


def test_unknown_scalars_are_named():
    storage = EventStorage()
    storage.put_scalar("loss", 1)
    with pytest.raises(KeyError, match=r"no scalar 'los'.*loss"):
        storage.history("los")


def test_images_come_channel_first_and_once():
    storage = EventStorage(3)
    storage.put_image("a", torch.zeros(4, 5, 3, dtype=torch.uint8).numpy())
    storage.put_image("b", torch.zeros(3, 4, 5))
    assert [(n, tuple(i.shape), it) for n, i, it in storage.pop_images()] == [
        ("a", (3, 4, 5), 3),
        ("b", (3, 4, 5), 3),
    ]
    assert storage.pop_images() == []
    with pytest.raises(ValueError, match="expected"):
        storage.put_image("c", torch.zeros(4, 5))


def test_recording_breaks_no_compiled_graph():
    def function(x):
        get_event_storage().put_scalar("x", x.sum())
        return x + 1

    storage = EventStorage()
    with storage:
        compiled = torch.compile(function, fullgraph=True, backend="eager")
        assert torch.equal(compiled(torch.ones(2)), torch.full((2,), 2.0))


def test_images_stay_until_all_writers_have_them():
    storage = EventStorage()
    storage.put_image("a", torch.zeros(3, 4, 5))
    assert len(storage.images()) == len(storage.images()) == 1
    storage.clear_images()
    assert storage.images() == storage.pop_images() == []


def test_histograms_are_those_of_numpy():
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    storage = EventStorage(3)
    with storage.name_scope("weights"):
        storage.put_histogram("conv", torch.from_numpy(values).reshape(10, 100), bins=20)
    ((name, counts, edges, iteration),) = storage.histograms()
    expected, expected_edges = np.histogram(values, bins=20)
    assert (name, iteration) == ("weights/conv", 3)
    assert abs(counts.numpy() - expected).sum() <= 2  # values at an edge
    np.testing.assert_allclose(edges, expected_edges, rtol=1e-5)
    storage.clear_histograms()
    assert storage.histograms() == []


def test_histograms_of_odd_numbers():
    storage = EventStorage()
    storage.put_histogram("same", [2.0, 2.0], bins=4)
    storage.put_histogram("odd", [1.0, float("nan"), float("inf"), 3.0], bins=2)
    (_, same, edges, _), (_, odd, odd_edges, _) = storage.histograms()
    assert same.tolist() == [2, 0, 0, 0]
    assert edges[0] == 2
    assert odd.tolist() == [1, 1]
    assert odd_edges.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="0 numbers in 1000 bins"):
        storage.put_histogram("none", [])
    get_event_storage().put_histogram("lost", [1.0])
