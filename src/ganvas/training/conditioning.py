"""What training is conditioned on: the labels of the images, or the clusters that they are sorted into."""

from __future__ import annotations

from ganvas.data import ImageSet
from ganvas.data.clusters import cluster_images, with_cluster_labels
from ganvas.recipes.schema import Recipe
from ganvas.training.rng import Stream, derive_seed


def cluster_names(count: int) -> tuple[str, ...]:
    """Names of clusters, where classes have names."""
    return tuple(f"cluster-{number}" for number in range(count))


def condition(images: ImageSet, recipe: Recipe, seed: int) -> ImageSet:
    """The images (the same arrays) with the labels to condition on: their own, or clusters.

    Raises:
        UserError: more clusters than can be.
    """
    if not recipe.conditioned_on_clusters:
        return images
    labels = cluster_images(images, recipe.classes, derive_seed(seed, Stream.CLUSTERS))
    return with_cluster_labels(images, labels, cluster_names(recipe.classes))
