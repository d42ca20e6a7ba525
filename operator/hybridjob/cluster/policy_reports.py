"""The status of policies: whether they can be used, and what is left of their budgets. A report, written seldom."""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime

from hybridjob.api.common import Condition
from hybridjob.api.policy import PolicyStatus
from hybridjob.cluster.api_client import ApiError, KubernetesApi
from hybridjob.cluster.cache import Cache, PolicyRecord
from hybridjob.cluster.kinds import POLICIES
from hybridjob.cluster.ledger import ClusterLedger, LedgerError
from hybridjob.cluster.metrics import Metrics
from hybridjob.engine.backend_report import backend_report, open_backends
from hybridjob.engine.budgets import budget_report, least_left
from hybridjob.engine.pricing import display
from hybridjob.engine.unknown_outcomes import unknown_report

_PERIOD_SECONDS = 5.0

log = logging.getLogger(__name__)


class PolicyReports:
    """Writes each policy's status when it has changed, at most every few seconds."""

    def __init__(
        self,
        api: KubernetesApi,
        cache: Cache,
        ledger: ClusterLedger,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._api, self._cache, self._ledger, self._metrics, self._clock = api, cache, ledger, metrics, clock

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            for policy in self._ledger.policies():
                await self._charge_overdue(policy)
            for gone in self._metrics.policies.reports.keys() - self._cache.policies.keys():
                del self._metrics.policies.reports[gone]
            for record in list(self._cache.policies.values()):
                try:
                    await self._report(record)
                except LedgerError as error:
                    log.error("%s", error, extra={"policy": record.name})
                except ApiError as error:
                    if error.status not in (404, 409):  # it is gone, or has changed: the next round sees that
                        log.warning("a policy's status cannot be written: %s", error, extra={"policy": record.name})
            await asyncio.sleep(_PERIOD_SECONDS)

    async def _charge_overdue(self, policy: str) -> None:
        """Charge what has stayed unknown for too long, also under a policy that is gone."""
        try:
            for entry in await self._ledger.charge_overdue(policy):
                log.warning(
                    "charges all of %s for attempt %d of job %s/%s on %s: nobody found out what it cost",
                    display(entry.amount, entry.unit),
                    entry.attempt,
                    entry.namespace,
                    entry.job,
                    entry.backend,
                    extra={"uid": entry.job_uid},
                )
        except LedgerError as error:
            log.error("%s", error, extra={"policy": policy})

    async def _report(self, record: PolicyRecord) -> None:
        await self._give_alerts(record)
        now = self._clock()
        status = self._status(record, now)
        self._metrics.policies.reports[record.name] = status, self._ledger.book(record.name)
        if status == record.status:
            return
        body = {
            "apiVersion": "hybridjob.dev/v1alpha1",
            "kind": "QuantumBackendPolicy",
            "metadata": {"name": record.name, "uid": record.uid, "resourceVersion": str(record.version)},
            "status": json.loads(status.model_dump_json(by_alias=True, exclude_none=True)),
        }
        self._cache.put_policy(await self._api.replace(POLICIES, None, record.name, body, "status"))

    async def _give_alerts(self, record: PolicyRecord) -> None:
        """Tell of thresholds that were reached: each once in its period, also across restarts."""
        if record.policy is None:
            return
        for alert in await self._ledger.give_alerts(record.policy):
            log.warning("%s", alert.message, extra={"policy": record.name})
            self._metrics.alerted(record.name, alert)

    def _status(self, record: PolicyRecord, now: datetime) -> PolicyStatus:
        before = {condition.type: condition for condition in record.status.conditions} if record.status else {}
        valid = record.policy is not None
        old = before.get("Ready")
        state = "True" if valid else "False"
        ready = Condition(
            type="Ready",
            status="True" if valid else "False",
            observed_generation=record.generation,
            last_transition_time=old.last_transition_time if old and old.status == state else now,
            reason="Valid" if valid else "Invalid",
            message=f"nothing starts under it: {record.error}" if record.error else "holds for jobs",
        )
        book, policy = self._ledger.book(record.name), record.policy
        budgets = budget_report(policy, book, now) if policy else []
        backends = backend_report(policy, book, now) if policy else []
        return PolicyStatus(
            conditions=[ready],
            observed_generation=record.generation,
            budgets=budgets,
            backends=backends,
            open_backends=open_backends(policy, backends) if policy else "",
            least_left=least_left(budgets),
            open_reservations=len(book.entries),
            unknown_outcomes=unknown_report(book),
        )
