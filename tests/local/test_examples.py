"""Every example runs, unchanged, as the README says: all files in one command."""

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

import networkx
import pytest
import yaml
from sklearn.datasets import load_breast_cancer

from support.command_line import EXAMPLES, CommandLine

# The fixture runs all examples: once is enough.
pytestmark = pytest.mark.xdist_group("examples")

FILES = sorted(EXAMPLES.glob("*.yaml"))
ROLLBACKS = {
    "rollback-backend": "BackendUnavailable",
    "rollback-budget": "BudgetExceeded",
    "rollback-latency": "LatencyExceeded",
    "rollback-memory": "SolverFailed",
    "rollback-quality": "QualityRegressed",
}


@pytest.fixture(scope="module")
def statuses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    command = CommandLine(tmp_path_factory.mktemp("state"))
    outcome = command("run", *FILES, "-o", "json", timeout=900)
    assert outcome.status == 0, outcome.stderr
    return {item["metadata"]["name"]: item["status"] for item in outcome.objects}


@pytest.mark.parametrize("name", [file.stem for file in FILES])
def test_the_example_ends_on_the_route_it_is_there_to_show(name: str, statuses: dict[str, dict[str, Any]]) -> None:
    status = statuses[name]
    assert status["state"] == "Succeeded"
    reason = status.get("fallback", {}).get("reason")
    assert reason == ROLLBACKS.get(name), status["message"]
    assert status["result"]["feasible"] is True
    assert isinstance(status["result"]["objective"], int | float)
    assert status["backend"]
    assert status["cost"]["actual"] == "0"
    assert status["attempts"]
    assert isinstance(status["result"]["baseline"], int | float)


def subsets(items: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Every set of at most half of the items: one side of every cut."""
    everything = list(items)
    for size in range(len(everything) // 2 + 1):
        yield from combinations(everything, size)


def test_the_answers_are_right(statuses: dict[str, dict[str, Any]]) -> None:
    assert statuses["binary-program"]["result"]["objective"] <= 309
    assert statuses["expectation"]["result"]["baseline"] == pytest.approx(-1.1456, abs=1e-4)
    assert statuses["expectation"]["result"]["objective"] == pytest.approx(-1.1456, abs=0.05)
    assert {sample["solution"] for sample in statuses["circuit"]["result"]["top"]} == {"00000", "11111"}
    florentine = networkx.florentine_families_graph()
    cuts = (networkx.cut_size(florentine, side) for side in subsets(florentine.nodes))
    assert statuses["maxcut-cirq"]["result"]["baseline"] == max(cuts)


def test_the_data_is_what_the_packages_ship() -> None:
    """The source that each file names is where its numbers come from."""
    (_, config_map) = yaml.safe_load_all((EXAMPLES / "feature-selection.yaml").read_text())
    lines = config_map["data"]["data.csv"].splitlines()
    data = load_breast_cancer()
    assert len(lines) == 1 + len(data.data)
    for line, row, target in zip(lines[1:], data.data, data.target, strict=True):
        *numbers, label = line.split(",")
        assert [float(number) for number in numbers] == pytest.approx(row, rel=1e-5)
        assert label == data.target_names[target]

    karate = yaml.safe_load((EXAMPLES / "rollback-backend.yaml").read_text())["spec"]["problem"]["text"]
    edges = {tuple(map(int, line.split())) for line in karate.splitlines()[1:]}
    graph = networkx.karate_club_graph()
    assert edges == {(i + 1, j + 1, weight) for i, j, weight in graph.edges(data="weight")}
