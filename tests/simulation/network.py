"""Between the operator and the API server: every request and every watch event waits here until the explorer lets it
through, loses it, or loses the answer."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.api_server import ApiServer, Object, RefusedError, Stream

from hybridjob.cluster.api_client import ApiError, KubernetesApi
from hybridjob.cluster.kinds import Kind

LIFETIME_SECONDS = 4.0
"""A request that was not executed so long after it was sent never is. The Lease leaves 5 s between the end of one
leader and the beginning of the next, for requests that are still under way."""


@dataclass
class Request:
    """One request: sent, executed, answered."""

    owner: str
    """The process that sent it."""
    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    sent: float
    answer: "asyncio.Future[Any]"
    result: Any = None
    executed: bool = False

    def __str__(self) -> str:
        return f"{self.owner} {self.method} {self.path.split('v1', 1)[-1].removeprefix('alpha1')}"

    def brief(self) -> str:
        """What was asked and what came of it, in a line."""
        text = str(self)
        status = self.body.get("status") if isinstance(self.body, dict) else None
        if status and "state" in status:
            attempts = " ".join(f"{a['number']}:{a['backend']}:{a['state']}" for a in status.get("attempts", []))
            text += f" {status['state']} [{attempts}]"
        elif isinstance(self.body, dict) and "data" in self.body and "ledger.json" in self.body["data"]:
            document = json.loads(self.body["data"]["ledger.json"])
            text += f" epoch {document['epoch']} {[(e['jobUid'][:8], e['attempt']) for e in document['entries']]}"
        if isinstance(self.result, Exception):
            return f"{text} -> {self.result.status}"  # type: ignore[attr-defined]
        version = self.result.get("metadata", {}).get("resourceVersion") if isinstance(self.result, dict) else None
        return f"{text} -> version {version}"


@dataclass
class Subscription:
    """The client's end of a watch. `waiting` is there while the client is ready for the next event."""

    owner: str
    stream: Stream
    waiting: "asyncio.Future[tuple[str, Object]] | None" = None

    def __str__(self) -> str:
        return f"{self.owner} watch {self.stream.plural}"


@dataclass
class Network:
    """All that is under way."""

    server: ApiServer
    requests: list[Request] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)
    actor: str = ""
    """Whose request is being executed."""
    unwritten: set[str] = field(default_factory=set)
    """The paths of statuses and ledgers that were to be written, and as far as their writer knows were not."""
    told: dict[str, dict[str, Object]] = field(default_factory=lambda: defaultdict(dict))
    """The newest that each process was told of each pod, by the pod's name."""

    def execute(self, request: Request) -> None:
        """The API server does what is asked. It can no longer be lost; its answer can."""
        if request.executed:
            return
        request.executed, self.actor = True, request.owner
        try:
            request.result = self.server.handle(request.method, request.path, dict(request.query), request.body)
        except RefusedError as refused:
            text = f"{request.method} {request.path}: {refused.status} {refused.reason}"
            request.result = ApiError(refused.status, refused.reason, text, refused.retry_after)
        self.actor = ""

    def respond(self, request: Request, result: Any) -> None:
        """The client gets an answer."""
        self.requests.remove(request)
        if isinstance(result, Exception) and request.method != "GET":
            self.unwritten.add(request.path)
        if request.answer.done():
            return  # it does not wait any more
        if isinstance(result, Exception):
            request.answer.set_exception(result)
        else:
            if request.method == "GET" and request.path.endswith("/pods"):
                for pod in result["items"]:
                    self.told[request.owner][pod["metadata"]["name"]] = pod
            request.answer.set_result(result)

    def expire(self, now: float) -> None:
        """Give up what has been under way for too long."""
        for request in [r for r in self.requests if now - r.sent > LIFETIME_SECONDS]:
            self.respond(request, ApiError(0, "Unreachable", f"{request}: no answer"))

    def ready(self) -> list[Subscription]:
        """Watches that have something to bring to somebody who waits for it."""
        return [s for s in self.subscriptions if s.waiting is not None and s.stream.peek() is not None]

    def deliver(self, subscription: Subscription) -> None:
        change = subscription.stream.peek()
        waiting, subscription.waiting = subscription.waiting, None
        if change is None or waiting is None:
            return
        subscription.stream.position += 1
        if not waiting.done():
            item = change.item()
            if change.key.plural == "pods":
                self.told[subscription.owner][change.key.name] = item
            waiting.set_result((change.type, item))

    def break_watch(self, subscription: Subscription, error: ApiError) -> None:
        waiting, subscription.waiting = subscription.waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)

    def forget(self, owner: str) -> None:
        """A process is gone. What it has asked for may still be done."""
        self.subscriptions = [s for s in self.subscriptions if s.owner != owner]
        self.requests = [r for r in self.requests if r.owner != owner or not r.executed]


class SimulatedApi(KubernetesApi):
    """The real client, down to its requests."""

    def __init__(self, network: Network, owner: str, loop: asyncio.AbstractEventLoop):
        super().__init__(None)  # type: ignore[arg-type]
        self._network, self._owner, self._loop = network, owner, loop

    async def _json(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        answer = self._loop.create_future()
        sent = Request(self._owner, method, path, query or {}, body, self._loop.time(), answer)
        self._network.requests.append(sent)
        return await answer

    async def watch(
        self, kind: Kind, namespace: str | None, selector: str, resource_version: str
    ) -> AsyncIterator[tuple[str, Object]]:
        try:
            stream = Stream.open(self._network.server, kind.plural, namespace or "", selector, int(resource_version))
        except RefusedError as refused:
            raise ApiError(refused.status, refused.reason, "too old resource version") from refused
        subscription = Subscription(self._owner, stream)
        self._network.subscriptions.append(subscription)
        try:
            while True:
                subscription.waiting = self._loop.create_future()
                yield await subscription.waiting
        finally:
            if subscription in self._network.subscriptions:
                self._network.subscriptions.remove(subscription)

    async def log_tail(self, namespace: str, pod: str, lines: int, limit: int) -> bytes:
        log: bytes = await self._json("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}/log")
        return log
