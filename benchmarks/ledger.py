"""Grants per second through the ledger, on a real API server.

256 waiters at once, each reserves and settles one attempt after the other under one budget. Compared, in turns:

* the ledger: one writer, all that waits goes into one compare-and-swap
* per job: every waiter reads the ConfigMap, changes the same book, and writes it with compare-and-swap, until it wins

Both settle what they were granted, so the book stays as small as it is in operation. Run it in the cluster's network:

    make cluster-up
    make cluster-exec CMD=".venv/bin/python benchmarks/ledger.py"
"""

import argparse
import asyncio
import random
import statistics
import time
from datetime import UTC, datetime
from decimal import Decimal

from hybridjob.api.hybridjob import HybridJob
from hybridjob.cluster.api_client import ApiError, KubernetesApi, Object
from hybridjob.cluster.kinds import CONFIG_MAPS
from hybridjob.cluster.ledger import DOCUMENT_KEY, ClusterLedger, ledger_name
from hybridjob.engine import reservations
from hybridjob.engine.accounts import LIFETIME, Claim, Series
from hybridjob.engine.actions import Reserve
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_document import Written, dump, load
from hybridjob.engine.ledger_requests import Request, SettleRequest

WAITERS = 256
LIMIT = Decimal(1_000_000)


def job(number: int) -> HybridJob:
    return HybridJob.model_validate(
        {
            "apiVersion": "hybridjob.dev/v1alpha1",
            "kind": "HybridJob",
            "metadata": {"name": f"job-{number}", "namespace": "research", "uid": f"{number:036}"},
            "spec": {"problem": {"type": "MaxCut", "inline": {"nodes": 2, "edges": [[0, 1, 1.0]]}}},
        }
    )


def wanted(attempt: int) -> Reserve:
    claim = Claim("all", LIMIT, Series("USD", "Policy", "", LIFETIME))
    return Reserve(attempt, "device", Decimal("1.324"), "USD", datetime.now(UTC), (claim,))


async def through_the_ledger(api: KubernetesApi, namespace: str, seconds: float) -> float:
    ledger = ClusterLedger(api, namespace, lambda: datetime.now(UTC))
    await ledger.start()
    granted = 0
    end = time.monotonic() + seconds

    async def wait(number: int) -> None:
        nonlocal granted
        mine, attempt = job(number), 0
        while time.monotonic() < end:
            attempt += 1
            answer = await ledger.reserve("benchmark", mine, wanted(attempt))
            granted += answer.granted
            await ledger.settle("benchmark", SettleRequest((mine.metadata.uid or "", attempt), 1_000_000))

    began = time.monotonic()
    await asyncio.gather(*(wait(number) for number in range(WAITERS)))
    return granted / (time.monotonic() - began)


async def per_job(api: KubernetesApi, namespace: str, seconds: float) -> float:
    granted = 0
    end = time.monotonic() + seconds

    async def swap(request: Request) -> bool:
        """Until it wins, or time is up."""
        for turn in range(10**6):
            item = await api.get(CONFIG_MAPS, namespace, ledger_name("benchmark"))
            book, _ = load(item["data"][DOCUMENT_KEY]).book.apply([request], datetime.now(UTC))
            try:
                await api.replace(CONFIG_MAPS, namespace, ledger_name("benchmark"), body(namespace, book, item))
                return True
            except ApiError as error:
                if error.status != 409:
                    raise
            if time.monotonic() > end:
                return False
            await asyncio.sleep(random.uniform(0, min(1.0, 0.01 * 2**turn)))
        return False

    async def wait(number: int) -> None:
        nonlocal granted
        mine, attempt = job(number), 0
        while time.monotonic() < end:
            attempt += 1
            won = await swap(reservations.request(mine, wanted(attempt)))
            granted += won
            await swap(SettleRequest((mine.metadata.uid or "", attempt), 1_000_000))

    began = time.monotonic()
    await asyncio.gather(*(wait(number) for number in range(WAITERS)))
    return granted / (time.monotonic() - began)


def body(namespace: str, book: Book, item: Object | None = None) -> Object:
    metadata = {"name": ledger_name("benchmark"), "namespace": namespace}
    if item is not None:
        metadata["resourceVersion"] = item["metadata"]["resourceVersion"]
    data = {DOCUMENT_KEY: dump(Written(book=book))}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def fresh(api: KubernetesApi, namespace: str) -> None:
    name = ledger_name("benchmark")
    try:
        item = await api.get(CONFIG_MAPS, namespace, name)
        await api.delete(CONFIG_MAPS, namespace, name, item["metadata"]["uid"])
    except ApiError as error:
        if error.status != 404:
            raise


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each contender in each round")
    parser.add_argument("--namespace", default="default")
    options = parser.parse_args()
    api = await KubernetesApi.connect()
    pairs = []
    try:
        for _ in range(options.rounds):
            await fresh(api, options.namespace)
            grouped = await through_the_ledger(api, options.namespace, options.seconds)
            await fresh(api, options.namespace)
            await api.create(CONFIG_MAPS, options.namespace, body(options.namespace, Book("benchmark")))
            single = await per_job(api, options.namespace, options.seconds)
            pairs.append((grouped, single))
            print(f"ledger {grouped:8,.0f}/s   per job {single:6,.1f}/s   ratio {grouped / single:,.0f}", flush=True)
    finally:
        await fresh(api, options.namespace)
        await api.close()
    grouped, single = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"median: ledger {grouped:,.0f}/s, per job {single:,.1f}/s, ratio of the pairs {ratio:,.0f}")


if __name__ == "__main__":
    asyncio.run(main())
