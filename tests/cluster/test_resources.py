"""The resources on a real API server: accepted, defaulted, refused, immutable."""

from typing import Any

import pytest

from support.cluster import Cluster
from support.command_line import EXAMPLES, hybridjob, ring

FILES = sorted(EXAMPLES.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_example_of_the_laptop_is_taken_unchanged(file: Any, cluster: Cluster, namespace: str) -> None:
    applied = cluster.kubectl("apply", "-n", namespace, "-f", file)
    assert applied.returncode == 0, applied.stderr


def test_defaults_and_columns(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("apply", "-n", namespace, "-f", "-", manifest=hybridjob(problem=ring(4), quantum={}))
    spec = cluster.get("-n", namespace, "hj", "job")["spec"]
    assert spec["quantum"]["shots"] == 1024
    assert spec["limits"]["activeDeadlineSeconds"] == 900
    head = cluster.kubectl("get", "-n", namespace, "hj").stdout.splitlines()[0]
    assert head.split() == ["NAME", "STATE", "ROUTE", "BACKEND", "OBJECTIVE", "COST", "AGE"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"problem": ring(4), "quantum": {"shots": -5}}, "should be greater than or equal to 1"),
        ({"problem": ring(4), "quantum": {"shotz": 5}}, 'unknown field "spec.quantum.shotz"'),
        ({"problem": ring(4) | {"text": "x"}}, "must have exactly one source"),
        ({"problem": ring(4) | {"format": "LP"}}, "must be Json or EdgeList for type MaxCut"),
        ({"problem": ring(4), "quantum": {"algorithm": "Sampling"}}, "must be QAOA"),
        ({"problem": ring(4), "prepare": [{"standardize": {}}]}, "only be used with problems"),
        ({"problem": ring(4), "limits": {"maxCost": "1.5"}}, "must be given together with maxCost"),
        ({"problem": ring(4), "limits": {"maxCost": "1,5", "currency": "USD"}}, "spec.limits.maxCost"),
    ],
)
def test_invalid_objects_are_refused_with_what_must_hold(
    spec: dict[str, Any], message: str, cluster: Cluster, namespace: str
) -> None:
    refused = cluster.kubectl("apply", "-n", namespace, "-f", "-", manifest=hybridjob(**spec))
    assert refused.returncode != 0
    assert message in refused.stderr


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ('{"spec": {"problem": {"inline": {"nodes": 5}}}}', "problem is immutable"),
        ('{"spec": {"problem": {"inline": {"edges": [[0, 1, 2.5]]}}}}', "problem is immutable"),
        ('{"spec": {"quantum": {"shots": 5}}}', "quantum is immutable"),
        ('{"spec": {"policyName": "another"}}', "policyName is immutable"),
    ],
)
def test_a_spec_does_not_change(patch: str, message: str, cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("apply", "-n", namespace, "-f", "-", manifest=hybridjob(problem=ring(4), quantum={}))
    refused = cluster.kubectl("patch", "-n", namespace, "hj", "job", "--type=merge", "-p", patch)
    assert refused.returncode != 0
    assert message in refused.stderr


def test_cancel_cannot_be_taken_back(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("apply", "-n", namespace, "-f", "-", manifest=hybridjob(problem=ring(4), quantum={}))
    patch = ["patch", "-n", namespace, "hj", "job", "--type=merge", "-p"]
    assert cluster.kubectl(*patch, '{"spec": {"cancel": true}}').returncode == 0
    assert "cannot be taken back" in cluster.kubectl(*patch, '{"spec": {"cancel": false}}').stderr


def test_a_bare_on_is_a_boolean_to_kubectl(cluster: Cluster, namespace: str) -> None:
    """What docs/concepts.md warns of: kubectl reads YAML 1.1."""
    bare = (
        "apiVersion: hybridjob.dev/v1alpha1\nkind: HybridJob\nmetadata: {name: bare}\n"
        "spec:\n  problem: {type: MaxCut, inline: {nodes: 2, edges: [[0, 1, 1]]}}\n  fallback: {on: [SolverFailed]}\n"
    )
    refused = cluster.kubectl("apply", "-n", namespace, "-f", "-", manifest=bare)
    assert 'unknown field "spec.fallback.true"' in refused.stderr
    quoted = bare.replace("{on:", '{"on":')
    assert cluster.kubectl("apply", "-n", namespace, "-f", "-", manifest=quoted).returncode == 0
