"""How far gv1 sees: the Frechet distance of spoilt test images from the training images, as a table.

    GANVAS_DATA=... python benchmarks/defects.py

Every defect has three strengths. The distance should be least for the test images as they are (the
baseline), and grow with each defect's strength. Prints Markdown, as in docs/features.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ganvas.data import ImageSet, load_dataset
from ganvas.features import Extractor, get_extractor
from ganvas.metrics import frechet_distance, moments

ImageArray = npt.NDArray[np.uint8]
Defect = Callable[[ImageSet, float, np.random.Generator], ImageArray]
Array = TypeVar("Array", ImageArray, npt.NDArray[np.float64])
SETS = ("mnist", "fashion-mnist")
FLOOR = "test images as they are"


def noise(images: ImageSet, deviation: float, random: np.random.Generator) -> ImageArray:
    """Gaussian noise of this standard deviation, of 255, on every pixel."""
    return _rounded(images.images + random.normal(0, deviation, images.images.shape))


def blur(images: ImageSet, deviation: float, _random: np.random.Generator) -> ImageArray:
    """A Gaussian of this standard deviation, in pixels."""
    reach = int(np.ceil(4 * deviation))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights /= weights.sum()
    found = images.images.astype(np.float64)
    for axis in (2, 3):
        found = sum(
            w * _moved(found, k, axis) for w, k in zip(weights, range(-reach, reach + 1), strict=True)
        )
    return _rounded(found)


def dropped(images: ImageSet, classes: float, _random: np.random.Generator) -> ImageArray:
    """Without the first so many classes; the images become fewer."""
    assert images.labels is not None
    return images.images[images.labels >= classes]


def repeated(images: ImageSet, times: float, random: np.random.Generator) -> ImageArray:
    """As many images, but of each so many copies."""
    kept = random.choice(len(images), max(1, len(images) // int(times)), replace=False)
    return np.repeat(images.images[kept], int(times), axis=0)[: len(images)]


def shifted(images: ImageSet, pixels: float, _random: np.random.Generator) -> ImageArray:
    """Moved to the right by so many pixels; black comes in."""
    return _moved(images.images, int(pixels), 3)


DEFECTS: tuple[tuple[str, Defect, tuple[float, float, float]], ...] = (
    ("Gaussian noise, deviation of 255", noise, (4, 8, 16)),
    ("Gaussian blur, deviation in pixels", blur, (0.4, 0.6, 0.9)),
    ("classes dropped", dropped, (1, 3, 5)),
    ("copies of each image", repeated, (10, 100, 1000)),
    ("shift, pixels", shifted, (1, 2, 4)),
)


@dataclass(frozen=True)
class Row:
    """A measured distance; the baseline has strength 0."""

    defect: str
    strength: float
    distance: float


def measure(extractor: Extractor, reference: ImageSet, images: ImageSet, seed: int = 0) -> Iterator[Row]:
    """The baseline, then every defect at its three strengths."""
    real = moments(extractor(reference.images))
    yield Row(FLOOR, 0, frechet_distance(moments(extractor(images.images)), real))
    for name, spoilt, strengths in DEFECTS:
        for strength in strengths:
            found = spoilt(images, strength, np.random.default_rng(seed))
            yield Row(name, strength, frechet_distance(moments(extractor(found)), real))


def first(images: ImageSet, count: int) -> ImageSet:
    """The first `count` images of a set."""
    labels = None if images.labels is None else images.labels[:count]
    return ImageSet(images.name, images.images[:count], labels, images.class_names, images.source)


def _moved(images: Array, by: int, axis: int) -> Array:
    """Images [N, C, H, W] moved along an axis, zeros coming in."""
    found = np.roll(images, by, axis)
    gap = [slice(None)] * images.ndim
    gap[axis] = slice(None, by) if by > 0 else slice(by or images.shape[axis], None)
    found[tuple(gap)] = 0
    return found


def _rounded(images: npt.NDArray[np.float64]) -> ImageArray:
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def main() -> None:
    """Measure both sets and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--features", default="gv1")
    parser.add_argument("--count", type=int, default=10_000, help="test images")
    parser.add_argument("--reference", type=int, default=60_000, help="training images")
    a = parser.parse_args()
    began = time.perf_counter()
    columns = []
    for name in SETS:
        train, test = first(load_dataset(name), a.reference), first(load_dataset(name, split="test"), a.count)
        extractor = get_extractor(a.features, images=train)
        columns.append(list(measure(extractor, train, test)))
        print(
            f"<!-- {name}: {len(test):,} test images, {len(train):,} training images, "
            f"{extractor.name} {extractor.version}, {time.perf_counter() - began:.0f} s -->",
            flush=True,
        )
    print(f"| defect | strength | {' | '.join(SETS)} |")
    print("|---|---:|" + "---:|" * len(SETS))
    for rows in zip(*columns, strict=True):
        strength = f"{rows[0].strength:g}" if rows[0].strength else ""
        distances = " | ".join(f"{row.distance:.3f}" for row in rows)
        print(f"| {rows[0].defect} | {strength} | {distances} |")


if __name__ == "__main__":
    main()
