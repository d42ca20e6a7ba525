"""The health checks of docs/gitops, run by a real Lua and a real CEL over statuses that the engine wrote."""

import copy
import json
import time
from pathlib import Path
from typing import Any

import celpy
import pytest
import yaml
from lupa.lua51 import LuaRuntime  # the version that Argo CD's interpreter speaks

from support.command_line import EXAMPLES, REPOSITORY, CommandLine, hybridjob, ring, write_manifests

GITOPS = REPOSITORY / "docs" / "gitops"
RECORDED = sorted((REPOSITORY / "tests" / "data" / "statuses").glob("*.json"))

Manifest = dict[str, Any]


def argo_cd(obj: Manifest) -> tuple[str, str]:
    """Health and message."""
    lua = LuaRuntime(register_eval=False)
    lua.globals().obj = lua.table_from(obj, recursive=True)
    health = lua.execute((GITOPS / "argocd-health.lua").read_text())
    return health.status, health.message


def flux(obj: Manifest) -> str:
    """As Flux evaluates it: other generations first, then the three in this order. An error means waiting, too."""
    (checks,) = [
        check
        for document in yaml.safe_load_all((GITOPS / "flux-kustomization.yaml").read_text())
        for check in document["spec"].get("healthCheckExprs", [])
        if check["kind"] == obj["kind"]
    ]
    assert checks["apiVersion"] == obj["apiVersion"]
    if obj.get("status", {}).get("observedGeneration", 1) != obj["metadata"]["generation"]:
        return "InProgress"
    for outcome in ("inProgress", "failed", "current"):
        if evaluate(checks[outcome], obj):
            return outcome[0].upper() + outcome[1:]
    return "InProgress"


def evaluate(expression: str, obj: Manifest) -> bool:
    environment = celpy.Environment()
    program = environment.program(environment.compile(expression))
    try:
        return bool(program.evaluate({key: celpy.json_to_cel(value) for key, value in obj.items()}))
    except celpy.CELEvalError:
        return False


def policy(status: str | None = None, generation: int = 1) -> Manifest:
    """A policy, and the status that the operator writes to it."""
    obj: Manifest = {
        "apiVersion": "hybridjob.dev/v1alpha1",
        "kind": "QuantumBackendPolicy",
        "metadata": {"name": "default", "generation": generation},
    }
    if status:
        condition = {"type": "Ready", "status": status, "reason": "Accepted", "message": "in use"}
        obj["status"] = {"observedGeneration": 1, "conditions": [condition]}
    return obj


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def answered(command: CommandLine) -> Manifest:
    done = command("run", EXAMPLES / "maxcut-classical.yaml", "-o", "json")
    assert done.status == 0, done.stderr
    return done.object


@pytest.fixture(scope="module")
def rolled_back(command: CommandLine) -> Manifest:
    done = command("run", EXAMPLES / "rollback-backend.yaml", "-o", "json")
    assert done.status == 0, done.stderr
    return done.object


@pytest.fixture(scope="module")
def failed(command: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    job = hybridjob("no-way-back", problem=ring(40), quantum={}, fallback={"on": []})
    done = command("run", write_manifests(tmp_path_factory.mktemp("failed") / "job.yaml", job), "-o", "json")
    assert done.status == 1, done.stderr
    return done.object


@pytest.fixture(scope="module")
def running(command: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """As it stands in the middle of a run."""
    job = hybridjob("slow", problem=ring(20), quantum={"shots": 1000, "layers": 8})
    run = command.start("run", write_manifests(tmp_path_factory.mktemp("running") / "job.yaml", job))
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            got = command("get", "slow", "-o", "json")
            if got.status == 0 and got.object.get("status", {}).get("conditions"):
                return got.object
    finally:
        run.kill()
        run.communicate()
    pytest.fail("the job never began")


def summary(obj: Manifest) -> str:
    """The status of the condition that sums up; Unknown before there is one."""
    name = "Succeeded" if obj["kind"] == "HybridJob" else "Ready"
    conditions = obj.get("status", {}).get("conditions", [])
    return next((str(c["status"]) for c in conditions if c["type"] == name), "Unknown")


# HybridJob


def test_a_job_with_an_answer_is_healthy(answered: Manifest, rolled_back: Manifest) -> None:
    for job in (answered, rolled_back):
        assert summary(job) == "True"
        assert argo_cd(job)[0] == "Healthy"
        assert flux(job) == "Current"


def test_a_job_that_failed_is_degraded_and_says_why(failed: Manifest) -> None:
    assert summary(failed) == "False"
    health, message = argo_cd(failed)
    assert health == "Degraded"
    assert message.startswith("BackendUnavailable: ")
    assert flux(failed) == "Failed"


def test_a_job_under_way_is_progressing(running: Manifest) -> None:
    assert summary(running) == "Unknown"
    assert argo_cd(running)[0] == "Progressing"
    assert flux(running) == "InProgress"


def test_a_suspended_job_is_suspended_unless_it_has_ended(running: Manifest, failed: Manifest) -> None:
    condition = {"type": "Suspended", "status": "True", "reason": "Suspended", "message": "by spec.suspend"}
    for job, health, outcome in ((running, "Suspended", "InProgress"), (failed, "Degraded", "Failed")):
        suspended = copy.deepcopy(job)
        others = [c for c in suspended["status"]["conditions"] if c["type"] != "Suspended"]
        suspended["status"]["conditions"] = [*others, condition]
        assert argo_cd(suspended)[0] == health
        assert flux(suspended) == outcome


@pytest.mark.parametrize("status", [None, {}, {"conditions": []}, {"observedGeneration": 1}])
def test_a_job_that_the_operator_has_not_seen_is_progressing(answered: Manifest, status: Manifest | None) -> None:
    job = {**answered, "status": status} if status is not None else {k: v for k, v in answered.items() if k != "status"}
    assert argo_cd(job)[0] == "Progressing"
    assert flux(job) == "InProgress"


def test_a_status_of_an_older_spec_is_progressing(answered: Manifest, failed: Manifest) -> None:
    """Also one that ended: cancel, suspend and the TTL may change afterwards."""
    for job in (answered, failed):
        changed = copy.deepcopy(job)
        changed["metadata"]["generation"] += 1
        assert argo_cd(changed)[0] == "Progressing"
        assert flux(changed) == "InProgress"


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_recorded_objects_agree_with_their_summary(file: Path) -> None:
    """What a real cluster wrote."""
    obj = json.loads(file.read_text())
    current = obj.get("status", {}).get("observedGeneration") == obj["metadata"]["generation"]
    expected = {"True": ("Healthy", "Current"), "False": ("Degraded", "Failed")}.get(summary(obj) if current else "")
    if expected is None:
        assert argo_cd(obj)[0] in ("Progressing", "Suspended")
        assert flux(obj) == "InProgress"
    else:
        assert (argo_cd(obj)[0], flux(obj)) == expected


# QuantumBackendPolicy


@pytest.mark.parametrize(
    ("obj", "health", "outcome"),
    [
        (policy("True"), "Healthy", "Current"),
        (policy("False"), "Degraded", "Failed"),
        (policy("Unknown"), "Progressing", "InProgress"),
        (policy("True", generation=2), "Progressing", "InProgress"),
        (policy(), "Progressing", "InProgress"),
    ],
)
def test_a_policys_health_is_its_readiness(obj: Manifest, health: str, outcome: str) -> None:
    assert argo_cd(obj)[0] == health
    assert flux(obj) == outcome


# The files


def test_the_config_map_holds_the_script_for_both_kinds() -> None:
    script = (GITOPS / "argocd-health.lua").read_text()
    data = yaml.safe_load((GITOPS / "argocd-cm.yaml").read_text())["data"]
    kinds = ("HybridJob", "QuantumBackendPolicy")
    assert data == {f"resource.customizations.health.hybridjob.dev_{kind}": script for kind in kinds}


def test_no_example_turns_on_what_runs_a_job_again() -> None:
    """Replacing, forcing and healing make a new object, which is a new job."""
    for document in yaml.safe_load_all((GITOPS / "argocd-applications.yaml").read_text()):
        options = document["spec"]["syncPolicy"]["syncOptions"]
        assert "ServerSideApply=true" in options
        assert not {"Force=true", "Replace=true"} & set(options)
        if document["metadata"]["name"] == "research-jobs":
            assert document["spec"]["syncPolicy"]["automated"] == {"prune": False, "selfHeal": False}
    for document in yaml.safe_load_all((GITOPS / "flux-kustomization.yaml").read_text()):
        if document["kind"] == "Kustomization":
            assert document["spec"]["prune"] is False
            assert "force" not in document["spec"]
