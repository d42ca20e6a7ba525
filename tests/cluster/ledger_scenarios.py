"""What the ledger's tests do in the cluster's network: `python ledger_scenarios.py SCENARIO NAMESPACE` prints JSON."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any

from hybridjob.cluster.api_client import ApiError, KubernetesApi, Object
from hybridjob.cluster.cache import Cache
from hybridjob.cluster.kinds import CONFIG_MAPS, Kind
from hybridjob.cluster.ledger import DOCUMENT_KEY, ClusterLedger, LedgerError, LedgerLostError, ledger_name
from hybridjob.cluster.metrics import Metrics
from hybridjob.cluster.policy_reports import PolicyReports
from hybridjob.engine.accounts import LIFETIME, Series, from_micros
from hybridjob.engine.budgets import budget_report
from hybridjob.engine.ledger_document import load
from hybridjob.engine.ledger_requests import SettleRequest, UnknownRequest
from support.build import job_of, policy, reserve

TOTAL = Series("USD", "Policy", "", LIFETIME)


class UnreliableApi(KubernetesApi):
    """Every third write is done, and its answer lost."""

    writes = 0

    async def replace(
        self, kind: Kind, namespace: str | None, name: str, body: Object, subresource: str | None = None
    ) -> Object:
        answer = await super().replace(kind, namespace, name, body, subresource)
        UnreliableApi.writes += 1
        if UnreliableApi.writes % 3 == 0:
            raise ApiError(0, "Unreachable", "the answer was lost")
        return answer


def make(api: KubernetesApi, namespace: str) -> ClusterLedger:
    return ClusterLedger(api, namespace, lambda: datetime.now(UTC))


async def grab(ledger: ClusterLedger, prefix: str, waiters: int, each: int, amount: str = "0.1") -> dict[str, int]:
    """How the ledger answered `waiters` that ask at once, `each` time after time, for a part of 10."""
    counts = {"granted": 0, "refused": 0, "lost": 0, "failed": 0}

    async def wait(number: int) -> None:
        for turn in range(each):
            try:
                answer = await ledger.reserve("p", job_of(f"{prefix}-{number}-{turn}"), reserve(amount))
                counts["granted" if answer.granted else "refused"] += 1
            except LedgerLostError:
                counts["lost"] += 1
                return
            except LedgerError:
                counts["failed"] += 1

    await asyncio.gather(*(wait(number) for number in range(waiters)))
    return counts


async def stored(api: KubernetesApi, namespace: str) -> dict[str, Any]:
    item = await api.get(CONFIG_MAPS, namespace, ledger_name("p"))
    written = load(item["data"][DOCUMENT_KEY])
    return {
        "used": str(from_micros(written.book.used(TOTAL))),
        "open": len(written.book.entries),
        "epoch": written.epoch,
        "labels": item["metadata"]["labels"],
    }


async def concurrent(api: KubernetesApi, namespace: str) -> Any:
    ledger = make(api, namespace)
    await ledger.start()
    counts = await grab(ledger, "a", waiters=64, each=4)
    await asyncio.gather(*(ledger.settle("p", SettleRequest((f"a-{n}-0", 1), 50_000)) for n in range(64)))
    return counts | await stored(api, namespace)


async def two_writers(api: KubernetesApi, namespace: str) -> Any:
    first, second = make(api, namespace), make(api, namespace)
    await first.start()
    await first.reserve("p", job_of("before"), reserve("0.1"))

    async def take_over() -> dict[str, int]:
        await asyncio.sleep(0.02)
        await second.start()
        return await grab(second, "second", 32, 4, "0.01")

    one, two = await asyncio.gather(grab(first, "first", 32, 40, "0.01"), take_over())
    return {"first": one, "second": two} | await stored(api, namespace)


async def lost_answers(api: KubernetesApi, namespace: str) -> Any:
    unreliable = UnreliableApi(api._client)
    ledger = make(unreliable, namespace)
    await ledger.start()
    counts = await grab(ledger, "a", waiters=10, each=20)
    again = await grab(ledger, "a", waiters=10, each=20)
    return {"first": counts, "again": again} | await stored(api, namespace)


async def deleted(api: KubernetesApi, namespace: str) -> Any:
    ledger = make(api, namespace)
    await ledger.start()
    await ledger.reserve("p", job_of("a"), reserve("4"))
    item = await api.get(CONFIG_MAPS, namespace, ledger_name("p"))
    await api.delete(CONFIG_MAPS, namespace, ledger_name("p"), item["metadata"]["uid"])
    await ledger.reserve("p", job_of("b"), reserve("4"))
    return await stored(api, namespace)


async def alerts(api: KubernetesApi, namespace: str) -> Any:
    """Asked for by two at once, and again after a restart."""
    rules = policy(budgets=[{"name": "all", "limit": "10", "currency": "USD", "alerts": [50]}])
    ledger = make(api, namespace)
    await ledger.reserve("policy", job_of("a"), reserve("5"))
    both = await asyncio.gather(ledger.give_alerts(rules), ledger.give_alerts(rules))
    restarted = make(api, namespace)
    await restarted.start()
    given = [len(alerts) for alerts in (*both, await restarted.give_alerts(rules))]
    (balance,) = budget_report(rules, restarted.book("policy"), datetime.now(UTC))
    return {"given": given, "reached": balance.alerts, "reserved": str(balance.reserved)}


async def damaged(api: KubernetesApi, namespace: str) -> Any:
    """A document that cannot be read stops its policy, no other, until it is repaired."""
    before = make(api, namespace)
    await before.reserve("p", job_of("a"), reserve("4"))
    item = await api.get(CONFIG_MAPS, namespace, ledger_name("p"))
    broken = item | {"data": {DOCUMENT_KEY: "{}"}}
    written = await api.replace(CONFIG_MAPS, namespace, ledger_name("p"), broken)
    ledger = make(api, namespace)
    await ledger.start()
    try:
        await ledger.settle("p", SettleRequest(("a", 1), 1_000_000))
        error = ""
    except LedgerError as caught:
        error = str(caught)
    other = await ledger.reserve("other", job_of("b"), reserve("4"))
    repaired = item | {"metadata": item["metadata"] | {"resourceVersion": written["metadata"]["resourceVersion"]}}
    await api.replace(CONFIG_MAPS, namespace, ledger_name("p"), repaired)
    await ledger.settle("p", SettleRequest(("a", 1), 1_000_000))
    return {"error": error, "other": other.granted} | await stored(api, namespace)


async def overdue(api: KubernetesApi, namespace: str) -> Any:
    """What is overdue under one policy is charged, whatever has become of the ledger of another."""
    ledger = make(api, namespace)
    for name, uid in (("broken", "a"), ("p", "b")):
        await ledger.reserve(name, job_of(uid), reserve("4"))
        await ledger.settle(name, UnknownRequest((uid, 1), 0))
    item = await api.get(CONFIG_MAPS, namespace, ledger_name("broken"))
    await api.replace(CONFIG_MAPS, namespace, ledger_name("broken"), item | {"data": {DOCUMENT_KEY: "{}"}})
    cache = Cache(lambda _: None)
    reports = PolicyReports(api, cache, ledger, Metrics(cache, lambda: 0), lambda: datetime.now(UTC))
    running = asyncio.create_task(reports.run())
    async with asyncio.timeout(60):
        while ledger.book("p").entries:
            await asyncio.sleep(0.1)
    running.cancel()
    return {"held": len(ledger.book("broken").entries)} | await stored(api, namespace)


async def main(scenario: str, namespace: str) -> None:
    api = await KubernetesApi.connect()
    try:
        print(json.dumps(await globals()[scenario](api, namespace)))
    finally:
        await api.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
