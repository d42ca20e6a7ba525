"""Problem data from every source, and what is said of data that is wrong."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridjob.contract.problems import FORMATS, ProblemFormat, ProblemType
from hybridjob.contract.task import ProblemData, Task
from hybridjob_solver.failures import InputUnreadableError, InvalidTaskError
from hybridjob_solver.inputs import MAX_BYTES, read_text
from hybridjob_solver.problems.load import check_problem, load_problem
from support.optimisation import KNAPSACK, task_of

MAXCUT = {"nodes": 3, "edges": [[0, 1, 1.0], [1, 2, 2.0]]}
PORTFOLIO = {"expectedReturns": [0.1, 0.2], "covariance": [[1, 0.5], [0.5, 1]], "select": 1, "riskAversion": 0.5}
TABLE = {"columns": ["a", "b", "y"], "rows": [[1.0, 2.0, "x"], [2.0, 1.0, "y"], [3.0, 5.0, "x"]]}


def with_source(task: Task, data: ProblemData) -> Task:
    return task.model_copy(update={"problem": task.problem.model_copy(update={"data": data})})


@pytest.mark.parametrize("source", ["inline", "text", "path", "uri"])
def test_a_problem_reads_the_same_from_every_source(source: str, tmp_path: Path) -> None:
    path = tmp_path / "problem.json"
    path.write_text("\ufeff" + json.dumps(MAXCUT), encoding="utf-8")  # as editors on Windows write it
    value = {"inline": MAXCUT, "text": json.dumps(MAXCUT), "path": str(path), "uri": f"file://{path}"}[source]
    problem, _ = load_problem(with_source(task_of("MaxCut", MAXCUT), ProblemData.model_validate({source: value})))
    np.testing.assert_array_equal(problem.objective(np.array([[0, 1, 0], [0, 0, 1]])), [3, 2])


@pytest.mark.parametrize(
    "data",
    [
        ProblemData(path="/nonexistent/problem.json"),
        ProblemData(path="/"),
        ProblemData(path="no\0name"),
        ProblemData(uri="file:///nonexistent/problem.json"),
        ProblemData(uri="nosuchscheme://bucket/problem.json"),
        ProblemData(uri="memory://nothing/here"),
    ],
)
def test_data_that_cannot_be_read_says_where_it_should_be(data: ProblemData) -> None:
    with pytest.raises(InputUnreadableError, match=r"cannot be read: .*; it must be"):
        read_text(data)


def test_messages_keep_the_secrets_of_a_uri() -> None:
    with pytest.raises(InputUnreadableError) as caught:
        read_text(ProblemData(uri="nosuchscheme://user:password@host/data?signature=secret"))
    assert "password" not in str(caught.value)
    assert "signature" not in str(caught.value)


@pytest.mark.parametrize("data", [ProblemData(), ProblemData(text="{}", path="/tmp/x")])
def test_there_must_be_exactly_one_source(data: ProblemData) -> None:
    with pytest.raises(InvalidTaskError, match="must have exactly one of inline, text, path and uri"):
        load_problem(with_source(task_of("MaxCut", MAXCUT), data))


def test_endless_data_is_refused() -> None:
    with pytest.raises(InvalidTaskError, match="larger than 64 MiB: it must be smaller"):
        read_text(ProblemData(path="/dev/zero"))


def test_the_largest_data_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        os.truncate(file.fileno(), MAX_BYTES)
    assert len(read_text(ProblemData(path=str(path)))) == MAX_BYTES


def test_binary_data_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"{}\xff")
    with pytest.raises(InvalidTaskError, match="must be UTF-8 text: byte 2 is not"):
        read_text(ProblemData(path=str(path)))


def changed(data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**data, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("problem_type", "data", "message"),
    [
        ("MaxCut", {}, "nodes: is missing: it must be given"),
        ("MaxCut", changed(MAXCUT, nodes="3"), "nodes: found '3'; must be a valid integer"),
        ("MaxCut", changed(MAXCUT, nodes=0), "nodes: found 0; must be greater than or equal to 1"),
        ("MaxCut", changed(MAXCUT, edges=[[0, 1]]), r"edges\[0\]\[2\]: is missing: it must be given"),
        ("MaxCut", changed(MAXCUT, edges=[[0, 3, 1.0]]), r"edges\[0\] names index 3: it must be below 3"),
        ("MaxCut", changed(MAXCUT, edges=[[1, 1, 1.0]]), r"edges\[0\] joins 1 with itself"),
        ("MaxCut", changed(MAXCUT, edges=[[0, 1, 1.0], [1, 0, 2.0]]), r"edges\[1\] repeats the pair 0, 1"),
        ("MaxCut", changed(MAXCUT, edges=[[0, 1, float("nan")]]), r"edges\[0\]\[2\]: found nan; must be a finite"),
        ("MaxCut", changed(MAXCUT, weights=[1]), "weights: is not a known field: it must be left out"),
        ("MaxCut", changed(MAXCUT, edges=[[True, 1, 1.0]]), r"edges\[0\]\[0\]: found True; must be a valid integer"),
        ("MaxCut", changed(MAXCUT, edges=[[0, 1, 1e200]]), "add up to .*: they must stay below"),
        ("Qubo", {"variables": 2, "linear": [[0, 1.0], [0, 2.0]]}, r"linear\[1\] repeats index 0"),
        ("Ising", {"spins": 2, "h": [[2, 1.0]]}, r"h\[0\] names index 2: it must be below 2"),
        ("Portfolio", changed(PORTFOLIO, covariance=[[1, 0.5], [0.4, 1]]), "covariance must be symmetric"),
        ("Portfolio", changed(PORTFOLIO, covariance=[[1, 0.5]]), "covariance must be a 2 × 2 matrix"),
        ("Portfolio", changed(PORTFOLIO, covariance=[[-1, 0], [0, 1]]), "a variance must not be negative"),
        ("Portfolio", changed(PORTFOLIO, select=3), "select is 3: it must not exceed the 2 assets"),
        ("Portfolio", changed(PORTFOLIO, riskAversion=None), "riskAversion: is missing"),
        ("Portfolio", changed(PORTFOLIO, covariance=[[1e308, 0], [0, 1e308]]), "they must stay below"),
        ("FeatureSelection", changed(TABLE, columns=["a", "a", "y"]), "column names must be unique"),
        ("FeatureSelection", changed(TABLE, rows=[[1.0], [2.0]]), r"rows\[0\] has 1 cells: it must have 3"),
        ("FeatureSelection", changed(TABLE, columns=["a", "b", "z"]), "parameters.target is 'y': it must be one of"),
        (
            "FeatureSelection",
            changed(TABLE, rows=[[1.0, "2", "x"], [1.0, 2.0, "y"]]),
            r"rows\[0\], column 'b' is '2': every column but the target must hold numbers",
        ),
    ],
)
def test_a_wrong_object_is_told_by_field_value_and_rule(
    problem_type: ProblemType, data: dict[str, Any], message: str
) -> None:
    parameters = {"target": "y", "select": 1} if problem_type == "FeatureSelection" else {}
    task = task_of(problem_type, data, parameters=parameters)
    with pytest.raises(InvalidTaskError, match=message) as caught:
        check_problem(task)
    assert "pydantic" not in str(caught.value)


@pytest.mark.parametrize(
    ("problem_type", "problem_format", "text", "message"),
    [
        ("MaxCut", "Json", "", "must be JSON"),
        ("MaxCut", "Json", '{"nodes": 3, "edges": [[0, 1', "must be JSON: .* at line 1"),
        ("MaxCut", "Json", '{"nodes": 3, "nodes": 4, "edges": []}', "the key 'nodes' is given twice"),
        ("MaxCut", "Json", '{"nodes": 2, "edges": [[0, 1, NaN]]}', "must be a finite number"),
        ("MaxCut", "Json", '{"nodes": 2, "edges": [[0, 1, 1e999]]}', "must be a finite number"),
        ("MaxCut", "Json", "[" * 100_000, "nested too deeply"),
        ("MaxCut", "Json", "[]", "found .*; must be"),
        ("MaxCut", "EdgeList", "", "it is empty"),
        ("MaxCut", "EdgeList", "3 2\n1 2 1\n", "announces 2 edges, and 1 follow"),
        ("MaxCut", "EdgeList", "3 1\n0 1 1\n", "nodes must be from 1 to 3"),
        ("Qubo", "COO", "0 0 x", "all numbers"),
        ("Ising", "COO", "0 1 nan", "must be a finite number"),
        ("FeatureSelection", "CSV", "a,y\n1,2\n", "at least two rows"),
        ("FeatureSelection", "CSV", "a,y\n1,2\n,3\n", "row 2, column 'a' is empty"),
        ("BinaryProgram", "LP", "", "The program has 0 variables"),
        ("BinaryProgram", "LP", "garbage", "line 1, column 1: expected a section keyword"),
        ("BinaryProgram", "LP", KNAPSACK.replace("<= 14", "<="), "in LP format: line .*expected a number"),
        ("BinaryProgram", "LP", KNAPSACK[:60], "in LP format|not integer"),
        ("BinaryProgram", "LP", KNAPSACK.replace("14", "nan"), "in LP format"),
        ("BinaryProgram", "LP", KNAPSACK.replace("Binary\n lamp", "Binary\n"), "'lamp' is not integer"),
        ("BinaryProgram", "LP", KNAPSACK.replace("Binary", "General"), "must have bounds within"),
        ("BinaryProgram", "LP", KNAPSACK.replace("Binary", "Semi-continuous"), "is not integer"),
        ("BinaryProgram", "LP", KNAPSACK.replace("8 lamp", "[ lamp ^ 3 ] / 2"), "expected `2`"),
        ("BinaryProgram", "LP", KNAPSACK.replace("8 lamp", "1e999 lamp"), "infinite coefficients|in LP format"),
        ("BinaryProgram", "LP", KNAPSACK.replace("<= 14", ">= 40"), "contradict each other"),
        ("BinaryProgram", "MPS", KNAPSACK, "must be a program in MPS format"),
        (
            "BinaryProgram",
            "MPS",
            "NAME p\nROWS\n N obj\n L c\nCOLUMNS\n x obj 1 d 1\nRHS\nENDATA\n",
            "not defined: ignored",
        ),
    ],
)
def test_wrong_text_is_told_by_place_and_rule(
    problem_type: ProblemType, problem_format: ProblemFormat, text: str, message: str
) -> None:
    parameters = {"target": "y", "select": 1} if problem_type == "FeatureSelection" else {}
    with pytest.raises(InvalidTaskError, match=message):
        check_problem(task_of(problem_type, text, problem_format, parameters=parameters))


def test_a_format_must_belong_to_the_type() -> None:
    with pytest.raises(InvalidTaskError, match="format is LP: for MaxCut it must be Json or EdgeList"):
        load_problem(task_of("MaxCut", "", "LP"))


def test_text_formats_take_no_object() -> None:
    with pytest.raises(InvalidTaskError, match="LP must be given as text"):
        load_problem(task_of("BinaryProgram", {"nodes": 3}))


@pytest.mark.parametrize("parameters", [{}, {"target": "y"}, {"target": "y", "select": 0}, {"goal": "y", "select": 1}])
def test_parameters_must_fit_the_type(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidTaskError, match=r"problem\.parameters: (target|select|goal): "):
        load_problem(task_of("FeatureSelection", TABLE, parameters=parameters))


OPTIMISATION_FORMATS = [(t, f) for t, formats in FORMATS.items() for f in formats if not f.startswith("QASM")]


@given(text=st.text(max_size=60), shape=st.sampled_from(OPTIMISATION_FORMATS))
@settings(max_examples=150, deadline=None)
def test_no_text_breaks_the_reader(text: str, shape: tuple[ProblemType, ProblemFormat]) -> None:
    parameters = {"target": "y", "select": 1} if shape[0] == "FeatureSelection" else {}
    with contextlib.suppress(InvalidTaskError):
        check_problem(task_of(shape[0], text, shape[1], parameters=parameters))


@given(position=st.integers(0, len(KNAPSACK)), junk=st.text(max_size=3))
@settings(max_examples=150, deadline=None)
def test_no_damage_to_a_program_breaks_the_reader(position: int, junk: str) -> None:
    with contextlib.suppress(InvalidTaskError):
        check_problem(task_of("BinaryProgram", KNAPSACK[:position] + junk + KNAPSACK[position + len(junk) :]))
