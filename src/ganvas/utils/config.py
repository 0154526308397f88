"""Configuration as frozen, typed values: what recipes, networks and optimizers are described by."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ganvas.errors import did_you_mean, shorten
from ganvas.registry import Registry, load_entry_points


class FrozenConfig(BaseModel):
    """Frozen, typed, serializable; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_booleans_for_numbers(cls, value: object, info: ValidationInfo) -> object:
        """Pydantic reads true as 1; in a recipe that is a slip."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        entries = value if isinstance(value, list | tuple) else [value]
        if annotation is not bool and any(isinstance(entry, bool) for entry in entries):
            raise ValueError("expected no true or false here")
        return value


class KindConfig(FrozenConfig):
    """One of several kinds of a component; `kind` names the subclass in JSON.

    A component of one's own is a subclass with a default `kind`: defining the class registers it. A base
    class of kinds has no default and a `kinds` of its own; `default_kind` is taken where JSON names none.
    """

    kind: str = ""
    kinds: ClassVar[Registry[type[KindConfig]]]
    default_kind: ClassVar[str | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Register a new subclass under its kind."""
        kind = cls.model_fields["kind"].default
        if kind:
            cls.kinds.register(kind, cls)

    @model_validator(mode="wrap")
    @classmethod
    def _by_kind(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Validate a dictionary as the subclass that its `kind` names."""
        if cls.model_fields["kind"].default or not isinstance(value, dict):
            return handler(value)
        kind = value.get("kind", cls.default_kind)
        if isinstance(kind, str) and kind not in cls.kinds:
            load_entry_points()
        if not isinstance(kind, str) or kind not in cls.kinds:
            text = shorten(repr(kind))
            raise ValueError(f"unknown {cls.kinds.kind} kind {text}; {did_you_mean(str(kind), cls.kinds)}")
        return cls.kinds[kind].model_validate(value)  # type: ignore[return-value]
