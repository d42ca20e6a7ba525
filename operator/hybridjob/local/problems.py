"""A job's problem, as a solver on this machine gets it; and what only a solver can tell of it."""

import os
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from hybridjob.api.errors import Complaint, FieldError
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.manifests import Manifests, key_of
from hybridjob.contract.exit_codes import ExitCode
from hybridjob.contract.problems import SOLVER_FORMATS
from hybridjob.contract.task import ProblemData
from hybridjob.engine.tasks import build_task
from hybridjob.local.results import read_result
from hybridjob.local.solvers import TASK_NAME, solver_command


def check_by_solver(manifests: Manifests) -> list[FieldError]:
    """What is wrong with the problems that only a solver can read."""
    return _check(manifests, [job for job in manifests.jobs if _needs_solver(job, manifests)], ())


def check_before_cluster(manifests: Manifests) -> list[FieldError]:
    """The same for jobs that run elsewhere: where a solver of this machine cannot tell, the cluster's will."""
    if find_spec("hybridjob_solver") is None:
        return []
    jobs = [job for job in manifests.jobs if job.spec.problem.uri is None and _needs_solver(job, manifests)]
    return _check(manifests, jobs, (ExitCode.BACKEND_UNAVAILABLE,))


def is_url(uri: str) -> bool:
    """Whether it is more than a path on this machine."""
    return re.match(r"[a-z][a-z0-9+.-]*:", uri) is not None


def problem_data(job: HybridJob, manifests: Manifests) -> ProblemData:
    """Where the solver finds the data. What a ConfigMap holds is copied: the job must not change with its files."""
    problem = job.spec.problem
    key = key_of(job.metadata)
    if problem.config_map_key_ref is not None:
        reference = problem.config_map_key_ref
        return ProblemData(text=manifests.config_maps[key[0], reference.name][reference.key])
    if problem.uri is not None and not is_url(problem.uri):
        return ProblemData(path=str((manifests.sources[key].directory / problem.uri).absolute()))
    return ProblemData(inline=problem.inline, text=problem.text, uri=problem.uri)


def _needs_solver(job: HybridJob, manifests: Manifests) -> bool:
    """Whether the data is at hand, and not yet read: formats of libraries, files, and columns through `prepare`."""
    key, problem = key_of(job.metadata), job.spec.problem
    if key in manifests.refused or problem.persistent_volume_claim is not None:
        return False
    if problem.uri is not None:
        return True
    if problem.read_format not in SOLVER_FORMATS:
        return key in manifests.problems and bool(job.spec.prepare)
    reference = problem.config_map_key_ref
    return reference is None or reference.key in manifests.config_maps.get((key[0], reference.name), {})


def _check(manifests: Manifests, jobs: list[HybridJob], forgiven: tuple[ExitCode, ...]) -> list[FieldError]:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        messages = list(pool.map(lambda job: _ask_solver(job, problem_data(job, manifests), forgiven), jobs))
    errors = []
    for job, message in zip(jobs, messages, strict=True):
        if message is not None:
            complaint = Complaint(("spec", "problem"), job.spec.problem.type, message)
            errors += manifests.sources[key_of(job.metadata)].errors([complaint])
    return errors


def _ask_solver(job: HybridJob, data: ProblemData, forgiven: tuple[ExitCode, ...]) -> str | None:
    """What the solver says is wrong with the job's task, or None."""
    with tempfile.TemporaryDirectory(prefix="hybridjob-") as name:
        directory = Path(name)
        task = build_task(job, 1, None, data)
        (directory / TASK_NAME).write_text(task.model_dump_json(by_alias=True, exclude_none=True))
        command = [*solver_command(directory), "--check"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == ExitCode.SOLVED or done.returncode in forgiven:
            return None
        verdict = read_result(directory, task.job_uid, task.attempt).verdict
        if verdict is not None:
            return verdict.message
        return f"the solver's check ended with status {done.returncode}: {done.stderr.strip()[-500:]}"
