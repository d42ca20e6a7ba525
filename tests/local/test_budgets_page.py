"""The page about budgets does what it says, and the audit finds what does not agree."""

import json
import re
from pathlib import Path

import pytest
import yaml

from hybridjob.engine.actions import Reserve
from hybridjob.engine.budgets import Claims
from hybridjob.local.store import Store
from support.build import START, job_of
from support.command_line import REPOSITORY, CommandLine

PAGE = (REPOSITORY / "docs" / "budgets.md").read_text()
ALERTS = re.compile(r"^budget month of policy team: 3\.5696 of 4 USD are charged or reserved, (\d+) % or more$", re.M)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """The state after the page's three jobs."""
    directory = tmp_path_factory.mktemp("budgets")
    policy, job = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    jobs = [job | {"metadata": {"name": f"triangle-{number}"}} for number in range(3)]
    (directory / "all.yaml").write_text(yaml.safe_dump_all([policy, *jobs]))
    command = CommandLine(directory / "state")
    done = command("run", directory / "all.yaml", "-o", "json", timeout=300)
    assert done.status == 0, done.stderr
    assert ALERTS.findall(done.stderr) == ["80"]
    reasons = sorted(item["status"].get("fallback", {}).get("reason", "") for item in done.objects)
    assert reasons == ["", "", "BudgetExceeded"]
    return command


def test_the_page_shows_what_the_command_prints(team: CommandLine) -> None:
    shown = re.search(r"\$ hybridjob policy team\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    printed = team("policy", "team").stdout
    assert re.sub(r"anew [^;\n]*", "anew …", printed) == shown[1]


def test_explain_foretells_it_with_what_is_left(team: CommandLine) -> None:
    file = Path(team.state).parent / "all.yaml"
    first, *_ = json.loads(team("explain", file, "-o", "json").stdout)
    assert first["forecast"]["action"] == "FallBack"
    assert first["forecast"]["reason"] == "BudgetExceeded"
    assert [budget["remaining"] for budget in first["budgets"]] == ["0.4304", "96.4304"]
    assert "     budget    month        3.5696 used, 0 reserved, 0.4304 left of 4 USD" in team("explain", file).stdout


def test_the_report_is_there_for_machines(team: CommandLine) -> None:
    month, each = json.loads(team("policy", "team", "-o", "json").stdout)["budgets"]
    assert (month["committed"], month["reserved"], month["remaining"]) == ("3.5696", "0", "0.4304")
    assert month["alerts"] == [80]
    assert month["nextPeriodTime"].endswith("Z")
    assert (each["scope"], each["value"]) == ("Namespace", "default")


def test_the_audit_agrees(team: CommandLine) -> None:
    done = team("policy", "audit", "team")
    assert (done.status, done.stdout) == (0, "the ledger of policy team agrees with its jobs\n")


def test_the_audit_finds_and_repairs_what_is_held_for_a_job_that_is_gone(team: CommandLine) -> None:
    store = Store(Path(team.state))
    rules = store.all()[0].policy
    claims = Claims(rules, "default", START).of("garnet", "USD")
    wanted = Reserve(1, "garnet", rules.spec.budgets[0].limit / 40, "USD", START, claims)
    assert store.ledger.reserve("team", job_of("gone"), wanted).granted
    store.close()
    found = team("policy", "audit", "team")
    assert found.status == 1
    assert "0.1 USD held for job default/job-gone, attempt 1: the job is gone" in found.stdout
    assert team("policy", "audit", "team", "--repair").status == 0
    after = team("policy", "audit", "team")
    assert "3.6696 USD are charged, and the jobs' attempts cost 3.5696 USD" in after.stdout


@pytest.mark.parametrize("words", [["a", "b"], ["audit", "a", "b"], ["a", "--repair"]])
def test_wrong_words_are_refused(words: list[str], team: CommandLine) -> None:
    assert team("policy", *words).status == 2
