"""The Python client and `hybridjob … --cluster` against a real cluster, each as a process of its own in its network."""

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.cluster import Cluster
from support.command_line import COMMAND, REPOSITORY, Outcome, write_manifests
from support.jobs import RING, aer, hybrid_job, policy, read, state, wait_for_end, wait_until
from support.operator import OperatorProcess, eventually

SLOW = {"type": "MaxCut", "inline": {"nodes": 22, "edges": [[i, j, 1.0] for i in range(22) for j in range(i)]}}

Run = Callable[..., Outcome]


@pytest.fixture
def python(cluster: Cluster, namespace: str) -> Run:
    """Runs a script that has a `client` of the test's namespace, and a `job` function."""

    def run(script: str) -> Outcome:
        head = f"""
            import json, subprocess, sys, threading, time
            from hybridjob.client import *
            def job(name="job", **spec):
                return {{"apiVersion": "hybridjob.dev/v1alpha1", "kind": "HybridJob", "metadata": {{"name": name}},
                        "spec": {{"problem": {{"type": "MaxCut", "inline": {RING}}}}} | spec}}
            def kubectl(*arguments):
                subprocess.run(["kubectl", "-n", "{namespace}", *arguments], check=True, stdout=subprocess.DEVNULL)
            client = Client(cluster=True, namespace="{namespace}")
        """
        code = textwrap.dedent(head) + textwrap.dedent(script)
        done = cluster.run("timeout", "200", sys.executable, "-P", "-c", code)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def command(cluster: Cluster, namespace: str) -> Run:
    """Runs `hybridjob VERB --cluster …` in the test's namespace."""

    def run(verb: str, *arguments: object) -> Outcome:
        done = cluster.run("timeout", "200", *COMMAND, verb, "--cluster", "-n", namespace, *arguments)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


def test_a_job_from_python(python: Run, operator: OperatorProcess) -> None:
    """Submitted, waited for, read; where an event loop runs already, as in a notebook."""
    done = python("""
        import asyncio
        async def notebook():
            handle = client.submit(job(quantum={"shots": 256, "backends": ["aer"]}))
            answer = handle.result(timeout=150)
            payload = handle.payload()
            assert payload.job_uid == handle.uid and payload.samples
            assert sum(sample.count for sample in payload.samples) == 256
            assert client.get("job").uid == handle.uid
            assert [other.name for other in client.list()] == ["job"]
            print(json.dumps([answer.objective, handle.status().state, handle.namespace]))
        asyncio.run(notebook())
        assert not {"sqlite3", "kopf"} & set(sys.modules)
    """)
    assert done.status == 0, done.stderr
    objective, ended, _ = json.loads(done.stdout)
    assert (objective, ended) == (6, "Succeeded")


def test_names(python: Run, operator: OperatorProcess) -> None:
    done = python("""
        generated = job(suspend=True)
        generated["metadata"] = {"generateName": "ring-"}
        one, two = client.submit(generated), client.submit(generated)
        assert one.name != two.name and one.name.startswith("ring-") and len(one.name) == 10
        assert client.get(one.name).uid == one.uid
        for wrong, error in ((lambda: client.submit(job() | {"metadata": {"name": one.name}}), JobExistsError),
                             (lambda: client.get("nothing"), NoSuchJobError),
                             (lambda: client.submit(job(quantum={"shots": 0})), ManifestError),
                             (lambda: client.submit(job() | {"metadata": {"name": "x", "namespace": "other"}}),
                              ManifestError),
                             (lambda: client.submit(job(problem={"type": "MaxCut", "uri": "ring.json"})),
                              ManifestError)):
            try:
                wrong()
            except error as right:
                print(right)
            else:
                raise AssertionError(error)
    """)
    assert done.status == 0, done.stderr
    exists, nothing, shots, elsewhere, path = done.stdout.splitlines()
    assert "has ended" in exists or "is there" in exists
    assert "no job named nothing" in nothing
    assert "hybridjob get --cluster" in nothing
    assert shots == "HybridJob job: spec.quantum.shots: found 0; must be at least 1"
    assert "must be test-" in elsewhere
    assert "must be a URL" in path


def test_impatience_and_cancel(python: Run, operator: OperatorProcess) -> None:
    done = python(f"""
        handle = client.submit(job(problem={SLOW}, quantum={{"maxIterations": 10_000, "layers": 16}}))
        while handle.status().state != "Running":
            time.sleep(0.5)
        try:
            handle.result(timeout=1)
        except TimeoutError as error:
            print(error)
        client.cancel("job")
        try:
            handle.result(timeout=120)
        except JobFailedError as error:
            print(error.state, error.reason, error.message)
        try:
            handle.cancel()
        except JobEndedError as error:
            print(error)
    """)
    assert done.status == 0, done.stderr
    impatient, cancelled, again = done.stdout.splitlines()
    assert impatient.startswith("job job has not ended after 1 s: it is Running: ")
    assert cancelled.startswith("Cancelled Cancelled ")
    assert "already ended" in again


def test_a_job_that_is_deleted_while_one_waits(python: Run, operator: OperatorProcess) -> None:
    done = python("""
        handle = client.submit(job(suspend=True))
        threading.Timer(2, kubectl, ["delete", "hj", "job"]).start()
        try:
            handle.result(timeout=100)
        except JobDeletedError as error:
            print(error)
        try:
            handle.status()
        except JobDeletedError as error:
            print("gone")
    """)
    assert done.status == 0, done.stderr
    deleted, gone = done.stdout.splitlines()
    assert "has been deleted" in deleted
    assert gone == "gone"


def test_waiting_survives_a_restart_of_the_api_server(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(hybrid_job(suspend=True), namespace=namespace)
    script = f"""from hybridjob.client import Client
handle = Client(cluster=True, namespace={namespace!r}).get("job")
print("waits", flush=True)
print(handle.result(timeout=150).objective)"""
    waiting = subprocess.Popen(
        cluster.inside(sys.executable, "-P", "-c", script),
        env=cluster.environment(),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "waits\n"
    cluster.restart_api_server()
    patch = ["patch", "hj", "job", "-n", namespace, "--type=merge", "-p", '{"spec": {"suspend": false}}']
    eventually(lambda: cluster.kubectl(*patch).returncode == 0, "the job is resumed")
    stdout, stderr = waiting.communicate(timeout=180)
    assert waiting.returncode == 0, stderr
    assert float(stdout) == 6


def test_the_commands_on_a_cluster(
    cluster: Cluster, namespace: str, operator: OperatorProcess, command: Run, tmp_path: Path
) -> None:
    """One file with all that it needs, run, looked at, and run again."""
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "data"}, "data": {"graph": "2 1\n1 2 1\n"}}
    reference = {"type": "MaxCut", "format": "EdgeList", "configMapKeyRef": {"name": "data", "key": "graph"}}
    job = hybrid_job(problem=reference, policyName=namespace, quantum={}, limits={"maxCost": "0.01", "currency": "USD"})
    dear = aer(rateCard={"formula": "PerSecond", "currency": "USD", "perSecond": "1"})
    file = write_manifests(tmp_path / "job.yaml", policy(namespace, dear), data, job)
    ran = command("run", file, "-o", "json")
    assert ran.status == 0, ran.stderr
    assert ran.object["status"]["fallback"]["reason"] == "BudgetExceeded"
    assert ran.object["status"]["result"]["objective"] == 1
    assert "managedFields" not in ran.object["metadata"]
    assert "job: Succeeded: " in ran.stderr

    head, row = command("get").stdout.splitlines()
    assert head.split() == ["NAMESPACE", "NAME", "STATE", "ROUTE", "BACKEND", "OBJECTIVE", "COST", "AGE"]
    assert row.split()[:4] == [namespace, "job", "Succeeded", "Classical"]
    eventually(lambda: "FellBack" in command("describe", "job").stdout.split("Events")[1], "the Event is there")
    assert "payload    configmap/" in command("result", "job").stdout

    again = command("run", file)
    assert again.status == 2
    assert "--replace" in again.stderr
    replaced = command("run", file, "--replace", "-o", "json")
    assert replaced.status == 0, replaced.stderr
    assert replaced.object["metadata"]["uid"] != ran.object["metadata"]["uid"]
    for verb in ("get", "describe", "result", "cancel"):
        assert command(verb, "nothing").status == 1
    assert command("cancel", "job").status == 1
    cluster.kubectl("delete", "qbp", namespace)


def test_an_interrupted_run_leaves_the_job_to_the_cluster(
    cluster: Cluster, namespace: str, operator: OperatorProcess, tmp_path: Path
) -> None:
    slow = hybrid_job(problem=SLOW, quantum={"maxIterations": 10_000, "layers": 16, "backends": ["aer"]})
    file = write_manifests(tmp_path / "job.yaml", slow)
    run = subprocess.Popen(
        cluster.inside(*COMMAND, "run", "--cluster", "-n", namespace, file),
        env=cluster.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: cluster.get("hj", "-n", namespace)["items"], "the job is made")
    wait_until(cluster, namespace, "job", lambda job: state(job) == "Running")
    run.send_signal(signal.SIGINT)
    _, stderr = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "the jobs go on on the cluster" in stderr
    assert state(read(cluster, namespace, "job")) == "Running"
    cancelled = cluster.run(*COMMAND, "cancel", "--cluster", "-n", namespace, "job")
    assert cancelled.returncode == 0, cancelled.stderr
    assert state(wait_for_end(cluster, namespace, "job")) == "Cancelled"


def test_a_policy_that_one_may_not_change(
    cluster: Cluster, namespace: str, operator: OperatorProcess, tmp_path: Path
) -> None:
    """Tenants may use jobs, and no more: the error says who to ask, and nothing was started."""
    rights = ["--verb=create,get,list,watch,delete", "--resource=hybridjobs.hybridjob.dev"]
    for what in (
        ["serviceaccount", "tenant"],
        ["role", "tenant", *rights],
        ["rolebinding", "tenant", "--role=tenant", f"--serviceaccount={namespace}:tenant"],
    ):
        assert cluster.kubectl("create", *what, "-n", namespace).returncode == 0
    token = cluster.kubectl("create", "token", "tenant", "-n", namespace).stdout.strip()
    config: dict[str, Any] = yaml.safe_load(cluster.kubectl("config", "view", "--raw", "--minify").stdout)
    config["users"] = [{"name": "tenant", "user": {"token": token}}]
    config["contexts"][0]["context"] |= {"user": "tenant", "namespace": namespace}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return cluster.run("env", f"KUBECONFIG={kubeconfig}", *COMMAND, *arguments)

    file = write_manifests(tmp_path / "both.yaml", policy(namespace, aer()), hybrid_job())
    refused = run("run", "--cluster", file)
    assert refused.returncode == 2
    assert f"QuantumBackendPolicy {namespace}: " in refused.stderr
    assert "forbidden" in refused.stderr
    assert "docs/installation.md" in refused.stderr
    assert not cluster.get("hj", "-n", namespace)["items"]
    # The context says the namespace.
    alone = run("run", "--cluster", write_manifests(tmp_path / "job.yaml", hybrid_job()), "-o", "json")
    assert alone.returncode == 0, alone.stderr
    assert json.loads(alone.stdout)["metadata"]["namespace"] == namespace
    described = run("describe", "--cluster", "job")
    assert described.returncode == 0, described.stderr
    assert "forbidden" in described.stdout.split("Events", 1)[1]
