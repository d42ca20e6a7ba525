"""A solver's payload: read from its pod's log, checked against the verdict's digest, kept in a ConfigMap."""

from hybridjob.api.hybridjob import HybridJob
from hybridjob.cluster.api_client import ApiError, KubernetesApi
from hybridjob.cluster.kinds import CONFIG_MAPS
from hybridjob.cluster.observation import Stored
from hybridjob.cluster.solver_jobs import config_map, job_name
from hybridjob.cluster.views import PodView
from hybridjob.contract.verdict import MAX_PRINTED_PAYLOAD_BYTES, PAYLOAD_PREFIX
from hybridjob.engine.results import BadResultError, best_samples

PAYLOAD_KEY = "payload.json"
_LINES = 64
"""The payload is printed last; a container runtime breaks lines into pieces of 16 KiB and counts each."""


async def store_payload(api: KubernetesApi, job: HybridJob, pod: PodView, digest: str) -> Stored:
    """Keep the payload of an attempt that ended. Raises ApiError where the log or the ConfigMap cannot be had.

    A log may be complete only a moment after its container has ended.
    """
    limit = MAX_PRINTED_PAYLOAD_BYTES + 2**16
    log = await api.log_tail(pod.namespace, pod.name, _LINES, limit)
    lines = [line for line in log.split(b"\n") if line.startswith(PAYLOAD_PREFIX)]
    if not lines:
        raise ApiError(0, "NoPayload", f"the log of pod {pod.namespace}/{pod.name} holds no payload")
    content = lines[-1].removeprefix(PAYLOAD_PREFIX)
    try:
        top = best_samples(content, digest)
    except BadResultError as error:
        return Stored(error=str(error))
    name = f"{job_name(job, pod.attempt)}-payload"
    try:
        await api.create(CONFIG_MAPS, pod.namespace, config_map(job, name, {PAYLOAD_KEY: content.decode()}))
    except ApiError as error:
        if error.status != 409:  # stored already
            raise
    return Stored(reference=f"configmap/{name}", top=top)


async def read_payload(api: KubernetesApi, namespace: str, reference: str) -> str:
    """The payload that a status refers to."""
    found = await api.get(CONFIG_MAPS, namespace, reference.removeprefix("configmap/"))
    content: str = found["data"][PAYLOAD_KEY]
    return content
