"""What users are told of files that are wrong. The files of tests/data/manifests are the specification."""

import copy
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from hybridjob.api import errors
from hybridjob.api.errors import did_you_mean, path_of, shown
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.manifests import ConfigMap, FieldError, ManifestError, Secret, load_files
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.yaml_source import MAX_BYTES
from hybridjob.cli.validate import validate
from hybridjob.contract.problems import PARAMETERS, SHAPES, NoParameters

DATA = Path(__file__).parents[1] / "data" / "manifests"
NAMES = sorted(path.stem for path in (DATA / "input").iterdir())

JOB: dict[str, Any] = {
    "apiVersion": "hybridjob.dev/v1alpha1",
    "kind": "HybridJob",
    "metadata": {"name": "job", "labels": {"a": "b"}},
    "spec": {
        "policyName": "free",
        "problem": {
            "type": "FeatureSelection",
            "inline": {"columns": ["a", "b", "y"], "rows": [[1, 2, "yes"], [3, 4, "no"]]},
            "parameters": {"target": "y", "select": 1},
        },
        "prepare": [{"standardize": {}}, {"pca": {"components": 2}}],
        "quantum": {"sdk": "Auto", "algorithm": "QAOA", "backends": ["aer"], "shots": 10, "layers": 1},
        "classical": {"algorithm": "Auto"},
        "routing": {"strategy": "QuantumFirst"},
        "limits": {"maxCost": "1.5", "currency": "USD", "queueDeadlineSeconds": 10},
        "fallback": {"on": ["SolverFailed"], "maxAttempts": 2},
        "acceptance": {"feasible": True, "minImprovementOverBaseline": "0.1"},
        "cancel": False,
    },
}
RATE_CARD = {"formula": "PerSecond", "currency": "USD", "perSecond": "1", "validUntil": "2026-01-01T00:00:00Z"}
POLICY: dict[str, Any] = {
    "apiVersion": "hybridjob.dev/v1alpha1",
    "kind": "QuantumBackendPolicy",
    "metadata": {"name": "free"},
    "spec": {
        "default": True,
        "backends": [
            {"name": "aer", "kind": "Simulator", "sdk": "Qiskit", "qubits": 20, "rateCard": RATE_CARD},
            {"name": "noisy", "kind": "NoisySimulator", "sdk": "Qiskit", "qubits": 7, "snapshot": "FakeLagosV2"},
        ],
        "classical": {"resources": {"memory": "4Gi"}},
        "budgets": [{"name": "all", "limit": "10", "currency": "USD"}],
    },
}


def errors_of(*paths: Path) -> list[FieldError]:
    with pytest.raises(ManifestError) as caught:
        load_files(paths)
    return caught.value.errors


def errors_in(directory: Path, content: str | bytes) -> list[FieldError]:
    file = directory / "job.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return errors_of(file)


@pytest.mark.parametrize("name", NAMES)
def test_golden_files(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DATA / "input")
    result = CliRunner().invoke(validate, [f"{name}.yaml"])
    assert result.stderr == (DATA / "output" / f"{name}.txt").read_text(encoding="utf-8")
    assert result.exit_code == 2
    assert not result.stdout


def test_every_input_has_an_output() -> None:
    assert sorted(path.stem for path in (DATA / "output").iterdir()) == NAMES


def test_errors_of_all_files_come_at_once_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DATA / "input")
    files = [Path("wrong_types.yaml"), tmp_path / "missing.yaml", Path("empty.yaml"), Path("negative_shots.yaml")]
    found = errors_of(*files)
    assert list(dict.fromkeys(error.file for error in found)) == [str(file) for file in files]


def test_an_error_reads_as_a_sentence() -> None:
    error = FieldError("job.yaml", 12, "spec.limits.maxCost", "1.5", 'must be a quoted decimal string such as "12.50"')
    assert str(error) == (
        'job.yaml:12: spec.limits.maxCost: found 1.5; must be a quoted decimal string such as "12.50"'
    )
    assert str(ManifestError([error, error])) == f"{error}\n{error}"


# What no editor would show.


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"a: \xff\xfe", 1, "must be UTF-8 text"),
        ("a: b".encode("utf-16"), 1, "must be UTF-8 text"),
        (bytes(range(256)), 2, "must be UTF-8 text"),
        (b"a: 1\nb: \x00", 2, "control characters need an escape"),
        (b"a: 1\nb: \x1b[31m", 2, "control characters need an escape"),
        (b"#" + b"a" * MAX_BYTES, 0, "must be at most 4 MiB"),
        (b"a" * 10_000_000, 0, "must be at most 4 MiB"),
        (b"[" * 4_000_000, 1, "must be nested less deeply"),
        (b"- " * 2_000_000, 1, "must be nested less deeply"),
        (b"{a: " * 1_000_000, 1, "must be nested less deeply"),
        (b"---\n" * 1_000_000, 1001, "must be split into several files"),
        (b"a: [" + b".nan," * 800_000 + b"]", 1, "must be a finite number"),
        (b"a: 1\n" * 800_000, 2, "must be unique"),
        (b"a: " + b"9" * 4_000_000, 1, "must be an integer of 64 bits"),
        (b"a: &a [x]\nb: [" + b"*a," * 1_000_000 + b"]", 2, "must be written with fewer aliases"),
        (b"a: *b", 1, "must come after the end of &b"),
        (b"? [a]\n: b", 1, "must have strings as keys"),
    ],
    ids=lambda part: part[:24] if isinstance(part, bytes) else "",
)  # fmt: skip
def test_hostile_input_is_refused(tmp_path: Path, content: bytes, line: int, words: str) -> None:
    found = errors_in(tmp_path, content)
    assert found[0].line == line
    assert words in found[0].must
    assert len(found) <= errors.MAX_COMPLAINTS + 2
    assert max(len(str(error)) for error in found) < 1000


def test_a_directory_and_a_missing_file(tmp_path: Path) -> None:
    directory, missing = errors_of(tmp_path, tmp_path / "missing.yaml")
    assert directory.must == "must be a readable file: Is a directory"
    assert missing.must == "must be a readable file: No such file or directory"
    assert (directory.line, missing.line) == (0, 0)


def test_a_million_wrong_cells_are_a_short_message(tmp_path: Path) -> None:
    job = copy.deepcopy(JOB)
    job["spec"]["problem"]["inline"]["rows"] = [[None, None, None]] * 1000
    found = errors_in(tmp_path, yaml.dump(job, Dumper=_PlainDumper))
    assert len(found) == errors.MAX_COMPLAINTS + 1
    assert found[-1].found == f"{2 * (3000 - errors.MAX_COMPLAINTS)} more errors"


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def test_validate_says_what_is_there_when_all_is_well(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump_all([JOB, POLICY]))
    result = CliRunner().invoke(validate, [str(file)])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "valid: 1 HybridJob, 1 policy\n", "")


# No sentence but ours.

MODELS: list[type[BaseModel]] = [
    HybridJob, QuantumBackendPolicy, ConfigMap, Secret, NoParameters, *SHAPES.values(), *PARAMETERS.values()
]  # fmt: skip

RAISED_BY = {
    "model": {"model_type"},
    "model-fields": {"missing", "extra_forbidden"},
    "str": {"string_type"},
    "int": {"int_type"},
    "float": {"float_type", "finite_number"},
    "bool": {"bool_type"},
    "list": {"list_type"},
    "tuple": {"tuple_type", "missing", "too_long"},
    "dict": {"dict_type"},
    "literal": {"literal_error"},
    "ge": {"greater_than_equal"},
    "le": {"less_than_equal"},
    "lt": {"less_than"},
    "pattern": {"string_pattern_mismatch"},
}
"""pydantic's error types, by the part of a core schema that raises them in strict mode."""
SILENT = {
    *("model-field", "default", "nullable", "union", "any", "definitions", "definition-ref"),
    # Their own validators come first, and raise our words or ValueError.
    *("function-before", "function-after", "function-plain", "no-info", "decimal", "datetime"),
}


def schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Every core schema in a core schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("type"), str):
            yield schema
        for name, part in schema.items():
            if name not in ("metadata", "serialization", "config", "expected", "default", "cls"):
                yield from schemas(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from schemas(part)


def raised(schema: dict[str, Any]) -> set[str]:
    """The error types that one core schema can raise."""
    kind = schema["type"]
    if kind in SILENT:
        return set()
    bounds = [name for name in ("ge", "le", "lt", "pattern") if name in schema]
    text = "string_" if kind == "str" else ""
    sizes = {"min_length": f"{text}too_short", "max_length": f"{text}too_long"}
    return set().union(
        RAISED_BY.get(kind, {f"an unknown {kind}"}),
        *(RAISED_BY[bound] for bound in bounds),
        (error for name, error in sizes.items() if name in schema),
    )


@pytest.mark.parametrize("model", MODELS)
def test_every_error_that_a_model_can_raise_has_a_sentence(model: type[BaseModel]) -> None:
    composed = {"string_type", "string_pattern_mismatch", "literal_error", "extra_forbidden"}
    types: set[str] = set().union(*map(raised, schemas(model.__pydantic_core_schema__)))
    assert types - errors._SENTENCES.keys() - composed == set()


def test_every_pattern_has_a_sentence() -> None:
    inputs = {
        schema["pattern"]
        for model in MODELS
        for schema in schemas(model.__pydantic_core_schema__)
        if schema["type"] == "str" and "pattern" in schema
    }
    written_by_the_operator = {r"^[A-Za-z]([A-Za-z0-9_]*)$"}
    assert inputs - written_by_the_operator <= errors._PATTERNS.keys()


PYDANTIC = re.compile(
    r"Input|Field required|[Vv]alue error|not permitted|pydantic|should|valid (string|integer|number)"
)
JUNK = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=80) | st.just([])
    | st.just({}) | st.just({"": {}}) | st.just([[]]) | st.just([1, "a", None]) | st.just("Qiskit") | st.just("-0.1")
)  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key in a value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [pair for key in keys for pair in [(value, key), *places(value[key])]]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_words_of_pydantic_reach_the_user(data: st.DataObject, tmp_path: Path) -> None:
    objects = copy.deepcopy([JOB, POLICY])
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from([place for each in objects for place in places(each)]))
        match data.draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                container[key] = copy.deepcopy(data.draw(JUNK))
            case "remove":
                del container[key]
            case _ if isinstance(container, dict):
                container[data.draw(st.text(max_size=8))] = copy.deepcopy(data.draw(JUNK))
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    try:
        load_files([file])
    except ManifestError as error:
        for each in error.errors:
            assert each.line >= 1
            assert re.search(r"\b(must|may not|may only)\b", each.must), each
            assert not PYDANTIC.search(each.must), each


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.text("ab:-{}[]&*!|>'\"%@`#?,.\n\t 019<~", max_size=60).map(str.encode))
def test_garbage_raises_nothing_else(content: bytes, tmp_path: Path) -> None:
    assert errors_in(tmp_path, content)


# The parts.


def test_paths() -> None:
    assert path_of(("spec", "edges", 3, 1)) == "spec.edges[3][1]"
    assert path_of(("data", "graph.txt")) == 'data["graph.txt"]'
    assert len(path_of(("a" * 10_000,))) < 200


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ("a\nb", '"a…"'),
        ("a" * 100, '"' + "a" * 57 + '…"'),
        ([1, 2], "[1, 2]"),
        (list(range(100)), "a list of 100"),
        ({"a": 1, "b": {}}, "{a, b}"),
        ({str(n): n for n in range(100)}, "an object with 100 fields"),
    ],
)
def test_found(value: Any, text: str) -> None:
    assert shown(value) == text


def test_suggestions() -> None:
    assert did_you_mean("max_cost", ["maxCost", "currency"]) == "; did you mean maxCost?"
    assert did_you_mean("QUBO", ["Qubo"]) == "; did you mean Qubo?"
    assert did_you_mean("zzz", ["Qubo"]) == ""


def test_loading_stays_quick_to_import() -> None:
    """Each command pays for it, so no library beyond these."""
    code = "import sys, hybridjob.api.manifests as m; print(*{n.partition('.')[0] for n in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"click", "numpy", "rich", "asyncio", "sqlite3", "celpy"} & set(loaded)
