"""Small images, and every container they may come in."""

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from ganvas.data.published_sets import IdxSplit, PublishedFile, PublishedSet

TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def gray(count=12, height=9, width=11, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 1, height, width), np.uint8)


def color(count=12, height=9, width=11, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 3, height, width), np.uint8)


def classes(count=12, number=3):
    """Labels in sorted order, as the images of class folders come."""
    return np.sort(np.arange(count) % number)


def idx_bytes(array, code=0x08):
    array = np.asarray(array)
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def image_idx(images):
    """IDX of images [N, 1, H, W] as [N, H, W]; of [N, 3, H, W] as they are."""
    return idx_bytes(images[:, 0] if images.shape[1] == 1 else images)


def label_idx(labels):
    return idx_bytes(np.asarray(labels).astype(np.uint8))


def npy_bytes(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def encode_png(image, form="PNG", **options):
    stream = io.BytesIO()
    image = image if isinstance(image, Image.Image) else to_pil(image)
    image.save(stream, form, **options)
    return stream.getvalue()


def to_pil(image):
    return Image.fromarray(image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0).copy())


def write(path, data):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def write_idx_folder(folder, images, labels, names=TRAIN, packed=False):
    for name, data in zip(names, (image_idx(images), label_idx(labels)), strict=True):
        if packed:
            write(Path(folder) / f"{name}.gz", gzip.compress(data))
        else:
            write(Path(folder) / name, data)
    return Path(folder)


def png_files(images, labels=None):
    """Names and bytes of PNG files; class folders "c0", "c1", ... where there are labels."""
    files = {}
    for index, image in enumerate(images):
        folder = "" if labels is None else f"c{labels[index]}/"
        files[f"{folder}{index:03}.png"] = encode_png(image)
    return files


def write_folder(folder, files):
    for name, data in files.items():
        write(Path(folder) / name, data)
    return Path(folder)


def write_zip(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return Path(path)


def cifar_batches(records=4):
    """Six batches of CIFAR-10's names, and what they hold: name -> (labels, images)."""
    random = np.random.default_rng(5)
    names = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
    return {
        name: (
            random.integers(0, 10, records).astype(np.uint8),
            random.integers(0, 256, (records, 3, 32, 32), np.uint8),
        )
        for name in names
    }


def cifar_bytes(labels, images):
    return np.concatenate([labels[:, None], images.reshape(len(images), -1)], axis=1).tobytes()


def cifar_tar(batches):
    """A .tar.gz with the batches out of order, as the published one has them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for name in sorted(batches, key=lambda name: name[::-1]):
            data = cifar_bytes(*batches[name])
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def md5(data):
    return "md5:" + hashlib.md5(data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class TinySet:
    """A published set of a few images: its files, and its `PublishedSet`."""

    def __init__(self, mirrors=(), name="mnist", torchvision="MNIST", npz="mnist.npz", seed=1):
        self.images = {"train": gray(6, 10, 10, seed), "test": gray(4, 10, 10, seed + 1)}
        self.labels = {"train": np.arange(6) % 3, "test": np.arange(4) % 3}
        self.files = {}
        idx, published = {}, {}
        for split, names in (("train", TRAIN), ("test", TEST)):
            payloads = image_idx(self.images[split]), label_idx(self.labels[split])
            packed = [gzip.compress(payload, mtime=0) for payload in payloads]
            published[split] = tuple(
                PublishedFile(f"{stem}.gz", md5(data)) for stem, data in zip(names, packed, strict=True)
            )
            for stem, data in zip(names, packed, strict=True):
                self.files[f"{stem}.gz"] = data
            idx[split] = IdxSplit(*names, len(self.images[split]), *map(sha256, payloads))
        self.known = PublishedSet(
            name=name,
            title="tiny",
            license="none",
            homepage="",
            class_names=("a", "b", "c"),
            mirrors=tuple(mirrors),
            published=published,
            idx=idx,
            npz=npz,
            torchvision=torchvision,
        )

    def put(self, folder, names=None):
        for name, data in self.files.items():
            if names is None or name in names:
                write(Path(folder) / name, data)

    def npz_bytes(self):
        stream = io.BytesIO()
        np.savez(
            stream,
            x_train=self.images["train"][:, 0],
            y_train=self.labels["train"].astype(np.uint8),
            x_test=self.images["test"][:, 0],
            y_test=self.labels["test"].astype(np.uint8),
        )
        return stream.getvalue()
