"""Two hundred jobs on a budget for sixty, while operators are killed, frozen and replaced."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hybridjob.cluster.ledger import DOCUMENT_KEY, ledger_name
from hybridjob.engine.accounts import from_micros
from hybridjob.engine.ledger_document import load
from hybridjob.engine.lifecycle import TERMINAL
from support.cluster import Cluster
from support.jobs import aer, hybrid_job, policy, wait_for_end
from support.operator import OPERATOR_NAMESPACE, OperatorProcess, eventually

JOBS, AFFORDABLE, KILLS = 200, 60, 10
# The pods of two hundred jobs take some minutes of two cores: by default a tenth of them is run.
SHARE = 1 if "HYBRIDJOB_TEST_ALL" in os.environ else 10
CARD = {"formula": "PerTaskPerShot", "currency": "USD", "perTask": "1.00", "perShot": "0"}


class LedgerWatch:
    """Every version of a policy's ledger."""

    def __init__(self, cluster: Cluster, name: str, file: Path) -> None:
        self._file = file
        selector = f"--field-selector=metadata.name={ledger_name(name)}"
        command = ["kubectl", "get", "configmaps", "-n", OPERATOR_NAMESPACE, selector, "--watch", "-o", "json"]
        with file.open("wb") as output:
            self._process = subprocess.Popen(cluster.inside(*command), env=cluster.environment(), stdout=output)

    def stop(self) -> list[tuple[Decimal, int]]:
        """What is used, and how many reservations are open, at each version."""
        self._process.terminate()
        self._process.wait(timeout=10)
        text, decoder, position, versions = self._file.read_text(), json.JSONDecoder(), 0, []
        while position < len(text):
            try:
                item, position = decoder.raw_decode(text, position)
            except json.JSONDecodeError:
                break  # cut off in the middle
            position += len(text[position:]) - len(text[position:].lstrip())
            book = load(item["data"][DOCUMENT_KEY]).book
            total = book.totals().get("USD")
            used = from_micros(total.committed + total.reserved) if total else Decimal(0)
            versions.append((used, len(book.entries)))
        return versions


@pytest.fixture
def namespaces(cluster: Cluster, namespace: str) -> Iterator[list[str]]:
    """Three of them."""
    names = [f"{namespace}-{number}" for number in range(3)]
    for name in names:
        assert cluster.kubectl("create", "namespace", name).returncode == 0
    yield names
    for name in names:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def ended(cluster: Cluster, namespaces: list[str]) -> list[dict[str, Any]]:
    items = [item for name in namespaces for item in cluster.get("hj", "-n", name)["items"]]
    return [item for item in items if item.get("status", {}).get("state") in TERMINAL]


def test_a_budget_is_never_overspent(
    cluster: Cluster,
    namespace: str,
    namespaces: list[str],
    lone_operator: OperatorProcess,
    images: dict[str, str],
    tmp_path: Path,
) -> None:
    jobs, affordable = JOBS // SHARE, AFFORDABLE // SHARE
    budget = {"name": "all", "limit": f"{affordable}.00", "currency": "USD"}
    # So large that a dozen fit on the node: hundreds at once would leave it no time for anything else.
    room = {"memory": "2Gi", "cpu": "50m"}
    paid = aer("paid", rateCard=CARD, resources=room)
    cluster.apply(policy(namespace, paid, budgets=[budget], classical={"resources": room}))
    watch = LedgerWatch(cluster, namespace, tmp_path / "ledger.json")
    quantum = {"maxIterations": 0, "shots": 10, "layers": 1}
    for number, name in enumerate(namespaces):
        made = [
            hybrid_job(f"job-{j}", policyName=namespace, quantum=quantum, limits={"queueDeadlineSeconds": 3600})
            for j in range(number, jobs, len(namespaces))
        ]
        cluster.apply({"apiVersion": "v1", "kind": "List", "items": made}, namespace=name)
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    moments = random.Random(seed)
    for _ in range(KILLS):
        time.sleep(moments.uniform(0.0, 2.0))  # the kill comes at any moment: this is what is tested
        lone_operator.kill()
        lone_operator.start()
    lone_operator.stop()
    force_other_leaders(cluster, images, tmp_path)
    lone_operator.start()
    eventually(lambda: len(ended(cluster, namespaces)) == jobs, "all jobs have ended", 1200)

    versions = watch.stop()
    assert len(versions) > affordable // 10
    assert max(used for used, _ in versions) == affordable
    assert versions[-1] == (affordable, 0)
    outcomes = Counter(
        (item["status"]["state"], item["status"]["route"], item["status"].get("fallback", {}).get("reason"))
        for item in ended(cluster, namespaces)
    )
    assert outcomes == {
        ("Succeeded", "Quantum", None): affordable,
        ("Succeeded", "Classical", "BudgetExceeded"): jobs - affordable,
    }
    costs = Counter(item["status"]["cost"]["actual"] for item in ended(cluster, namespaces))
    assert costs == {"1": affordable, "0": jobs - affordable}
    cluster.kubectl("delete", "qbp", namespace)


def force_other_leaders(cluster: Cluster, images: dict[str, str], tmp_path: Path) -> None:
    """Twice: freeze the leader until another one leads, then let it wake: it finds that it may not write, and ends."""
    leaders = [OperatorProcess(cluster, tmp_path / f"leader-{number}.log", images) for number in range(3)]
    for number, leader in enumerate(leaders):
        leader.port += 1 + number
    leaders[0].start()
    leaders[0].wait_until_it_leads()
    for leader, following in pairwise(leaders):
        following.start()
        leader.signal(signal.SIGSTOP)
        following.wait_until_it_leads()
        leader.signal(signal.SIGCONT)
        eventually(lambda leader=leader: not leader.is_running, "the frozen leader ends")
    assert leaders[-1].stop() == 0


def test_the_command_line_shows_a_policy_and_audits_its_ledger(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    budget = {"name": "all", "limit": "10.00", "currency": "USD"}
    cluster.apply(policy(namespace, aer("paid", rateCard=CARD), budgets=[budget]))
    quantum = {"maxIterations": 0, "shots": 10, "layers": 1}
    cluster.apply(hybrid_job(policyName=namespace, quantum=quantum), namespace=namespace)
    ended = wait_for_end(cluster, namespace, "job")
    assert ended.status is not None
    assert ended.status.route == "Quantum", ended.status.message
    command = [sys.executable, "-P", "-c", "from hybridjob.cli.main import main; main()", "policy", "--cluster"]

    def shown() -> str:
        return cluster.run(*command, namespace).stdout

    eventually(lambda: "1 used, 0 reserved, 9 left of 10.00 USD" in shown(), "the policy's report shows what is used")
    audited = cluster.run(*command, f"--operator-namespace={OPERATOR_NAMESPACE}", "audit", namespace)
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert "agrees with its jobs" in audited.stdout
    missing = cluster.run(*command, "no-such-policy")
    assert missing.returncode == 1
    assert "there is no policy named no-such-policy" in missing.stderr
    cluster.kubectl("delete", "qbp", namespace)
