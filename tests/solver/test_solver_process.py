"""The solver as a real process: its files, exit codes, imports, and what is left when it is killed or out of memory."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine

from hybridjob.contract.exit_codes import ExitCode
from hybridjob.contract.files import sha256_digest
from hybridjob.contract.progress import Progress, parse_line
from hybridjob.contract.task import Backend, QuantumTask, Task
from hybridjob.contract.verdict import MAX_VERDICT_BYTES, Payload, Verdict
from hybridjob_solver.results import clip, fit
from support.optimisation import CONTRADICTION, KNAPSACK, random_maxcut, random_portfolio, task_of

HEAVY = ("qiskit", "qiskit_aer", "cirq", "scipy", "sklearn", "matplotlib")

WINE = {
    "columns": [*map(str, load_wine().feature_names), "class"],
    "rows": np.column_stack([load_wine().data, load_wine().target]).tolist(),
}
FEATURES = task_of("FeatureSelection", WINE, parameters={"target": "class", "select": 4})
MAXCUT = task_of("MaxCut", random_maxcut(10, 0.5, seed=1))

CLASSICAL_TASKS = {
    "Enumeration": MAXCUT,
    "SimulatedAnnealing": task_of("MaxCut", random_maxcut(60, 0.2, seed=1)),
    "Tabu": task_of("Portfolio", random_portfolio(30, 10, seed=1)),
    "Exact": task_of("BinaryProgram", KNAPSACK, algorithm="Exact"),
    "FeatureSelection": FEATURES,
}


class Solver:
    """Runs tasks in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self.task, self.result = directory / "task.json", directory / "verdict.json"

    def start(self, task: Task | str, *arguments: str, before: Callable[[], None] | None = None) -> Any:
        self.task.write_text(task if isinstance(task, str) else task.model_dump_json(by_alias=True))
        files = ["--task", str(self.task), "--result", str(self.result)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "hybridjob_solver", *files, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=before,
        )

    def run(self, task: Task | str, *arguments: str, **settings: Any) -> tuple[int, str, str]:
        process = self.start(task, *arguments, **settings)
        output, log = process.communicate()
        return process.returncode, output, log

    def verdict(self) -> Verdict:
        content = self.result.read_bytes()
        assert len(content) <= MAX_VERDICT_BYTES
        return Verdict.model_validate_json(content)

    def payload(self) -> Payload:
        content = (self.result.parent / "verdict.payload.json").read_bytes()
        assert sha256_digest(content) == self.verdict().payload_digest
        return Payload.model_validate_json(content)


@pytest.fixture
def solver(tmp_path: Path) -> Solver:
    return Solver(tmp_path)


def progress_of(output: str) -> list[Progress]:
    lines = [parse_line(line) for line in output.splitlines()]
    return [line for line in lines if line is not None]


@pytest.mark.parametrize("name", CLASSICAL_TASKS)
def test_a_classical_task_leaves_a_verdict_and_the_payload_it_names(name: str, solver: Solver) -> None:
    code, output, _ = solver.run(CLASSICAL_TASKS[name])
    verdict, payload = solver.verdict(), solver.payload()
    assert (code, verdict.exit_code) == (ExitCode.SOLVED, ExitCode.SOLVED)
    assert verdict.answer is not None
    assert verdict.answer.feasible
    assert verdict.answer.solution == payload.solution == payload.samples[0].solution
    assert verdict.answer.objective == payload.samples[0].objective
    assert "numpy" in payload.versions
    assert len(output.splitlines()) == len(progress_of(output))  # nothing but progress on standard output
    assert not list(solver.result.parent.glob(".*"))


def test_named_variables_are_assigned_by_name(solver: Solver) -> None:
    solver.run(CLASSICAL_TASKS["Exact"])
    assert solver.payload().assignment == {"lamp": 0, "stove": 1, "rope": 1, "map": 1}
    answer = solver.verdict().answer
    assert answer is not None
    assert (answer.objective, answer.baseline, answer.sense) == (31, 31, "Maximize")


def test_prepare_steps_are_told_in_the_payload(solver: Solver) -> None:
    steps = task_of("MaxCut", {}, prepare=[{"standardize": {}}, {"pca": {"components": 5}}]).prepare
    solver.run(FEATURES.model_copy(update={"prepare": steps}))
    payload = solver.payload()
    assert [list(entry["step"]) for entry in payload.prepare] == [["standardize"], ["pca"]]
    assert payload.assignment is not None
    assert list(payload.assignment) == [f"pca{i}" for i in range(5)]
    assert "scikit-learn" in payload.versions


def test_a_quantum_answer_has_the_classical_one_as_baseline(solver: Solver) -> None:
    task = task_of("Portfolio", random_portfolio(6, 2, seed=4)).model_copy(
        update={
            "quantum": QuantumTask(algorithm="QAOA", shots=500, layers=2, max_iterations=30, seed=3),
            "backend": Backend(name="aer", kind="Simulator", sdk="Qiskit", qubits=20),
        }
    )
    code, output, log = solver.run(task)
    assert code == ExitCode.SOLVED, log
    verdict, payload = solver.verdict(), solver.payload()
    assert verdict.answer is not None
    assert payload.baseline is not None
    assert verdict.answer.baseline == payload.baseline["objective"]
    assert verdict.answer.objective <= payload.baseline["objective"] + 1e-9
    assert sum(sample.count for sample in payload.samples) == verdict.usage.shots == 500
    assert {line.stage for line in progress_of(output)} >= {"search", "sample"}


def imported(task: Task, solver: Solver, libraries: Iterable[str]) -> list[str]:
    """Which of the libraries a whole run of the task has imported by its end."""
    solver.task.write_text(task.model_dump_json(by_alias=True))
    program = (
        "import sys; from hybridjob_solver.main import main; "
        f"code = main(['--task', {str(solver.task)!r}, '--result', {str(solver.result)!r}]); "
        "print(int(code), *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    code, *modules = ran.stdout.splitlines()[-1].split()
    assert code == "0", ran.stderr
    return sorted({*libraries} & {*modules})


@pytest.mark.parametrize("name", CLASSICAL_TASKS)
def test_a_classical_task_imports_no_quantum_library(name: str, solver: Solver) -> None:
    assert imported(CLASSICAL_TASKS[name], solver, HEAVY) == []


@pytest.mark.parametrize(
    "backend",
    [
        Backend(name="aer", kind="Simulator", sdk="Qiskit", qubits=20),
        Backend(name="noisy", kind="NoisySimulator", sdk="Qiskit", qubits=5, snapshot="FakeManilaV2"),
    ],
    ids=lambda backend: backend.name,
)
def test_a_qiskit_task_never_imports_cirq(backend: Backend, solver: Solver) -> None:
    settings = QuantumTask(algorithm="QAOA", shots=50, layers=1, max_iterations=0, seed=1)
    task = task_of("MaxCut", random_maxcut(4, 0.9, seed=1)).model_copy(update={"quantum": settings, "backend": backend})
    assert imported(task, solver, ("qiskit_aer", "cirq")) == ["qiskit_aer"]


def test_a_wrong_command_line_imports_nothing_heavy_and_is_told_on_standard_error() -> None:
    program = (
        "import sys; from hybridjob_solver.main import main; "
        "code = main(['--task', 'x']); print(int(code), 'numpy' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "64 False\n"
    assert "--result" in ran.stderr


def changed(task: Task, **changes: Any) -> str:
    document = task.model_dump(mode="json", by_alias=True)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = document
        for parent in parents:
            place = place[parent]
        place[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("task", "code", "message"),
    [
        ("", 65, "The task is malformed"),
        ("{}", 65, "problem: is missing: it must be given"),
        (changed(MAXCUT, attempt="1"), 65, "attempt: found '1'; must be a valid integer"),
        (changed(MAXCUT, jobUid="u" * 5000), 65, "jobUid has 5000 characters: it must have at most 253"),
        (changed(MAXCUT, problem__data={"path": "/nonexistent"}), 66, "/nonexistent cannot be read"),
        (changed(MAXCUT, problem__data={"text": "\U0001f4a5" * 3000}), 65, "must be JSON"),
        (changed(MAXCUT, classical__seed=-1), 65, "A seed is -1: it must not be negative"),
        (changed(MAXCUT, classical__algorithm="Statevector"), 65, "for MaxCut it must be Auto or SimulatedAnnealing"),
        (changed(MAXCUT, problem__parameters={"k" * 9999: 1}), 65, "is not a known field"),
        (task_of("BinaryProgram", KNAPSACK.replace("Binary", "General")), 65, "must have bounds within"),
        (task_of("BinaryProgram", CONTRADICTION.replace("<= 4", "<= 2")), 65, "contradict each other"),
        (
            FEATURES.model_copy(
                update={"prepare": task_of("MaxCut", {}, prepare=[{"pca": {"components": 99}}]).prepare}
            ),
            65,
            "asks for 99 columns",
        ),
        (task_of("Circuit", "OPENQASM 3.0; qubit q; nonsense;"), 65, ""),
        (task_of("Circuit", "x", algorithm="Tabu"), 65, "for Circuit it must be Auto or Statevector"),
    ],
)
@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_a_wrong_task_ends_with_a_verdict_that_says_why(
    task: Task | str, code: int, message: str, arguments: tuple[str, ...], solver: Solver
) -> None:
    returned, output, log = solver.run(task, *arguments)
    verdict = solver.verdict()
    assert (returned, verdict.exit_code, output) == (code, code, "")
    assert message in verdict.message
    assert verdict.message in log
    assert verdict.answer is None
    assert verdict.payload_digest is None


@pytest.mark.parametrize("name", CLASSICAL_TASKS)
def test_check_says_nothing_of_a_sound_task(name: str, solver: Solver) -> None:
    assert solver.run(CLASSICAL_TASKS[name], "--check") == (ExitCode.SOLVED, "", "")
    assert not solver.result.exists()


def test_a_missing_task_file_is_unreadable_input(solver: Solver) -> None:
    missing = str(solver.task)
    files = ["--task", missing, "--result", str(solver.result)]
    ran = subprocess.run([sys.executable, "-m", "hybridjob_solver", *files], capture_output=True, check=False)
    assert ran.returncode == solver.verdict().exit_code == ExitCode.INPUT_UNREADABLE


def test_a_result_that_cannot_be_written_has_its_own_code(solver: Solver, tmp_path: Path) -> None:
    solver.result = tmp_path / "missing" / "verdict.json"
    code, _, log = solver.run(MAXCUT)
    assert code == ExitCode.RESULT_UNWRITABLE
    assert "cannot be written" in log


def test_a_backend_that_is_too_small_is_unavailable(solver: Solver) -> None:
    task = MAXCUT.model_copy(
        update={
            "quantum": QuantumTask(algorithm="QAOA", shots=10, layers=1, max_iterations=5, seed=1),
            "backend": Backend(name="tiny", kind="Simulator", sdk="Qiskit", qubits=3),
        }
    )
    code, _, log = solver.run(task)
    assert code == ExitCode.BACKEND_UNAVAILABLE, log


def test_out_of_memory_is_told_by_its_code(solver: Solver) -> None:
    names = [f"x{i}" for i in range(3000)]
    text = f"Maximize\n obj: x0\nSubject To\n c: {' + '.join(names)} <= 5\nBinary\n {' '.join(names)}\nEnd"
    limit = 200 * 2**20  # enough to read the program, and not for the 4.5 million products of its penalty
    task = task_of("BinaryProgram", text, algorithm="Tabu")
    code, _, log = solver.run(task, before=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)))
    assert code == solver.verdict().exit_code == ExitCode.OUT_OF_MEMORY, log
    assert "must be raised" in solver.verdict().message
    assert solver.verdict().job_uid == "job"


def test_a_kill_at_any_moment_leaves_no_half_written_result(solver: Solver) -> None:
    task = task_of("MaxCut", random_maxcut(100, 0.1, seed=1), algorithm="SimulatedAnnealing")
    begun = time.monotonic()
    assert solver.run(task)[0] == ExitCode.SOLVED
    duration = time.monotonic() - begun
    moments = random.Random(4)
    for _ in range(5):
        for path in solver.result.parent.glob("verdict*"):
            path.unlink()
        process = solver.start(task)
        try:
            process.communicate(timeout=moments.uniform(0, 1.1 * duration))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        assert process.returncode in (0, -signal.SIGKILL)
        assert process.returncode != 0 or solver.result.exists()
        if solver.result.exists():
            assert solver.verdict().exit_code == ExitCode.SOLVED
            assert solver.payload().samples


@pytest.mark.parametrize("letter", ["x", '"', "é", "\U0001f4a5", "\x00"])
def test_a_verdict_fits_a_termination_message_whatever_is_in_it(letter: str) -> None:
    verdict = Verdict(job_uid=clip("\U0001f4a5" * 300, 253), attempt=1, exit_code=65, message=clip(letter * 3000, 1024))
    content = fit(verdict)
    assert len(content) <= MAX_VERDICT_BYTES
    assert len(Verdict.model_validate_json(content).message) > 500
