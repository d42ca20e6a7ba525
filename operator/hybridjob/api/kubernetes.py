"""The kinds of Kubernetes itself that may stand in files beside this project's own."""

from typing import Literal

from hybridjob.api.common import ObjectMeta
from hybridjob.contract.base import Model


class ConfigMap(Model):
    """The part of a ConfigMap that jobs can refer to."""

    api_version: Literal["v1"]
    kind: Literal["ConfigMap"]
    metadata: ObjectMeta
    data: dict[str, str] = {}
    binary_data: dict[str, str] = {}
    immutable: bool | None = None


class Secret(Model):
    """A Secret may stand in the files, for the cluster's sake; nothing here reads it."""

    api_version: Literal["v1"]
    kind: Literal["Secret"]
    metadata: ObjectMeta
    type: str = "Opaque"
    data: dict[str, str] = {}
    string_data: dict[str, str] = {}
    immutable: bool | None = None
