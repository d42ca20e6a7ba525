"""The Kubernetes API as raw JSON: the official asynchronous client without its models, which cost 1 ms each."""

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
from kubernetes.aio import client, config

from hybridjob.cluster.kinds import Kind

Object = dict[str, Any]

REQUEST_SECONDS = 30.0
"""The patience with one request."""
WATCH_SECONDS = 300
"""How long the server is asked to keep one watch open."""
_SILENCE_SECONDS = 90
"""A watch that brings nothing for so long, not even a bookmark, is taken for dead."""
PAGE_SIZE = 500


class ApiError(Exception):
    """The API server refused, or could not be reached (status 0)."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.retry_after = status, reason, retry_after

    @property
    def is_gone(self) -> bool:
        """Whether a watch or a page came too late, and the collection must be listed again."""
        return self.status == 410 or self.reason in ("Expired", "Gone")


@dataclass(frozen=True)
class Page:
    items: list[Object]
    resource_version: str


@dataclass(frozen=True)
class Credentials:
    """A cluster, and who one is there."""

    server: str
    ca_file: str | None
    ca_data: str | None
    insecure: bool
    token: str | None
    certificate_file: str | None
    key_file: str | None


class KubernetesApi:
    """One connection to one cluster. `on_write` is told each write: verb, resource, status. `guard` is asked before
    each write, and raises where this process may not write (any more)."""

    def __init__(
        self,
        api_client: client.ApiClient,
        namespace: str = "default",
        on_write: Callable[[str, str, int], None] = lambda *_: None,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = api_client
        self.on_write = on_write
        self.guard = guard
        self.namespace = namespace
        """The namespace of the kubeconfig's context."""

    @classmethod
    async def connect(cls, context: str | None = None, **hooks: Any) -> Self:
        """Connect as the pod's service account inside a cluster, else with KUBECONFIG or its default file.

        Raises ApiError where there is neither.
        """
        settings = client.Configuration()
        settings.connection_pool_maxsize = 100
        # Looking for proxies and netrc files takes two threads for each request.
        settings.client_session_kwargs = {"trust_env": any(name.lower() == "https_proxy" for name in os.environ)}
        namespace = "default"
        try:
            if context is None and "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
                config.load_incluster_config(client_configuration=settings)
            else:
                loader = await config.load_kube_config(context=context, client_configuration=settings)
                namespace = loader.current_context["context"].get("namespace") or namespace
        except (config.ConfigException, OSError) as error:
            raise ApiError(0, "NoCluster", f"no cluster can be reached: {error}; KUBECONFIG must name one") from error
        return cls(client.ApiClient(configuration=settings), namespace, **hooks)

    async def close(self) -> None:
        await self._client.close()

    async def credentials(self) -> Credentials:
        """What another client needs to talk to the same cluster as the same user, as it stands now."""
        settings = self._client.configuration
        bearer = (await settings.auth_settings()).get("BearerToken", {}).get("value") or ""
        return Credentials(
            server=settings.host,
            ca_file=settings.ssl_ca_cert,
            ca_data=settings.ca_cert_data,
            insecure=not settings.verify_ssl,
            token=bearer.split(" ")[-1] or None,  # with "bearer" before it, or without
            certificate_file=settings.cert_file,
            key_file=settings.key_file,
        )

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        return await self._json("GET", kind.path(namespace, name))

    async def pages(self, kind: Kind, namespace: str | None = None, selector: str = "") -> AsyncIterator[Page]:
        """All objects of a collection, page by page. The last page's resource version is where a watch goes on."""
        token = ""
        while True:
            query = {"limit": str(PAGE_SIZE), "labelSelector": selector, "continue": token}
            answer = await self._json("GET", kind.path(namespace), query)
            yield Page(answer["items"], answer["metadata"]["resourceVersion"])
            token = answer["metadata"].get("continue") or ""
            if not token:
                return

    async def watch(
        self, kind: Kind, namespace: str | None, selector: str, resource_version: str
    ) -> AsyncIterator[tuple[str, Object]]:
        """Changes after a resource version, until the server ends the stream. Raises ApiError."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": selector,
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=_SILENCE_SECONDS)
        response = await self._request("GET", kind.path(namespace), query, timeout=timeout)
        try:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise ApiError(status.get("code", 0), status.get("reason", ""), status.get("message", ""))
                yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(0, "WatchBroken", f"the watch of {kind.plural} broke: {error!r}") from error
        finally:
            response.close()

    async def create(self, kind: Kind, namespace: str | None, body: Object) -> Object:
        return await self._write("create", "POST", kind, kind.path(namespace), body)

    async def replace(
        self, kind: Kind, namespace: str | None, name: str, body: Object, subresource: str | None = None
    ) -> Object:
        """Replace an object, or one of its subresources; with a resource version in `body`, only if none has come after
        it. Raises ApiError 409 otherwise."""
        return await self._write("update", "PUT", kind, kind.path(namespace, name, subresource), body)

    async def merge(self, kind: Kind, namespace: str | None, name: str, patch: Object) -> Object:
        """Apply a JSON merge patch."""
        return await self._write("patch", "PATCH", kind, kind.path(namespace, name), patch)

    async def delete(self, kind: Kind, namespace: str | None, name: str, uid: str) -> None:
        """Delete this very object; its dependents go in the background. Gone already is fine."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._write("delete", "DELETE", kind, kind.path(namespace, name), options)
        except ApiError as error:
            if error.status not in (404, 409):  # 409: the name belongs to another object now
                raise

    async def log_tail(self, namespace: str, pod: str, lines: int, limit: int) -> bytes:
        """The last lines of a pod's log, at most `limit` bytes."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        response = await self._request("GET", path, {"tailLines": str(lines), "limitBytes": str(limit)})
        return await response.read()

    async def _write(self, verb: str, method: str, kind: Kind, path: str, body: Object) -> Object:
        self.guard()
        status = 0
        try:
            answer = await self._json(method, path, body=body)
            status = 201 if method == "POST" else 200
        except ApiError as error:
            status = error.status
            raise
        finally:
            self.on_write(verb, kind.plural, status)
        return answer

    async def _json(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None) -> Object:
        response = await self._request(method, path, query, body)
        try:
            answer: Object = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ApiError(0, "Unreadable", f"{method} {path}: the answer cannot be read: {error!r}") from error
        return answer

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        timeout: Any = REQUEST_SECONDS,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        parameters = [(name, value) for name, value in (query or {}).items() if value]
        try:
            # The body is JSON already: the client's own look at every value of it costs more than sending it.
            _, url, headers, *_ = await self._client.param_serialize(
                method, path, query_params=parameters, header_params=headers, auth_settings=["BearerToken"]
            )
            answer = await self._client.call_api(method, url, headers, body, _request_timeout=timeout)
        except (aiohttp.ClientError, TimeoutError, client.ApiException) as error:
            raise ApiError(0, "Unreachable", f"{method} {path}: the API server cannot be reached: {error!r}") from error
        response: aiohttp.ClientResponse = answer.response
        if response.status >= 400:
            raise await _refusal(method, path, response)
        return response


async def _refusal(method: str, path: str, response: aiohttp.ClientResponse) -> ApiError:
    text = (await response.read()).decode(errors="replace")
    try:
        status = json.loads(text)
        reason, message = status.get("reason", ""), status.get("message", "")
    except (ValueError, AttributeError):
        reason, message = "", text[:500]
    after = response.headers.get("Retry-After", "")
    return ApiError(
        response.status,
        reason,
        f"{method} {path}: {response.status} {message}",
        float(after) if after.isdigit() else None,
    )
