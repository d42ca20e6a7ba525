"""JSON schemas of the resources, with the models' docstrings as descriptions. Editors use them as they are; the CRDs
and the reference pages are made from them."""

import ast
import inspect
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy

RESOURCES: tuple[type[HybridJob | QuantumBackendPolicy], ...] = (HybridJob, QuantumBackendPolicy)


def json_schema(resource: type[BaseModel]) -> dict[str, Any]:
    """The schema of a resource, JSON Schema 2020-12."""
    return {"$schema": GenerateJsonSchema.schema_dialect} | resource.model_json_schema(schema_generator=_Described)


def schema_files() -> Iterator[tuple[str, str]]:
    """Name and content of the schema files for editors."""
    for resource in RESOURCES:
        content = json.dumps(json_schema(resource), indent=2, ensure_ascii=False)
        yield f"{resource.__name__.lower()}.json", content + "\n"


class _Described(GenerateJsonSchema):
    """Takes descriptions from the strings below attributes.

    pydantic can do that itself (`use_attribute_docstrings`), but then every import parses the source of every model:
    half as long again, paid by each `hybridjob` command.
    """

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        result = super().model_schema(schema)
        for name, text in _attribute_docstrings(schema["cls"]):
            alias = schema["cls"].model_fields[name].alias or name
            result["properties"][alias].setdefault("description", text)
        if "description" in result:
            result["description"] = _one_line(result["description"])
        return result


def _attribute_docstrings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """The fields that have a string below them, and that string; the class's own before those of its bases."""
    for cls in model.__mro__:
        if not issubclass(cls, BaseModel) or cls is BaseModel:
            continue
        body = next(node.body for node in ast.parse(inspect.getsource(cls)).body if isinstance(node, ast.ClassDef))
        for field, text in pairwise(body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                    yield name, _one_line(docstring)


def _one_line(docstring: str) -> str:
    return " ".join(docstring.split())
