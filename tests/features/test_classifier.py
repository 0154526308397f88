"""Which class features look like: by gv1's own head where it knows the classes, else a discriminant."""

import numpy as np
import pytest
import torch

from ganvas import load_dataset
from ganvas.data import ImageSet
from ganvas.errors import DataError
from ganvas.features import get_extractor
from ganvas.features.classifier import SHRINKAGE, classifier, linear_discriminant


class Fixed:
    """An extractor by name only."""

    version, dimensions, comparable = "0" * 12, 3, True

    def __init__(self, name="fitted-contrast"):
        self.name = name


def clouds(counts=(40, 25, 35), size=3, seed=0):
    """Three overlapping clouds of points: features [N, size], labels [N]."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    middles = random.normal(0, 2, (len(counts), size))
    points = middles[labels] + random.normal(0, 1, (len(labels), size)) @ random.normal(0, 1, (size, size))
    return torch.from_numpy(points).float(), labels


def reference(labels, names, name="own"):
    count = len(labels) if labels is not None else 10
    return ImageSet(name, np.zeros((count, 1, 28, 28), np.uint8), labels, names, "made up")


def by_hand(x, features, labels):
    """Scores from the textbook's formula, class by class, in NumPy."""
    x, features = x.double().numpy(), features.double().numpy()
    classes = np.unique(labels)
    means = np.stack([features[labels == k].mean(0) for k in classes])
    centered = features - means[labels]
    covariance = centered.T @ centered / len(features)
    size = len(covariance)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / size * np.eye(size)
    inverse = np.linalg.inv(covariance)
    pairs = zip(means, np.bincount(labels) / len(labels), strict=True)
    return np.stack([x @ inverse @ m - m @ inverse @ m / 2 + np.log(p) for m, p in pairs], 1)


def test_the_linear_discriminant_is_the_textbooks():
    features, labels = clouds()
    fresh, _ = clouds(seed=1)
    result = linear_discriminant(features, torch.from_numpy(labels), 3)(fresh).numpy()
    expected = by_hand(fresh, features, labels)
    # Moving the middle adds the same to the scores of all classes.
    np.testing.assert_allclose(result - result[:, :1], expected - expected[:, :1], rtol=1e-9, atol=1e-9)


def test_the_linear_discriminant_is_scikit_learns():
    analysis = pytest.importorskip("sklearn.discriminant_analysis")
    features, labels = clouds((120, 80, 200), size=8)
    fresh, _ = clouds((50, 50, 50), size=8, seed=3)
    theirs = analysis.LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE)
    theirs.fit(features.double().numpy(), labels)
    result = linear_discriminant(features, torch.from_numpy(labels), 3)(fresh)
    probabilities = result.softmax(1).numpy()
    np.testing.assert_allclose(probabilities, theirs.predict_proba(fresh.double().numpy()), atol=1e-9)


def test_any_labeled_set_gets_a_discriminant_with_its_names_and_fractions():
    features, labels = clouds()
    result = classifier(Fixed(), reference(labels, ("x", "y", "z")), features)
    assert result.kind == "linear discriminant"
    assert result.class_names == ("x", "y", "z")
    np.testing.assert_allclose(result.expected, [0.4, 0.25, 0.35])
    guesses = result(features)
    assert guesses.dtype == torch.int64
    assert (guesses.numpy() == labels).mean() > 0.8


def test_a_set_without_labels_has_no_classifier():
    assert classifier(Fixed(), reference(None, ()), torch.zeros(10, 3)) is None


def test_a_class_without_images_is_never_chosen():
    features, labels = clouds()
    result = classifier(Fixed(), reference(labels, ("x", "y", "z", "nobody")), features)
    assert result.expected[3] == 0
    assert set(result(features * 10).tolist()) <= {0, 1, 2}


def test_features_that_never_vary_are_classified():
    labels = np.arange(10) % 2
    for features in (torch.zeros(10, 4), torch.from_numpy(labels)[:, None].float().expand(10, 4)):
        result = classifier(Fixed(), reference(labels, ("x", "y")), features)
        assert result(features).shape == (10,)
    assert result(features).tolist() == labels.tolist()


def test_more_features_than_images_are_classified():
    features, labels = clouds((5, 4, 3), size=50)
    result = classifier(Fixed(), reference(labels, ("x", "y", "z")), features)
    assert result(features).tolist() == labels.tolist()


def test_features_of_other_images_are_refused():
    with pytest.raises(DataError, match="expected features of all 100 images, got 99"):
        classifier(Fixed(), reference(clouds()[1], ("x", "y", "z")), torch.zeros(99, 3))


def test_digits_are_classified_by_gv1s_own_head():
    digits, extractor = load_dataset("mnist-5k"), get_extractor("gv1")
    features = extractor(digits.images[::10])
    part = ImageSet("mnist-5k", digits.images[::10], digits.labels[::10], digits.class_names, digits.source)
    result = classifier(extractor, part, features)
    assert result.kind == "gv1 head"
    assert (result(features).numpy() == part.labels).mean() > 0.99
    assert result.expected.sum() == pytest.approx(1)


def test_the_head_of_fashion_mnist_is_the_other_ten_classes():
    labels = np.arange(20) % 10
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 128))).float()
    names = tuple("abcdefghij")
    digits = classifier(Fixed("gv1"), reference(labels, names, "mnist"), features)
    fashion = classifier(Fixed("gv1"), reference(labels, names, "fashion-mnist"), features)
    assert digits.kind == fashion.kind == "gv1 head"
    both = torch.cat([digits.scores(features), fashion.scores(features)], 1)
    from ganvas.features import gv1

    torch.testing.assert_close(both, gv1.network().logits(features))


@pytest.mark.parametrize(
    ("extractor", "name", "classes"), [("gv1", "own", 10), ("gv1", "mnist", 9), ("gv1-color", "mnist", 10)]
)
def test_the_head_is_not_used_for_other_sets_classes_or_networks(extractor, name, classes):
    labels = np.arange(40) % classes
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 128))).float()
    result = classifier(Fixed(extractor), reference(labels, tuple("abcdefghij"[:classes]), name), features)
    assert result.kind == "linear discriminant"


def test_linear_discriminants_of_gv1_classify_digits_nearly_as_well_as_its_head():
    digits, extractor = load_dataset("mnist-5k"), get_extractor("gv1")
    renamed = ImageSet("mine", digits.images[:600], digits.labels[:600], digits.class_names, "half")
    result = classifier(extractor, renamed, extractor(renamed.images))
    assert result.kind == "linear discriminant"
    assert (result(extractor(digits.images[600:900])).numpy() == digits.labels[600:900]).mean() > 0.95
