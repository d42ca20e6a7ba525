"""The API server in memory: what of Kubernetes' semantics the operator leans on, and nothing else.

One counter gives every change its resource version. Objects are kept as JSON, so nobody ever shares one with anybody.
"""

import json
import marshal
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

Object = dict[str, Any]

PAGE = 2
"""How many objects one page of a list holds: small, so that lists have pages."""
_WITH_STATUS = ("hybridjobs", "quantumbackendpolicies", "jobs", "pods")
_KINDS = {
    "hybridjobs": "HybridJob",
    "quantumbackendpolicies": "QuantumBackendPolicy",
    "jobs": "Job",
    "pods": "Pod",
}


class Key(NamedTuple):
    """What an object is found by."""

    plural: str
    namespace: str
    name: str


def key_of(plural: str, item: Object) -> Key:
    return Key(plural, item["metadata"].get("namespace", ""), item["metadata"]["name"])


class RefusedError(Exception):
    """The API server says no."""

    def __init__(self, status: int, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.retry_after = status, reason, retry_after


@dataclass(frozen=True)
class Change:
    """One event of a watch."""

    version: int
    type: str
    key: Key
    labels: dict[str, str]
    content: bytes

    def item(self) -> Object:
        """The object as it was then."""
        item: Object = marshal.loads(self.content)  # noqa: S302 — our own
        return item


class Target(NamedTuple):
    """What a request is about."""

    plural: str
    namespace: str
    name: str
    subresource: str


@cache
def target(path: str) -> Target:
    """Understand a path of the API."""
    parts = path.strip("/").split("/")
    rest = parts[3:] if parts[0] == "apis" else parts[2:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    return Target(rest[0], namespace, *[*rest[1:], "", ""][:2])


@cache
def _requirements(selector: str) -> list[tuple[str, str | None]]:
    parts = [part.split("=") for part in selector.split(",") if part]
    return [(part[0], part[1] if len(part) > 1 else None) for part in parts]


def selected(selector: str, labels: dict[str, str]) -> bool:
    """Equality and existence."""
    return all(name in labels and value in (None, labels[name]) for name, value in _requirements(selector))


@dataclass
class ApiServer:
    """Objects, their history, and the rules by which they change. `observers` are told of every change."""

    clock: Callable[[], datetime]
    version: int = 0
    objects: dict[Key, Object] = field(default_factory=dict)
    history: dict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))
    compacted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Up to which version the changes of a kind are forgotten."""
    observers: list[Callable[[Key, Object | None, Object | None], None]] = field(default_factory=list)
    """Told the object before and after each change."""
    logs: dict[str, bytes] = field(default_factory=dict)
    """By name of pod."""
    _snapshots: dict[str, tuple[int, list[Object]]] = field(default_factory=dict)
    _made: int = 0

    # What clients ask for

    def handle(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        """Do a request. Raises RefusedError."""
        found = target(path)
        key = Key(found.plural, found.namespace, found.name)
        match method:
            case "GET" if found.subresource == "log":
                if key not in self.objects:
                    raise RefusedError(404, "NotFound")
                return self.logs.get(found.name, b"")
            case "GET" if found.name:
                return _copy(self._existing(key))
            case "GET":
                return self._list(found, query.get("labelSelector", ""), query.get("continue", ""))
            case "POST":
                return _copy(self.create(key._replace(name=body["metadata"]["name"]), _received(body)))
            case "PUT":
                return _copy(self._replace(key, _received(body), found.subresource))
            case "DELETE":
                if body["preconditions"]["uid"] != self._existing(key)["metadata"]["uid"]:
                    raise RefusedError(409, "Conflict")
                self.remove(key)
                return {}
        raise RefusedError(405, "MethodNotAllowed")

    def _list(self, found: Target, selector: str, token: str) -> Object:
        """One page; the pages of a list are of one instant."""
        if token:
            version, items = self._snapshots.pop(token)
        else:
            version = self.version
            keys = sorted(key for key in self.objects if key.plural == found.plural)  # the order of etcd
            items = [
                self.objects[key]
                for key in keys
                if found.namespace in ("", key.namespace)
                and selected(selector, self.objects[key]["metadata"].get("labels", {}))
            ]
        page, rest = items[:PAGE], items[PAGE:]
        metadata = {"resourceVersion": str(version)}
        if rest:
            self._made += 1
            metadata["continue"] = str(self._made)
            self._snapshots[str(self._made)] = version, rest
        return {"items": [_copy(item) for item in page], "metadata": metadata}

    def _replace(self, key: Key, body: Object, subresource: str) -> Object:
        old = self._existing(key)
        given, known = body["metadata"], old["metadata"]
        if given.get("uid", known["uid"]) != known["uid"]:
            raise RefusedError(409, "Conflict")
        if given.get("resourceVersion", known["resourceVersion"]) != known["resourceVersion"]:
            raise RefusedError(409, "Conflict")
        if subresource == "status":
            new = old | {"status": body.get("status", {})}
        else:
            kept = {name: known[name] for name in ("uid", "creationTimestamp", "generation")}
            new = body | {"metadata": given | kept}
            if key.plural in _WITH_STATUS and "status" in old:
                new["status"] = old["status"]
        return self.put(key, new)

    # What happens to objects, whoever wants it

    def create(self, key: Key, body: Object) -> Object:
        """Raises RefusedError where the name is taken."""
        if key in self.objects:
            raise RefusedError(409, "AlreadyExists")
        self._made += 1
        body.pop("status", None)
        body["metadata"] |= {
            "name": key.name,
            "uid": f"{self._made:08x}-0000-4000-8000-000000000000",
            "creationTimestamp": timestamp(self.clock()),
            "generation": 1,
        }
        if key.namespace:
            body["metadata"]["namespace"] = key.namespace
        return self._store(key, None, body)

    def put(self, key: Key, new: Object) -> Object:
        """Change an object; writing what is there already changes nothing."""
        old = self._existing(key)
        metadata = new["metadata"] | {"resourceVersion": old["metadata"]["resourceVersion"]}
        if new.get("spec") != old.get("spec"):
            metadata["generation"] = old["metadata"]["generation"] + 1
        new = new | {"metadata": metadata}
        return old if new == old else self._store(key, old, new)

    def remove(self, key: Key) -> None:
        old = self.objects.pop(key)
        self.version += 1
        gone = old | {"metadata": old["metadata"] | {"resourceVersion": str(self.version)}}
        self._record("DELETED", key, gone)
        for observer in self.observers:
            observer(key, old, None)

    def _store(self, key: Key, old: Object | None, new: Object) -> Object:
        self.version += 1
        new["metadata"] = new["metadata"] | {"resourceVersion": str(self.version)}
        self.objects[key] = new
        self._record("MODIFIED" if old else "ADDED", key, new)
        for observer in self.observers:
            observer(key, old, new)
        return new

    def _record(self, event: str, key: Key, item: Object) -> None:
        if key.plural in _KINDS:
            change = Change(self.version, event, key, item["metadata"].get("labels", {}), marshal.dumps(item))
            self.history[key.plural].append(change)

    def _existing(self, key: Key) -> Object:
        if key not in self.objects:
            raise RefusedError(404, "NotFound")
        return self.objects[key]

    # What others look at

    def all(self, plural: str) -> list[Object]:
        return [item for key, item in self.objects.items() if key.plural == plural]

    def garbage(self) -> Iterator[Key]:
        """Objects whose owners are all gone."""
        alive = {item["metadata"]["uid"] for item in self.objects.values()}
        for key, item in self.objects.items():
            owners = item["metadata"].get("ownerReferences", [])
            if owners and not any(owner["uid"] in alive for owner in owners):
                yield key


@dataclass
class Stream:
    """One watch: where it is in the history of its kind."""

    server: ApiServer
    plural: str
    namespace: str
    selector: str
    position: int

    @classmethod
    def open(cls, server: ApiServer, plural: str, namespace: str, selector: str, version: int) -> "Stream":
        """Raises RefusedError where the history does not reach so far back."""
        if version < server.compacted[plural]:
            raise RefusedError(410, "Expired")
        position = bisect_right(server.history[plural], version, key=lambda change: change.version)
        return cls(server, plural, namespace, selector, position)

    def peek(self) -> Change | None:
        """The next change that it brings."""
        changes = self.server.history[self.plural]
        while self.position < len(changes):
            change = changes[self.position]
            if self.namespace in ("", change.key.namespace) and selected(self.selector, change.labels):
                return change
            self.position += 1
        return None


def timestamp(time: datetime) -> str:
    """As Kubernetes writes it: without fractions."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _received(body: Any) -> Any:
    """As it comes over the wire."""
    return json.loads(json.dumps(body))


def _copy(item: Any) -> Any:
    return marshal.loads(marshal.dumps(item))  # noqa: S302 — our own, and quicker than JSON
