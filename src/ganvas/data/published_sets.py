"""The published sets, as values: files, mirrors, hashes, licenses, classes, how to read them.

Hashes: MD5 of the files as published; SHA-256 of the decompressed IDX files where they are known,
since the same payload is distributed in several gzip encodings and as Keras's mnist.npz.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass, field

from ganvas.data import cifar

DIGITS = tuple(string.digits)
FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
# EMNIST "balanced" merges the letters whose two cases look alike; these keep a class of their own.
BALANCED = (*string.digits, *string.ascii_uppercase, *"abdefghnqrt")


@dataclass(frozen=True)
class PublishedFile:
    """One file as a mirror serves it.

    Attributes:
        name: file name there and in the cache.
        digest: "md5:..." or "sha256:..." of its bytes.
        members: files to extract from it, if it is a zip; it is then removed.
    """

    name: str
    digest: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class IdxSplit:
    """One split as IDX files: names without .gz, and SHA-256 of the decompressed files or ""."""

    images: str
    labels: str
    count: int
    images_sha256: str = ""
    labels_sha256: str = ""


@dataclass(frozen=True)
class PublishedSet:
    """A published set. Exactly one of `idx` and `cifar` says how it is stored.

    Attributes:
        name, title, license, homepage: what it is and under what terms.
        class_names: index = label.
        mirrors: addresses that end in "/", tried in order.
        published: the files to download for each split.
        folder: its folder in the cache and in GANVAS_DATA, if not `name`.
        idx: the IDX files of each split.
        npz: a Keras .npz with the same images, or "".
        first_label: the label that the files use for class 0.
        transposed: rows and columns are exchanged in the files.
        torchvision: its folder in torchvision's layout, or "".
    """

    name: str
    title: str
    license: str
    homepage: str
    class_names: tuple[str, ...]
    mirrors: tuple[str, ...]
    published: Mapping[str, tuple[PublishedFile, ...]]
    folder: str = ""
    idx: Mapping[str, IdxSplit] = field(default_factory=dict)
    cifar: bool = False
    npz: str = ""
    first_label: int = 0
    transposed: bool = False
    torchvision: str = ""

    @property
    def folder_name(self) -> str:
        """The name of its folder in the cache and in GANVAS_DATA."""
        return self.folder or self.name


def _gz(name: str, md5: str) -> PublishedFile:
    return PublishedFile(f"{name}.gz", f"md5:{md5}")


_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

_MNIST = PublishedSet(
    name="mnist",
    title="MNIST, handwritten digits (LeCun, Cortes, Burges)",
    license="CC BY-SA 3.0",
    homepage="http://yann.lecun.com/exdb/mnist/",
    class_names=DIGITS,
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    published={
        "train": (
            _gz(_TRAIN[0], "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            _gz(_TRAIN[1], "d53e105ee54ea40749a09fcbcd1e9432"),
        ),
        "test": (
            _gz(_TEST[0], "9fb629c4189551a2d022fa330f9573f3"),
            _gz(_TEST[1], "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
    },
    idx={
        "train": IdxSplit(
            *_TRAIN,
            60_000,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        "test": IdxSplit(
            *_TEST,
            10_000,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    },
    npz="mnist.npz",
    torchvision="MNIST",
)

_FASHION_MNIST = PublishedSet(
    name="fashion-mnist",
    title="Fashion-MNIST, articles of clothing (Xiao, Rasul, Vollgraf; Zalando)",
    license="MIT",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    class_names=FASHION,
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    published={
        "train": (
            _gz(_TRAIN[0], "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            _gz(_TRAIN[1], "25c81989df183df01b3e8a0aad5dffbe"),
        ),
        "test": (
            _gz(_TEST[0], "bef4ecab320f06d8554ea6380940ec79"),
            _gz(_TEST[1], "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
    },
    idx={
        "train": IdxSplit(
            *_TRAIN,
            60_000,
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        "test": IdxSplit(
            *_TEST,
            10_000,
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    },
    torchvision="FashionMNIST",
)

_KMNIST = PublishedSet(
    name="kmnist",
    title="Kuzushiji-MNIST, cursive hiragana (CODH, ROIS-DS)",
    license="CC BY-SA 4.0",
    homepage="http://codh.rois.ac.jp/kmnist/",
    class_names=KUZUSHIJI,
    mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    published={
        "train": (
            _gz(_TRAIN[0], "bdb82020997e1d708af4cf47b453dcf7"),
            _gz(_TRAIN[1], "e144d726b3acfaa3e44228e80efcd344"),
        ),
        "test": (
            _gz(_TEST[0], "5c965bf0a639b31b8f53240b1b52f4d7"),
            _gz(_TEST[1], "7320c461ea6c1c855c0b718fb2a4b134"),
        ),
    },
    idx={"train": IdxSplit(*_TRAIN, 60_000), "test": IdxSplit(*_TEST, 10_000)},
    torchvision="KMNIST",
)


def _emnist_names(kind: str, split: str) -> tuple[str, str]:
    stem = f"emnist-{kind}-{split}"
    return f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"


# One zip of 562 MB contains all of EMNIST; the files of the two sets are extracted from it.
_EMNIST_ZIP = PublishedFile(
    "gzip.zip",
    "md5:58c8d27c78d21e728a6bc7b3cc06412e",
    members=tuple(
        f"gzip/{name}.gz"
        for kind in ("balanced", "letters")
        for split in ("train", "test")
        for name in _emnist_names(kind, split)
    ),
)


def _emnist(kind: str, classes: tuple[str, ...], train: int, test: int, first: int) -> PublishedSet:
    return PublishedSet(
        name=f"emnist-{kind}",
        title=f"EMNIST {kind}, handwritten characters (Cohen, Afshar, Tapson, van Schaik)",
        license="public domain (NIST Special Database 19)",
        homepage="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        class_names=classes,
        mirrors=("https://biometrics.nist.gov/cs_links/EMNIST/",),
        published={"train": (_EMNIST_ZIP,), "test": (_EMNIST_ZIP,)},
        folder="emnist",
        idx={
            "train": IdxSplit(*_emnist_names(kind, "train"), train),
            "test": IdxSplit(*_emnist_names(kind, "test"), test),
        },
        first_label=first,
        transposed=True,
        torchvision="EMNIST",
    )


_QMNIST_TRAIN = ("qmnist-train-images-idx3-ubyte", "qmnist-train-labels-idx2-int")
_QMNIST_TEST = ("qmnist-test-images-idx3-ubyte", "qmnist-test-labels-idx2-int")

_QMNIST = PublishedSet(
    name="qmnist",
    title="QMNIST, MNIST's digits with a test set of 60,000 (Yadav, Bottou)",
    license="BSD-style",
    homepage="https://github.com/facebookresearch/qmnist",
    class_names=DIGITS,
    mirrors=("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
    published={
        "train": (
            _gz(_QMNIST_TRAIN[0], "ed72d4157d28c017586c42bc6afe6370"),
            _gz(_QMNIST_TRAIN[1], "0058f8dd561b90ffdd0f734c6a30e5e4"),
        ),
        "test": (
            _gz(_QMNIST_TEST[0], "1394631089c404de565df7b7aeaf9412"),
            _gz(_QMNIST_TEST[1], "5b5b05890a5e13444e108efe57b788aa"),
        ),
    },
    idx={"train": IdxSplit(*_QMNIST_TRAIN, 60_000), "test": IdxSplit(*_QMNIST_TEST, 60_000)},
    torchvision="QMNIST",
)

_CIFAR_ARCHIVE = PublishedFile(
    cifar.ARCHIVE, "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
)
_CIFAR10 = PublishedSet(
    name="cifar10",
    title="CIFAR-10, tiny photographs (Krizhevsky)",
    license="none stated; cite Krizhevsky 2009",
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    class_names=cifar.CLASSES,
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    published={"train": (_CIFAR_ARCHIVE,), "test": (_CIFAR_ARCHIVE,)},
    cifar=True,
)

BUNDLED = "mnist-5k"
PUBLISHED: dict[str, PublishedSet] = {
    known.name: known
    for known in (
        _MNIST,
        _FASHION_MNIST,
        _KMNIST,
        _emnist("balanced", BALANCED, 112_800, 18_800, 0),
        _emnist("letters", tuple(string.ascii_lowercase), 124_800, 20_800, 1),
        _QMNIST,
        _CIFAR10,
    )
}
DATASET_NAMES: tuple[str, ...] = (*PUBLISHED, BUNDLED)
