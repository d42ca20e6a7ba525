"""One decision: the median time of `decide()` for one job, beside reading that job from JSON in the same run; and how a
pass grows with the policy and with the jobs that wait under it.

    .venv/bin/python benchmarks/decide.py
"""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from typing import Any

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.engine import budgets
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import AttemptFacts, Facts
from hybridjob.engine.ledger import Book
from hybridjob.engine.loads import Loads, load_of

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
RING = {"nodes": 30, "edges": [[i, (i + 1) % 30, 1.0] for i in range(30)]}


def job(number: int = 0, namespace: str = "research") -> HybridJob:
    return HybridJob.model_validate(
        {
            "apiVersion": "hybridjob.dev/v1alpha1",
            "kind": "HybridJob",
            "metadata": {
                "name": f"job-{number}",
                "namespace": namespace,
                "uid": f"{number:036}",
                "creationTimestamp": NOW,
            },
            "spec": {"problem": {"type": "MaxCut", "inline": RING}, "quantum": {}},
        }
    )


def policy(backends: int, budget_count: int, **spec: Any) -> QuantumBackendPolicy:
    card = {"formula": "PerTaskPerShot", "currency": "USD", "perTask": "0.30", "perShot": "0.001"}
    return QuantumBackendPolicy.model_validate(
        {
            "apiVersion": "hybridjob.dev/v1alpha1",
            "kind": "QuantumBackendPolicy",
            "metadata": {"name": "policy"},
            "spec": {
                "backends": [
                    {"name": f"b{n}", "kind": "Simulator", "sdk": "Qiskit", "qubits": 30, "rateCard": card}
                    for n in range(backends)
                ],
                "budgets": [{"name": f"budget-{n}", "limit": "100000", "currency": "USD"} for n in range(budget_count)],
            }
            | spec,
        }
    )


def microseconds(work: Callable[[], object], rounds: int) -> float:
    """The median of single runs."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times) * 1e6


def one_job(rounds: int) -> None:
    free = QuantumBackendPolicy.model_validate(
        policy(1, 0).model_dump(mode="json", by_alias=True, exclude_none=True)
        | {"spec": {"backends": [{"name": "aer", "kind": "Simulator", "sdk": "Qiskit", "qubits": 30}]}}
    )
    new = job()
    started = new.model_copy(update={"status": decide(new, free, Facts(problem_size=30), NOW).status})
    running = Facts(attempts={1: AttemptFacts(start_time=NOW)})
    content = new.model_dump_json(by_alias=True, exclude_none=True)
    reading = microseconds(lambda: HybridJob.model_validate_json(content), rounds)
    for label, work in (
        ("a new job", lambda: decide(new, free, Facts(problem_size=30), NOW)),
        ("a job that runs", lambda: decide(started, free, running, NOW + timedelta(seconds=1))),
    ):
        spent = microseconds(work, rounds)
        print(
            f"decide() for {label}: p50 {spent:.0f} µs, {spent / reading:.1f} × reading it from JSON ({reading:.0f} µs)"
        )


def growth(rounds: int) -> None:
    """A pass over one job: what its runtime computes beside, too."""
    for backends, budget_count, waiting in ((1, 1, 0), (50, 20, 0), (50, 20, 500), (50, 20, 5000)):
        rules = policy(backends, budget_count, quotas={"maxConcurrent": 1})
        loads = Loads(lambda _: None)
        first = job(1)
        book = Book("policy")
        held = Facts(used=budgets.used(rules, first, book, NOW), problem_size=30)
        taken = decide(first, rules, held, NOW)
        loads.put(rules, load_of(first.model_copy(update={"status": taken.status}), taken.actions))
        crowded = Facts(used=held.used, load=loads.of(rules, job(2), NOW), problem_size=30)
        waits = decide(job(2), rules, crowded, NOW).status
        for number in range(2, waiting + 2):
            loads.put(rules, load_of(job(number, f"team-{number % 20}").model_copy(update={"status": waits})))
        mine = job(waiting + 2)

        spent = microseconds(partial(one_pass, mine, rules, book, loads), rounds)
        print(f"a pass under {backends} backends, {budget_count} budgets, {waiting} waiting jobs: p50 {spent:.0f} µs")


def one_pass(mine: HybridJob, rules: QuantumBackendPolicy, book: Book, loads: Loads) -> None:
    used = budgets.used(rules, mine, book, NOW)
    decision = decide(mine, rules, Facts(used=used, load=loads.of(rules, mine, NOW), problem_size=30), NOW)
    loads.put(rules, load_of(mine.model_copy(update={"status": decision.status}), decision.actions))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    rounds = parser.parse_args().rounds
    one_job(rounds)
    growth(max(20, rounds // 10))


if __name__ == "__main__":
    main()
