"""The manifests on the pages are right, whole ones and parts; examples that no other test runs do as they say."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.manifests import load_files
from hybridjob.api.policy import PolicySpec, QuantumBackendPolicy
from hybridjob.engine.facts import Facts
from hybridjob.engine.forecast import foretell
from hybridjob.engine.ledger import Book
from hybridjob.engine.loads import Loads
from support.build import START, TRIANGLE, job
from support.command_line import EXAMPLES, REPOSITORY

PAGES = ("budgets", "windows", "quotas", "breakers", "latency", "rates")
BLOCKS = [
    pytest.param(block, id=f"{page}-{number}")
    for page in PAGES
    for number, block in enumerate(
        re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "docs" / f"{page}.md").read_text(), re.DOTALL)
    )
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_pages_manifest_holds(block: str) -> None:
    content = yaml.safe_load(block)
    if "kind" in content:
        kind: Any = {"QuantumBackendPolicy": QuantumBackendPolicy, "HybridJob": HybridJob}[content["kind"]]
        kind.model_validate(content)
        return
    spec = content.get("spec", content)
    if spec.keys() <= {field.alias or name for name, field in PolicySpec.model_fields.items()}:
        spec["backends"] = [_whole(backend) for backend in spec.get("backends", [])]
        PolicySpec.model_validate(spec)
    else:
        job(**spec)


def _whole(backend: dict[str, Any]) -> dict[str, Any]:
    """With what a page leaves out because it is not about it."""
    return {"kind": "Simulator", "sdk": "Qiskit", "qubits": 20} | backend


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_an_example(page: str) -> None:
    assert any(block.id is not None and block.id.startswith(f"{page}-") for block in BLOCKS)


def test_a_link_to_an_example_leads_to_one() -> None:
    for page in (REPOSITORY / "docs").glob("*.md"):
        for target in re.findall(r"\]\((\.\./examples/[^)#]+)\)", page.read_text()):
            assert Path(page.parent / target).exists(), f"{page.name}: {target}"


def test_the_tight_budget_is_too_tight_for_the_default_shots() -> None:
    (rules,) = load_files([EXAMPLES / "policies" / "tight-budget.yaml"]).policies
    asked = job(quantum={"shots": 4096}, problem={"type": "MaxCut", "inline": TRIANGLE})
    forecast = foretell(asked, rules, Facts(), Book("tight-budget"), Loads(lambda _: None), START)
    assert forecast.action == "FallBack"
    assert "may cost 3.9864 USD, and budget research of policy tight-budget has 1.00 USD left" in forecast.message
