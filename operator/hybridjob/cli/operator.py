"""`hybridjob operator`: what the operator's container runs."""

import asyncio
import os
import socket
import sys

import click


def _split(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


@click.command(context_settings={"auto_envvar_prefix": "HYBRIDJOB", "show_default": True})
@click.option("--classical-image", required=True, help="Image of the classical solver.")
@click.option("--qiskit-image", required=True, help="Image of the Qiskit solver.")
@click.option("--cirq-image", required=True, help="Image of the Cirq solver.")
@click.option("--image-pull-policy", type=click.Choice(["IfNotPresent", "Always", "Never"]), default="IfNotPresent")
@click.option("--image-pull-secrets", default="", callback=_split, help="Names of Secrets, separated by commas.")
@click.option("--solver-priority-class", help="PriorityClass of solver pods.")
@click.option("--operator-namespace", default="hybridjob-system", help="Where the Lease and the ledgers are.")
@click.option("--namespaces", default="", callback=_split, help="Whose jobs to look after, by commas; empty for all.")
@click.option("--identity", default=socket.gethostname, help="This process's name in the Lease.", show_default="host")
@click.option("--leader-election/--no-leader-election", default=True)
@click.option("--host", default="0.0.0.0", help="Address of the probes and metrics.")  # noqa: S104
@click.option("--port", default=8080, help="Port of /healthz, /readyz and /metrics.")
@click.option("--workers", default=16, type=click.IntRange(1, 256), help="How many jobs are looked at at once.")
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]), default="INFO")
@click.option("--log-format", type=click.Choice(["json", "text"]), default="json")
def operator(
    classical_image: str,
    qiskit_image: str,
    cirq_image: str,
    image_pull_policy: str,
    image_pull_secrets: tuple[str, ...],
    solver_priority_class: str | None,
    operator_namespace: str,
    namespaces: tuple[str, ...],
    identity: str,
    leader_election: bool,
    host: str,
    port: int,
    workers: int,
    log_level: str,
    log_format: str,
) -> None:
    """Run the operator on the cluster of this pod, or of KUBECONFIG. Each option is also an environment variable:
    --port is HYBRIDJOB_PORT."""
    from hybridjob.cluster import json_logs
    from hybridjob.cluster.api_client import ApiError
    from hybridjob.cluster.operator import OperatorSettings, run_operator
    from hybridjob.cluster.solver_jobs import SolverSettings

    json_logs.configure(log_level, log_format == "json")
    settings = OperatorSettings(
        solvers=SolverSettings(
            images={None: classical_image, "Qiskit": qiskit_image, "Cirq": cirq_image},
            pull_policy=image_pull_policy,
            pull_secrets=image_pull_secrets,
            priority_class=solver_priority_class,
        ),
        namespace=operator_namespace,
        # Two processes of one name would both believe that they lead.
        identity=f"{identity}-{os.urandom(3).hex()}",
        namespaces=namespaces,
        leader_election=leader_election,
        host=host,
        port=port,
        workers=workers,
    )
    try:
        sys.exit(asyncio.run(run_operator(settings)))
    except ApiError as error:
        raise click.ClickException(str(error)) from error
