"""Kopf's part: two watches, and the operator's start and end.

Kopf's own storages, posting, peering and scanning are off: they copy each body three times over, and write to the
objects. What is left is its watching, and its care for the operator's life.
"""

import logging
from typing import Any, Protocol

import kopf

from hybridjob.cluster.api_client import ApiError, KubernetesApi, Object
from hybridjob.cluster.kinds import HYBRID_JOBS, POLICIES

_START_RETRY_SECONDS = 5

log = logging.getLogger(__name__)


class Watched(Protocol):
    """The operator, as far as Kopf is concerned."""

    api: KubernetesApi

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def on_job(self, event: str | None, raw: Object) -> None: ...

    def on_policy(self, event: str | None, raw: Object) -> None: ...


def kopf_registry(operator: Watched) -> kopf.OperatorRegistry:
    """Kopf's part: two watches, and the operator's start and end."""
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.peering.standalone = True
        settings.watching.chunk_size = 500
        settings.queueing.idle_timeout = 1
        settings.persistence.diffbase_storage = _NoDiffBase()
        settings.persistence.progress_storage = _NoProgress()
        try:
            await operator.start()
        except ApiError as error:
            hint = "; are the CustomResourceDefinitions installed?" if error.status == 404 else ""
            log.error("cannot start yet: %s%s", error, hint)
            raise kopf.TemporaryError(str(error), delay=_START_RETRY_SECONDS) from error

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await operator.stop()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        found = await operator.api.credentials()
        return kopf.ConnectionInfo(
            server=found.server,
            ca_path=found.ca_file,
            ca_data=found.ca_data.encode() if found.ca_data else None,
            insecure=found.insecure,
            token=found.token,
            certificate_path=found.certificate_file,
            private_key_path=found.key_file,
        )

    @kopf.on.event(HYBRID_JOBS.group, HYBRID_JOBS.version, HYBRID_JOBS.plural, registry=registry)
    async def on_job(type: str | None, body: kopf.Body, **_: Any) -> None:
        operator.on_job(type, dict(body))

    @kopf.on.event(POLICIES.group, POLICIES.version, POLICIES.plural, registry=registry)
    async def on_policy(type: str | None, body: kopf.Body, **_: Any) -> None:
        operator.on_policy(type, dict(body))

    return registry


class _NoDiffBase(kopf.DiffBaseStorage):
    """Nothing is compared: Kopf's own storages copy each body three times over."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


class _NoProgress(kopf.ProgressStorage):
    """Nothing is remembered on the objects."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: Any, **_: Any) -> Any:
        return essence

    def flush(self) -> None:
        return None
