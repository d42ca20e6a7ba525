"""What good files hold, and how YAML is read."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridjob.api.manifests import Manifests, load_files
from hybridjob.api.yaml_source import read_documents
from hybridjob.contract.problems import MaxCut
from support.command_line import EXAMPLES

JOB = """\
apiVersion: hybridjob.dev/v1alpha1
kind: HybridJob
metadata: {name: ring}
spec:
  problem:
    type: MaxCut
    inline: {nodes: 3, edges: [[0, 1, 1.0], [1, 2, 2]]}
"""


def load(directory: Path, *contents: str) -> Manifests:
    paths = [directory / f"{position}.yaml" for position in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content, encoding="utf-8")
    return load_files(paths)


def parse(text: str) -> Any:
    """The one document of a text."""
    ((document,), errors) = read_documents("text", text.encode())
    assert not errors
    return document.value


def test_a_job_is_typed_and_its_problem_is_parsed(tmp_path: Path) -> None:
    manifests = load(tmp_path, JOB)
    (job,) = manifests.jobs
    assert (job.metadata.namespace, job.metadata.name) == ("default", "ring")
    assert manifests.problems["default", "ring"] == MaxCut(nodes=3, edges=[(0, 1, 1.0), (1, 2, 2.0)])
    assert manifests.sources["default", "ring"].directory == tmp_path


def test_one_file_may_hold_everything(tmp_path: Path) -> None:
    manifests = load(
        tmp_path,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: graphs}\ndata: {line: '2 1\n\n1 2'}\n---\n"
        "apiVersion: v1\nkind: Secret\nmetadata: {name: token}\ndata: {key: c2VjcmV0}\n---\n"
        "apiVersion: hybridjob.dev/v1alpha1\nkind: QuantumBackendPolicy\nmetadata: {name: free}\nspec: {}\n---\n"
        "apiVersion: hybridjob.dev/v1alpha1\nkind: HybridJob\nmetadata: {name: line}\nspec:\n  problem:\n"
        "    {type: MaxCut, format: EdgeList, configMapKeyRef: {name: graphs, key: line}}\n",
        JOB,
    )
    assert [job.metadata.name for job in manifests.jobs] == ["line", "ring"]
    assert [policy.metadata.name for policy in manifests.policies] == ["free"]
    assert manifests.config_maps["default", "graphs"] == {"line": "2 1\n1 2"}
    assert manifests.problems["default", "line"] == MaxCut(nodes=2, edges=[(0, 1, 1.0)])


def test_json_is_yaml(tmp_path: Path) -> None:
    assert load(tmp_path, json.dumps(yaml.safe_load(JOB), indent="\t")).jobs


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(JOB.encode())))
    manifests = load_files([Path("-")])
    assert manifests.sources["default", "ring"].directory == Path()


def test_an_object_that_was_printed_can_be_read_again(tmp_path: Path) -> None:
    """`status`, and metadata that the API server wrote, stand in the way of nothing."""
    written = yaml.safe_load(JOB) | {"status": {"state": "Succeeded", "unknown": 1}}
    written["metadata"] |= {
        "uid": "1",
        "generation": 2,
        "creationTimestamp": "2026-01-31T12:00:00Z",
        "managedFields": [{"manager": "kubectl"}],
        "ownerReferences": [{"kind": "Workflow"}],
    }
    (job,) = load(tmp_path, yaml.safe_dump(written)).jobs
    assert job.status is None


def test_one_name_in_two_namespaces(tmp_path: Path) -> None:
    manifests = load(tmp_path, JOB, JOB.replace("{name: ring}", "{name: ring, namespace: research}"))
    assert sorted(manifests.sources) == [("default", "ring"), ("research", "ring")]


def test_relative_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "job.yaml").write_text(JOB)
    assert load_files([tmp_path / "jobs" / "job.yaml"]).sources["default", "ring"].directory == tmp_path / "jobs"


def test_data_that_only_a_solver_can_read_passes_unread(tmp_path: Path) -> None:
    inline = "MaxCut\n    inline: {nodes: 3, edges: [[0, 1, 1.0], [1, 2, 2]]}"
    manifests = load(tmp_path, JOB.replace(inline, "Circuit\n    text: qubit q;"))
    assert manifests.jobs
    assert not manifests.problems


@pytest.mark.parametrize("file", sorted([*EXAMPLES.glob("*.yaml"), *EXAMPLES.glob("policies/*.yaml")]), ids=str)
def test_every_example_is_valid(file: Path) -> None:
    manifests = load_files([file])
    assert manifests.jobs or manifests.policies


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{on: [yes, no, off, y]}", {"on": ["yes", "no", "off", "y"]}),
        ("[true, True, FALSE]", [True, True, False]),
        ("[null, ~, Null, ]", [None, None, None]),
        ("[1, -2, +3, 007, 0o17, 0x1F]", [1, -2, 3, 7, 15, 31]),
        ("[1.5, -.5, 1e3, 2.]", [1.5, -0.5, 1000.0, 2.0]),
        ("[1_000, 1:30, 0b1, 2026-01-31, NaN]", ["1_000", "1:30", "0b1", "2026-01-31", "NaN"]),
        ("['1', \"true\", '~']", ["1", "true", "~"]),
        ("!!str 12", "12"),
        ("[&a {b: 1}, *a]", [{"b": 1}, {"b": 1}]),
        ("{a: &a {x: 1, y: 2}, b: {<<: *a, y: 3}}", {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}),
        ("{'<<': 1}", {"<<": 1}),
        ("\ufeffa: ü", {"a": "ü"}),
    ],
)  # fmt: skip
def test_yaml_1_2(text: str, value: Any) -> None:
    parsed = parse(text)
    assert parsed == value
    assert repr(parsed) == repr(value)


# Without the characters that JSON writes as two escapes, which libyaml does not join.
TEXT = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]))
# YAML allows a key on one line 1,024 characters, and JSON may write one of them as six.
KEY = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=160)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(JSON.filter(lambda value: value is not None), st.sampled_from([None, 2]))
def test_json_means_the_same_read_as_yaml(value: Any, indent: int | None) -> None:
    assert parse(json.dumps(value, indent=indent)) == value


def test_lines() -> None:
    text = "a: 1\nb:\n  - x\n  -\n    y: |\n      z\nc: {d: 1,\n  e: [1,\n   2]}\n"
    ((document,), _) = read_documents("text", text.encode())
    expected = {
        (): 1, ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 5, ("b", 1, "y"): 5, ("c", "d"): 7, ("c", "e"): 8,
        ("c", "e", 1): 9, ("b", 2): 2, ("c", "f", "g"): 7, ("a", "b"): 1, ("b", "x"): 2,
    }  # fmt: skip
    assert {loc: document.line_of(loc) for loc in expected} == expected


def test_lines_of_a_second_document() -> None:
    _, second = read_documents("text", b"a: 1\n---\n# comment\nb: 2\n")[0]
    assert second.line_of(("b",)) == 4
