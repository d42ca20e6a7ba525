"""What people ask of the Kubernetes API and the operator does not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from kubernetes.aio import client

from hybridjob.cluster.api_client import REQUEST_SECONDS, KubernetesApi, Object
from hybridjob.cluster.kinds import Kind

_FIELD_MANAGER = "hybridjob"
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class UserApi(KubernetesApi):
    """The API, with server-side apply and field selectors. In a pod its namespace is that of the pod."""

    @classmethod
    async def connect(cls, context: str | None = None, **hooks: Any) -> Self:
        api = await super().connect(context, **hooks)
        authority = api._client.configuration.ssl_ca_cert
        if authority and Path(authority).parent == _SERVICE_ACCOUNT:
            api.namespace = (_SERVICE_ACCOUNT / "namespace").read_text().strip()
        return api

    async def apply(self, kind: Kind, namespace: str | None, name: str, body: Object) -> Object:
        """Make an object what `body` says, as `kubectl apply --server-side --force-conflicts` does. Raises ApiError."""
        # A header of the client's goes before that of the request, which says merge patch.
        patches = client.ApiClient(self._client.configuration, "Content-Type", "application/apply-patch+yaml")
        api = KubernetesApi(patches)
        try:
            query = {"fieldManager": _FIELD_MANAGER, "force": "true"}
            return await api._json("PATCH", kind.path(namespace, name), query, body)
        finally:
            await api.close()

    def where(self, fields: str) -> KubernetesApi:
        """The same connection, whose lists and watches hold only what a field selector selects."""
        return _Selected(self._client, fields)


class _Selected(KubernetesApi):
    def __init__(self, api_client: client.ApiClient, fields: str) -> None:
        super().__init__(api_client)
        self._fields = fields

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        timeout: Any = REQUEST_SECONDS,
    ) -> Any:
        return await super()._request(method, path, {**(query or {}), "fieldSelector": self._fields}, body, timeout)
