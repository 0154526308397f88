"""What training is conditioned on: the labels of the images, or clusters of their pixels."""

from __future__ import annotations

from ganvas.data import ImageSet
from ganvas.data.clusters import Labels, cluster_images
from ganvas.recipes.schema import Recipe
from ganvas.training.rng import Stream, derive_seed


def conditioning_labels(images: ImageSet, recipe: Recipe, seed: int) -> Labels | None:
    """The labels that a new run is conditioned on: int64 [N], the images' own or their clusters.

    None where the recipe is not conditioned, or the images have no labels.

    Raises:
        UserError: more clusters than images, or than k-means can find in a sensible time.
    """
    if recipe.conditioned_on_clusters:
        return cluster_images(images, recipe.classes, derive_seed(seed, Stream.CLUSTERS))
    return images.labels if recipe.classes else None
