"""A cluster's jobs: objects of one namespace, which the operator brings to their end."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self

from pydantic import ValidationError

from hybridjob.api.errors import Complaint, FieldError, explain, path_of, shown
from hybridjob.api.given import Given
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.manifests import Manifests, key_of, load_files
from hybridjob.client.errors import (
    ClientError,
    ClusterError,
    JobDeletedError,
    JobEndedError,
    JobExistsError,
    NoSuchJobError,
    PayloadError,
)
from hybridjob.client.jobs import Moment, News, has_ended, parse_payload, require_jobs, result_of, status_of
from hybridjob.client.user_api import UserApi
from hybridjob.client.worlds import Cluster
from hybridjob.cluster.api_client import ApiError, Object
from hybridjob.cluster.kinds import CONFIG_MAPS, EVENTS, HYBRID_JOBS, POLICIES, Kind
from hybridjob.cluster.payloads import read_payload
from hybridjob.contract.verdict import Payload
from hybridjob.local.problems import check_before_cluster, is_url

_KINDS = {"ConfigMap": CONFIG_MAPS, "Secret": Kind("", "v1", "secrets"), "QuantumBackendPolicy": POLICIES}
_RETRY_SECONDS = (0.25, 8.0)
_PATIENCE_SECONDS = 300.0
"""How long an API server may be out of reach while a job is waited for."""
_FINAL = (400, 401, 403, 404, 405, 422)
"""Answers that asking again does not change."""


class ClusterJobs:
    """The HybridJobs of one namespace."""

    history_title = "Events"
    left_alone = "the jobs go on on the cluster; `hybridjob get --cluster` shows them"

    def __init__(self, api: UserApi, cluster: Cluster) -> None:
        self._api, self._replace = api, cluster.replace
        self._namespace = cluster.namespace or api.namespace
        self._asked_namespace = cluster.namespace

    @classmethod
    async def connect(cls, cluster: Cluster) -> Self:
        """Raises ClientError where no cluster is named."""
        with in_words("the cluster"):
            return cls(await UserApi.connect(cluster.context), cluster)

    async def submit(self, given: Sequence[Given], only_one: bool = False) -> list[HybridJob]:
        # What jobs refer to may be on the cluster already. In a thread: solvers may be asked.
        manifests = await asyncio.to_thread(
            partial(load_files, namespace=self._namespace, closed=False),
            given,
            check_before_cluster,
            self._check_places,
        )
        require_jobs(len(manifests.jobs), only_one)
        before = [await self._find(job) for job in manifests.jobs]
        taken = [found for found in before if found is not None]
        if taken and not self._replace:
            raise JobExistsError("\n".join(map(_taken, taken)))
        for body in manifests.others:  # first, as it may be refused
            await self._apply(body)
        for found in taken:
            await self._delete(found)
        return [await self._create(job) for job in manifests.jobs]

    def _check_places(self, manifests: Manifests) -> Iterator[FieldError]:
        """Files of this machine are not there, and a namespace that was asked for is meant."""
        for job in manifests.jobs:
            source = manifests.sources[key_of(job.metadata)]
            uri, namespace = job.spec.problem.uri, job.metadata.namespace
            if uri is not None and not is_url(uri):
                must = "must be a URL: the cluster's solvers do not see the files of this machine"
                yield from source.errors([Complaint(("spec", "problem", "uri"), shown(uri), must)])
            if self._asked_namespace not in (None, namespace):
                must = f"must be {self._asked_namespace}, the namespace that was asked for, or left out"
                yield from source.errors([Complaint(("metadata", "namespace"), shown(namespace), must)])

    async def _find(self, job: HybridJob) -> HybridJob | None:
        try:
            return await self._read(job.metadata.name, job.metadata.namespace or self._namespace)
        except NoSuchJobError:
            return None

    async def _apply(self, body: Object) -> None:
        kind, metadata = body["kind"], body["metadata"]
        with in_words(f"{kind} {metadata['name']}"):
            await self._api.apply(_KINDS[kind], metadata.get("namespace"), metadata["name"], body)

    async def _create(self, job: HybridJob) -> HybridJob:
        metadata = job.metadata
        body = job.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"status": True})
        with in_words(_called(job)):
            try:
                return _parse(await self._api.create(HYBRID_JOBS, metadata.namespace, body))
            except ApiError as error:
                if error.status == 409:
                    raise JobExistsError(
                        f"{_called(job)} exists already: choose another name, or replace it"
                    ) from error
                raise

    async def _delete(self, job: HybridJob) -> None:
        """Delete the job, and wait until it is gone."""
        metadata = job.metadata
        with in_words(_called(job)):
            await self._api.delete(HYBRID_JOBS, metadata.namespace, metadata.name, metadata.uid or "")
        try:
            async for _ in self._versions(job):
                pass
        except JobDeletedError:
            return

    async def get(self, name: str) -> HybridJob:
        return await self._read(name, self._namespace)

    async def _read(self, name: str, namespace: str) -> HybridJob:
        with in_words(f"HybridJob {namespace}/{name}"):
            try:
                return _parse(await self._api.get(HYBRID_JOBS, namespace, name))
            except ApiError as error:
                if error.status == 404 and f'"{name}" not found' in str(error):
                    raise NoSuchJobError(
                        f"no job named {name} in namespace {namespace}: "
                        "`hybridjob get --cluster` lists the jobs there (-n names another namespace)"
                    ) from error
                raise

    async def all(self) -> list[HybridJob]:
        with in_words(f"the HybridJobs of namespace {self._namespace}"):
            items = [item async for page in self._api.pages(HYBRID_JOBS, self._namespace) for item in page.items]
        return sorted(map(_parse, items), key=lambda job: str(job.metadata.creation_timestamp))

    async def refresh(self, job: HybridJob) -> HybridJob:
        try:
            now = await self._read(job.metadata.name, job.metadata.namespace or self._namespace)
        except NoSuchJobError as error:
            raise _deleted(job) from error
        if now.metadata.uid != job.metadata.uid:
            raise _deleted(job)
        return now

    async def watch(self, job: HybridJob) -> AsyncIterator[News]:
        async for version in self._versions(job):
            yield version
            if has_ended(version):
                return

    async def _versions(self, job: HybridJob) -> AsyncIterator[HybridJob]:
        """The job as it is now and each change of it, until it is deleted: JobDeletedError. A watch that breaks goes on
        where it was, or begins anew where the server does not remember that."""
        selected = self._api.where(f"metadata.name={job.metadata.name}")
        version, failures, heard = "", 0, time.monotonic()
        while True:
            try:
                if not version:
                    current = await self.refresh(job)
                    version = current.metadata.resource_version or ""
                    yield current
                with in_words(f"the watch of {_called(job)}"):
                    async for event, item in selected.watch(HYBRID_JOBS, job.metadata.namespace, "", version):
                        version, failures, heard = item["metadata"]["resourceVersion"], 0, time.monotonic()
                        if event == "DELETED" or item["metadata"].get("uid", job.metadata.uid) != job.metadata.uid:
                            raise _deleted(job)
                        if event != "BOOKMARK":
                            yield _parse(item)
            except ClusterError as error:
                if isinstance(error.__cause__, ApiError) and error.__cause__.is_gone:
                    version = ""
                    continue
                if error.status in _FINAL or time.monotonic() - heard > _PATIENCE_SECONDS:
                    raise
                failures += 1
                await asyncio.sleep(min(_RETRY_SECONDS[1], _RETRY_SECONDS[0] * 2**failures))

    async def cancel(self, job: HybridJob) -> None:
        now = await self.refresh(job)
        if has_ended(now):
            raise JobEndedError(f"job {now.metadata.name} has already ended")
        patch = {"metadata": {"uid": now.metadata.uid}, "spec": {"cancel": True}}
        with in_words(_called(now)):
            await self._api.merge(HYBRID_JOBS, now.metadata.namespace, now.metadata.name, patch)

    async def payload(self, job: HybridJob) -> Payload:
        result = result_of(job)
        reference = result.reference or ""
        with in_words(f"the payload {reference}"):
            try:
                content = await read_payload(self._api, job.metadata.namespace or self._namespace, reference)
            except ApiError as error:
                if error.status == 404:
                    raise PayloadError(f"the payload {reference} has been deleted: run the job again") from error
                raise
            except KeyError as error:
                raise PayloadError(f"the payload {reference} has been changed: it has no key {error}") from error
        return parse_payload(content.encode(), result)

    async def history(self, job: HybridJob) -> list[Moment]:
        selected = self._api.where(f"involvedObject.uid={job.metadata.uid}")
        with in_words(f"the Events of {_called(job)}"):
            pages = selected.pages(EVENTS, job.metadata.namespace)
            events = [event async for page in pages for event in page.items]
        return sorted(map(_moment, events), key=lambda moment: moment.time)

    async def close(self) -> None:
        await self._api.close()


_NEXT_STEPS = {
    0: "is the cluster up, and the right context chosen (--context)?",
    401: "log in to the cluster again",
    403: "ask who runs the cluster for the right (docs/installation.md names the roles)",
    404: "is HybridJob installed there (docs/installation.md), and does the namespace exist?",
}
"""By the status of the answer; 0 is none."""


@contextmanager
def in_words(what: str) -> Iterator[None]:
    """The API server's refusals as the client's errors, about `what`."""
    try:
        yield
    except ApiError as error:
        next_step = None if error.reason == "NoCluster" else _NEXT_STEPS.get(error.status)
        message = f"{what}: {str(error).strip()}" + (f"; {next_step}" if next_step else "")
        raise ClusterError(message, error.status) from error


def _called(job: HybridJob) -> str:
    return f"HybridJob {job.metadata.namespace}/{job.metadata.name}"


def _taken(job: HybridJob) -> str:
    ended = f"has ended already ({status_of(job).state})" if has_ended(job) else f"is there, {status_of(job).state}"
    return (
        f"{_called(job)} {ended}, and an object never runs twice: choose another name or metadata.generateName, "
        "or delete it first (`hybridjob run --cluster --replace` does both)"
    )


def _deleted(job: HybridJob) -> JobDeletedError:
    return JobDeletedError(f"{_called(job)} ({job.metadata.uid}) has been deleted: its answer is lost; submit it again")


def _parse(item: Any) -> HybridJob:
    """The object, without the book-keeping of its writers. Raises ClientError where it is not one of this version."""
    item["metadata"].pop("managedFields", None)
    try:
        return HybridJob.model_validate_json(json.dumps(item))
    except ValidationError as error:
        first = explain(error, HybridJob)[0]
        name = f"{item['metadata'].get('namespace')}/{item['metadata'].get('name')}"
        raise ClientError(
            f"HybridJob {name} cannot be read: {path_of(first.loc)}: {first.must}; is this hybridjob older than the "
            "cluster's?"
        ) from error


def _moment(event: Object) -> Moment:
    times = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    text = next((text for text in times if text), None)
    time_ = datetime.fromisoformat(text) if text else datetime.fromtimestamp(0, UTC)
    return Moment(time_, event.get("reason") or "", event.get("message") or "")
