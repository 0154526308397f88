"""Decorators that make extensions known by name; see docs/extending.md.

    import ganvas

    @ganvas.register.objective("my_loss")
    def my_loss(real_logits, fake_logits): ...

Networks and optimizers need none: defining a subclass of `GeneratorSpec`, `DiscriminatorSpec` or `Optimizer`
with a `kind` of its own registers it. The registries are imported when a decorator is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ganvas.registry import decorator

if TYPE_CHECKING:
    from ganvas.recipes.schema import Recipe

T = TypeVar("T")


def objective(name: str) -> Callable[[T], T]:
    """Register an objective: (real logits [N], fake logits [M]) -> (D's loss, G's loss), both scalars.

    An object with `paired`, `discriminator_loss` and `generator_loss` works too; see
    `ganvas.training.objectives`.
    """
    from ganvas.training.objectives import OBJECTIVES, as_objective

    return decorator(OBJECTIVES, name, as_objective)


def penalty(name: str) -> Callable[[T], T]:
    """Register a penalty: (discriminator, real, fake, uniform) -> scalar; see `ganvas.training.penalties`."""
    from ganvas.training.penalties import PENALTIES

    return decorator(PENALTIES, name)


def update_rule(name: str) -> Callable[[T], T]:
    """Register an update rule: (context, state, real, rng) -> metrics; see `ganvas.training.updates`."""
    from ganvas.training.updates import UPDATE_RULES

    return decorator(UPDATE_RULES, name)


def metric(name: str, *, title: str, better: str = "higher", meaning: str = "") -> Callable[[T], T]:
    """Register a metric: (fake features [N, D], real features [M, D]) -> float or `Estimate`.

    `ganvas evaluate`, `evaluation.json` and the report show it, with its real-data baseline beside it.

    Args:
        name: its key in `evaluation.json`.
        title: its name for a reader.
        better: "higher", "lower" or "nearer 0".
        meaning: what it says, in a few words.

    Raises:
        UserError: another metric or value of `evaluation.json` has the name; another word for `better`.
    """
    from ganvas.evaluation.metric_info import CUSTOM_METRICS, CustomMetric, describe_metric

    info = describe_metric(name, title, better, meaning)
    return decorator(CUSTOM_METRICS, name, lambda function: CustomMetric(info, function))


def callback(name: str) -> Callable[[T], T]:
    """Register a callback class or factory, so that `ganvas train --callback NAME` can use it."""
    from ganvas.callbacks import CALLBACKS

    return decorator(CALLBACKS, name)


def features(name: str) -> Callable[[T], T]:
    """Register a feature extractor: a function (images, device) -> `ganvas.features.Extractor`."""
    from ganvas.features import EXTRACTORS

    return decorator(EXTRACTORS, name)


def recipe(recipe: Recipe) -> Recipe:
    """Register a recipe under its own name."""
    from ganvas.recipes import RECIPES

    return RECIPES.register(recipe.name, recipe)


__all__: list[Any] = ["callback", "features", "metric", "objective", "penalty", "recipe", "update_rule"]
