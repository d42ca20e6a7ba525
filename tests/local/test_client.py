"""The Python client on a laptop: real solvers, and a state directory that the command line sees, too."""

import asyncio
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy
import pytest
import yaml

from hybridjob.api.hybridjob import HybridJob
from hybridjob.client import (
    Client,
    ClientError,
    JobEndedError,
    JobFailedError,
    ManifestError,
    NoSuchJobError,
    PayloadError,
)
from support.command_line import REPOSITORY, CommandLine, hybridjob, ring, write_manifests

SNIPPETS = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "client.md").read_text(), re.DOTALL)
SLOW = {"problem": ring(22), "quantum": {"layers": 10, "maxIterations": 10_000}}


@pytest.fixture
def client(hybridjob_command: CommandLine) -> Iterator[Client]:
    with Client(hybridjob_command.state) as opened:
        yield opened


def test_an_answer_and_its_payload(client: Client, hybridjob_command: CommandLine) -> None:
    job = client.submit(hybridjob("ring", problem=ring(6), quantum={"shots": 200}))
    answer = job.result(timeout=120)
    assert (answer.objective, answer.feasible) == (6, True)
    assert job.status().route == "Quantum"
    assert sum(sample.count for sample in job.payload().samples) == 200
    assert hybridjob_command("get", "ring", "-o", "json").object["metadata"]["uid"] == job.uid
    assert [other.uid for other in client.list()] == [client.get("ring").uid] == [job.uid]


def test_where_an_event_loop_runs_already(client: Client) -> None:
    async def notebook() -> float:
        return client.submit(hybridjob(problem=ring(6))).result(timeout=60).objective

    assert asyncio.run(notebook()) == 6


def test_all_that_a_job_can_be_given_as(client: Client, tmp_path: Path) -> None:
    manifest = hybridjob("job", problem=ring(6))
    text = yaml.safe_dump(manifest)
    model = HybridJob.model_validate_json(json.dumps(manifest))
    file = write_manifests(tmp_path / "job.yaml", manifest)
    given: list[Any] = [manifest, text, json.dumps(manifest), model, file, str(file)]
    jobs = [client.submit(one) for one in given]
    assert [job.result(timeout=60).objective for job in jobs] == [6] * len(given)
    assert len({job.uid for job in jobs}) == len(given)
    again = client.submit(HybridJob.model_validate_json(hybridjob_json(client)))
    assert again.uid not in {job.uid for job in jobs}


def hybridjob_json(client: Client) -> str:
    """A job that has ended already, as a model has it."""
    job = client.get("job")
    job.status()
    return job._job.model_dump_json(by_alias=True, exclude_none=True)


def test_numbers_of_numpy_are_numbers(client: Client) -> None:
    linear = numpy.array([[0, -1.0], [1, 2.0]])
    inline = {"variables": numpy.int64(2), "linear": [(int(i), w) for i, w in linear], "quadratic": []}
    assert client.submit(hybridjob(problem={"type": "Qubo", "inline": inline})).result(timeout=60).objective == -1


def test_a_name_is_generated(client: Client) -> None:
    manifest = hybridjob(problem=ring(6)) | {"metadata": {"generateName": "ring-"}}
    names = {client.submit(manifest).name for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("ring-") and len(name) == 10 for name in names)


def test_wrong_input_is_told_in_the_words_of_validate(
    client: Client, hybridjob_command: CommandLine, tmp_path: Path
) -> None:
    wrong = hybridjob(problem=ring(4), quantum={"shots": 0, "layer": 2})
    file = write_manifests(tmp_path / "job.yaml", wrong)
    with pytest.raises(ManifestError) as from_file:
        client.submit(file)
    assert str(from_file.value) == hybridjob_command("validate", file).stderr.strip()
    with pytest.raises(ManifestError) as from_mapping:
        client.submit(wrong)
    shots, layer = str(from_mapping.value).splitlines()
    assert shots == "HybridJob job: spec.quantum.shots: found 0; must be at least 1"
    assert "did you mean layers?" in layer
    assert client.list() == []


@pytest.mark.parametrize("number", [0, 2])
def test_one_job_at_a_time(client: Client, tmp_path: Path, number: int) -> None:
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "data"}, "data": {}}
    jobs = [hybridjob(f"job-{n}", problem=ring(4)) for n in range(number)]
    with pytest.raises(ManifestError, match="must hold exactly one"):
        client.submit(write_manifests(tmp_path / "jobs.yaml", data, *jobs))


@pytest.mark.parametrize("thing", [7, None, Decimal(1), [hybridjob()]])
def test_what_is_no_job(client: Client, thing: Any) -> None:
    with pytest.raises(TypeError, match="must be a HybridJob, a mapping, YAML or a path"):
        client.submit(thing)


def test_impatience_names_the_state_and_cancel_ends_it(client: Client) -> None:
    job = client.submit(hybridjob("slow", **SLOW))
    with pytest.raises(TimeoutError, match=r"job slow has not ended after 0\.5 s: it is (Pending|Running): "):
        job.result(timeout=0.5)
    with pytest.raises(PayloadError, match="no answer"):
        job.payload()
    client.cancel("slow")
    with pytest.raises(JobFailedError) as cancelled:
        job.result(timeout=60)
    assert (cancelled.value.state, cancelled.value.reason) == ("Cancelled", "Cancelled")
    assert job.wait(timeout=1).state == "Cancelled"
    with pytest.raises(JobEndedError, match="already ended"):
        job.cancel()


def test_a_failed_job_says_why(client: Client) -> None:
    job = client.submit(hybridjob("big", problem=ring(30), quantum={}, fallback={"on": []}))
    with pytest.raises(JobFailedError) as failed:
        job.result(timeout=60)
    assert (failed.value.state, failed.value.reason) == ("Failed", "BackendUnavailable")
    assert failed.value.message in str(failed.value)
    assert "job big" in str(failed.value)


def test_a_job_that_was_left_behind_is_taken_over(hybridjob_command: CommandLine) -> None:
    with Client(hybridjob_command.state) as first:
        left = first.submit(hybridjob("left", problem=ring(8), quantum={"shots": 100}))
    with Client(hybridjob_command.state) as second:
        assert second.get("left").result(timeout=120).objective == 8
    with pytest.raises(ClientError, match="is closed"):
        left.status()


def test_a_job_that_another_process_runs(client: Client, hybridjob_command: CommandLine, tmp_path: Path) -> None:
    run = hybridjob_command.start("run", write_manifests(tmp_path / "job.yaml", hybridjob("theirs", **SLOW)))
    while not client.list():
        assert run.poll() is None
    job = client.get("theirs")
    assert job.uid
    job.cancel()
    assert job.wait(timeout=60).state == "Cancelled"
    assert run.wait(timeout=60) == 1


def test_jobs_of_one_client_share_the_cores(client: Client) -> None:
    jobs = [client.submit(hybridjob(f"job-{n}", problem=ring(6), quantum={"shots": 50})) for n in range(5)]
    assert [job.result(timeout=200).objective for job in jobs] == [6] * 5


def test_namespaces_and_unknown_names(hybridjob_command: CommandLine) -> None:
    with Client(hybridjob_command.state, namespace="research") as there, Client(hybridjob_command.state) as everywhere:
        job = there.submit(hybridjob("job", problem=ring(6)))
        assert job.namespace == "research"
        with pytest.raises(NoSuchJobError, match="no job named job in namespace default"):
            everywhere.get("job")
        assert [other.uid for other in everywhere.list()] == [job.uid] == [other.uid for other in there.list()]


def test_the_ends_of_a_job_that_only_a_cluster_can_run(
    client: Client, hybridjob_command: CommandLine, tmp_path: Path
) -> None:
    volume = {"type": "BinaryProgram", "persistentVolumeClaim": {"claimName": "data", "path": "program.lp"}}
    for job, place in (
        (hybridjob("held", problem=ring(4), suspend=True), "spec.suspend: found true; must be false on a laptop"),
        (hybridjob("volume", problem=volume), "spec.problem.persistentVolumeClaim: found data; must be run on a"),
    ):
        file = write_manifests(tmp_path / "job.yaml", job)
        assert hybridjob_command("validate", file).status == 0
        refused = hybridjob_command("run", file)
        assert refused.status == 2
        assert refused.stderr.startswith(f"{file}:")
        assert place in refused.stderr
        with pytest.raises(ManifestError, match=r"must be (false|run)"):
            client.submit(job)


def test_the_options_of_the_other_world(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    file = write_manifests(tmp_path / "job.yaml", hybridjob(problem=ring(4)))
    for arguments, message in (
        (("run", file, "--replace"), "--replace must be left out without --cluster"),
        (("get", "--context", "there"), "--context must be left out without --cluster"),
        (("run", file, "--cluster", "--jobs", "2"), "--jobs must be left out with --cluster"),
        (("get", "--cluster", "--state", tmp_path), "--state must be left out with --cluster"),
        (("resume", "--cluster"), "on a cluster the operator goes on with the jobs by itself"),
    ):
        refused = hybridjob_command(*arguments)
        assert refused.status == 2
        assert message in refused.stderr
    for wrong in ({"context": "there"}, {"cluster": True, "state": tmp_path}):
        with pytest.raises(ValueError, match="must be left out"):
            Client(**wrong)  # type: ignore[arg-type]


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    for script, message in (
        ("import sys; sys.modules['kubernetes'] = None", "pip install 'hybridjob[operator]'"),
        ("", "KUBECONFIG must name one"),
    ):
        outcome = python(f"{script}\nfrom hybridjob.client import Client\nClient(cluster=True)", tmp_path)
        assert outcome.returncode == 1
        assert re.search("Cl(ient|uster)Error", outcome.stderr)
        assert message in outcome.stderr


def test_a_world_imports_nothing_of_the_other(tmp_path: Path) -> None:
    local = python(
        """
        import sys
        from hybridjob.client import Client
        Client().list()
        assert not {"kubernetes", "aiohttp"} & set(sys.modules)
        """,
        tmp_path,
    )
    assert local.returncode == 0, local.stderr
    cluster = python("import hybridjob.client.cluster, sys; assert 'sqlite3' not in sys.modules", tmp_path)
    assert cluster.returncode == 0, cluster.stderr


def test_the_interpreter_ends_with_jobs_under_way(tmp_path: Path) -> None:
    """As when a notebook is restarted: no traceback, no solver that stays, and nothing lost."""
    script = f"""
        import time
        from hybridjob.client import Client
        job = Client().submit({hybridjob("slow", **SLOW)!r})
        while job.status().state != "Running":
            time.sleep(0.1)
        """
    ended = python(script, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    with Client(tmp_path / "state") as client:
        client.cancel("slow")
        assert client.get("slow").wait(timeout=60).state == "Cancelled"


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_the_documentation_runs(number: int, tmp_path: Path) -> None:
    done = python(SNIPPETS[number], tmp_path, REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_readme_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```(yaml|python)\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    ((_, manifest),) = [block for block in blocks if block[0] == "yaml" and "name: triangle" in block[1]]
    ((_, script),) = [block for block in blocks if block[0] == "python"]
    (tmp_path / "triangle.yaml").write_text(manifest)
    done = python(script, tmp_path, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2.0 ")


def python(script: str, directory: Path, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a script in an interpreter of its own, with a state directory there and no cluster."""
    return subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(script)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(directory), "HYBRIDJOB_STATE": str(directory / "state")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
