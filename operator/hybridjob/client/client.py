"""The client and its handle on a job: plain calls that block."""

import asyncio
import json
import weakref
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from hybridjob.api.common import ObjectMeta
from hybridjob.api.given import Given, Text
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.status import HybridJobStatus, ResultStatus
from hybridjob.client.enter import enter
from hybridjob.client.errors import ClientError, JobFailedError
from hybridjob.client.jobs import Jobs, status_of
from hybridjob.client.loop_thread import LoopThread
from hybridjob.client.worlds import Cluster, Laptop, World, default_state
from hybridjob.contract.verdict import Payload

T = TypeVar("T")

_SERVER_FIELDS = {
    "uid", "generation", "resource_version", "creation_timestamp", "deletion_timestamp", "managed_fields", "self_link",
    "deletion_grace_period_seconds",
}  # fmt: skip
"""What an API server writes into metadata: no part of a job that is made anew."""


class Client:
    """Submits jobs and waits for them, on a laptop or on a cluster. Every method may raise ClientError.

    May be used from several threads, and where an event loop runs already. Closing it leaves the jobs alone: on a
    cluster they go on, on a laptop they wait for `hybridjob resume` (or a client that asks for their result).
    """

    def __init__(
        self,
        state: str | Path | None = None,
        *,
        cluster: bool = False,
        context: str | None = None,
        namespace: str | None = None,
    ) -> None:
        """On this machine, with the jobs and the ledger of the directory `state` ($HYBRIDJOB_STATE, or the user's own);
        or, with `cluster`, on that of the pod's service account or of a kubeconfig's `context`.

        Raises ClientError where the cluster cannot be reached.
        """
        world: World
        if cluster:
            if state is not None:
                raise ValueError("state must be left out with cluster: a cluster keeps its own")
            world = Cluster(context, namespace)
        elif context is not None:
            raise ValueError("context must be left out without cluster=True")
        else:
            world = Laptop(Path(state) if state is not None else default_state(), namespace)
        self._thread = LoopThread()
        try:
            self._jobs: Jobs = self._thread.call(enter(world))
        except BaseException:
            self._thread.stop()
            raise
        # Also at the interpreter's end, so that solvers of a notebook are ended in order.
        self._finalizer = weakref.finalize(self, _close, self._thread, self._jobs)

    def submit(self, job: HybridJob | Mapping[str, Any] | str | Path) -> "Job":
        """Start a job: a model, a mapping (whose numpy arrays and numbers are taken as lists and numbers), YAML, or the
        path of a file, which may also hold what the job refers to.

        A string is YAML when it has several lines or begins with a brace. Raises ManifestError with all that is wrong
        with it, in the words of `hybridjob validate`, and JobExistsError where a cluster has one of that name.
        """
        (submitted,) = self._call(self._jobs.submit([_given(job)], only_one=True))
        return Job(self, submitted)

    def get(self, name: str) -> "Job":
        """The job of that name. Raises NoSuchJobError."""
        return Job(self, self._call(self._jobs.get(name)))

    def list(self) -> "list[Job]":
        """The jobs of the namespace, oldest first; on a laptop without one, all of them."""
        return [Job(self, job) for job in self._call(self._jobs.all())]

    def cancel(self, name: str) -> None:
        """Ask for a job's end. Raises NoSuchJobError, and JobEndedError where it has ended."""
        self.get(name).cancel()

    def close(self) -> None:
        """Let go of everything. Closing again does nothing."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if not self._finalizer.alive:
            coroutine.close()
            raise ClientError("the client is closed: make another one")
        return self._thread.call(coroutine)


class Job:
    """A handle on one job, which stays the same when another one gets its name. Every method may raise ClientError, and
    JobDeletedError where the job is gone."""

    def __init__(self, client: Client, job: HybridJob) -> None:
        self._client, self._job = client, job

    @property
    def name(self) -> str:
        return self._job.metadata.name

    @property
    def namespace(self) -> str:
        return self._job.metadata.namespace or "default"

    @property
    def uid(self) -> str:
        return self._job.metadata.uid or ""

    def __repr__(self) -> str:
        return f"Job(name={self.name!r}, namespace={self.namespace!r}, uid={self.uid!r})"

    def status(self) -> HybridJobStatus:
        """What is known of the job now."""
        self._job = self._client._call(self._client._jobs.refresh(self._job))
        return status_of(self._job)

    def wait(self, timeout: float | None = None) -> HybridJobStatus:
        """Block until the job has ended, whichever way; at most `timeout` seconds. Raises TimeoutError, which names the
        state that the job is in."""
        try:
            self._client._call(asyncio.wait_for(self._follow(), timeout))
        except TimeoutError:
            status = status_of(self._job)
            raise TimeoutError(
                f"job {self.name} has not ended after {timeout:g} s: it is {status.state}: {status.message}"
            ) from None
        return status_of(self._job)

    async def _follow(self) -> None:
        async for news in self._client._jobs.watch(self._job):
            if isinstance(news, HybridJob):
                self._job = news

    def result(self, timeout: float | None = None) -> ResultStatus:
        """Block until the job has ended, at most `timeout` seconds, and return its answer. Raises JobFailedError where
        there is none, and TimeoutError."""
        result = self.wait(timeout).result
        if result is None or status_of(self._job).state != "Succeeded":
            raise JobFailedError(self._job)
        return result

    def cancel(self) -> None:
        """Ask for the job's end: `wait` says when it has come. Raises JobEndedError where it has come already."""
        self._client._call(self._client._jobs.cancel(self._job))

    def payload(self) -> Payload:
        """All that the solver found: samples, convergence, circuit. Raises PayloadError where there is none."""
        self.status()
        return self._client._call(self._client._jobs.payload(self._job))


def _close(thread: LoopThread, jobs: Jobs) -> None:
    try:
        thread.call(jobs.close())
    finally:
        thread.stop()


def _given(job: HybridJob | Mapping[str, Any] | str | Path) -> Given:
    match job:
        case HybridJob():
            body = job.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"status": True})
            fields = {ObjectMeta.model_fields[name].alias or name for name in _SERVER_FIELDS}
            return body | {"metadata": {k: v for k, v in body["metadata"].items() if k not in fields}}
        case Mapping():
            # As it will travel: tuples become lists, and so do arrays.
            plain: dict[str, Any] = json.loads(json.dumps(job, default=_plain))
            return plain
        case Path():
            return job
        case str():
            return Text("the text", job) if "\n" in job or job.lstrip().startswith("{") else Path(job)
    raise TypeError(f"a job must be a HybridJob, a mapping, YAML or a path, and not {type(job).__name__}")


def _plain(value: Any) -> Any:
    """What JSON has no word for."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a job must hold plain values, and no {type(value).__name__}")
