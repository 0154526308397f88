"""The accuracy of a classifier trained on given images."""

import pytest
import torch

from ganvas.errors import DataError, UserError
from ganvas.metrics import cas, classification_accuracy


def stripes(count, side=8, channels=1, seed=0):
    """Images uint8 of upright (0) and level (1) stripes in noise, and their classes."""
    source = torch.Generator().manual_seed(seed)
    classes = torch.randint(0, 2, (count,), generator=source)
    wave = (torch.arange(side) * 4 // side % 2 * 120).float()
    upright, level = wave.expand(side, side), wave.unsqueeze(1).expand(side, side)
    base = torch.where(classes.view(-1, 1, 1, 1) == 0, upright, level).expand(-1, channels, -1, -1)
    noise = torch.randint(0, 100, (count, channels, side, side), generator=source)
    return (base + noise).to(torch.uint8), classes


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (28, 1), (40, 3), (256, 3)])
def test_images_that_distinguish_the_classes_teach_them(side, channels):
    count = 24 if side == 256 else 200
    train, test = (stripes(count, side, channels, seed) for seed in (1, 2))
    assert classification_accuracy(*train, *test, classes=2, epochs=12 if side == 256 else 4) > 0.9


@pytest.mark.parametrize(("side", "brought_to"), [(8, 32), (28, 28), (32, 32), (256, 32)])
def test_images_are_brought_to_one_side_and_range(side, brought_to):
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, side, side)
    result = cas._preprocess(images)
    assert result.shape == (2, 3, brought_to, brought_to)
    torch.testing.assert_close(result[0], torch.full_like(result[0], -1))
    torch.testing.assert_close(result[1], torch.ones_like(result[1]))


def test_images_with_random_labels_teach_nothing():
    train, test = stripes(200, seed=1), stripes(400, seed=2)
    labels = torch.randint(0, 2, (200,), generator=torch.Generator().manual_seed(0))
    result = classification_accuracy(train[0], labels, *test, classes=2, epochs=2)
    assert result < 0.75


def test_swapped_labels_teach_the_contrary():
    train, test = stripes(200, seed=1), stripes(200, seed=2)
    assert classification_accuracy(train[0], 1 - train[1], *test, classes=2, epochs=4) < 0.1


def test_accuracy_is_a_function_of_the_seed_and_leaves_global_random_numbers_alone():
    train, test = stripes(100, seed=1), stripes(300, seed=2)
    labels = train[1].clone()
    labels[::3] = 1 - labels[::3]  # hard enough for seeds to differ

    def score(seed):
        return classification_accuracy(train[0], labels, *test, classes=2, epochs=1, seed=seed)

    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    first = score(0)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(123)
    assert score(0) == first
    assert len({score(seed) for seed in range(4)}) > 1


def test_training_works_where_gradients_are_off():
    train, test = stripes(200, seed=1), stripes(100, seed=2)
    with torch.no_grad():
        assert classification_accuracy(*train, *test, classes=2, epochs=4) > 0.9


def test_what_cannot_be_trained_on_is_refused():
    x, y = stripes(10)

    def score(images=x, labels=y, test=x, classes=2, epochs=1):
        return classification_accuracy(images, labels, test, y, classes=classes, epochs=epochs)

    with pytest.raises(DataError, match=r"train_images: expected uint8 .* got float32 \[10, 1, 8, 8\]"):
        score(x.float())
    with pytest.raises(DataError, match="train_images: expected uint8"):
        score(x[:, :, :7])
    with pytest.raises(DataError, match="got 10 and 9 labels"):
        score(labels=y[:9])
    with pytest.raises(DataError, match=r"test_images: expected \[1, 8, 8\] .* got \[3, 8, 8\]"):
        score(test=x.expand(-1, 3, -1, -1))
    with pytest.raises(DataError, match="train_labels: expected classes from 0 to 1, got 2 to 2"):
        score(labels=torch.full((10,), 2))
    with pytest.raises(UserError, match="classes: expected at least 2, got 1"):
        score(classes=1)
    with pytest.raises(UserError, match="epochs: expected at least 1, got 0"):
        score(epochs=0)
