"""What the API server makes of an object by its CRD: defaults, structural validation, CEL rules.

A model of Kubernetes in a hundred lines, so that every test run can hold the CRDs against the Python models. A value
is refused by the path and message of each thing that is wrong with it.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import celpy
from hypothesis import strategies as st

from hybridjob.api.budgets import TIME_ZONE_PATTERN

Schema = dict[str, Any]
Refusal = tuple[str, str]
"""Path and message."""


def with_defaults(schema: Schema, value: Any) -> Any:
    """`value` with defaults filled in, parents before children."""
    if isinstance(value, list):
        return [with_defaults(schema["items"], item) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    result = dict(value)
    for name, field in schema["properties"].items():
        if name not in result and "default" in field:
            result[name] = field["default"]
        if name in result:
            result[name] = with_defaults(field, result[name])
    return result


def refusals(schema: Schema, value: Any, path: str = "") -> Iterator[Refusal]:
    """Everything that is wrong with a value whose defaults are filled in. As on the server, the rules of an object are
    evaluated only when its shape is right."""
    shape = list(_shape_refusals(schema, value))
    yield from ((path, message) for message in shape)
    if isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            if name in value:
                yield from refusals(field, value[name], f"{path}.{name}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from refusals(schema["items"], item, f"{path}[{position}]")
    if not shape:
        for rule in schema.get("x-kubernetes-validations", []):
            if "oldSelf" not in rule["rule"] and not evaluate(rule["rule"], value):
                yield path, rule["message"]


_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": int | float}


def _shape_refusals(schema: Schema, value: Any) -> Iterator[str]:
    kind = schema["type"]
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"type {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield "enum"
    size = len(value) if isinstance(value, str | list | dict) else value
    for keyword in ("minimum", "minLength", "minItems", "minProperties"):
        if keyword in schema and size < schema[keyword]:
            yield keyword
    for keyword in ("maximum", "maxLength", "maxItems", "maxProperties"):
        if keyword in schema and size > schema[keyword]:
            yield keyword
    if "pattern" in schema and not re.search(schema["pattern"].replace("$", r"\Z"), value):
        yield "pattern"
    if kind == "object":
        yield from (f"missing {name}" for name in schema.get("required", []) if name not in value)
    if schema.get("x-kubernetes-list-type") == "set" and len(set(value)) < len(value):
        yield "set"
    if schema.get("x-kubernetes-list-type") == "map":
        keys = [tuple(item.get(key) for key in schema["x-kubernetes-list-map-keys"]) for item in value]
        if len(set(keys)) < len(keys):
            yield "map"


@cache
def compiled(rule: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule))


def evaluate(rule: str, value: Any, old: Any = None) -> bool:
    """A CEL rule on a value; `old` is the value before an update."""
    context = {"self": celpy.json_to_cel(value), "oldSelf": celpy.json_to_cel(old)}
    return bool(compiled(rule).evaluate(context))


def instances(schema: Schema) -> st.SearchStrategy[Any]:
    """Values of the right shape, whatever the rules say of them."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "string" if schema.get("format") == "date-time":
            return st.just("2026-01-31T12:00:00Z")
        case "string" if schema.get("pattern") == TIME_ZONE_PATTERN:  # the models know which zones there are
            return st.sampled_from(["UTC", "Africa/Cairo"])
        case "string" if "pattern" in schema:
            return st.from_regex(re.compile(schema["pattern"].replace("$", r"\Z"), re.ASCII))
        case "string":
            return st.text("ab", min_size=schema.get("minLength", 0), max_size=min(3, schema["maxLength"]))
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case "number":
            return st.floats(allow_nan=False, allow_infinity=False)
        case "array":
            unique = schema["x-kubernetes-list-type"] == "set"
            size = min(3, schema["maxItems"])
            return st.lists(instances(schema["items"]), max_size=size, unique=unique)
        case _:
            required = schema.get("required", [])
            fields = {name: instances(field) for name, field in schema.get("properties", {}).items()}
            return st.fixed_dictionaries(
                {name: fields[name] for name in required},
                optional={name: field for name, field in fields.items() if name not in required},
            )
