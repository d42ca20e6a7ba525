"""What would become of jobs if they were run now: their first steps, with the state directory's ledgers in memory."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from hybridjob.engine.facts import Facts
from hybridjob.engine.forecast import Forecast, foretell
from hybridjob.engine.ledger import Book
from hybridjob.engine.loads import Loads
from hybridjob.local.loads import count_past
from hybridjob.local.sdks import unavailable_backends
from hybridjob.local.store import DATABASE, Store, StoredJob


def forecasts(jobs: Sequence[StoredJob], state: Path, now: datetime) -> list[Forecast]:
    """One for each job. They are decided about in their order: one that takes the last of a budget or a slot takes it
    from those after it. Nothing is written, and a state directory that is not there is not made."""
    store = Store(state) if (state / DATABASE).exists() else None
    loads = Loads(lambda _: None)
    if store is not None:
        count_past(store, loads)
    books: dict[str, Book] = {}
    found = []
    for stored in jobs:
        name = stored.policy.metadata.name
        if name not in books:
            book = store.ledger.book(name) if store is not None else Book(name)
            books[name], _ = book.apply(book.overdue(now), now)
        known = Facts(unavailable=unavailable_backends(stored.policy), problem_size=stored.problem_size)
        forecast = foretell(stored.job, stored.policy, known, books[name], loads, now)
        books[name] = forecast.book
        found.append(forecast)
    if store is not None:
        store.close()
    return found
