"""The cluster's ledger on a real API server: never overspent, whoever writes and whatever gets lost."""

import json
import sys
from pathlib import Path
from typing import Any

from support.cluster import Cluster
from support.command_line import REPOSITORY


def run(cluster: Cluster, scenario: str, namespace: str) -> Any:
    """Run a scenario inside the cluster's network."""
    script = Path(__file__).with_name("ledger_scenarios.py")
    done = cluster.run("env", f"PYTHONPATH={REPOSITORY / 'tests'}", sys.executable, script, scenario, namespace)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_waiters_at_once_get_what_there_is_and_no_more(cluster: Cluster, namespace: str) -> None:
    seen = run(cluster, "concurrent", namespace)
    assert (seen["granted"], seen["refused"]) == (100, 156)
    assert seen["open"] == 100 - 64, "the first turn of each of 64 waiters was granted, and is settled"
    assert seen["used"] == "6.8"
    assert seen["labels"]["app.kubernetes.io/managed-by"] == "hybridjob"


def test_of_two_writers_the_older_stops_and_nothing_is_overspent(cluster: Cluster, namespace: str) -> None:
    seen = run(cluster, "two_writers", namespace)
    first, second = seen["first"], seen["second"]
    assert first["lost"] == 32
    assert second["lost"] == second["failed"] == 0
    assert seen["open"] == first["granted"] + second["granted"] + 1
    assert float(seen["used"]) <= 10
    assert seen["epoch"] == 2


def test_answers_that_get_lost_change_nothing(cluster: Cluster, namespace: str) -> None:
    seen = run(cluster, "lost_answers", namespace)
    assert seen["first"] == seen["again"] == {"granted": 100, "refused": 100, "lost": 0, "failed": 0}
    assert seen["used"] == "10"


def test_a_ledger_that_somebody_deletes_is_made_again_from_memory(cluster: Cluster, namespace: str) -> None:
    assert run(cluster, "deleted", namespace)["used"] == "8"


def test_an_alert_is_given_once_also_across_restarts(cluster: Cluster, namespace: str) -> None:
    seen = run(cluster, "alerts", namespace)
    assert seen == {"given": [1, 0, 0], "reached": [50], "reserved": "5"}


def test_a_damaged_ledger_keeps_no_other_policy_from_charging_what_is_overdue(cluster: Cluster, namespace: str) -> None:
    """One ledger was read after the other, and the first that could not be ended the round for all."""
    seen = run(cluster, "overdue", namespace)
    assert (seen["held"], seen["used"], seen["open"]) == (1, "4", 0)


def test_a_damaged_ledger_stops_its_own_policy_until_it_is_repaired(cluster: Cluster, namespace: str) -> None:
    seen = run(cluster, "damaged", namespace)
    assert "damaged, at schemaVersion" in seen["error"]
    assert seen["other"]
    assert (seen["used"], seen["open"]) == ("1", 0)
