"""The ledger on a cluster: one ConfigMap per policy, in the operator's namespace, which holds its book as JSON.

A ConfigMap of the operator's, and not the policy's status: whoever may edit policies or jobs has no right on it, and a
policy that is deleted and made again does not forget what was spent.

Nothing is answered before it is written. All that is asked while a write is under way goes into the next one, so a
thousand jobs at once cost a few writes. Each write carries the resource version of the one before: of two operators at
once, one is refused, finds in the document that it is not the writer any more, and must stop.
"""

import asyncio
import hashlib
import logging
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.cluster.api_client import ApiError, KubernetesApi, Object
from hybridjob.cluster.kinds import CONFIG_MAPS
from hybridjob.engine import budgets, reservations
from hybridjob.engine.actions import Reserve
from hybridjob.engine.breaker import ProbeRequest
from hybridjob.engine.budgets import Alert
from hybridjob.engine.facts import ReservationFacts
from hybridjob.engine.held_jobs import gives_room
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_document import MAX_BYTES, LedgerDocumentError, Written, dump, load
from hybridjob.engine.ledger_requests import Answer, Entry, NoteRequest, Request, SettleRequest, UnknownRequest

LABELS = {"app.kubernetes.io/managed-by": "hybridjob", "app.kubernetes.io/component": "ledger"}
DOCUMENT_KEY = "ledger.json"
_WRITES = 6
"""How often a batch is tried before those who wait are told: about 6 s of an API server that does not answer."""
_BACKOFF_SECONDS = 0.1

log = logging.getLogger(__name__)


class LedgerLostError(Exception):
    """Another process writes this ledger now. This one must stop: it may not act any more."""


class LedgerError(Exception):
    """The ledger cannot be read or written. What was asked did not happen, or will be found done when asked again."""


def ledger_name(policy: str) -> str:
    """The name of a policy's ledger, a name that any object may have."""
    name = f"hybridjob-ledger-{policy}"
    return name if len(name) <= 253 else f"{name[:236]}-{hashlib.sha256(policy.encode()).hexdigest()[:16]}"


class ClusterLedger:
    """The books of all policies. One instance may write them at a time: the one that was started last."""

    def __init__(self, api: KubernetesApi, namespace: str, clock: Callable[[], datetime]) -> None:
        self._api, self._namespace, self._clock = api, namespace, clock
        self._identity = uuid.uuid4().hex
        self._writers: dict[str, _Writer] = {}
        self._damaged: set[str] = set()
        """The names of the ledgers that could not be read."""
        self.on_room: Callable[[str], None] = lambda _: None
        """Told of each policy whose book may grant now what it refused before."""

    async def start(self) -> None:
        """Read every ledger, and become its writer. A ledger that cannot be read stops its own policy only."""
        selector = ",".join(f"{key}={value}" for key, value in LABELS.items())
        found = [item async for page in self._api.pages(CONFIG_MAPS, self._namespace, selector) for item in page.items]
        for item in found:
            try:
                await self._writer(load(_text(item)).book.policy).take(item)
            except LedgerDocumentError as error:
                log.error("%s: %s", item["metadata"]["name"], error)
                self._damaged.add(item["metadata"]["name"])

    async def reserve(self, policy: str, job: HybridJob, wanted: Reserve) -> ReservationFacts:
        """Set money aside for an attempt, if every budget still has room for it; written down when this returns.

        Raises LedgerLostError, and LedgerError where the ledger cannot be read or written.
        """
        await self._repaired(policy)
        return reservations.answered(wanted, await self._writer(policy).ask(reservations.request(job, wanted)))

    async def settle(self, policy: str, request: SettleRequest | UnknownRequest) -> None:
        """Do what the end of an attempt asks, once: asking again changes nothing. Raises as `reserve` does."""
        await self._repaired(policy)
        if request.key in self.book(policy).entries:
            await self._writer(policy).ask(request)

    def policies(self) -> list[str]:
        """Those that have a ledger which can be read; a policy itself may be gone."""
        return list(self._writers)

    async def charge_overdue(self, policy: str) -> list[Entry]:
        """Charge what has stayed unknown for as long as the policy allows; what was charged. Raises as `reserve` does.

        A person may find out and settle by hand, in the ConfigMap: that is looked for first.
        """
        writer = self._writer(policy)
        if not writer.book.unknown():
            return []
        try:
            await writer.look()
        except ApiError as error:
            raise LedgerError(f"the ledger of policy {policy} cannot be read: {error}") from error
        answers = await asyncio.gather(*(writer.ask(request) for request in writer.book.overdue(self._clock())))
        return [answer.entry for answer in answers if answer.entry is not None]

    async def note(self, policy: str, request: NoteRequest) -> None:
        """Note something that moves no money. What cannot be written is lost: no job waits for it, unless it asks to be
        a probe. Then this raises as `reserve` does."""
        try:
            await self._repaired(policy)
            await self._writer(policy).ask(request)
        except LedgerError as error:
            if isinstance(request, ProbeRequest):
                raise
            log.warning("is not noted: %s", error)

    def book(self, policy: str) -> Book:
        """The book as it was last written."""
        writer = self._writers.get(policy)
        return writer.book if writer is not None else Book(policy)

    async def give_alerts(self, policy: QuantumBackendPolicy) -> list[Alert]:
        """The alerts that became due, each of them once: it is written down that they were given before they are.

        Raises as `reserve` does.
        """
        name = policy.metadata.name
        due = budgets.due_alerts(policy, self.book(name), self._clock())
        answers = await asyncio.gather(*(self._writer(name).ask(alert.request) for alert in due))
        return [alert for alert, answer in zip(due, answers, strict=True) if answer.done]

    def open_entries(self) -> Iterator[tuple[str, Entry]]:
        """The policy and the entry of every attempt that money is set aside for."""
        for policy, writer in self._writers.items():
            for entry in writer.book.entries.values():
                yield policy, entry

    async def _repaired(self, policy: str) -> None:
        """Raise LedgerError while the policy's ledger cannot be read."""
        name = ledger_name(policy)
        if name not in self._damaged:
            return
        try:
            await self._writer(policy).take(await self._api.get(CONFIG_MAPS, self._namespace, name))
        except (ApiError, LedgerDocumentError) as error:
            raise LedgerError(f"ConfigMap {self._namespace}/{name}: {error}") from error
        self._damaged.discard(name)

    def _writer(self, policy: str) -> "_Writer":
        if policy not in self._writers:
            self._writers[policy] = _Writer(
                self._api, self._namespace, policy, self._identity, self._clock, lambda: self.on_room(policy)
            )
        return self._writers[policy]


@dataclass
class _Waiter:
    request: Request
    answer: "asyncio.Future[Answer]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class _Writer:
    """Writes the book of one policy."""

    def __init__(
        self,
        api: KubernetesApi,
        namespace: str,
        policy: str,
        identity: str,
        clock: Callable[[], datetime],
        on_room: Callable[[], None],
    ) -> None:
        self._api, self._namespace, self._policy, self._identity = api, namespace, policy, identity
        self._clock, self._on_room = clock, on_room
        self.book = Book(policy)
        self._epoch = 1
        self._size = 0
        """How many bytes the document has."""
        self._version: str | None = None
        """The resource version of the last write; None while the ConfigMap does not exist."""
        self._wrote = False
        self._lost: LedgerLostError | None = None
        self._waiting: list[_Waiter] = []
        self._at_work = asyncio.Lock()
        """Held while the ConfigMap is read or written."""
        self._writing: asyncio.Task[None] | None = None

    async def take(self, item: Object) -> None:
        """Become the writer of a ledger that exists, whoever was it before. Raises ApiError, LedgerDocumentError."""
        while True:
            written = load(text := _text(item))
            self.book, self._epoch, self._size = written.book, written.epoch + 1, len(text)
            self._version = item["metadata"]["resourceVersion"]
            try:
                await self._put(self.book)
                return
            except ApiError as error:
                if error.status != 409:
                    raise
            item = await self._api.get(CONFIG_MAPS, self._namespace, ledger_name(self._policy))

    async def ask(self, request: Request) -> Answer:
        """The answer to a request, once it is written. Raises LedgerLostError and LedgerError."""
        if self._lost is not None:
            raise self._lost
        waiter = _Waiter(request)
        self._waiting.append(waiter)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        return await waiter.answer

    async def _write_all(self) -> None:
        """Write until nobody waits any more."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    answers = await self._write([waiter.request for waiter in batch])
                except Exception as error:
                    failure = error
                    if isinstance(error, LedgerLostError):
                        self._lost = error
                        batch, self._waiting = batch + self._waiting, []
                    for waiter in batch:
                        if not waiter.answer.done():
                            waiter.answer.set_exception(failure)
                    continue
                for waiter, answer in zip(batch, answers, strict=True):
                    if not waiter.answer.done():
                        waiter.answer.set_result(answer)
        finally:
            self._writing = None

    async def _write(self, requests: list[Request]) -> list[Answer]:
        """Apply the requests to the newest book and write it. They may have been applied before: doing twice what a
        request asks is doing it once, so a write that was not answered is simply done again."""
        async with self._at_work:
            return await self._write_in_turn(requests)

    async def look(self) -> None:
        """Take in what a person has settled by hand. Raises as `_read_again` does."""
        async with self._at_work:
            await self._read_again()

    async def _write_in_turn(self, requests: list[Request]) -> list[Answer]:
        for attempt in range(_WRITES):
            book, answers = self.book.apply(requests, self._clock(), MAX_BYTES - self._size)
            if not any(answer.done for answer in answers):
                return answers
            try:
                await self._put(book)
                return answers
            except ApiError as error:
                log.warning("ledger of policy %s: %s", self._policy, error)
                failure = error
            if failure.status not in (404, 409):
                delay = failure.retry_after or _BACKOFF_SECONDS * 2**attempt
                await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311 — spreads load, hides nothing
            try:
                await self._read_again()
            except ApiError as error:
                log.warning("ledger of policy %s: %s", self._policy, error)
                failure = error
        raise LedgerError(f"the ledger of policy {self._policy} cannot be written: {failure}") from failure

    async def _read_again(self) -> None:
        """Find what the API server holds now. Raises ApiError, LedgerLostError and LedgerError."""
        try:
            item = await self._api.get(CONFIG_MAPS, self._namespace, ledger_name(self._policy))
        except ApiError as error:
            if error.status != 404:
                raise
            if self._version is not None:
                log.error("the ledger of policy %s was deleted: it is made again from memory", self._policy)
            self._version = None
            return
        try:
            written = load(text := _text(item))
        except LedgerDocumentError as error:
            raise LedgerError(f"policy {self._policy}: {error}") from error
        if (written.writer, written.epoch) != (self._identity, self._epoch):
            if self._wrote:
                raise LedgerLostError(f"the ledger of policy {self._policy} has another writer, number {written.epoch}")
            self._epoch = written.epoch + 1  # it was not there, or not labelled as one, when this process started
        self._size, self._version = len(text), item["metadata"]["resourceVersion"]
        self._take_in(written.book)

    async def _put(self, book: Book) -> None:
        name = ledger_name(self._policy)
        metadata = {"name": name, "namespace": self._namespace, "labels": LABELS}
        document = dump(Written(book=book, epoch=self._epoch, writer=self._identity))
        body: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {DOCUMENT_KEY: document}}
        if self._version is None:
            answer = await self._api.create(CONFIG_MAPS, self._namespace, body)
        else:
            metadata["resourceVersion"] = self._version
            answer = await self._api.replace(CONFIG_MAPS, self._namespace, name, body)
        self._size, self._version, self._wrote = len(document), answer["metadata"]["resourceVersion"], True
        self._take_in(book)

    def _take_in(self, book: Book) -> None:
        before, self.book = self.book, book
        if gives_room(before, book):
            self._on_room()


def _text(item: Object) -> str:
    text = item.get("data", {}).get(DOCUMENT_KEY)
    if not isinstance(text, str):
        raise LedgerDocumentError(f"the ledger has no {DOCUMENT_KEY}; nothing paid starts until it is repaired")
    return text
