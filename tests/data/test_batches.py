"""`Batches.at(step)` is a function of (seed, step), and each order keeps its promise."""

from itertools import chain, pairwise

import numpy as np
import pytest
import torch

from ganvas.data.batches import Batches
from ganvas.data.image_set import ImageSet
from ganvas.errors import RecipeError

COUNT, CPU = 23, torch.device("cpu")
ORDERS = ["shuffle", "shuffle_once", "with_replacement"]


def pixels(count=COUNT):
    """Image i has its number in its pixels."""
    images = np.zeros((count, 1, 8, 8), np.uint8)
    images += np.arange(count, dtype=np.uint8)[:, None, None, None]
    return images


def image_set(images):
    return ImageSet(name="numbered", images=images, labels=None, class_names=(), source="here")


def batches(size=5, *, order="shuffle", drop_last=False, seed=0, images=None, **more):
    images = image_set(pixels() if images is None else images)
    return Batches(images, size, order=order, drop_last=drop_last, seed=seed, device=CPU, **more)


def numbers(batch):
    assert batch.dtype == torch.uint8
    assert batch.shape[1:] == (1, 8, 8)
    return batch[:, 0, 0, 0].tolist()


def flat(lists):
    return list(chain.from_iterable(lists))


def epoch(source, number):
    steps = range(number * source.steps_per_epoch, (number + 1) * source.steps_per_epoch)
    return [numbers(source.at(step)) for step in steps]


@pytest.mark.parametrize("size", [1, 4, 5, 23])
@pytest.mark.parametrize("order", ["shuffle", "shuffle_once"])
def test_every_image_comes_exactly_once_an_epoch(order, size):
    source = batches(size, order=order)
    for number in (0, 1, 7):
        drawn = epoch(source, number)
        assert sorted(flat(drawn)) == list(range(COUNT))
        assert [len(batch) for batch in drawn] == [size] * (COUNT // size) + [COUNT % size] * (
            COUNT % size > 0
        )


@pytest.mark.parametrize("order", ["shuffle", "shuffle_once"])
def test_drop_last_leaves_whole_batches_without_repeats(order):
    source = batches(5, order=order, drop_last=True)
    assert source.steps_per_epoch == 4
    for number in range(3):
        drawn = epoch(source, number)
        assert [len(batch) for batch in drawn] == [5] * 4
        assert len(set(flat(drawn))) == 20


def test_a_shuffled_order_differs_from_epoch_to_epoch():
    source = batches(5)
    epochs = [tuple(flat(epoch(source, number))) for number in range(6)]
    assert len(set(epochs)) == 6
    assert tuple(range(COUNT)) not in epochs


def test_the_order_of_shuffle_once_is_the_same_every_epoch():
    source = batches(5, order="shuffle_once")
    first = epoch(source, 0)
    assert all(epoch(source, number) == first for number in (1, 2, 9))
    assert flat(first) != list(range(COUNT))


def test_images_dropped_from_a_fixed_order_never_come():
    source = batches(5, order="shuffle_once", drop_last=True)
    assert len({i for number in range(5) for i in flat(epoch(source, number))}) == 20


@pytest.mark.parametrize(("size", "steps"), [(5, 4), (1, 23), (23, 1)])
def test_drawing_with_replacement_takes_as_many_whole_batches_as_fit(size, steps):
    source = batches(size, order="with_replacement", drop_last=True)
    assert source.steps_per_epoch == steps
    drawn = [numbers(source.at(step)) for step in range(200)]
    assert {len(batch) for batch in drawn} == {size}
    assert {i for batch in drawn for i in batch} == set(range(COUNT))  # all in range, each in reach
    assert len({tuple(batch) for batch in drawn}) > 10
    if size == COUNT:
        assert any(len(set(batch)) < COUNT for batch in drawn)


def test_drawing_with_replacement_is_uniform():
    source = batches(20, order="with_replacement", drop_last=True)
    drawn = np.bincount(flat(numbers(source.at(step)) for step in range(1000)), minlength=COUNT)
    expected = 20_000 / COUNT
    chi_squared = ((drawn - expected) ** 2 / expected).sum()
    assert chi_squared < 22 + 5 * (2 * 22) ** 0.5


def test_half_batches_still_count_whole_steps():
    source = batches(5, order="with_replacement", drop_last=True, steps_from=10)
    assert source.steps_per_epoch == 2
    assert len(source.at(0)) == 5


@pytest.mark.parametrize("order", ORDERS)
def test_a_batch_does_not_depend_on_earlier_calls(order):
    forwards, backwards = batches(order=order), batches(order=order)
    steps = list(range(17))
    first = {step: numbers(forwards.at(step)) for step in steps}
    assert {step: numbers(backwards.at(step)) for step in reversed(steps)} == first
    assert all(numbers(forwards.at(step)) == first[step] for step in (3, 16, 0, 3))


@pytest.mark.parametrize("order", ORDERS)
def test_another_seed_is_another_order(order):
    assert epoch(batches(order=order), 0) != epoch(batches(order=order, seed=1), 0)
    assert epoch(batches(order=order), 0) == epoch(batches(order=order, seed=0), 0)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("mode", ["r", "c"])
def test_a_memory_map_gives_the_same_batches_as_memory(tmp_path, order, mode):
    np.save(tmp_path / "images.npy", pixels())
    mapped = np.load(tmp_path / "images.npy", mmap_mode=mode)
    held, read = batches(order=order), batches(order=order, images=mapped)
    for step in range(12):
        assert torch.equal(read.at(step), held.at(step))


def read_only(images):
    images.flags.writeable = False
    return images


@pytest.mark.parametrize("change", [read_only, lambda images: images[::-1][::-1], lambda i: i[::-1, :, ::-1]])
def test_read_only_and_flipped_arrays_are_taken_without_a_warning(change):
    images = change(pixels())
    source = batches(images=images)
    for step in range(5):
        assert np.array_equal(source.at(step).numpy(), images[source.indices(step)])


def test_a_batch_is_a_copy():
    source = batches()
    before = numbers(source.at(0))
    source.at(0).zero_()
    assert numbers(source.at(0)) == before


@pytest.mark.parametrize(("step", "epochs"), [(0, 0), (4, 0), (5, 1), (14, 2), (15, 3)])
def test_epochs_are_counted_in_whole(step, epochs):
    assert batches(5).epoch_of(step) == epochs


@pytest.mark.parametrize("order", ORDERS)
def test_a_batch_larger_than_the_set_is_refused_with_a_size_that_fits(order):
    with pytest.raises(RecipeError) as caught:
        batches(24, order=order)
    assert "24" in str(caught.value)
    assert "23 images in numbered" in str(caught.value)
    assert "try batch_size=11" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_whole_step_larger_than_the_set_is_refused():
    with pytest.raises(RecipeError, match="batch_size 24"):
        batches(12, order="with_replacement", steps_from=24)


def test_neighboring_steps_draw_different_images():
    source = batches(10, order="with_replacement")
    drawn = [numbers(source.at(step)) for step in range(50)]
    assert all(a != b for a, b in pairwise(drawn))


def test_labels_given_beside_the_set_are_those_of_the_images():
    labels = np.arange(COUNT, dtype=np.int64) % 4
    source = batches(6, labels=labels, num_classes=4)
    for step in range(6):
        assert source.labels(step).tolist() == [number % 4 for number in numbers(source.at(step))]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(COUNT - 1, np.int64), "expected int64"),
        (np.zeros(COUNT, np.int32), "expected int64"),
        (np.full(COUNT, 4), "expected 0 to 3"),
        (np.full(COUNT, -1), "expected 0 to 3"),
        (None, "has no labels"),
    ],
)
def test_labels_that_do_not_match_the_set_or_the_classes_are_refused(labels, message):
    with pytest.raises(RecipeError, match=message):
        batches(6, labels=labels, num_classes=4)
