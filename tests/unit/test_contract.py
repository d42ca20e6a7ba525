"""The contract between operator and solvers: exit codes, files, progress lines, problem data."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hybridjob.contract.exit_codes import _DISPOSITIONS, Disposition, ExitCode, disposition
from hybridjob.contract.files import sha256_digest, write_atomically
from hybridjob.contract.problems import (
    FORMATS,
    PARAMETERS,
    SHAPES,
    Ising,
    MaxCut,
    ProblemFormat,
    ProblemType,
    Qubo,
    Table,
    check_parameters,
    parse_object,
    parse_text,
)
from hybridjob.contract.progress import Progress, parse_line
from hybridjob.contract.verdict import (
    MAX_MESSAGE_LENGTH,
    MAX_SOLUTION_BITS,
    MAX_VERDICT_BYTES,
    Answer,
    GateShots,
    Usage,
    Verdict,
)

# Exit codes.


def test_every_exit_code_has_a_disposition() -> None:
    assert set(_DISPOSITIONS) == set(ExitCode)


def test_exit_codes_collide_with_nobody() -> None:
    """1 and 2 are Python's and click's, 126 to 128 a shell's, and what follows those of signals."""
    assert all(code == 0 or 64 <= code <= 78 for code in ExitCode)


@given(st.integers(-(2**31), 2**31))
def test_an_exit_that_nobody_foresaw_is_a_crash(code: int) -> None:
    expected = Disposition.RETRY if code not in set(ExitCode) else _DISPOSITIONS[ExitCode(code)]
    assert disposition(code) is expected


# Files.


def test_a_file_is_written_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    path.mkdir()
    (path / "kept").touch()
    with pytest.raises(OSError, match=r"verdict\.json"):
        write_atomically(path, b"new")
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import itertools, sys
from pathlib import Path
from hybridjob.contract.files import write_atomically
path = Path(sys.argv[1])
for letter in itertools.cycle((b"a", b"b")):
    write_atomically(path, letter * 1_000_000)
    print(flush=True)
"""


def test_a_killed_writer_leaves_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "payload.json"
    for attempt in range(12):
        with subprocess.Popen([sys.executable, "-P", "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(attempt * 0.0007)  # into another moment of the write each time
            os.kill(writer.pid, signal.SIGKILL)
        assert path.read_bytes() in (b"a" * 1_000_000, b"b" * 1_000_000)


def test_digests_are_those_of_container_images() -> None:
    assert sha256_digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


# Verdicts.


def test_the_largest_verdict_fits_a_termination_message() -> None:
    answer = Answer(
        objective=-1.2345678901234567e-300,
        feasible=False,
        sense="Maximize",
        baseline=-1.2345678901234567e-300,
        solution="1" * MAX_SOLUTION_BITS,
    )
    many = GateShots(one_qubit=10**18, two_qubit=10**18, preparations=10**18, measurements=10**18)
    verdict = Verdict(
        job_uid="0b6f3c2e-0000-4000-8000-000000000001",
        attempt=100,
        exit_code=0,
        message="×" * MAX_MESSAGE_LENGTH,
        algorithm="SimulatedAnnealing",
        answer=answer,
        usage=Usage(tasks=10**4, shots=10**10, seconds=0.1 + 0.2, gate_shots=many),
        qubits=64,
        circuit_depth=10**6,
        payload_digest=sha256_digest(b""),
    )
    assert len(verdict.model_dump_json(by_alias=True).encode()) <= MAX_VERDICT_BYTES


def test_a_verdict_of_an_earlier_solver_tells_no_gates() -> None:
    content = '{"jobUid": "uid", "attempt": 1, "exitCode": 0, "message": "solved", "usage": {"tasks": 1, "shots": 9}}'
    assert Verdict.model_validate_json(content).usage == Usage(tasks=1, shots=9, gate_shots=None)


@pytest.mark.parametrize("usage", ['{"shots": -1}', '{"seconds": -0.1}', '{"gateShots": {"oneQubit": -1}}'])
def test_nothing_is_used_less_than_not_at_all(usage: str) -> None:
    """It would be charged with a negative amount."""
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Verdict.model_validate_json(f'{{"jobUid": "u", "attempt": 1, "exitCode": 0, "message": "", "usage": {usage}}}')


# Progress lines.


@given(
    st.builds(
        Progress,
        stage=st.text(),
        iteration=st.none() | st.integers(0, 1000),
        best_objective=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_progress_is_read_back(progress: Progress) -> None:
    line = progress.model_dump_json(by_alias=True, exclude_none=True) + "\n"
    assert line.count("\n") == 1
    assert parse_line(line) == progress


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "WARNING: a library prints",
        "{",
        "{}",
        "[1]",
        '{"kind": "hybridjob.dev/other", "stage": "x"}',
        '{"stage": 1}',
        '{"stage": "x", "unknown": 1}',
        '{"stage": "x", "bestObjective": NaN}',
        '{"stage": "x"} trailing',
        "{" * 100_000,
    ],
)
def test_other_lines_are_ignored(line: str) -> None:
    assert parse_line(line) is None


@given(st.text() | st.text().map(lambda text: "{" + text))
def test_no_line_breaks_the_reader(line: str) -> None:
    assert parse_line(line) is None


# Problem data.


def test_the_tables_of_types_are_complete() -> None:
    types = set(get_args(ProblemType))
    assert set(FORMATS) == types
    assert {name for name, formats in FORMATS.items() if "Json" in formats} == set(SHAPES)
    assert set(PARAMETERS) <= types
    assert {f for formats in FORMATS.values() for f in formats} == set(get_args(ProblemFormat))


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SIZES = st.integers(1, 12)


def pairs(size: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    every = [(i, j) for i in range(size) for j in range(i)]
    return st.lists(st.sampled_from(every), unique=True, max_size=8) if every else st.just([])


@st.composite
def graphs(draw: st.DrawFn) -> MaxCut:
    nodes = draw(SIZES)
    return MaxCut(nodes=nodes, edges=[(i, j, draw(NUMBERS)) for i, j in draw(pairs(nodes))])


@st.composite
def qubos(draw: st.DrawFn) -> Qubo:
    """With a term of the last variable: a coordinate file knows its size from its largest index."""
    size = draw(SIZES)
    linear = draw(st.lists(st.integers(0, size - 1), unique=True))
    if size - 1 not in linear:
        linear.append(size - 1)
    quadratic = [(i, j, draw(NUMBERS)) for i, j in draw(pairs(size))]
    return Qubo(variables=size, linear=[(i, draw(NUMBERS)) for i in linear], quadratic=quadratic)


@settings(deadline=None)
@given(graphs(), st.booleans())
def test_edge_lists_are_read_back(graph: MaxCut, comments: bool) -> None:
    lines = [f"{graph.nodes} {len(graph.edges)}", *(f"{i + 1} {j + 1} {weight!r}" for i, j, weight in graph.edges)]
    text = "\n# comment\n\n".join(lines) if comments else "\n".join(lines)
    assert parse_text("MaxCut", "EdgeList", text) == graph


def test_an_edge_without_a_weight_weighs_one() -> None:
    assert parse_text("MaxCut", "EdgeList", "2 1\n1 2\n") == MaxCut(nodes=2, edges=[(0, 1, 1.0)])


@settings(deadline=None)
@given(qubos())
def test_coordinates_are_read_back(qubo: Qubo) -> None:
    terms = [*((i, i, value) for i, value in qubo.linear), *qubo.quadratic]
    text = "".join(f"{i} {j} {value!r}\n" for i, j, value in terms)
    assert parse_text("Qubo", "COO", text) == qubo
    assert parse_text("Ising", "COO", text) == Ising(spins=qubo.variables, fields=qubo.linear, couplings=qubo.quadratic)


CELLS = NUMBERS | st.text("abc ,\"'\n", min_size=1).map(str.strip).filter(bool)


@settings(deadline=None)
@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=2, max_size=5))
def test_csv_is_read_back(rows: list[list[Any]]) -> None:
    quoted = ('"' + str(cell).replace('"', '""') + '"' for row in rows for cell in row)
    lines = [",".join(next(quoted) for _ in row) for row in rows]
    text = "\n".join(["a,b,c", *lines])
    assert parse_text("FeatureSelection", "CSV", text) == Table(columns=["a", "b", "c"], rows=rows)


@settings(deadline=None)
@given(graphs())
def test_json_text_and_objects_are_the_same(graph: MaxCut) -> None:
    value = graph.model_dump(by_alias=True)
    assert parse_text("MaxCut", "Json", json.dumps(value)) == parse_object("MaxCut", json.loads(json.dumps(value)))


@pytest.mark.parametrize("problem_type", FORMATS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_garbage_is_a_value_error(problem_type: ProblemType, data: st.DataObject) -> None:
    """Solvers and command line both turn ValueError into words; anything else would be a crash."""
    text = data.draw(st.text(max_size=60) | st.text('0123456789 .-einf\n,"{}[]:#', max_size=60))
    for problem_format in FORMATS[problem_type]:
        with suppress(ValueError):
            parse_text(problem_type, problem_format, text)


@pytest.mark.parametrize(
    ("parse", "words"),
    [
        (lambda: parse_text("MaxCut", "EdgeList", ""), "it is empty"),
        (lambda: parse_text("MaxCut", "EdgeList", "3"), "it must be 'n m'"),
        (lambda: parse_text("MaxCut", "EdgeList", "2 2\n1 2"), "they must agree"),
        (lambda: parse_text("MaxCut", "EdgeList", "2 1\n0 1"), "nodes must be from 1 to 2"),
        (lambda: parse_text("MaxCut", "EdgeList", "2 1\n1 2 x"), "all numbers"),
        (lambda: parse_text("MaxCut", "EdgeList", "2 1\n1 2 inf"), "must be a finite number"),
        (lambda: parse_text("MaxCut", "EdgeList", "99999999 0"), "less than or equal to 10000"),
        (lambda: parse_text("Qubo", "COO", "# nothing"), "it is empty"),
        (lambda: parse_text("Qubo", "COO", "-1 0 1"), "indices must start from 0"),
        (lambda: parse_text("Qubo", "COO", "0 0 1\n0 0 2"), "each index must be given once"),
        (lambda: parse_text("Ising", "COO", "0 1 1\n1 0 2"), "each pair must be given once"),
        (lambda: parse_text("FeatureSelection", "CSV", "a,b\n1,2"), "at least two rows"),
        (lambda: parse_text("FeatureSelection", "CSV", "a,b\n1,2\n1"), "one per column"),
        (lambda: parse_text("FeatureSelection", "CSV", "a,b\n1,2\n1,"), "every cell must be filled"),
        (lambda: parse_text("FeatureSelection", "CSV", "a,b\n1,2\n1,nan"), "must be a finite number"),
        (lambda: parse_text("FeatureSelection", "CSV", "a,a\n1,2\n1,2"), "column names must be unique"),
        (lambda: parse_text("FeatureSelection", "CSV", 'a,b\n"1,2\n1,2'), "must be CSV"),
        (lambda: parse_text("MaxCut", "Json", '{"nodes": 2, "nodes": 3}'), "keys must be unique"),
        (lambda: parse_text("MaxCut", "Json", '{"nodes": 2,'), "must be JSON"),
        (lambda: parse_text("MaxCut", "Json", "[" * 100_000), "nested too deeply"),
        (lambda: parse_text("MaxCut", "Json", "1" * 5000), "at most 18"),
        (lambda: parse_text("MaxCut", "EdgeList", "1" * 5000 + " 1"), "at most 18"),
        (lambda: parse_text("MaxCut", "Json", '{"nodes": 2, "edges": [[0, 1, NaN]]}'), "finite number"),
        (lambda: parse_text("MaxCut", "Json", '{"nodes": 2, "edges": [[0, 1, 1e999]]}'), "finite number"),
        (lambda: check_parameters("MaxCut", {"p": 1}), "Extra inputs"),
        (lambda: check_parameters("FeatureSelection", {"target": "y", "select": 0}), "greater than or equal"),
        (lambda: check_parameters("Expectation", {"observable": [["ZZ", 1.0], ["Z", 1.0]]}), "different lengths"),
    ],
)
def test_what_must_hold_of_problem_data(parse: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse()


def test_a_covariance_is_symmetric() -> None:
    problem = {"expectedReturns": [0.1, 0.2], "covariance": [[1.0, 0.1], [0.1, 1.0]], "select": 1, "riskAversion": 0.5}
    assert parse_object("Portfolio", problem)
    with pytest.raises(ValidationError, match=r"covariance must be symmetric: \[1\]\[0\] is 0.2 and \[0\]\[1\] is 0.1"):
        parse_object("Portfolio", problem | {"covariance": [[1.0, 0.1], [0.2, 1.0]]})
