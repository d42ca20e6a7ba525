"""`hybridjob policy`: what the policies allow and what has been used of them."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from hybridjob.api.common import Money
from hybridjob.api.policy import BackendStatus, BudgetStatus, PolicyStatus, QuantumBackendPolicy, UnknownOutcome
from hybridjob.api.status import CLASSICAL_BACKEND
from hybridjob.cli.options import BadInputError, NotFoundError, Output, output_option, state_option
from hybridjob.cli.output import plain, print_document
from hybridjob.cli.policy_lines import budget_line, state_lines
from hybridjob.engine.accounts import Key
from hybridjob.engine.audit import Finding
from hybridjob.engine.backend_report import backend_report
from hybridjob.engine.budgets import budget_report
from hybridjob.engine.pricing import display
from hybridjob.engine.unknown_outcomes import NotUnknownError, unknown_report
from hybridjob.local.runner import utc_now
from hybridjob.local.store import Store

_VERBS = {"audit": 2, "settle": 4}
"""How many words each takes, itself included."""
_MONEY: TypeAdapter[Decimal] = TypeAdapter(Money)


@click.command()
@click.argument("words", nargs=-1, metavar="[NAME | audit NAME | settle NAME UID/ATTEMPT COST]")
@click.option(
    "--repair", is_flag=True, help="With audit on a laptop: settle what is held for attempts that have ended."
)
@click.option("--cluster", is_flag=True, help="On the cluster of the current kube context.")
@click.option("--context", metavar="NAME", help="With --cluster: a context of the kubeconfig.")
@click.option(
    "--operator-namespace", default="hybridjob-system", show_default=True, help="With --cluster: where the ledgers are."
)
@state_option
@output_option
def policy(
    words: tuple[str, ...],
    repair: bool,
    cluster: bool,
    context: str | None,
    operator_namespace: str,
    state: Path,
    output: Output,
) -> None:
    """Show the backends of each policy that jobs were held to, whether they are open, with their circuit breakers, and
    its budgets: used, reserved, left, next period.

    `hybridjob policy audit NAME` compares the ledger of a policy with its jobs. Exit status: 0 when they agree or were
    repaired, 1 when not. On a cluster the operator repairs its ledgers by itself.

    `hybridjob policy settle NAME UID/ATTEMPT COST` charges what an attempt cost that ended and could not tell, once you
    have found out: before all that is reserved for it is charged.
    """
    audits, settles = words[:1] == ("audit",), words[:1] == ("settle",)
    if len(words) != (_VERBS[words[0]] if audits or settles else min(len(words), 1)):
        raise BadInputError("hybridjob policy takes one NAME, `audit NAME`, or `settle NAME UID/ATTEMPT COST`")
    if repair and (cluster or not audits):
        raise BadInputError("--repair goes with `audit NAME`, on a laptop")
    if settles:
        key, cost = _outcome(words[2], words[3])
        if cluster:
            from hybridjob.client.policies import settle_outcome

            asyncio.run(settle_outcome(context, operator_namespace, words[1], key, cost))
        else:
            _settle_on_laptop(Store(state), words[1], key, cost)
        click.echo(f"charged {cost:f} for {words[2]} to policy {words[1]}", err=True)
        return
    name = words[-1] if words else None
    if audits and cluster:
        from hybridjob.client.policies import audit_policy

        _print_audit(words[1], asyncio.run(audit_policy(context, operator_namespace, words[1])), False, output)
        return
    reports = _of_cluster(context, name) if cluster else _of_laptop(Store(state))
    if name is not None:
        if name not in reports:
            where = "on the cluster" if cluster else f"in {state}: no job was held to it"
            raise NotFoundError(f"there is no policy named {name} {where}")
        if audits:
            _print_audit(name, Store(state).audit(name, repair=repair), repair, output)
            return
        reports = {name: reports[name]}
    if output == "human":
        for report in reports.values():
            _print(report)
    else:
        print_document(next(iter(reports.values())) if name is not None else list(reports.values()), output)


def _outcome(attempt: str, cost: str) -> tuple[Key, Decimal]:
    """The attempt and its cost, as they were typed."""
    uid, _, number = attempt.rpartition("/")
    if not uid or not number.isdecimal():
        raise BadInputError(f"{attempt}: must be UID/ATTEMPT, as `hybridjob policy` lists it")
    try:
        return (uid, int(number)), _MONEY.validate_python(cost)
    except ValidationError as error:
        raise BadInputError(
            f"{cost}: must be an amount of money, such as 0.87, with at most 6 fraction digits"
        ) from error


def _settle_on_laptop(store: Store, name: str, key: Key, cost: Decimal) -> None:
    try:
        store.ledger.settle_by_hand(name, key, cost)
    except NotUnknownError as error:
        raise NotFoundError(str(error)) from error


def _of_laptop(store: Store) -> dict[str, dict[str, Any]]:
    # The newest job of a policy carries the policy's newest text.
    policies = {stored.policy.metadata.name: stored.policy for stored in store.all()}
    return {name: _report(store, policies[name]) for name in sorted(policies)}


def _of_cluster(context: str | None, name: str | None) -> dict[str, dict[str, Any]]:
    """What the policies' status says, which the operator keeps."""
    from hybridjob.client.policies import read_policies

    found = sorted(asyncio.run(read_policies(context, name)), key=lambda policy: policy.metadata.name)
    reports = {}
    for policy in found:
        status = policy.status or PolicyStatus()
        states = {backend.name: plain(backend) for backend in status.backends}
        budgets = [plain(budget) for budget in status.budgets]
        reports[policy.metadata.name] = _shape(policy, states, budgets, status.unknown_outcomes)
    return reports


def _report(store: Store, policy: QuantumBackendPolicy) -> dict[str, Any]:
    store.ledger.charge_overdue(policy.metadata.name)
    book, now = store.ledger.book(policy.metadata.name), utc_now()
    states = {status.name: plain(status) for status in backend_report(policy, book, now)}
    budgets = [plain(status) for status in budget_report(policy, book, now)]
    return _shape(policy, states, budgets, unknown_report(book))


def _shape(
    policy: QuantumBackendPolicy, states: dict[str, Any], budgets: list[Any], unknown: list[UnknownOutcome]
) -> dict[str, Any]:
    backends = [
        {"name": b.name, "kind": b.kind, "sdk": b.sdk, "qubits": b.qubits, "formula": b.rate_card.formula}
        | states.get(b.name, {})
        for b in policy.spec.backends
    ]
    classical = states.get(CLASSICAL_BACKEND, {"name": CLASSICAL_BACKEND})
    return {
        "name": policy.metadata.name,
        "backends": backends,
        "classical": classical,
        "budgets": budgets,
        "unknownOutcomes": [plain(outcome) for outcome in unknown],
    }


def _print(report: dict[str, Any]) -> None:
    click.echo(click.style(report["name"], bold=True))
    for b in report["backends"]:
        click.echo(f"  backend {b['name']:<12} {b['kind']} on {b['sdk']}, {b['qubits']} qubits, {b['formula']}")
        for line in _state_lines(b):
            click.echo(f"          {line}")
    for line in _state_lines(report["classical"]):
        click.echo(f"  classical {line}")
    for budget in report["budgets"]:
        click.echo(f"  budget  {budget_line(BudgetStatus.model_validate(budget))}")
    for outcome in report["unknownOutcomes"]:
        click.echo(f"  unknown {_unknown_line(UnknownOutcome.model_validate(outcome))}")


def _state_lines(backend: dict[str, Any]) -> Iterator[str]:
    fields = {"name", "open", "nextOpen", "nextClose", "message", "breaker", "latency"}
    if "open" in backend:
        yield from state_lines(BackendStatus.model_validate({key: backend[key] for key in fields & backend.keys()}))


def _unknown_line(outcome: UnknownOutcome) -> str:
    return (
        f"{outcome.job_uid}/{outcome.attempt} ({outcome.namespace}/{outcome.job} on {outcome.backend}) cost at most "
        f"{display(outcome.reserved, outcome.currency)}, all of which is charged at "
        f"{outcome.charge_time:%Y-%m-%d %H:%M:%S} UTC"
    )


def _print_audit(name: str, findings: list[Finding], repair: bool, output: Output) -> None:
    if output != "human":
        repairable = [{"message": f.message, "repairable": f.repair is not None} for f in findings]
        print_document({"name": name, "findings": repairable}, output)
    else:
        for finding in findings:
            mended = " — repaired" if repair and finding.repair is not None else ""
            click.echo(f"  {finding.message}{mended}")
        click.echo(
            f"the ledger of policy {name} " + (f"differs in {len(findings)}" if findings else "agrees with its jobs")
        )
    if any(finding.repair is None or not repair for finding in findings):
        raise SystemExit(1)
