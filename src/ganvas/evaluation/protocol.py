"""`Protocol`: how a score was taken. Only scores of the same protocol may be compared."""

from __future__ import annotations

import hashlib
from typing import Any

from ganvas.errors import UserError
from ganvas.utils.config import FrozenConfig

VERSION = 1


class Protocol(FrozenConfig):
    """What decides the value of a score beside the images that are scored.

    Attributes:
        version: of the definitions in `ganvas.metrics` and of this list.
        features: name of the feature network.
        features_version: digest of its parameters and preprocessing.
        comparable: False for a network fitted on the user's own set.
        images: how many images are scored.
        reference: what they are compared with, as "mnist train".
        reference_images: how many of it.
        fingerprint: of the reference set.
        held_out: real images held out from training: the baseline, and the baseline of copying.
        held_out_fingerprint: of the set that they are from.
        held_out_images: how many of them the baseline is taken on.
        manifold_images: reals that precision, recall, density and coverage are taken on.
    """

    version: int = VERSION
    features: str
    features_version: str
    comparable: bool
    images: int
    reference: str
    reference_images: int
    fingerprint: str
    held_out: str
    held_out_fingerprint: str
    held_out_images: int
    manifold_images: int

    @property
    def text(self) -> str:
        """One line for people."""
        own = "" if self.comparable else ", fitted on this set: for comparisons within it only"
        return (
            f"{self.features} ({self.features_version}{own}), {self.images:,} images against "
            f"{self.reference} ({self.reference_images:,}), protocol {self.digest}"
        )

    @property
    def digest(self) -> str:
        """Six hex digits that two protocols have in common only if they are the same."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:6]

    def as_json(self) -> dict[str, Any]:
        """All values, and `text`."""
        return {**self.model_dump(mode="json"), "text": self.text}


def require_same(a: Protocol, b: Protocol) -> None:
    """Refuse to compare scores that were not taken in the same way.

    Raises:
        UserError: one line that names both protocols.
    """
    if a != b:
        different = [key for key, value in a if value != getattr(b, key)]
        raise UserError(
            f"these scores cannot be compared, their protocols differ in {', '.join(different)}: "
            f"{a.text}; {b.text}; score both in the same way with ganvas evaluate"
        )
