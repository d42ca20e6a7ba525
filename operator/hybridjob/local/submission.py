"""From manifests to jobs that are ready to run: policy, data and size are settled before anything starts."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from hybridjob.api.errors import Complaint, FieldError
from hybridjob.api.given import Given
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.manifests import (
    DEFAULT_NAMESPACE,
    Check,
    ManifestError,
    Manifests,
    key_of,
    load_files,
)
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.engine.policies import NoPolicyError, select_policy
from hybridjob.engine.tasks import problem_size
from hybridjob.local.problems import check_by_solver, problem_data
from hybridjob.local.store import StoredJob

DEFAULT_POLICY = Path(__file__).with_name("default_policy.yaml")


def read_jobs(
    given: Sequence[Given],
    policy_file: Path | None,
    now: datetime,
    *checks: Check,
    namespace: str = DEFAULT_NAMESPACE,
) -> list[StoredJob]:
    """The jobs of what was given, each with the policy that holds for it. Raises ManifestError."""
    manifests = load_files(given, check_by_solver, *checks, namespace=namespace)
    policies = load_files([policy_file]).policies if policy_file else manifests.policies
    return [_read_job(job, manifests, policies, policy_file is not None, now) for job in manifests.jobs]


def check_can_end_here(manifests: Manifests) -> Iterator[FieldError]:
    """What keeps a job from ever ending on a laptop, and not on a cluster."""
    for job in manifests.jobs:
        source = manifests.sources[key_of(job.metadata)]
        if job.spec.suspend:
            must = "must be false on a laptop, where nothing could resume the job: run it on a cluster"
            yield from source.errors([Complaint(("spec", "suspend"), "true", must)])
        if job.spec.problem.persistent_volume_claim is not None:
            must = "must be run on a cluster: a laptop has no volumes"
            place = ("spec", "problem", "persistentVolumeClaim")
            yield from source.errors([Complaint(place, job.spec.problem.persistent_volume_claim.claim_name, must)])


def _read_job(
    job: HybridJob, manifests: Manifests, policies: Sequence[QuantumBackendPolicy], imposed: bool, now: datetime
) -> StoredJob:
    """`imposed`: the policies hold whatever the job names."""
    key = key_of(job.metadata)
    named = job.model_copy(update={"spec": job.spec.model_copy(update={"policy_name": None})}) if imposed else job
    try:
        policy = select_policy(named, policies) or load_files([DEFAULT_POLICY]).policies[0]
    except NoPolicyError as error:
        place = ("spec", "policyName")
        complaint = Complaint(place, job.spec.policy_name or "nothing", str(error))
        raise ManifestError(manifests.sources[key].errors([complaint])) from error
    metadata = job.metadata.model_copy(
        update={"uid": str(uuid.uuid4()), "creation_timestamp": now, "namespace": key[0], "generation": 1}
    )
    return StoredJob(
        job=job.model_copy(update={"metadata": metadata, "status": None}),
        policy=policy,
        data=problem_data(job, manifests),
        problem_size=problem_size(job, manifests.problems.get(key)),
    )
