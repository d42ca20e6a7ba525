"""Bad input on every surface: exit status 2, a message that says where and what must hold, and nothing started."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.command_line import CommandLine, hybridjob, policy, ring, write_manifests

GOOD = hybridjob("good", problem=ring(4))
COVARIANCE = [[0.1, 0.2], [0.3, 0.1]]

CIRCUIT = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\nh q[0];\n'


def job(**spec: Any) -> str:
    return yaml.safe_dump(hybridjob(**spec))


def problem(type_: str, text: str | None = None, **fields: Any) -> str:
    source = {"text": text} if text is not None else {}
    return job(problem={"type": type_, **source, **fields})


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    # name: (content of the file, part of the message)
    "empty": ("", "must hold at least one object"),
    "truncated": (job(problem=ring(4))[:-30] + "\n  [", "must be YAML"),
    "binary": (bytes(range(256)), "must be"),
    "wrong kind": ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n", "must be one of HybridJob"),
    "list instead of object": ("- 1\n- 2\n", "must be an object"),
    "string for a number": (job(problem=ring(4), quantum={"shots": "many"}), "must be an integer"),
    "number for money": (job(problem=ring(4), limits={"maxCost": 1.5, "currency": "USD"}), "quoted decimal string"),
    "NaN": (job(problem={"type": "MaxCut", "inline": {"nodes": 2, "edges": [[0, 1, float("nan")]]}}), "finite"),
    "infinity": (job(problem={"type": "MaxCut", "inline": {"nodes": 2, "edges": [[0, 1, float("inf")]]}}), "finite"),
    "ten megabytes": ("# " + "x" * 10_000_000, "at most 4 MiB"),
    "duplicate keys": (job(problem=ring(4)) + "kind: HybridJob\n", "must be unique"),
    "anchors bomb": (BOMB, "fewer aliases"),
    "unknown field": (job(problem=ring(4), quantum={"shotz": 5}), "did you mean shots?"),
    "negative shots": (job(problem=ring(4), quantum={"shots": -5}), "must be at least 1"),
    "two sources": (problem("MaxCut", "2 1\n1 2 1", inline=ring(2)["inline"]), "exactly one source"),
    "no source": (problem("MaxCut"), "exactly one source"),
    "wrong format": (problem("MaxCut", "x", format="LP"), "must be Json or EdgeList"),
    "edge to nowhere": (
        job(problem={"type": "MaxCut", "inline": {"nodes": 2, "edges": [[0, 5, 1.0]]}}),
        "must be below 2",
    ),
    "edge list with a wrong count": (problem("MaxCut", "3 5\n1 2 1\n", format="EdgeList"), "announces 5 edges"),
    "asymmetric covariance": (
        job(
            problem={
                "type": "Portfolio",
                "inline": {"expectedReturns": [1, 2], "covariance": COVARIANCE, "select": 1, "riskAversion": 1},
            }
        ),
        "must be symmetric",
    ),
    "target that is no column": (
        job(
            problem={
                "type": "FeatureSelection",
                "text": "a,b\n1,2\n2,3\n",
                "format": "CSV",
                "parameters": {"target": "c", "select": 1},
            }
        ),
        "must be a column",
    ),
    "unreadable circuit": (problem("Circuit", "OPENQASM 3.0;\nqubit[2] q;\nfoo q[0];\n"), "spec.problem"),
    "circuit without measurement": (problem("Circuit", CIRCUIT), "measure"),
    "observable of another size": (
        problem("Expectation", CIRCUIT, parameters={"observable": [["ZZZ", 1.0]]}),
        "spec.problem",
    ),
    "unreadable LP": (problem("BinaryProgram", "this is no linear program"), "spec.problem"),
    "unreadable MPS": (problem("BinaryProgram", "NAME\nROWS\n ???", format="MPS"), "spec.problem"),
    "continuous variable": (
        problem("BinaryProgram", "Maximize\n x\nSubject To\n c: x <= 1.5\nEnd\n"),
        "spec.problem",
    ),
    "no such file behind the uri": (problem("MaxCut", uri="missing.txt", format="EdgeList"), "missing.txt"),
    "no such ConfigMap": (
        job(problem={"type": "MaxCut", "configMapKeyRef": {"name": "none", "key": "k"}}),
        "must be a ConfigMap",
    ),
    "policy that does not exist": (
        yaml.safe_dump_all([policy(name="there"), hybridjob(policyName="their", problem=ring(4))]),
        "did you mean there?",
    ),
    "prepare without a table": (job(problem=ring(4), prepare=[{"standardize": {}}]), "only be used with problems"),
    "more components than columns": (
        job(
            problem={
                "type": "FeatureSelection",
                "text": "a,b,c\n1,2,0\n2,3,1\n3,1,0\n",
                "format": "CSV",
                "parameters": {"target": "c", "select": 1},
            },
            prepare=[{"pca": {"components": 9}}],
        ),
        "spec.problem",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_run_refuses_a_bad_file_and_starts_nothing(name: str, hybridjob_command: CommandLine, tmp_path: Path) -> None:
    content, message = BAD_FILES[name]
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(content if isinstance(content, bytes) else content.encode())
    good = write_manifests(tmp_path / "good.yaml", GOOD)
    outcome = hybridjob_command("run", good, bad, "-o", "json")
    assert outcome.status == 2
    assert message in outcome.stderr
    assert "bad.yaml" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert "pydantic" not in outcome.stderr
    assert outcome.stdout == ""
    assert not (hybridjob_command.state / "state.db").exists()


def test_validate_and_explain_say_the_same(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(problem("Circuit", CIRCUIT))
    said = [hybridjob_command(command, bad) for command in ("run", "validate", "explain")]
    assert {outcome.status for outcome in said} == {2}
    assert len({outcome.stderr for outcome in said}) == 1


def test_every_error_of_every_file_is_said_at_once(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(job(problem=ring(4), quantum={"shots": 0, "layers": 99}))
    manifests = [
        hybridjob("kind", problem={"type": "MaxCat", "text": "x"}),
        hybridjob("data", problem={"type": "MaxCut", "inline": {"nodes": 2, "edges": [[0, 5, 1.0]]}}),
        hybridjob("circuit", problem={"type": "Circuit", "text": CIRCUIT}),
        hybridjob("reference", problem={"type": "MaxCut", "configMapKeyRef": {"name": "none", "key": "k"}}),
        hybridjob("policy", policyName="their", problem=ring(4)),
        policy(name="there"),
    ]
    two.write_text(yaml.safe_dump_all(manifests))
    text = hybridjob_command("validate", one, two).stderr
    parts = ("shots", "layers", "did you mean MaxCut?", "must be below 2", "measure", "must be a ConfigMap", "there?")
    assert [part for part in parts if part not in text] == []


def test_a_reference_to_what_could_not_be_read_is_not_an_error_of_its_own(
    hybridjob_command: CommandLine, tmp_path: Path
) -> None:
    broken = policy({"name": "a", "kind": "Simulator", "sdk": "Qiskit", "qubits": -1}, name="there")
    file = write_manifests(tmp_path / "job.yaml", broken, hybridjob(policyName="there", problem=ring(4)))
    (line,) = hybridjob_command("validate", file).stderr.splitlines()
    assert "qubits" in line


def test_standard_input_is_a_file_too(hybridjob_command: CommandLine) -> None:
    assert hybridjob_command("validate", "-", stdin=json.dumps(GOOD)).status == 0
    assert hybridjob_command("validate", "-", stdin="{").status == 2


@pytest.mark.parametrize("path", ["missing.yaml", "."])
def test_files_that_cannot_be_read(hybridjob_command: CommandLine, tmp_path: Path, path: str) -> None:
    outcome = hybridjob_command("run", tmp_path / path)
    assert outcome.status == 2
    assert "must be a readable file" in outcome.stderr


def test_a_bad_policy_file(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    good = write_manifests(tmp_path / "good.yaml", GOOD)
    rules = policy({"name": "a", "kind": "Simulator", "sdk": "Qiskit", "qubits": -1})
    bad = write_manifests(tmp_path / "policy.yaml", rules)
    outcome = hybridjob_command("run", good, "--policy", bad)
    assert outcome.status == 2
    assert "spec.backends[0].qubits" in outcome.stderr


def test_files_without_a_job(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    outcome = hybridjob_command("run", write_manifests(tmp_path / "policy.yaml", policy()))
    assert outcome.status == 2
    assert "at least one" in outcome.stderr


def test_a_state_directory_that_is_a_file(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    hybridjob_command.state.write_text("in the way")
    outcome = hybridjob_command("run", write_manifests(tmp_path / "good.yaml", GOOD))
    assert outcome.status == 2
    assert "directory" in outcome.stderr


def test_a_state_database_that_is_none(hybridjob_command: CommandLine) -> None:
    hybridjob_command.state.mkdir()
    (hybridjob_command.state / "state.db").write_text("not a database, but long enough to look at" * 100)
    outcome = hybridjob_command("get")
    assert outcome.status == 2
    assert str(hybridjob_command.state) in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_options_that_do_not_exist(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    good = write_manifests(tmp_path / "good.yaml", GOOD)
    assert hybridjob_command("run", good, "--frobnicate").status == 2
    assert hybridjob_command("frobnicate").status == 2
    assert hybridjob_command("run").status == 2
    assert hybridjob_command("run", good, "-o", "xml").status == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schemaVersion": "hybridjob.dev/task/v9"}'])
def test_solve_refuses_a_task_that_is_none(hybridjob_command: CommandLine, tmp_path: Path, content: str) -> None:
    task, result = tmp_path / "task.json", tmp_path / "verdict.json"
    task.write_text(content)
    assert hybridjob_command("solve", "--task", task, "--result", result).status == 65
    assert json.loads(result.read_text())["exitCode"] == 65
