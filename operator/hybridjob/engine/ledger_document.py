"""How a book is written down: one compact JSON document, the same in a ConfigMap and in SQLite.

The sums of what is reserved are not in it: they follow from the entries, so they cannot contradict them.
"""

from typing import Annotated, Literal

from pydantic import Field, ValidationError

from hybridjob.api.common import Count
from hybridjob.contract.base import Model
from hybridjob.engine.accounts import ScopeKind, Series
from hybridjob.engine.breaker import Breaker, Circuit, Lease, Outcome
from hybridjob.engine.hedging import Hedge
from hybridjob.engine.latency import Sample
from hybridjob.engine.ledger import Account, Book
from hybridjob.engine.ledger_requests import Entry, EntryState

SCHEMA_VERSION: Literal[2] = 2
MAX_BYTES = 1_000_000
"""What a document may grow to: a ConfigMap holds 1 MiB, and what is settled must always find room."""

Micros = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(max_length=512)]


class LedgerDocumentError(Exception):
    """The document is none that this version may read. Money is never guessed; the message says what to do."""


class _Series(Model):
    unit: Text
    scope: ScopeKind
    value: Text = ""
    period: Text
    accounts: list[tuple[int, int | None, int | None, Micros, list[Text]]]
    """Start, end, until, committed, alerted: see `ledger.Account`. A rolling budget has many."""


class _Entry(Model):
    job_uid: Text
    attempt: Annotated[int, Field(ge=1)]
    namespace: Text
    job: Text
    backend: Text
    unit: Text
    micros: Micros
    time: Count
    state: EntryState
    until: Count | None = None


class _Circuit(Model):
    name: Text
    opened: Count | None = None
    until: Count
    openings: Count
    probe: tuple[Text, Count, Text, Count] | None = None
    doubter: Text | None = None
    counts_from: Count


class _Breaker(Model):
    backend: Text
    outcomes: list[tuple[Text, Count, Text, Count, bool]]
    """Job's uid, attempt, namespace, time, fault: see `breaker.Outcome`."""
    circuits: list[_Circuit]
    forgotten: Count


class _Latency(Model):
    backend: Text
    samples: list[tuple[Count, Count, Count, bool | None]]
    """Time, queue, run, covered: see `latency.Sample`."""


class _Version(Model, extra="ignore"):
    schema_version: int


class _Document(Model):
    schema_version: Literal[2]
    policy: Text
    epoch: Annotated[int, Field(ge=0)] = 0
    """Counts the processes that have written this book, one after the other."""
    writer: Text = ""
    """The process that may write it now."""
    series: list[_Series]
    entries: list[_Entry]
    breakers: list[_Breaker] = []
    latencies: list[_Latency] = []
    hedges: list[tuple[Text, Count, Count]] = []


class Written(Model, arbitrary_types_allowed=True):
    """A book, and who may write it."""

    book: Book
    epoch: int = 0
    writer: str = ""


def dump(written: Written) -> str:
    book = written.book
    found = [
        _Series.model_construct(
            unit=series.unit,
            scope=series.scope,
            value=series.value,
            period=series.period,
            accounts=[(a.start, a.end, a.until, a.committed, list(a.alerted)) for a in periods.values()],
        )
        for series, periods in book.accounts.items()
    ]
    entries = [
        _Entry.model_construct(
            job_uid=e.job_uid,
            attempt=e.attempt,
            namespace=e.namespace,
            job=e.job,
            backend=e.backend,
            unit=e.unit,
            micros=e.micros,
            time=e.time,
            state=e.state,
            until=e.until,
        )
        for e in book.entries.values()
    ]
    return _Document.model_construct(
        schema_version=SCHEMA_VERSION,
        policy=book.policy,
        epoch=written.epoch,
        writer=written.writer,
        series=found,
        entries=entries,
        breakers=[_dump_breaker(backend, breaker) for backend, breaker in book.breakers.items()],
        latencies=[
            _Latency.model_construct(backend=backend, samples=[(s.time, s.queue, s.run, s.covered) for s in history])
            for backend, history in book.latencies.items()
        ],
        hedges=[(*hedge.key, hedge.time) for hedge in book.hedges],
    ).model_dump_json(by_alias=True, exclude_none=True)


def load(text: str) -> Written:
    """Raises LedgerDocumentError for a document of another version, or one that is damaged."""
    try:
        version = _Version.model_validate_json(text).schema_version
        if version != SCHEMA_VERSION:
            raise LedgerDocumentError(
                f"the ledger is of schema version {version}, and this hybridjob reads {SCHEMA_VERSION}: it must be "
                "read by the version that wrote it"
            )
        document = _Document.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "document"
        raise LedgerDocumentError(
            f"the ledger is damaged, at {place}: {first['msg']}; nothing paid starts until it is repaired"
        ) from error
    accounts = [
        (Series(s.unit, s.scope, s.value, s.period), Account(start, end, until, committed, alerted=tuple(alerted)))
        for s in document.series
        for start, end, until, committed, alerted in s.accounts
    ]
    entries = [
        Entry(e.job_uid, e.attempt, e.namespace, e.job, e.backend, e.unit, e.micros, e.time, e.state, e.until)
        for e in document.entries
    ]
    breakers = {b.backend: _load_breaker(b) for b in document.breakers}
    hedges = tuple(Hedge((uid, attempt), time) for uid, attempt, time in document.hedges)
    latencies = {found.backend: tuple(Sample(*values) for values in found.samples) for found in document.latencies}
    book = Book.restore(document.policy, accounts, entries, breakers, latencies, hedges)
    return Written(book=book, epoch=document.epoch, writer=document.writer)


def _dump_breaker(backend: str, breaker: Breaker) -> _Breaker:
    return _Breaker.model_construct(
        backend=backend,
        outcomes=[(*o.key, o.namespace, o.time, o.fault) for o in breaker.outcomes],
        circuits=[
            _Circuit.model_construct(
                name=name,
                opened=c.opened,
                until=c.until,
                openings=c.openings,
                probe=(*c.probe.key, c.probe.namespace, c.probe.until) if c.probe is not None else None,
                doubter=c.doubter,
                counts_from=c.counts_from,
            )
            for name, c in breaker.circuits.items()
        ],
        forgotten=breaker.forgotten,
    )


def _load_breaker(found: _Breaker) -> Breaker:
    circuits = {
        c.name: Circuit(
            c.opened,
            c.until,
            c.openings,
            Lease((c.probe[0], c.probe[1]), c.probe[2], c.probe[3]) if c.probe is not None else None,
            c.doubter,
            c.counts_from,
        )
        for c in found.circuits
    }
    outcomes = tuple(Outcome((uid, attempt), space, time, fault) for uid, attempt, space, time, fault in found.outcomes)
    return Breaker(outcomes, circuits, found.forgotten)
