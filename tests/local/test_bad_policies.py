"""Bad policies: refused with what must hold; one that turns bad stops what is new, and loses nothing."""

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from support.bad_policies import AER, BUDGET, CARD, MISTAKES
from support.command_line import CommandLine, hybridjob, policy, ring, write_manifests
from support.operator import eventually

QUICK = {"shots": 8, "layers": 1, "maxIterations": 0}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_with_what_must_hold(name: str, hybridjob_command: CommandLine, tmp_path: Path) -> None:
    mistake = MISTAKES[name]
    file = write_manifests(tmp_path / "policy.yaml", {**policy(), "spec": mistake.spec})
    outcome = hybridjob_command("validate", file)
    assert outcome.status == 2
    assert f" {mistake.path}: found " in outcome.stderr
    assert mistake.must in outcome.stderr
    assert len(outcome.stderr) < 1000


def paid(**spec: Any) -> dict[str, Any]:
    return policy(AER | {"rateCard": CARD}, budgets=[BUDGET], **spec)


def test_a_file_that_turns_bad_starts_nothing_and_what_was_spent_stays(
    hybridjob_command: CommandLine, tmp_path: Path
) -> None:
    file = write_manifests(tmp_path / "all.yaml", paid(), hybridjob("first", problem=ring(4), quantum=QUICK))
    assert hybridjob_command("run", file).status == 0
    bad = paid() | {"spec": paid()["spec"] | {"budgets": [BUDGET | {"alerts": [101]}]}}
    write_manifests(file, bad, hybridjob("second", problem=ring(4), quantum=QUICK))
    refused = hybridjob_command("run", file)
    assert (refused.status, refused.stdout) == (2, "")
    assert "spec.budgets[0].alerts[0]: found 101; must be at most 100" in refused.stderr
    assert [item["metadata"]["name"] for item in hybridjob_command("get", "-o", "json").objects] == ["first"]
    assert "0.308 used, 0 reserved, 9.692 left of 10 USD" in hybridjob_command("policy", "policy").stdout


def test_a_stored_policy_that_turns_bad_pays_for_nothing_new_and_loses_nothing(
    hybridjob_command: CommandLine, tmp_path: Path
) -> None:
    """As an upgrade to a version that takes less would find it: a paid attempt is under way, another job waits."""
    hours = {"layers": 16, "maxIterations": 10_000, "shots": 1000}
    slow = hybridjob("slow", problem=ring(20), quantum=hours)
    waiting = hybridjob("waiting", problem=ring(4), quantum=QUICK, limits={"queueDeadlineSeconds": 20})
    file = write_manifests(tmp_path / "all.yaml", paid(quotas={"maxConcurrent": 1}), slow, waiting)
    run = hybridjob_command.start("run", "--jobs", 2, file)
    database = hybridjob_command.state / "state.db"

    def rows(sql: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(database, timeout=10)) as connection, connection:
            return connection.execute(sql).fetchall()

    def is_running() -> bool:
        with contextlib.suppress(sqlite3.Error):
            return bool(rows("SELECT 1 FROM jobs WHERE status ->> '$.state' = 'Running'"))
        return False

    eventually(is_running, "the paid solver runs")
    run.kill()
    run.communicate()
    rows("UPDATE jobs SET policy = json_set(policy, '$.spec.budgets[0].alerts', json('[101]'))")

    resumed = hybridjob_command("resume", "-o", "json")
    assert resumed.status == 1
    found = {item["metadata"]["name"]: item["status"] for item in resumed.objects}
    attempts = found["slow"]["attempts"]
    assert [(attempt["route"], attempt["state"]) for attempt in attempts] == [
        ("Quantum", "Failed"),
        ("Classical", "Succeeded"),
    ]
    assert "must be at most 100" in found["slow"]["fallback"]["message"]
    assert (found["waiting"]["state"], found["waiting"]["reason"]) == ("Failed", "PolicyNotFound")
    assert "policy policy, as it was stored, is invalid: spec.budgets[0].alerts[0]" in found["waiting"]["message"]
    unknown = json.loads(hybridjob_command("policy", "policy", "-o", "json").stdout)["unknownOutcomes"]
    assert [(entry["job"], entry["reserved"]) for entry in unknown] == [("slow", "1.3")]
