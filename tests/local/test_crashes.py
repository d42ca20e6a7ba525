"""`hybridjob run` killed at any moment, then resumed: every job ends once, no charge is made twice, no solver stays."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from hybridjob.engine.ledger_document import load
from support.command_line import CommandLine, hybridjob, policy, ring, write_manifests

PRICED = {
    "name": "priced",
    "kind": "Simulator",
    "sdk": "Qiskit",
    "qubits": 20,
    "rateCard": {"formula": "PerTaskPerShot", "currency": "USD", "perTask": "0.30", "perShot": "0.001"},
}
COST = 800_000  # 0.30 + 500 × 0.001, in millionths
JOBS = 3


def solver_processes(state: Path) -> list[psutil.Process]:
    """The solvers that work for this state directory."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(state) in argument for argument in process.info["cmdline"] or []):
            found.append(process)
    return found


def wait_until_gone(state: Path) -> None:
    """Death with the parent is a signal: it takes a moment."""
    _, alive = psutil.wait_procs(solver_processes(state), timeout=30)
    assert not alive, f"orphans: {alive}"


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    rules = policy(PRICED, budgets=[{"name": "all", "limit": "100", "currency": "USD"}])
    manifests = [hybridjob(f"job-{n}", problem=ring(8), quantum={"shots": 500}) for n in range(JOBS)]
    manifests.append(hybridjob("classical", problem=ring(40)))
    return write_manifests(tmp_path / "jobs.yaml", rules, *manifests)


@pytest.mark.parametrize("seed", range(8))
def test_killed_at_a_random_moment_and_resumed(hybridjob_command: CommandLine, jobs: Path, seed: int) -> None:
    """The delay before the kill spans the whole run: start-up, solvers at work, the last write."""
    delay = random.Random(seed).uniform(0.1, 4.0)
    run = hybridjob_command.start("run", jobs, "-o", "json")
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(timeout=delay)
    run.kill()
    run.communicate()
    wait_until_gone(hybridjob_command.state)
    for _ in range(2):
        resumed = hybridjob_command("resume", "-o", "json")
        assert resumed.status == 0, resumed.stderr
    assert "nothing to resume" in resumed.stderr
    check_ended_once(hybridjob_command)


def test_killed_again_and_again(hybridjob_command: CommandLine, jobs: Path) -> None:
    run = hybridjob_command.start("run", jobs)
    wait_for_submission(hybridjob_command.state)
    generator = random.Random(42)
    for _ in range(6):
        time.sleep(generator.uniform(0.05, 1.0))  # the moment is what is tested
        run.kill()
        run.communicate()
        run = hybridjob_command.start("resume")
    assert run.wait(timeout=300) == 0
    wait_until_gone(hybridjob_command.state)
    check_ended_once(hybridjob_command, submitted=True)


def test_an_interrupted_run_says_so_and_can_be_resumed(hybridjob_command: CommandLine, jobs: Path) -> None:
    run = hybridjob_command.start("run", jobs)
    wait_for_submission(hybridjob_command.state)
    run.send_signal(signal.SIGINT)
    _, stderr = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "hybridjob resume" in stderr
    assert not solver_processes(hybridjob_command.state)
    assert hybridjob_command("resume").status == 0
    check_ended_once(hybridjob_command, submitted=True)


def test_resume_leaves_the_jobs_of_a_living_run_alone(hybridjob_command: CommandLine, jobs: Path) -> None:
    run = hybridjob_command.start("run", jobs)
    wait_for_submission(hybridjob_command.state)
    stop_between_writes(run.pid, hybridjob_command.state)
    try:
        assert "nothing to resume" in hybridjob_command("resume").stderr
    finally:
        os.kill(run.pid, signal.SIGCONT)
    assert run.wait(timeout=300) == 0
    check_ended_once(hybridjob_command, submitted=True)


def stop_between_writes(pid: int, state: Path) -> None:
    """Stop a run while it holds no lock: one that is stopped in the middle of a write keeps all others waiting."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        with contextlib.closing(sqlite3.connect(state / "state.db", timeout=0, isolation_level=None)) as probe:
            try:
                probe.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.01)
            else:
                probe.execute("ROLLBACK")
                return


def wait_for_submission(state: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if query(state, "SELECT COUNT(*) FROM jobs")[0][0]:
                return
        except sqlite3.Error:
            pass
        time.sleep(0.02)
    raise AssertionError("the run never submitted its jobs")


def query(state: Path, sql: str) -> list[Any]:
    with sqlite3.connect(f"file:{state / 'state.db'}?mode=ro", uri=True) as connection:
        return connection.execute(sql).fetchall()


def check_ended_once(command: CommandLine, *, submitted: bool = False) -> None:
    """All jobs of the file, or none where the run was killed before it had submitted any."""
    listed = command("get", "-o", "json").objects
    assert len(listed) == JOBS + 1 or (not submitted and not listed)
    assert all(item["status"]["state"] == "Succeeded" for item in listed)
    terminal = query(
        command.state,
        "SELECT COUNT(*) FROM transitions WHERE state IN ('Succeeded', 'Failed', 'Cancelled') GROUP BY job_uid",
    )
    assert all(row == (1,) for row in terminal)
    documents = query(command.state, "SELECT document FROM ledgers")
    books = [load(document).book for (document,) in documents]
    attempts = {
        (item["metadata"]["uid"], attempt["number"]): attempt
        for item in listed
        for attempt in item["status"]["attempts"]
    }
    paid = {key: attempt for key, attempt in attempts.items() if "reserved" in attempt}
    assert len({uid for uid, _ in paid}) == (JOBS if listed else 0)
    # What a solver that was killed has cost, nobody knows: that stays reserved. All others are charged once.
    unknown = {key for key, attempt in paid.items() if "cost" not in attempt}
    held = {key: entry for book in books for key, entry in book.entries.items()}
    assert {key: (entry.state, entry.micros) for key, entry in held.items()} == dict.fromkeys(
        unknown, ("Unknown", COST)
    )
    charged = sum(total.committed for book in books for total in book.totals().values())
    assert charged == (len(paid) - len(unknown)) * COST
