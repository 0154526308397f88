"""What `ganvas data NAME` prints about a set, and the preview that it writes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganvas.data.image_set import ImageSet, iter_chunks
from ganvas.data.load import load_dataset
from ganvas.errors import GanvasError, first_few, printable
from ganvas.utils.io import write_bytes

PREVIEW_ROWS, PREVIEW_COLUMNS = 5, 6


@dataclass(frozen=True)
class Description:
    """Facts about a set, all measured.

    Attributes:
        name, source: as in the ImageSet.
        shape: (N, C, H, W).
        classes: (name, number of images) in the order of the labels; () without labels.
        pixel_min, pixel_max, pixel_mean: over all images, 0 to 255.
        fingerprint: SHA-256 of images and labels.
        duplicates: images that are exact copies of an earlier one.
    """

    name: str
    source: str
    shape: tuple[int, int, int, int]
    classes: tuple[tuple[str, int], ...]
    pixel_min: int
    pixel_max: int
    pixel_mean: float
    fingerprint: str
    duplicates: int

    def lines(self) -> list[str]:
        """The description as text, one fact per line."""
        count, channels, height, width = self.shape
        kind = "gray" if channels == 1 else "RGB"
        counts = first_few([f"{name} {number:,}" for name, number in self.classes], 50) or "no labels"
        return [
            f"name         {self.name}",
            f"source       {printable(self.source)}",
            f"images       {count:,} of {height}x{width} (height x width), {kind}, uint8",
            f"classes      {len(self.classes)}: {counts}" if self.classes else f"classes      {counts}",
            f"pixels       {self.pixel_min} to {self.pixel_max}, mean {self.pixel_mean:.2f}",
            f"duplicates   {self.duplicates:,} exact copies of an earlier image",
            f"fingerprint  {self.fingerprint}",
        ]


def describe_dataset(images: ImageSet) -> Description:
    """Measure a set in one pass over its pixels (and one for the fingerprint), in chunks."""
    low, high, total = 255, 0, 0
    digests = np.empty((len(images), 16), np.uint8)
    row = 0
    for chunk in iter_chunks(images.images):
        low, high = min(low, int(chunk.min())), max(high, int(chunk.max()))
        total += int(chunk.sum(dtype=np.int64))
        for image in np.ascontiguousarray(chunk):
            digest = hashlib.blake2b(image, digest_size=16).digest()
            digests[row] = np.frombuffer(digest, np.uint8)
            row += 1
    distinct = len(np.unique(digests.view("V16")))
    classes: tuple[tuple[str, int], ...] = ()
    if images.labels is not None:
        counts = np.bincount(images.labels, minlength=images.num_classes).tolist()
        classes = tuple(zip(images.class_names, counts, strict=True))
    return Description(
        name=images.name,
        source=images.source,
        shape=(len(images), *images.image_shape),
        classes=classes,
        pixel_min=low,
        pixel_max=high,
        pixel_mean=total / images.images.size,
        fingerprint=images.fingerprint,
        duplicates=len(images) - distinct,
    )


def describe_test_split(name: str, *, size: int | None = None, resize: str | None = None) -> str:
    """The test split of the set `name` in one line; "" where it has none, or it cannot be read."""
    try:
        test = load_dataset(name, split="test", size=size, resize=resize)
    except GanvasError:
        return ""
    _, height, width = test.image_shape
    labels = "no labels" if test.labels is None else f"{len(test.labels):,} labels"
    return f"test split   {len(test):,} images of {height}x{width}, {labels}"


def save_preview(images: ImageSet, out: Path) -> int:
    """Write the first images, enlarged, as a grid of 5 rows and 6 columns; return how many they are.

    Raises:
        StorageError: the disk is full or not writable.
    """
    from ganvas.utils.images import encode_png, make_grid, to_pil, upscale  # they import Pillow

    first = images.images[: PREVIEW_ROWS * PREVIEW_COLUMNS]
    write_bytes(out, encode_png(upscale(to_pil(make_grid(first, PREVIEW_COLUMNS)), 280)))
    return len(first)
