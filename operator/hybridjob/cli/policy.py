"""`hybridjob policy`: what the policies allow and what has been used of them."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.cli.options import NotFoundError, Output, output_option, state_option
from hybridjob.cli.output import print_document
from hybridjob.engine.accounts import from_micros
from hybridjob.engine.pricing import ZERO
from hybridjob.local.store import Store


@click.command()
@click.argument("name", required=False)
@state_option
@output_option
def policy(name: str | None, state: Path, output: Output) -> None:
    """Show the backends of each policy that jobs were held to, and its budgets: used, reserved and left."""
    store = Store(state)
    # The newest job of a policy carries the policy's newest text.
    policies = {stored.policy.metadata.name: stored.policy for stored in store.all()}
    if name is not None:
        if name not in policies:
            raise NotFoundError(f"no job was held to a policy named {name} in {state}")
        policies = {name: policies[name]}
    reports = [_report(store, policies[key]) for key in sorted(policies)]
    if output == "human":
        for report in reports:
            _print(report)
    else:
        print_document(reports[0] if name is not None else reports, output)


def _report(store: Store, policy: QuantumBackendPolicy) -> dict[str, Any]:
    totals = store.ledger.book(policy.metadata.name).totals()
    budgets = []
    for budget in policy.spec.budgets:
        total = totals.get(budget.currency)
        committed, reserved = (from_micros(total.committed), from_micros(total.reserved)) if total else (ZERO, ZERO)
        budgets.append(
            {
                "name": budget.name,
                "currency": budget.currency,
                "limit": _money(budget.limit),
                "committed": _money(committed),
                "reserved": _money(reserved),
                "remaining": _money(max(ZERO, budget.limit - committed - reserved)),
            }
        )
    backends = [
        {"name": b.name, "kind": b.kind, "sdk": b.sdk, "qubits": b.qubits, "formula": b.rate_card.formula}
        for b in policy.spec.backends
    ]
    return {"name": policy.metadata.name, "backends": backends, "budgets": budgets}


def _money(amount: Decimal) -> str:
    return format(amount, "f")


def _print(report: dict[str, Any]) -> None:
    click.echo(click.style(report["name"], bold=True))
    for b in report["backends"]:
        click.echo(f"  backend {b['name']:<12} {b['kind']} on {b['sdk']}, {b['qubits']} qubits, {b['formula']}")
    for b in report["budgets"]:
        click.echo(
            f"  budget  {b['name']:<12} {b['committed']} used, {b['reserved']} reserved, {b['remaining']} left "
            f"of {b['limit']} {b['currency']}"
        )
