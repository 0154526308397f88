"""What a run's methods return so that a notebook shows it: files, and the page of the curves."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

from ganvas.report.templating import data_uri
from ganvas.utils.io import write_bytes


@dataclass(frozen=True)
class Animation:
    """A GIF that was written; in a notebook it plays. `str()` and `open()` take it as a path."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        """The GIF itself, in the cell."""
        return f'<img alt="sample grids" src="{data_uri(self.path.read_bytes(), "image/gif")}">'


@dataclass(frozen=True)
class HTMLPage:
    """A self-contained page; in a notebook it shows itself in a frame.

    Attributes:
        content: the page in UTF-8.
        height: of the frame, in CSS pixels.
    """

    content: bytes
    height: int = 640

    def save(self, out: str | Path) -> Path:
        """Write the page to `out`, and return it.

        Raises:
            StorageError: the disk is full or not writable.
        """
        path = Path(out).expanduser()
        write_bytes(path, self.content)
        return path

    def __repr__(self) -> str:
        return f"HTMLPage({len(self.content):,} bytes; save(path) writes it)"

    def _repr_html_(self) -> str:
        """A frame of its own: its style and scripts do not touch the notebook's."""
        page = html.escape(self.content.decode("utf-8"))
        return (
            f'<iframe sandbox="allow-scripts" style="border:0;width:100%;height:{self.height}px" '
            f'srcdoc="{page}"></iframe>'
        )
