"""Types that the resources share: money, time, metadata, conditions, rules."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from hybridjob.contract.base import Model

MONEY_PATTERN = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,6})?$"
SIGNED_RATIO_PATTERN = r"^-?(0|[1-9][0-9]{0,5})(\.[0-9]{1,6})?$"
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
OBJECT_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
LABEL_VALUE_PATTERN = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
IMAGE_PATTERN = r"^[a-z0-9][a-zA-Z0-9._/:@-]*$"
RELATIVE_PATH_PATTERN = r"^([^/.][^/]*|\.[^/.][^/]*|\.\.[^/]+)(/([^/.][^/]*|\.[^/.][^/]*|\.\.[^/]+))*$"
CPU_PATTERN = r"^([1-9][0-9]{0,5}m|[1-9][0-9]{0,3})$"
MEMORY_PATTERN = r"^[1-9][0-9]{0,8}(Mi|Gi)$"


def _decimal_parser(pattern: str, example: str) -> Callable[[Any], Decimal]:
    def parse(value: Any) -> Decimal:
        if isinstance(value, Decimal):
            return value
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return Decimal(value)
        raise PydanticCustomError(
            "decimal_string", "must be a quoted decimal string such as {example}", {"example": f'"{example}"'}
        )

    return parse


def _format_decimal(value: Decimal) -> str:
    return format(value, "f")


Money = Annotated[
    Decimal,
    BeforeValidator(_decimal_parser(MONEY_PATTERN, "12.50")),
    PlainSerializer(_format_decimal),
    WithJsonSchema({"type": "string", "pattern": MONEY_PATTERN, "maxLength": 20}),
]
"""An amount or a rate: a decimal string with at most 6 fraction digits on the wire, a Decimal in code; no floats."""

SignedRatio = Annotated[
    Decimal,
    BeforeValidator(_decimal_parser(SIGNED_RATIO_PATTERN, "0.05")),
    PlainSerializer(_format_decimal),
    WithJsonSchema({"type": "string", "pattern": SIGNED_RATIO_PATTERN, "maxLength": 16}),
]
"""A ratio as a decimal string; may be negative."""


_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})", re.ASCII)


def _parse_timestamp(value: Any) -> datetime:
    if isinstance(value, str):
        # fromisoformat takes more than RFC 3339, and the API server does not.
        try:
            value = datetime.fromisoformat(value) if _RFC_3339.fullmatch(value) else None
        except ValueError:
            value = None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise PydanticCustomError("timestamp", "must be an RFC 3339 time with a zone, such as 2026-01-31T12:00:00Z")
    return value.astimezone(UTC)


def format_timestamp(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    datetime,
    BeforeValidator(_parse_timestamp),
    PlainSerializer(format_timestamp),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]

Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
"""A count; beyond 2^53 readers of JSON begin to round."""
CURRENCY_PATTERN = r"^([A-Z]{3}|QPUSeconds|Shots|Tasks)$"
Currency = Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN), Field(json_schema_extra={"maxLength": 10})]
"""An ISO 4217 code; or HQC, QPUSeconds, Shots or Tasks, which are counted like money and never converted."""
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, min_length=1, max_length=63)]
"""A DNS label (RFC 1123)."""
Memory = Annotated[str, StringConstraints(pattern=MEMORY_PATTERN, max_length=11)]
"""A Kubernetes quantity of memory in Mi or Gi."""
Cpu = Annotated[str, StringConstraints(pattern=CPU_PATTERN, max_length=7)]
"""A Kubernetes quantity of processor time: cores, or thousandths of a core with an m."""
LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=317)]
"""A label's key, with its optional prefix."""
Image = Annotated[str, StringConstraints(pattern=IMAGE_PATTERN, min_length=1, max_length=512)]
"""A container image, best pinned by its digest."""
LabelValue = Annotated[str, StringConstraints(pattern=LABEL_VALUE_PATTERN, max_length=63)]
"""A label's value."""


def memory_bytes(quantity: str) -> int:
    """The bytes of a Memory quantity."""
    return int(quantity[:-2]) * (2**20 if quantity.endswith("Mi") else 2**30)


@dataclass(frozen=True)
class Rule:
    """A rule that spans fields. One message, and two ways to test it that must agree: `holds` in Python, for the
    command line, and `cel` in the CRD, for the API server."""

    cel: str
    message: str
    holds: Callable[[Any], bool]
    field: str = ""
    """The field to blame, in its JSON name; empty for the object itself."""


@dataclass(frozen=True)
class TransitionRule:
    """A rule about an update: only the API server can test it."""

    cel: str
    message: str


class Resource(Model):
    """A model with rules; they become `x-kubernetes-validations` in the CRD."""

    rules: ClassVar[tuple[Rule, ...]] = ()
    transition_rules: ClassVar[tuple[TransitionRule, ...]] = ()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        failures = [(rule.field, rule.message) for rule in self.rules if not rule.holds(self)]
        if failures:
            message = "; ".join(message for _, message in failures)
            raise PydanticCustomError("rule", "{message}", {"message": message, "failures": failures})
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        validations = [
            {"rule": rule.cel, "message": rule.message} | ({"fieldPath": f".{rule.field}"} if rule.field else {})
            for rule in cls.rules
        ]
        validations += [{"rule": rule.cel, "message": rule.message} for rule in cls.transition_rules]
        if validations:
            handler.resolve_ref_schema(schema)["x-kubernetes-validations"] = validations
        return schema


def list_of(list_type: Literal["atomic", "set", "map"], max_items: int, *keys: str) -> Any:
    """The `Field` of a list: every list in a CRD is bounded and says how it merges."""
    extra: dict[str, Any] = {"x-kubernetes-list-type": list_type}
    if keys:
        extra["x-kubernetes-list-map-keys"] = list(keys)
    return Field(max_length=max_items, json_schema_extra=extra)


class ObjectMeta(Model):
    """The part of `metadata` that this project reads; the rest of Kubernetes' fields pass unread."""

    name: Annotated[str, StringConstraints(pattern=OBJECT_NAME_PATTERN, min_length=1, max_length=253)]
    namespace: Name | None = None
    uid: Annotated[str, StringConstraints(max_length=64)] | None = None
    generation: int = 1
    resource_version: str | None = None
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    generate_name: Any = None
    owner_references: Any = None
    finalizers: Any = None
    managed_fields: Any = None
    deletion_grace_period_seconds: Any = None
    self_link: Any = None


class Condition(Model):
    """metav1.Condition."""

    type: Annotated[str, StringConstraints(max_length=316)]
    """What the condition is about."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    observed_generation: Count = 0
    """The metadata.generation that it was found for."""
    last_transition_time: Timestamp
    """When its status last changed."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_]*)$")]
    """One word: why."""
    message: Annotated[str, StringConstraints(max_length=32768)] = ""
    """One sentence for people."""
