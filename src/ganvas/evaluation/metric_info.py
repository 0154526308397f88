"""What each score means, in a few words: for the pages, and for whoever prints a table. Values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast, get_args

from ganvas.errors import UserError
from ganvas.registry import Registry, load_entry_points

Better = Literal["lower", "higher", "nearer 0"]


class MetricInfo(NamedTuple):
    """A score: its key in `evaluation.json`, its name for a reader, which way is better, what it says."""

    key: str
    title: str
    better: Better
    meaning: str


METRICS: tuple[MetricInfo, ...] = (
    MetricInfo(
        "fid", "FID", "lower",
        "how far the generated images are from the real ones in feature space; the one number to watch",
    ),
    MetricInfo(
        "fid_infinity", "FID∞", "lower",
        "FID as it would be with endlessly many images",
    ),
    MetricInfo(
        "kid", "KID", "lower",
        "the same question asked another way, fair to small samples",
    ),
    MetricInfo(
        "precision", "Precision", "higher",
        "quality: the fraction of generated images that could be real",
    ),
    MetricInfo(
        "recall", "Recall", "higher",
        "variety: the fraction of real images it could have made",
    ),
    MetricInfo(
        "density", "Density", "higher",
        "quality: how thickly real images lie around each generated one; real images get about 1",
    ),
    MetricInfo(
        "coverage", "Coverage", "higher",
        "variety: the fraction of real images with a generated one nearby",
    ),
    MetricInfo(
        "modes", "Modes", "higher",
        "how many of the classes the generator generates at all",
    ),
    MetricInfo(
        "modes_kl", "Unevenness of modes", "lower",
        "whether the classes are as frequent as in the real data; 0 means equal frequencies",
    ),
    MetricInfo(
        "cas", "Classifier", "higher",
        "the fraction of held-out real images classified correctly by a classifier trained on "
        "generated ones alone",
    ),
    MetricInfo(
        "vendi", "Vendi score", "higher",
        "how many truly different images there are among the samples",
    ),
    MetricInfo(
        "authenticity", "Authenticity", "higher",
        "the fraction of generated images that are more than a training image slightly changed",
    ),
    MetricInfo(
        "copies", "Copies", "lower",
        "the fraction of generated images nearer to a training image than 99% of held-out real images "
        "are; 0.01 is usual",
    ),
    MetricInfo(
        "copying", "Copying test", "nearer 0",
        "below about −3 the generated images lie nearer to the training images than held-out ones do: "
        "it copies; above 3 it strays from them",
    ),
)  # fmt: skip

COMPARED = ("fid", "kid", "precision", "recall", "density", "coverage", "modes")
"""The built-in metrics that a comparison always has columns for, and a terminal's table has no others of."""

BASELINE_MEANING = "what held-out real images get: as good as can be expected"
"""The explanation of the column of real-data baselines."""


@dataclass(frozen=True)
class CustomMetric:
    """A registered metric: (fake features [N, D], real features [M, D]) -> a float or an `Estimate`."""

    info: MetricInfo
    function: Callable[[Any, Any], Any]


CUSTOM_METRICS: Registry[CustomMetric] = Registry("metric")
"""Metrics that plugins register; see `ganvas.register.metric`."""


def describe_metric(name: str, title: str, better: str, meaning: str) -> MetricInfo:
    """The description of a custom metric, checked.

    Raises:
        UserError: `evaluation.json` uses the name for something else, or `better` is not one of three words.
    """
    if better not in get_args(Better):
        known = ", ".join(map(repr, get_args(Better)))
        raise UserError(f"metric {name}: expected better to be one of {known}, got {better!r}")
    taken = {metric.key for metric in METRICS} | {"protocol", "subject", "step", "seconds"}
    if name in taken or name.endswith(("_stderr", "_baseline")) or name.startswith("modes_"):
        raise UserError(f"metric {name}: evaluation.json uses this name already; choose another")
    return MetricInfo(name, title, cast(Better, better), meaning)


def custom_metrics() -> tuple[CustomMetric, ...]:
    """The registered metrics, those of installed packages included.

    Raises:
        UserError: a package's plugin cannot be imported.
    """
    load_entry_points()
    return tuple(CUSTOM_METRICS.values())


def metric_infos() -> tuple[MetricInfo, ...]:
    """All metrics in the order of every table: the built-in ones, then the registered ones.

    Raises:
        UserError: a package's plugin cannot be imported.
    """
    return (*METRICS, *(metric.info for metric in custom_metrics()))
