"""`hybridjob explain`: the decision without the run."""

from pathlib import Path
from typing import Any

import click

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.manifests import ManifestError
from hybridjob.api.status import DecisionStatus, OptionStatus
from hybridjob.cli.options import BadInputError, Output, files_argument, output_option, policy_option, state_option
from hybridjob.cli.output import plain, print_document
from hybridjob.engine.facts import Facts
from hybridjob.engine.pricing import display
from hybridjob.engine.routing import first_choice
from hybridjob.local.runner import utc_now
from hybridjob.local.sdks import unavailable_backends
from hybridjob.local.store import Store
from hybridjob.local.submission import read_jobs


@click.command()
@files_argument
@policy_option
@state_option
@output_option
def explain(files: tuple[Path, ...], policy_file: Path | None, state: Path, output: Output) -> None:
    """Say which route each job would take, what each option is estimated to cost, and what rules it out.

    Nothing is started and no money is set aside. Exit status: 0, or 2 for bad input.
    """
    now = utc_now()
    try:
        jobs = read_jobs(files, policy_file, now)
    except ManifestError as error:
        raise BadInputError(str(error)) from error
    ledger = Store(state).ledger
    decisions = []
    for stored in jobs:
        book = ledger.book(stored.policy.metadata.name)
        facts = Facts(
            used=ledger.used(stored.policy, stored.job, now),
            breakers=book.breakers,
            latencies=book.latencies,
            unavailable=unavailable_backends(stored.policy),
            problem_size=stored.problem_size,
        )
        decisions.append((stored.job, stored.policy.metadata.name, first_choice(stored.job, stored.policy, facts, now)))
    if output == "human":
        for job, policy, decision in decisions:
            _print(job, policy, decision)
    else:
        documents = [_document(job, policy, decision) for job, policy, decision in decisions]
        print_document(documents[0] if len(documents) == 1 else documents, output)


def _document(job: HybridJob, policy: str, decision: DecisionStatus) -> dict[str, Any]:
    return {
        "name": job.metadata.name,
        "namespace": job.metadata.namespace,
        "policy": policy,
        "decision": plain(decision),
    }


def _print(job: HybridJob, policy: str, decision: DecisionStatus) -> None:
    click.echo(f"{click.style(job.metadata.name, bold=True)}  under policy {policy}")
    if decision.chosen is None:
        click.echo("  would fail: nothing can run it, and neither fallback.on nor the budgets leave another way")
    else:
        _print_option("->", decision.chosen)
    for option in decision.rejected:
        _print_option("  ", option)


def _print_option(mark: str, option: OptionStatus) -> None:
    expected, most = option.estimated_cost, option.maximum_cost
    estimate = "" if most is None else display(most, option.currency)
    if expected is not None and expected != most:
        estimate = f"{expected:f}, at most {estimate}"
    click.echo(f"  {mark} {option.route:<9} {option.backend:<12} {estimate:>12}  {option.reason}: {option.message}")
