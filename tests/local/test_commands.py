"""The commands as a user meets them: what they print, where, and with what exit status."""

import json
import os
import pty
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from support.command_line import COMMAND, CommandLine, hybridjob, policy, ring, write_manifests

AER = {"name": "aer", "kind": "Simulator", "sdk": "Qiskit", "qubits": 20}


@pytest.fixture
def done(hybridjob_command: CommandLine, tmp_path: Path) -> CommandLine:
    """A state directory in which one quantum job has succeeded."""
    file = write_manifests(tmp_path / "job.yaml", hybridjob("ring", problem=ring(6), quantum={"shots": 200}))
    outcome = hybridjob_command("run", file)
    assert outcome.status == 0, outcome.stderr
    return hybridjob_command


def test_run_prints_people_what_they_want_to_know(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    file = write_manifests(tmp_path / "job.yaml", hybridjob("ring", problem=ring(6), quantum={"shots": 200}))
    outcome = hybridjob_command("run", file)
    assert "ring  Succeeded  Quantum on aer" in outcome.stdout
    assert "objective  6 (maximize, classical baseline 6), feasible" in outcome.stdout
    assert "ring: Running: attempt 1 runs on aer" in outcome.stderr


def test_standard_output_holds_nothing_but_the_objects(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    files = [write_manifests(tmp_path / f"{name}.yaml", hybridjob(name, problem=ring(6))) for name in ("one", "two")]
    both = hybridjob_command("run", *files, "-o", "json")
    assert json.loads(both.stdout)["kind"] == "List"
    assert [item["metadata"]["name"] for item in both.objects] == ["one", "two"]
    single = hybridjob_command("run", files[0], "-o", "yaml")
    assert single.stdout.startswith("apiVersion: hybridjob.dev/v1alpha1\nkind: HybridJob\n")


def test_a_failed_job_makes_the_status_one(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    failing = hybridjob("big", problem=ring(30), quantum={}, fallback={"on": []})
    file = write_manifests(tmp_path / "job.yaml", failing, hybridjob("fine", problem=ring(6)))
    outcome = hybridjob_command("run", file, "-o", "json")
    assert outcome.status == 1
    assert [item["status"]["state"] for item in outcome.objects] == ["Failed", "Succeeded"]


def test_the_status_has_all_that_is_promised(done: CommandLine) -> None:
    status = done("get", "ring", "-o", "json").object["status"]
    assert status["state"] == "Succeeded"
    assert (status["route"], status["backend"]) == ("Quantum", "aer")
    assert status["cost"]["actual"] == "0"
    assert status["result"]["objective"] == status["result"]["baseline"] == 6
    assert status["result"]["feasible"] is True
    assert len(status["result"]["solution"]) == 6
    assert status["result"]["digest"].startswith("sha256:")
    (attempt,) = status["attempts"]
    assert attempt["state"] == "Succeeded"
    assert attempt["shots"] == 200
    assert attempt["circuitDepth"] > 0
    assert status["decision"]["chosen"]["backend"] == "aer"
    assert {option["backend"] for option in status["decision"]["rejected"]} == {"cirq", "noisy", "classical"}


def test_jobs_run_side_by_side_and_a_queue_deadline_counts_while_they_wait(
    hybridjob_command: CommandLine, tmp_path: Path
) -> None:
    slow = hybridjob(
        "slow",
        problem=ring(22),
        quantum={"layers": 10, "maxIterations": 10000},
        limits={"activeDeadlineSeconds": 8},
    )
    waiting = hybridjob("waiting", problem=ring(6), quantum={}, limits={"queueDeadlineSeconds": 2}, fallback={"on": []})
    file = write_manifests(tmp_path / "jobs.yaml", slow, waiting)
    one_at_a_time = hybridjob_command("run", file, "--jobs", "1", "-o", "json")
    by_name = {item["metadata"]["name"]: item["status"] for item in one_at_a_time.objects}
    assert by_name["waiting"]["reason"] == "LatencyExceeded"
    assert "queueDeadlineSeconds" in by_name["waiting"]["message"]
    assert by_name["slow"]["fallback"]["reason"] == "LatencyExceeded"


def test_get_lists_jobs_in_columns(done: CommandLine) -> None:
    head, row = done("get").stdout.splitlines()
    assert head.split() == ["NAMESPACE", "NAME", "STATE", "ROUTE", "BACKEND", "OBJECTIVE", "COST", "AGE"]
    assert row.split()[:6] == ["default", "ring", "Succeeded", "Quantum", "aer", "6"]


def test_describe_tells_the_whole_story(done: CommandLine) -> None:
    text = done("describe", "ring").stdout
    for part in ("Decision", "KeptForFallback", "Attempts", "1. Quantum on aer: Succeeded", "Cost", "Transitions"):
        assert part in text


def test_result_lists_the_best_answers(done: CommandLine) -> None:
    answer = json.loads(done("result", "ring", "-o", "json").stdout)
    objectives = [sample["objective"] for sample in answer["top"]]
    assert objectives == sorted(objectives, reverse=True)
    assert Path(answer["reference"]).is_file()


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_result_draws_a_plot(done: CommandLine, tmp_path: Path, suffix: str) -> None:
    picture = tmp_path / f"plot.{suffix}"
    assert done("result", "ring", "--plot", picture).status == 0
    if suffix == "svg":
        assert ElementTree.parse(picture).getroot().tag.endswith("svg")  # noqa: S314 — our own file
    else:
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_plot_with_another_ending_is_refused(done: CommandLine, tmp_path: Path) -> None:
    outcome = done("result", "ring", "--plot", tmp_path / "plot.txt")
    assert outcome.status == 2
    assert "must end in .png or .svg" in outcome.stderr


def test_unknown_names_are_an_error(done: CommandLine) -> None:
    for command in ("get", "describe", "result", "cancel"):
        outcome = done(command, "nothing")
        assert outcome.status == 1
        assert "no job named nothing" in outcome.stderr


def test_explain_starts_nothing(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    dear = AER | {
        "name": "dear",
        "rateCard": {"formula": "PerSecond", "currency": "USD", "perSecond": "1.60"},
    }
    rules = policy(dear, AER | {"name": "small", "qubits": 2}, AER)
    job = hybridjob(
        problem=ring(6), quantum={}, limits={"maxCost": "1", "currency": "USD", "activeDeadlineSeconds": 60}
    )
    file = write_manifests(tmp_path / "job.yaml", rules, job)
    text = hybridjob_command("explain", file).stdout
    assert not (hybridjob_command.state / "state.db").exists()
    assert "96 USD" in text
    assert "above limits.maxCost 1 USD" in text
    assert "this backend has 2" in text
    assert "-> Quantum   aer" in text
    explained = json.loads(hybridjob_command("explain", file, "-o", "json").stdout)
    assert explained["decision"]["chosen"]["backend"] == "aer"
    assert explained["forecast"] == {"action": "Start", "message": "starts on aer"}
    assert hybridjob_command("get", "-o", "json").objects == []


def test_cancel_ends_a_running_job_and_its_solver(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    long = hybridjob("long", problem=ring(22), quantum={"layers": 10, "maxIterations": 10000})
    run = hybridjob_command.start("run", write_manifests(tmp_path / "job.yaml", long), "-o", "json")
    while hybridjob_command("cancel", "long").status != 0:
        assert run.poll() is None
    stdout, _ = run.communicate(timeout=60)
    assert run.returncode == 1
    status = json.loads(stdout)["status"]
    assert (status["state"], status["reason"]) == ("Cancelled", "Cancelled")


def test_cancel_ends_a_job_that_was_left_behind(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    long = hybridjob("long", problem=ring(22), quantum={"layers": 10, "maxIterations": 10000})
    run = hybridjob_command.start("run", write_manifests(tmp_path / "job.yaml", long))
    while "long" not in hybridjob_command("get").stdout:
        assert run.poll() is None
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert hybridjob_command("cancel", "long").status == 0
    assert hybridjob_command("get", "long", "-o", "json").object["status"]["state"] == "Cancelled"


def test_a_terminal_gets_live_progress(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    file = write_manifests(tmp_path / "job.yaml", hybridjob("ring", problem=ring(14), quantum={}))
    leader, follower = pty.openpty()
    run = subprocess.Popen(
        [*COMMAND, "run", str(file)],
        stdout=subprocess.DEVNULL,
        stderr=follower,
        env=hybridjob_command.environment | {"TERM": "xterm-256color", "COLUMNS": "160"},
    )
    os.close(follower)
    screen = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            break
        if not chunk:
            break
        screen += chunk
    assert run.wait(timeout=60) == 0
    for part in (b"ITERATION", b"BEST", b"COST", b"Running", b"Succeeded", b"aer"):
        assert part in screen


def test_solve_runs_one_task_as_a_container_would(done: CommandLine, tmp_path: Path) -> None:
    (task,) = done.state.glob("attempts/*/1/task.json")
    result = tmp_path / "verdict.json"
    assert done("solve", "--task", task, "--result", result).status == 0
    assert json.loads(result.read_text())["answer"]["objective"] == 6
