"""The CRDs are structural, follow the Kubernetes API conventions, and are up to date."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from hybridjob.api.crds import crd_files, resource_schema
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.cli.generate import generate
from support.api_server import Schema, compiled, refusals, with_defaults
from support.command_line import EXAMPLES, REPOSITORY

CRDS = {name: yaml.safe_load(content) for name, content in crd_files()}
SCHEMAS = {
    crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for crd in CRDS.values()
}


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema in a schema, with its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


ALL = [(kind + path, node) for kind, schema in SCHEMAS.items() for path, node in nodes(schema)]
OWN = [(path, node) for path, node in ALL if re.match(r"\w+\.(spec|status)", path)]
"""The fields that this project defines."""


def of_type(*types: str) -> list[tuple[str, Schema]]:
    return [(path, node) for path, node in OWN if node["type"] in types]


def missing(fields: list[tuple[str, Schema]], *keywords: str) -> list[str]:
    return [path for path, node in fields if not node.keys() >= set(keywords)]


def test_an_object_without_fields_is_a_map_or_says_that_it_is_open() -> None:
    """The labels of a namespaceSelector were pruned: their map had lost the schema of its values."""
    known = {"HybridJob.metadata", "QuantumBackendPolicy.metadata"}
    for path, node in ALL:
        if node["type"] == "object" and "properties" not in node and path not in known:
            is_marker = path.endswith((".standardize", ".minMax"))
            assert is_marker or "additionalProperties" in node or node.get("x-kubernetes-preserve-unknown-fields"), path


# Structural schemas: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/


def test_every_node_has_a_type_and_only_structural_keywords() -> None:
    allowed = {
        *("description", "type", "format", "enum", "pattern", "default", "properties", "items", "required"),
        "additionalProperties",
        *("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "minProperties", "maxProperties"),
    }
    for path, node in ALL:
        assert node["type"] in ("object", "array", "string", "integer", "number", "boolean"), path
        extra = {keyword for keyword in node if not keyword.startswith("x-kubernetes-")} - allowed
        assert not extra, (path, extra)


def test_the_server_owns_metadata() -> None:
    for schema in SCHEMAS.values():
        assert schema["properties"]["metadata"] == {"type": "object"}


def test_required_fields_and_fields_of_rules_exist() -> None:
    for path, node in ALL:
        properties = node.get("properties", {})
        assert set(node.get("required", [])) <= properties.keys(), path
        for rule in node.get("x-kubernetes-validations", []):
            here = node
            for step in rule.get("fieldPath", "").split(".")[1:]:
                here = here["properties"][step]


def test_keys_of_map_lists_are_required_scalars() -> None:
    for path, node in of_type("array"):
        for key in node.get("x-kubernetes-list-map-keys", []):
            assert node["x-kubernetes-list-type"] == "map", path
            assert key in node["items"]["required"], path
            assert node["items"]["properties"][key]["type"] in ("string", "integer"), path
        if node["x-kubernetes-list-type"] == "set":
            assert node["items"]["type"] == "string", path


def test_defaults_are_valid() -> None:
    for path, node in ALL:
        if "default" in node:
            assert not list(refusals(node, with_defaults(node, node["default"]))), path


def test_rules_compile() -> None:
    rules = [rule["rule"] for _, node in ALL for rule in node.get("x-kubernetes-validations", [])]
    assert len(rules) > 30
    for rule in rules:
        compiled(rule)


# The conventions that Kube-API-Linter checks in Go types, on the YAML that we have.


def test_everything_is_bounded() -> None:
    strings = [(p, n) for p, n in of_type("string") if "enum" not in n and n.get("format") != "date-time"]
    free_form = [(path, node) for path, node in of_type("object") if "x-kubernetes-preserve-unknown-fields" in node]
    assert not missing(strings, "maxLength")
    assert not missing(of_type("integer"), "minimum", "maximum")
    assert not missing(of_type("array"), "maxItems", "x-kubernetes-list-type")
    assert not missing(free_form, "maxProperties")


def test_integers_fit_what_json_readers_keep_exactly() -> None:
    for path, node in of_type("integer"):
        assert -(2**53) < node["minimum"] <= node["maximum"] < 2**53, path


def test_specs_hold_no_floats() -> None:
    assert not [path for path, _ in of_type("number") if ".spec" in path]


def test_everything_is_described() -> None:
    fields = [(path, node) for path, node in OWN if not path.endswith("[]")]
    assert not missing(fields, "description")


def test_enums_are_camel_case() -> None:
    for path, node in OWN:
        for word in node.get("enum", []):
            assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", word), (path, word)


def test_names_follow_the_conventions() -> None:
    for path, node in OWN:
        name = path.rpartition(".")[2].removesuffix("[]")
        assert re.fullmatch(r"[a-z][A-Za-z0-9]*", name), path
        assert name != "phase", path
        assert not name.endswith(("Stamp", "Duration", "Timeout", "Deadline")), path
        if node.get("format") == "date-time":
            assert name.endswith("Time") or name in ("time", "validFrom", "validUntil", "nextOpen", "nextClose"), path


def test_conditions_come_first_in_the_status() -> None:
    for schema in SCHEMAS.values():
        conditions = schema["properties"]["status"]["properties"]["conditions"]
        assert next(iter(schema["properties"]["status"]["properties"])) == "conditions"
        assert conditions["maxItems"] == 8
        assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_the_status_has_no_defaults() -> None:
    assert not [path for path, node in OWN if ".status" in path and "default" in node]


def test_messages_say_what_must_hold() -> None:
    for path, node in ALL:
        for rule in node.get("x-kubernetes-validations", []):
            assert re.search(r"must|may (not|only)|is immutable|cannot", rule["message"]), path


def test_a_crd_fits_into_one_request() -> None:
    assert all(len(content) < 256 * 1024 for _, content in crd_files())


# What users see.


def test_names_scopes_and_columns() -> None:
    jobs, policies = (crd["spec"] for crd in CRDS.values())
    assert (jobs["scope"], jobs["names"]["shortNames"], jobs["names"]["categories"]) == ("Namespaced", ["hj"], ["all"])
    assert (policies["scope"], policies["names"]["shortNames"]) == ("Cluster", ["qbp"])
    columns = jobs["versions"][0]["additionalPrinterColumns"]
    assert [c["name"] for c in columns if "priority" not in c] == [
        *("State", "Route", "Backend", "Objective", "Cost", "Age")
    ]
    assert [c["name"] for c in columns if "priority" in c] == ["Policy", "Attempts", "Reason"]
    columns = policies["versions"][0]["additionalPrinterColumns"]
    assert [c["name"] for c in columns if "priority" not in c] == ["Ready", "Open", "Least left", "Age"]


def test_columns_name_fields_of_their_type() -> None:
    for crd in CRDS.values():
        version = crd["spec"]["versions"][0]
        assert version["subresources"] == {"status": {}}
        by_path = dict(nodes(version["schema"]["openAPIV3Schema"]))
        for column in version["additionalPrinterColumns"]:
            path = re.sub(r"\[(\*|-1:|\?[^]]*)\]", "[]", column["jsonPath"])
            if column["type"] != "date":
                assert by_path[path]["type"] == column["type"], column


@pytest.mark.parametrize("file", sorted([*EXAMPLES.glob("*.yaml"), *EXAMPLES.glob("policies/*.yaml")]), ids=str)
def test_the_api_server_takes_every_example(file: Path) -> None:
    for document in yaml.safe_load_all(file.read_text()):
        if document["kind"] in SCHEMAS:
            schema = SCHEMAS[document["kind"]]
            assert not list(refusals(schema, with_defaults(schema, document)))


def test_defaults_are_those_of_the_models() -> None:
    """An object that the API server filled in means the same as one that the command line read."""
    objects: list[tuple[Any, dict[str, Any]]] = [
        (HybridJob, {"problem": {"type": "MaxCut", "uri": "graph.json"}, "quantum": {}}),
        (QuantumBackendPolicy, {"backends": [{"name": "a", "kind": "Simulator", "sdk": "Cirq", "qubits": 1}]}),
    ]
    for model, spec in objects:
        body = {"apiVersion": "hybridjob.dev/v1alpha1", "kind": model.__name__, "metadata": {"name": "a"}, "spec": spec}
        filled = with_defaults(resource_schema(model), body)
        assert filled != body
        assert model.model_validate(filled) == model.model_validate(body)


# The generated files.


@pytest.mark.parametrize("what", ["crds", "schemas", "docs"])
def test_generated_files_are_up_to_date(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    result = CliRunner().invoke(generate, [what, "--check"])
    assert result.exit_code == 0, result.output


def test_check_names_the_files_that_differ(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(generate, ["crds", "--output", str(tmp_path)]).exit_code == 0
    assert run(generate, ["crds", "--output", str(tmp_path), "--check"]).exit_code == 0
    changed, kept = sorted(tmp_path.iterdir())
    changed.write_text("changed")
    result = run(generate, ["crds", "--output", str(tmp_path), "--check"])
    assert result.exit_code == 1
    assert changed.name in result.output
    assert kept.name not in result.output
    assert changed.read_text() == "changed"
