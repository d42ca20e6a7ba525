"""From manifests to jobs that are ready to run: policy, data and size are settled before anything starts."""

import os
import re
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from hybridjob.api.errors import Complaint, FieldError
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.manifests import ManifestError, Manifests, key_of, load_files
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.contract.exit_codes import ExitCode
from hybridjob.contract.problems import SOLVER_FORMATS
from hybridjob.contract.task import ProblemData
from hybridjob.engine.policies import NoPolicyError, select_policy
from hybridjob.engine.tasks import build_task, problem_size
from hybridjob.local.results import read_result
from hybridjob.local.solvers import TASK_NAME, solver_command
from hybridjob.local.store import StoredJob

DEFAULT_POLICY = Path(__file__).with_name("default_policy.yaml")


def load_checked(files: Sequence[Path]) -> Manifests:
    """Load files and check all that can be wrong with them, also what only a solver can read.

    Raises ManifestError with every error at once.
    """
    return load_files(files, _check_by_solver)


def _check_by_solver(manifests: Manifests) -> list[FieldError]:
    """What is wrong with the problems that only a solver can read."""
    jobs = [job for job in manifests.jobs if _needs_solver(job, manifests)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        messages = list(pool.map(lambda job: _ask_solver(job, _problem_data(job, manifests)), jobs))
    errors = []
    for job, message in zip(jobs, messages, strict=True):
        if message is not None:
            complaint = Complaint(("spec", "problem"), job.spec.problem.type, message)
            errors += manifests.sources[key_of(job.metadata)].errors([complaint])
    return errors


def _needs_solver(job: HybridJob, manifests: Manifests) -> bool:
    """Whether the data is at hand, and not yet read: formats of libraries, files, and columns through `prepare`."""
    key, problem = key_of(job.metadata), job.spec.problem
    if key in manifests.refused:
        return False
    if problem.uri is not None:
        return True
    if problem.read_format not in SOLVER_FORMATS:
        return key in manifests.problems and bool(job.spec.prepare)
    reference = problem.config_map_key_ref
    return reference is None or reference.key in manifests.config_maps.get((key[0], reference.name), {})


def read_jobs(files: Sequence[Path], policy_file: Path | None, now: datetime) -> list[StoredJob]:
    """The jobs of the files, each with the policy that holds for it. Raises ManifestError."""
    manifests = load_checked(files)
    policies = load_files([policy_file]).policies if policy_file else manifests.policies
    return [_read_job(job, manifests, policies, policy_file is not None, now) for job in manifests.jobs]


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
        data=_problem_data(job, manifests),
        problem_size=problem_size(job, manifests.problems.get(key)),
    )


def _problem_data(job: HybridJob, manifests: Manifests) -> ProblemData:
    """Where the solver finds the data. What a ConfigMap holds is copied: the job must not change with its files."""
    problem = job.spec.problem
    key = key_of(job.metadata)
    if problem.config_map_key_ref is not None:
        reference = problem.config_map_key_ref
        return ProblemData(text=manifests.config_maps[key[0], reference.name][reference.key])
    if problem.uri is not None and not re.match(r"[a-z][a-z0-9+.-]*:", problem.uri):
        return ProblemData(path=str((manifests.sources[key].directory / problem.uri).absolute()))
    return ProblemData(inline=problem.inline, text=problem.text, uri=problem.uri)


def _ask_solver(job: HybridJob, data: ProblemData) -> str | None:
    """What the solver says is wrong with the job's task, or None."""
    with tempfile.TemporaryDirectory(prefix="hybridjob-") as name:
        directory = Path(name)
        task = build_task(job, 1, None, data)
        (directory / TASK_NAME).write_text(task.model_dump_json(by_alias=True, exclude_none=True))
        command = [*solver_command(directory), "--check"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == ExitCode.SOLVED:
            return None
        verdict = read_result(directory, task.job_uid, task.attempt).verdict
        if verdict is not None:
            return verdict.message
        return f"the solver's check ended with status {done.returncode}: {done.stderr.strip()[-500:]}"
