"""What the chart installs, as helm renders it."""

import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from chart.conftest import CHART, Helm, Manifest, Render
from hybridjob.api.crds import crd_files
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import FALLBACK_REASONS
from hybridjob.cluster.cache import Cache
from hybridjob.cluster.metrics import Metrics
from support.command_line import REPOSITORY, CommandLine

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())

_SUFFIX = {"counter": "_total", "histogram": "_count"}
METRICS = {
    family.name + _SUFFIX.get(family.type, "")
    for family in Metrics(Cache(lambda _: None), depth=lambda: 0).registry.collect()
}
"""What the operator exports; of the histogram only the part that the alerts use."""


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def named(manifests: Iterable[Manifest], kind: str, name: str) -> Manifest:
    (only,) = [manifest for manifest in of_kind(manifests, kind) if manifest["metadata"]["name"] == name]
    return only


def operator_pod(manifests: Iterable[Manifest]) -> Manifest:
    pod: Manifest = named(manifests, "Deployment", "hybridjob")["spec"]["template"]["spec"]
    return pod


def pods(manifests: Iterable[Manifest]) -> Iterator[Manifest]:
    """The specs of all pods, also of those in templates."""
    for manifest in manifests:
        if manifest["kind"] == "Pod":
            yield manifest["spec"]
        elif "template" in manifest.get("spec", {}):
            yield manifest["spec"]["template"]["spec"]


def environment(manifests: Iterable[Manifest]) -> dict[str, Any]:
    (container,) = operator_pod(manifests)["containers"]
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container["env"]}


def is_hook(manifest: Manifest) -> bool:
    return "helm.sh/hook" in manifest["metadata"].get("annotations", {})


def is_test(manifest: Manifest) -> bool:
    return manifest["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"


# The chart as a whole


def test_lint_finds_nothing(helm: Helm) -> None:
    done = helm("lint", CHART, "--strict")
    assert done.returncode == 0, done.stdout


def test_a_package_holds_the_crds(helm: Helm, tmp_path: Path) -> None:
    assert helm("package", CHART, "--destination", tmp_path).returncode == 0
    (package,) = tmp_path.glob("*.tgz")
    listing = subprocess.run(["tar", "--list", "--file", package], capture_output=True, text=True, check=True).stdout
    assert {f"hybridjob/files/crds/{name}" for name, _ in crd_files()} <= set(listing.split())


def test_every_value_is_explained() -> None:
    """By a comment `# --` before it, or before the value that it is a part of."""
    explained: list[bool] = []
    comment, missing = False, []
    for line in (CHART / "values.yaml").read_text().splitlines():
        found = re.match(r"( *)([A-Za-z]+):(.*)", line)
        if found:
            depth = len(found[1]) // 2
            del explained[depth:]
            explained.append(comment or any(explained))
            if found[3] and not explained[-1]:
                missing.append(found[2])
        comment = line.lstrip().startswith("# --") or (comment and line.lstrip().startswith("#"))
    assert missing == []


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    def resolve(part: dict[str, Any]) -> dict[str, Any]:
        reference: str | None = part.get("$ref")
        return schema["definitions"][reference.rsplit("/", 1)[-1]] if reference else part

    def compare(part: dict[str, Any], values: Any, path: str) -> None:
        part = resolve(part)
        if "properties" not in part:
            return
        assert part["additionalProperties"] is False, path
        assert set(part["properties"]) - {"global"} == set(values), path
        for key, value in values.items():
            compare(part["properties"][key], value, f"{path}.{key}")

    compare(schema, VALUES, "")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replicaz": 3}, "'replicaz' not allowed"),
        ({"image__tga": "1"}, "at '/image': additional properties 'tga' not allowed"),
        ({"solverImages__qiskit__digest": "latest"}, "at '/solverImages/qiskit/digest'"),
        ({"replicas": 0}, "at '/replicas': minimum"),
        ({"crds__enabled": "no"}, "at '/crds/enabled': got string, want boolean"),
        ({"namespaces": ["Research"]}, "at '/namespaces/0'"),
        ({"imagePullSecrets": ["registry"]}, "at '/imagePullSecrets/0': got string, want object"),
        ({"logLevel": "debug"}, "at '/logLevel': value must be one of"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(helm: Helm, values: dict[str, Any], message: str) -> None:
    done = helm.template(**values)
    assert done.returncode != 0
    assert message in done.stderr


# CRDs and the default policy


def test_the_charts_crd_files_are_the_generated_ones() -> None:
    """Made by `hybridjob generate crds --output charts/hybridjob/files/crds`."""
    found = {path.name: path.read_text() for path in (CHART / "files" / "crds").iterdir()}
    assert found == dict(crd_files())


def test_crds_are_rendered_as_they_were_generated(render: Render) -> None:
    rendered = of_kind(render(), "CustomResourceDefinition")
    for crd in rendered:
        assert crd["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        assert crd["metadata"].pop("labels")["app.kubernetes.io/managed-by"] == "Helm"
    assert rendered == [yaml.safe_load(text) for _, text in sorted(crd_files())]


def test_crds_can_be_let_go_or_left_out(render: Render) -> None:
    for crd in of_kind(render(crds__keep=False), "CustomResourceDefinition"):
        assert "annotations" not in crd["metadata"]
    assert of_kind(render(crds__enabled=False), "CustomResourceDefinition") == []


def test_the_default_policy_is_valid_and_allows_what_the_laptops_does(render: Render) -> None:
    policy = QuantumBackendPolicy.model_validate(named(render(), "QuantumBackendPolicy", "default"))
    laptop = yaml.safe_load((CHART.parents[1] / "operator/hybridjob/local/default_policy.yaml").read_text())
    assert policy.spec.default
    assert [backend.name for backend in policy.spec.backends] == [b["name"] for b in laptop["spec"]["backends"]]
    assert {backend.rate_card.formula for backend in policy.spec.backends} == {"Free"}


def test_the_default_policy_is_a_hook_only_while_its_kind_is_unknown(render: Render) -> None:
    """A hook is deleted and made anew each time, which would forget what was spent; helm cannot create an ordinary
    object of a kind that the same release brings."""
    new = named(render(), "QuantumBackendPolicy", "default")
    assert new["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"
    known = named(
        render("--api-versions", "hybridjob.dev/v1alpha1/QuantumBackendPolicy"), "QuantumBackendPolicy", "default"
    )
    assert not is_hook(known)
    del new["metadata"]["annotations"]["helm.sh/hook"]
    assert known == new


def test_the_default_policy_is_adopted_by_the_next_upgrade_and_kept_by_an_uninstall(render: Render) -> None:
    metadata = named(render(), "QuantumBackendPolicy", "default")["metadata"]
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert metadata["annotations"]["meta.helm.sh/release-name"] == "hybridjob"
    assert metadata["annotations"]["meta.helm.sh/release-namespace"] == "system"
    assert metadata["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_default_policy_can_be_left_out(render: Render) -> None:
    assert of_kind(render(defaultPolicy__enabled=False), "QuantumBackendPolicy") == []


# The operator


def test_images_come_from_one_registry_with_the_charts_version(render: Render) -> None:
    manifests = render(image__registry="registry.example.com/quantum")
    images = {container["image"] for pod in pods(manifests) for container in pod["containers"]}
    assert images == {"registry.example.com/quantum/hybridjob-operator:0.1.0"}
    for sdk in ("classical", "qiskit", "cirq"):
        name = environment(manifests)[f"HYBRIDJOB_{sdk.upper()}_IMAGE"]
        assert name == f"registry.example.com/quantum/hybridjob-{sdk}:0.1.0"


def test_a_digest_wins_over_a_tag(render: Render) -> None:
    manifests = render(
        image__tag="1.2",
        image__digest=DIGEST,
        solverImages__qiskit={"registry": "other.example.com", "digest": DIGEST},
        solverImages__cirq={"tag": "3.4"},
    )
    assert operator_pod(manifests)["containers"][0]["image"] == f"localhost/hybridjob-operator@{DIGEST}"
    variables = environment(manifests)
    assert variables["HYBRIDJOB_QISKIT_IMAGE"] == f"other.example.com/hybridjob-qiskit@{DIGEST}"
    assert variables["HYBRIDJOB_CIRQ_IMAGE"] == "localhost/hybridjob-cirq:3.4"
    assert variables["HYBRIDJOB_CLASSICAL_IMAGE"] == "localhost/hybridjob-classical:1.2"


def test_the_operators_environment(render: Render) -> None:
    variables = environment(render())
    assert variables["HYBRIDJOB_OPERATOR_NAMESPACE"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
    assert variables["HYBRIDJOB_IDENTITY"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert variables["HYBRIDJOB_IMAGE_PULL_POLICY"] == "IfNotPresent"
    assert variables["HYBRIDJOB_LOG_LEVEL"] == "INFO"
    assert not {"HYBRIDJOB_NAMESPACES", "HYBRIDJOB_IMAGE_PULL_SECRETS", "HYBRIDJOB_SOLVER_PRIORITY_CLASS"} & set(
        variables
    )


def test_the_operators_environment_with_all_options(render: Render) -> None:
    manifests = render(
        namespaces=["research", "finance"],
        imagePullSecrets=[{"name": "one"}, {"name": "two"}],
        priorityClasses__create=True,
    )
    variables = environment(manifests)
    assert variables["HYBRIDJOB_NAMESPACES"] == "research,finance"
    assert variables["HYBRIDJOB_IMAGE_PULL_SECRETS"] == "one,two"
    assert variables["HYBRIDJOB_SOLVER_PRIORITY_CLASS"] == "hybridjob-solver"
    assert operator_pod(manifests)["priorityClassName"] == "hybridjob-operator"
    assert {c["metadata"]["name"] for c in of_kind(manifests, "PriorityClass")} == {
        "hybridjob-operator",
        "hybridjob-solver",
    }
    assert all(pod["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}] for pod in pods(manifests))


def test_a_named_priority_class_wins_over_the_created_one(render: Render) -> None:
    manifests = render(priorityClasses__create=True, priorityClassName="mine", solverPriorityClassName="theirs")
    assert operator_pod(manifests)["priorityClassName"] == "mine"
    assert environment(manifests)["HYBRIDJOB_SOLVER_PRIORITY_CLASS"] == "theirs"


def test_every_pod_satisfies_the_restricted_standard(everything: list[Manifest]) -> None:
    found = list(pods(everything))
    assert len(found) == 3
    for pod in found:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 65532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
            assert container["resources"]["limits"]["memory"]


def test_what_selects_the_operators_pods_does(everything: list[Manifest]) -> None:
    """Deployment, Service, disruption budget, spread, network policy, monitor: each with its own selector."""
    deployment = named(everything, "Deployment", "hybridjob")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    service = named(everything, "Service", "hybridjob")
    selectors = [
        deployment["selector"]["matchLabels"],
        service["spec"]["selector"],
        named(everything, "PodDisruptionBudget", "hybridjob")["spec"]["selector"]["matchLabels"],
        named(everything, "NetworkPolicy", "hybridjob")["spec"]["podSelector"]["matchLabels"],
        *[c["labelSelector"]["matchLabels"] for c in deployment["template"]["spec"]["topologySpreadConstraints"]],
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
    monitor = named(everything, "ServiceMonitor", "hybridjob")["spec"]["selector"]["matchLabels"]
    assert monitor.items() <= service["metadata"]["labels"].items()


def test_a_single_replica_has_no_disruption_budget(render: Render) -> None:
    """It would block the drain of its node for ever."""
    assert of_kind(render(replicas=1), "PodDisruptionBudget") == []


def test_placement_is_passed_on(render: Render) -> None:
    toleration = {"key": "quantum", "operator": "Exists"}
    pod = operator_pod(
        render(
            nodeSelector={"disk": "ssd"},
            tolerations=[toleration],
            affinity={"nodeAffinity": {}},
            podLabels={"team": "q"},
        )
    )
    assert pod["nodeSelector"] == {"disk": "ssd"}
    assert pod["tolerations"] == [toleration]
    assert pod["affinity"] == {"nodeAffinity": {}}


# Rights


def rules(manifests: Iterable[Manifest], *kinds: str) -> Iterator[dict[str, Any]]:
    for role in of_kind(manifests, *kinds):
        yield from role["rules"]


def rights(roles: Iterable[Manifest]) -> set[tuple[str, str]]:
    """Pairs of resource and verb."""
    return {
        (resource, verb)
        for role in roles
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def bound_to(manifests: list[Manifest], account: str) -> list[Manifest]:
    """The roles that a service account holds."""
    bindings = [
        binding
        for binding in of_kind(manifests, "RoleBinding", "ClusterRoleBinding")
        if any(subject["name"] == account for subject in binding["subjects"])
    ]
    return [
        role
        for binding in bindings
        for role in of_kind(manifests, binding["roleRef"]["kind"])
        if role["metadata"]["name"] == binding["roleRef"]["name"]
        and role["metadata"].get("namespace") == binding["metadata"].get("namespace")
    ]


@pytest.mark.parametrize("namespaces", [[], ["research", "finance"]])
def test_no_role_has_a_wildcard_or_reads_secrets(render: Render, namespaces: list[str]) -> None:
    for rule in rules(render(namespaces=namespaces), "Role", "ClusterRole"):
        for values in rule.values():
            assert "*" not in values
            assert "secrets" not in values
            assert "pods/exec" not in values
            assert not {"escalate", "bind", "impersonate"} & set(values)


@pytest.mark.parametrize("namespaces", [[], ["research", "finance"]])
def test_the_operator_makes_solver_jobs_but_no_pods(render: Render, namespaces: list[str]) -> None:
    held = rights(bound_to(render(namespaces=namespaces), "hybridjob"))
    assert {("jobs", verb) for verb in ("get", "list", "watch", "create", "delete")} <= held
    assert {verb for resource, verb in held if resource == "pods"} == {"get", "list", "watch"}
    assert {verb for resource, verb in held if resource == "hybridjobs"} == {"get", "list", "watch", "delete"}
    assert {verb for resource, verb in held if resource == "quantumbackendpolicies"} == {"get", "list", "watch"}
    assert {("leases", verb) for verb in ("get", "create", "update")} <= held


def test_with_namespaces_no_right_on_work_is_cluster_wide(render: Render) -> None:
    manifests = render(namespaces=["research", "finance"])
    roles = bound_to(manifests, "hybridjob")
    cluster_wide = [role for role in roles if role["kind"] == "ClusterRole"]
    assert {resource for resource, _ in rights(cluster_wide)} == {
        "quantumbackendpolicies",
        "quantumbackendpolicies/status",
        "namespaces",
    }
    assert {role["metadata"]["namespace"] for role in roles if role["kind"] == "Role"} == {
        "research",
        "finance",
        "system",
    }


def test_both_modes_give_the_same_rights_on_jobs(render: Render) -> None:
    everywhere = rights(bound_to(render(), "hybridjob"))
    assert rights(bound_to(render(namespaces=["research"]), "hybridjob")) == everywhere


def test_roles_for_people(render: Render) -> None:
    manifests = render()
    read, write = {"get", "list", "watch"}, {"create", "delete", "deletecollection", "patch", "update"}
    expected = {
        "view": (read, read, ["view"]),
        "edit": (read | write, read, ["admin", "edit"]),
        "policy-view": (set(), read, []),
        "policy-admin": (set(), read | write, []),
    }
    for name, (jobs, policies, into) in expected.items():
        role = named(manifests, "ClusterRole", f"hybridjob-{name}")
        held = rights([role])
        assert {verb for resource, verb in held if resource == "hybridjobs"} == jobs
        assert {verb for resource, verb in held if resource == "quantumbackendpolicies"} == policies
        assert {verb for resource, verb in held if resource.endswith("/status")} == read
        prefix = "rbac.authorization.k8s.io/aggregate-to-"
        assert sorted(key.removeprefix(prefix) for key in role["metadata"]["labels"] if key.startswith(prefix)) == into
    assert {role["metadata"]["name"] for role in of_kind(render(rbac__userRoles=False), "ClusterRole")} == {"hybridjob"}


# Network


def test_solver_pods_get_a_network_policy_where_jobs_run(render: Render) -> None:
    policies = of_kind(render(namespaces=["research", "finance"]), "NetworkPolicy")
    solvers = [policy for policy in policies if policy["metadata"]["name"] == "hybridjob-solvers"]
    assert [policy["metadata"]["namespace"] for policy in solvers] == ["research", "finance"]
    for policy in solvers:
        assert policy["spec"]["podSelector"]["matchLabels"] == {
            "app.kubernetes.io/component": "solver",
            "app.kubernetes.io/managed-by": "hybridjob",
        }
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert "ingress" not in policy["spec"]
        assert open_ports(policy) == {53, 443}


def open_ports(policy: Manifest) -> set[int]:
    return {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}


def test_https_can_be_closed_to_solvers(render: Render) -> None:
    assert open_ports(named(render(networkPolicy__solverHTTPS=False), "NetworkPolicy", "hybridjob-solvers")) == {53}


def test_the_operator_reaches_dns_and_the_api_server_only(render: Render) -> None:
    policy = named(render(networkPolicy__apiServerPorts=[16443]), "NetworkPolicy", "hybridjob")
    assert open_ports(policy) == {53, 16443}
    assert policy["spec"]["ingress"] == [{"ports": [{"port": "http"}]}]


def test_network_policies_can_be_left_out(render: Render) -> None:
    assert of_kind(render(networkPolicy__enabled=False), "NetworkPolicy") == []


# Monitoring and options


def test_optional_objects_are_off_by_default(render: Render) -> None:
    optional = ("ServiceMonitor", "PrometheusRule", "PriorityClass", "FlowSchema", "PriorityLevelConfiguration")
    assert of_kind(render(), *optional) == []


def alerts(manifests: list[Manifest]) -> list[dict[str, Any]]:
    (group,) = named(manifests, "PrometheusRule", "hybridjob")["spec"]["groups"]
    return list(group["rules"])


def test_alerts_ask_for_metrics_that_there_are(everything: list[Manifest]) -> None:
    for alert in alerts(everything):
        asked = set(re.findall(r"\bhybridjob_\w+", alert["expr"]))
        assert asked
        assert asked <= METRICS
        assert all('job="hybridjob"' in part for part in re.findall(r"\{[^}]*\}", alert["expr"]))


def test_the_page_about_operations_lists_every_metric_and_alert(everything: list[Manifest]) -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    tables = page[page.index("## Metrics and alerts") :]
    shown = set()
    for row in re.findall(r"^\| (`hybridjob_.*?) \|", tables, re.M):
        first, *others = re.findall(r"`([^`]+)`", row)
        shown |= {first, *(re.sub("^…", first.rsplit("_", 1)[0], other) for other in others)}
    assert {name.removesuffix("_count") for name in METRICS} == shown
    assert set(re.findall(r"^\| `(HybridJob\w+)` ", tables, re.M)) == {alert["alert"] for alert in alerts(everything)}


def test_the_alert_on_rollbacks_counts_every_cause(everything: list[Manifest]) -> None:
    (rollbacks,) = [alert for alert in alerts(everything) if alert["alert"] == "HybridJobRollbacks"]
    causes = re.search(r'reason=~"([^"]*)"', rollbacks["expr"])
    assert causes is not None
    assert set(causes[1].split("|")) == set(FALLBACK_REASONS)


def test_the_alerts_are_promql(everything: list[Manifest]) -> None:
    for alert in alerts(everything):
        promql_parser.parse(alert["expr"])


def test_the_flow_schema_is_for_the_operators_account(everything: list[Manifest]) -> None:
    schema = named(everything, "FlowSchema", "hybridjob")["spec"]
    assert named(everything, "PriorityLevelConfiguration", schema["priorityLevelConfiguration"]["name"])
    (rule,) = schema["rules"]
    account = {"name": operator_pod(everything)["serviceAccountName"], "namespace": "system"}
    assert [subject["serviceAccount"] for subject in rule["subjects"]] == [account]


# helm test


def test_the_test_pods_may_only_touch_jobs_of_one_namespace(render: Render) -> None:
    manifests = render(namespaces=["research"])
    tests = [manifest for manifest in manifests if is_test(manifest)]
    (account,) = of_kind(tests, "ServiceAccount")
    (role,) = bound_to(manifests, account["metadata"]["name"])
    assert role["kind"] == "Role"
    assert role["metadata"]["namespace"] == "research"
    assert rights([role]) == {("hybridjobs", verb) for verb in ("create", "get", "list", "watch", "delete")}
    for pod in of_kind(tests, "Pod"):
        assert pod["spec"]["serviceAccountName"] == account["metadata"]["name"]


def test_test_pods_come_after_what_they_need(render: Render) -> None:
    for manifest in filter(is_test, render()):
        weight = int(manifest["metadata"]["annotations"].get("helm.sh/hook-weight", 0))
        assert (weight > 0) == (manifest["kind"] == "Pod")


def test_only_tests_and_the_first_default_policy_are_hooks(everything: list[Manifest]) -> None:
    assert {m["kind"] for m in everything if is_hook(m) and not is_test(m)} == {"QuantumBackendPolicy"}


@pytest.mark.parametrize(("job", "route"), [("quantum", "Quantum"), ("rollback", "Classical")])
def test_the_jobs_of_helm_test_take_the_route_that_they_test(
    render: Render, tmp_path: Path, job: str, route: str
) -> None:
    """On this machine, under the chart's own policy."""
    manifests = render()
    file, policy = tmp_path / "job.yaml", tmp_path / "policy.yaml"
    file.write_text(named(manifests, "ConfigMap", f"hybridjob-test-{job}")["data"]["job.yaml"])
    policy.write_text(yaml.safe_dump(named(manifests, "QuantumBackendPolicy", "default")))
    done = CommandLine(tmp_path / "state")("run", "--policy", policy, file, "-o", "json")
    assert done.status == 0, done.stderr
    assert done.object["status"]["route"] == route
    fallback = done.object["status"].get("fallback")
    assert (fallback["reason"] if fallback else None) == (None if route == "Quantum" else "BackendUnavailable")


# Names and labels


def test_names_follow_the_release(helm: Helm) -> None:
    """Two words only where the release's name does not say it already."""
    done = helm("template", "prod", CHART, "--show-only", "templates/service.yaml")
    assert yaml.safe_load(done.stdout)["metadata"]["name"] == "prod-hybridjob"
    long = helm("template", "a" * 53, CHART, "--show-only", "templates/user-roles.yaml")
    assert long.returncode == 0
    for role in yaml.safe_load_all(long.stdout):
        assert len(role["metadata"]["name"]) <= 63


def test_labels_of_the_user_are_added_and_replace_none_of_the_charts(render: Render) -> None:
    labels = {"team": "quantum", "app.kubernetes.io/name": "other"}
    manifests = render(
        podLabels=labels,
        serviceMonitor={"enabled": True, "labels": labels},
        prometheusRule={"enabled": True, "labels": labels},
    )
    for metadata in (
        named(manifests, "Deployment", "hybridjob")["spec"]["template"]["metadata"],
        named(manifests, "ServiceMonitor", "hybridjob")["metadata"],
        named(manifests, "PrometheusRule", "hybridjob")["metadata"],
    ):
        assert metadata["labels"]["team"] == "quantum"
        assert metadata["labels"]["app.kubernetes.io/name"] == "hybridjob"


def test_an_old_kubernetes_is_refused(helm: Helm) -> None:
    done = helm.template("--kube-version", "1.29.9")
    assert "chart requires kubeVersion" in done.stderr
    assert helm.template("--kube-version", "v1.30.1-gke.100").returncode == 0
