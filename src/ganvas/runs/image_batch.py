"""`Images`: what sampling returns, and the files it can become."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import UserError
from ganvas.utils.images import ImageArray, encode_gif, encode_png, grid_columns, make_grid, to_pil, upscale
from ganvas.utils.io import storage_errors, write_bytes

_OTHER_KINDS = {
    ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".svg", ".pdf", ".zip", ".pt", ".csv",
    ".txt", ".json", ".mp4",
}  # fmt: skip


class ImageBatch(np.ndarray[Any, np.dtype[np.uint8]]):
    """An array of images uint8 [N, C, H, W] that shows itself as a grid in a notebook.

    It is a NumPy array in all else; slices of other shapes show as arrays do.
    """

    columns: int | None = None
    labels: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, pixels: ImageArray, columns: int | None = None) -> Self:
        """View `pixels` as images, laid out in so many columns (about square where None)."""
        images = pixels.view(cls)
        images.columns = columns
        return images

    def __getitem__(self, key: Any) -> Any:
        """As of any array; images picked along the first axis keep their labels."""
        found = super().__getitem__(key)
        if self.labels is not None and self.ndim == 4 and isinstance(found, ImageBatch) and found.ndim == 4:
            rows = key[0] if isinstance(key, tuple) else key
            found.labels, found.class_names = self.labels[rows], self.class_names
        return found

    def grid(self) -> ImageArray:
        """All images on one sheet: uint8 [C, height, width]."""
        return make_grid(np.asarray(self), self.columns or grid_columns(len(self)))

    def save(self, out: str | Path) -> Path:
        """Write the images to `out`, and return it.

        Args:
            out: a `.png` (one grid), a `.npy` or `.npz` (uint8 [N, C, H, W]; key `images`, and `labels` of
                a conditional run), or a new or empty folder, which gets one PNG an image, in a folder for
                each class where there are labels.

        Raises:
            UserError: another kind of file, or a folder that is not empty.
            StorageError: the disk is full or may not be written.
        """
        if self.ndim == 3:  # one image, as images[0] is
            return ImageBatch.of(np.asarray(self)[None]).save(out)
        path = Path(out).expanduser()
        suffix = path.suffix.lower()
        if suffix in _OTHER_KINDS:
            raise UserError(f"out {path}: expected .png, .npz, .npy or a folder, got {suffix}")
        if suffix in (".png", ".npz", ".npy") and path.is_dir():
            raise UserError(f"out {path} is a folder; name a file, or a folder without {suffix}")
        if suffix == ".png":
            write_bytes(path, encode_png(to_pil(self.grid())))
        elif suffix in (".npz", ".npy"):
            write_bytes(path, self._array_bytes(suffix))
        else:
            self._save_folder(path)
        return path

    def save_gif(self, out: str | Path, *, milliseconds: int = 120) -> Path:
        """Write each column of the grid as a frame, forth and back: rows become moving images."""
        columns = self.columns or grid_columns(len(self))
        array = np.asarray(self)
        wide = grid_columns(len(array) // columns)
        sheets = [to_pil(make_grid(array[i::columns], wide)) for i in range(columns)]
        frames = [upscale(sheet, 140) for sheet in sheets + sheets[-2:0:-1]]
        path = Path(out).expanduser()
        write_bytes(path, encode_gif(frames, milliseconds, milliseconds))
        return path

    def _repr_png_(self) -> bytes | None:
        if self.ndim != 4 or self.dtype != np.uint8 or not len(self):
            return None
        return encode_png(upscale(to_pil(self.grid()), 280))

    def _array_bytes(self, suffix: str) -> bytes:
        buffer = io.BytesIO()
        array = np.ascontiguousarray(np.asarray(self))
        if suffix == ".npy":
            np.save(buffer, array, allow_pickle=False)
        else:
            arrays: dict[str, Any] = {"images": array}
            if self.labels is not None:
                arrays["labels"] = self.labels
            np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()

    def _save_folder(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise UserError(f"out {path} is a file; expected .png, .npz, .npy or a folder")
        with storage_errors(str(path)):
            if path.is_dir() and any(path.iterdir()):
                raise UserError(f"out {path} is a folder with files in it; choose a new one")
            path.mkdir(parents=True, exist_ok=True)
        digits = len(str(len(self) - 1))
        folders = _folder_names(self.class_names)
        for i, image in enumerate(np.asarray(self)):
            folder = path if self.labels is None else path / folders[int(self.labels[i])]
            write_bytes(folder / f"{i:0{max(digits, 5)}d}.png", encode_png(to_pil(image)))


def _folder_names(names: Sequence[str]) -> list[str]:
    """The classes' names where they can be folders', here and elsewhere, side by side; else their numbers.

    Names come from outside: a folder of the user's, or the `run.json` of somebody else's run.
    """

    def plain(name: str) -> bool:
        stem = name.partition(".")[0].upper()
        return (
            name.isprintable()
            and not set(name) & set('<>:"/\\|?*')
            and name == name.strip(" .")
            and 0 < len(name.encode("utf-8", "surrogatepass")) <= 100
            and not (stem in ("CON", "PRN", "AUX", "NUL") or re.fullmatch(r"(COM|LPT)[0-9]", stem))
            and not re.fullmatch(r"class-[0-9]+", name.lower())
        )

    often = Counter(name.lower() for name in names)  # some file systems do not tell the cases apart
    return [
        name if plain(name) and often[name.lower()] == 1 else f"class-{i}" for i, name in enumerate(names)
    ]
