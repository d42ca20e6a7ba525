"""Mistakes in engine, ledger and operator, each of which some schedule must catch: docs/simulation.md lists them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One mistake: in a file, every `old` becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    also: "Mutant | None" = None
    """A second one, without which another part of the operator would make up for the first."""


MUTANTS = (
    Mutant(
        "a paid attempt is started before its money is reserved",
        "engine/decide.py",
        "elif chosen.estimate and chosen.currency and not self._is_granted(chosen):",
        "elif False:",
    ),
    Mutant(
        "an attempt is settled after the status that says so",
        "cluster/executor.py",
        "                await self._ledger.settle(policy.metadata.name, settlement(uid, action))\n",
        "                settling = self._ledger.settle(policy.metadata.name, settlement(uid, action))\n"
        "                asyncio.get_running_loop().call_later(1, asyncio.ensure_future, settling)\n",
    ),
    Mutant(
        "twice the amount is charged",
        "engine/ledger.py",
        "committed=max(0, micros))",
        "committed=2 * max(0, micros))",
    ),
    Mutant(
        "an entry stays in the ledger when it is settled, and is settled again",
        "engine/ledger.py",
        "entry = self.entries.pop(key, None)\n        if entry is None:\n            return Answer(done=False)\n",
        "entry = self.entries.get(key)\n        if entry is None:\n            return Answer(done=False)\n",
    ),
    Mutant(
        "a reservation is granted whether or not the budget has room",
        "engine/ledger.py",
        "(left := self._left(claim)) < entry.micros]",
        "(left := self._left(claim)) < 0]",
    ),
    Mutant(
        "the ledger is written without its resource version",
        "cluster/ledger.py",
        '            metadata["resourceVersion"] = self._version\n',
        "            pass\n",
    ),
    Mutant(
        "a conflict in the ledger is taken for success",
        "cluster/ledger.py",
        "                failure = error\n            if failure.status not in (404, 409):",
        "                failure = error\n            if failure.status == 409:\n"
        "                self.book = book\n                return answers\n"
        "            if failure.status not in (404, 409):",
    ),
    Mutant(
        "the ledger's epoch is ignored: whoever wrote it goes on",
        "cluster/ledger.py",
        "if (written.writer, written.epoch) != (self._identity, self._epoch):",
        "if False:",
    ),
    Mutant(
        "the guard is not asked before writes",
        "cluster/api_client.py",
        "        self.guard()\n",
        "",
    ),
    Mutant(
        "the Lease is taken without waiting for it to run out",
        "cluster/elector.py",
        "self._monotonic() - self._seen[1] < duration",
        "self._monotonic() - self._seen[1] < 0",
    ),
    Mutant(
        "children are known by their label, whoever owns them",
        "cluster/views.py",
        'owner, labels = _controller(metadata, HybridJob.__name__), metadata.get("labels", {})',
        'owner, labels = metadata.get("labels", {}).get(UID_LABEL), metadata.get("labels", {})',
    ),
    Mutant(
        "each Job gets a name of its own",
        "cluster/solver_jobs.py",
        '-{uid[:12]}-{attempt}"',
        "-{uid[:12]}-{attempt}-{id(object()) % 997}-{__import__('random').randrange(10**6)}\"",
        also=Mutant(
            "a creation that was not answered did not happen",
            "cluster/executor.py",
            "        if uid in self._unanswered or any(",
            "        if any(",
        ),
    ),
    Mutant(
        "attempts that no status tells of are not taken up",
        "engine/draft.py",
        "while len(self.attempts) < MAX_ATTEMPTS_KEPT and (found",
        "while False and (found",
    ),
    Mutant(
        "an attempt that is taken up does not end the one before it",
        "engine/draft.py",
        '            self.cancel_attempts("BackendUnavailable", lost,',
        '            False and self.cancel_attempts("BackendUnavailable", lost,',
    ),
    Mutant(
        "a solver is cancelled before the status says so",
        "engine/draft.py",
        "        self.wakes.append(self.now)\n\n    def cancel_attempts",
        "        self.actions.append(CancelAttempt(attempt.number))\n        self.wakes.append(self.now)\n\n"
        "    def cancel_attempts",
    ),
    Mutant(
        "a job that ended is decided on again",
        "engine/decide.py",
        "    if status.state in TERMINAL:\n        return Decision",
        "    if status.state in TERMINAL and not job.spec.cancel:\n        return Decision",
    ),
    Mutant(
        "a status is written without its resource version",
        "cluster/reconciler.py",
        '                "resourceVersion": str(record.version),\n',
        "",
    ),
    Mutant(
        "a decision that waits outlives a change of the job",
        "cluster/reconciler.py",
        "if memory.decided_on != record.version:",
        "if False:",
    ),
    Mutant(
        "what ends without a verdict is free",
        "engine/outcomes.py",
        "return charge(card, usage) if usage is not None else None",
        "return charge(card, usage) if usage is not None else ZERO",
    ),
    Mutant(
        "what nobody knows the cost of is never charged",
        "engine/ledger.py",
        "if (entry.until or 0) <= now.timestamp()]",
        "if False]",
    ),
    Mutant(
        "a paid solver that began and is gone is started again under its number",
        "engine/draft.py",
        "return attempt.reserved is not None and begun",
        "return False",
    ),
    Mutant(
        "what the ledger knows to have begun is released where no status tells of it",
        "engine/ledger.py",
        'if entry is not None and entry.state != "Reserved")',
        "if False)",
    ),
    Mutant(
        "what a job that is gone has reserved is never settled",
        "cluster/executor.py",
        "        now, attempts = self._clock(), self._cache.attempts(uid)\n",
        "        return\n        now, attempts = self._clock(), self._cache.attempts(uid)\n",
    ),
    Mutant(
        "what a watch has not told of is taken for gone",
        "cluster/executor.py",
        "            await self._look(job)\n",
        "            pass\n",
    ),
    Mutant(
        "a deleted job may come back",
        "cluster/cache.py",
        "        if record.uid in self._gone:\n            return record\n",
        "",
    ),
    Mutant(
        "the start of an attempt that is being cancelled is not noticed",
        "engine/draft.py",
        "            if facts.start_time is not None and attempt.start_time is None:  # it has cost something by now",
        "            if False:",
    ),
    Mutant(
        "a job that ends does not look for money that nothing answers for",
        "cluster/reconciler.py",
        "            self._forget(uid)\n            await self._executor.settle_orphan(uid)\n",
        "            self._forget(uid)\n",
    ),
    Mutant(
        "the word that an attempt is being cancelled may wait",
        "cluster/status_writes.py",
        "len(decided.attempts) <= 1 and begins\n",
        "len(decided.attempts) <= 1\n",
    ),
    Mutant(
        "a failed attempt is tried again under its own number",
        "engine/decide.py",
        'failed and is tried again: {last.message}"[:2048]\n        else:\n            self._begin()',
        'failed and is tried again: {last.message}"[:2048]\n        else:\n'
        "            again = {'state': 'Pending', 'start_time': None, 'end_time': None, 'reason': None}\n"
        "            self.attempts[-1] = last.model_copy(update=again)",
    ),
    Mutant(
        "an Event is posted before the status that it tells of",
        "cluster/reconciler.py",
        "        memory.version = await self._write(record, decided)\n",
        "        self._events.status_written(job, written, decided)\n"
        "        memory.version = await self._write(record, decided)\n",
    ),
    Mutant(
        "a solver that never begins is waited for",
        "engine/decide.py",
        "self.fallback, started, current):",
        "self.fallback, started, current) if False else ():",
        also=Mutant(
            "an image that cannot be pulled is no fault",
            "cluster/observation.py",
            "    if reason in _PULL_ERRORS or reason in _START_ERRORS:",
            "    if False:",
        ),
    ),
    Mutant(
        "a breaker's probe never expires",
        "engine/breaker.py",
        "if c.probe and c.probe.until <= now]",
        "if False]",
    ),
    Mutant(
        "one namespace opens a breaker for all",
        "engine/breaker.py",
        "return name != ALL or len({fault.namespace for fault in faults}) > 1",
        "return True",
    ),
    Mutant(
        "one namespace's probe opens a breaker for all again",
        "engine/breaker.py",
        "if name != ALL or circuit.doubter not in (None, namespace):",
        "if True:",
    ),
    Mutant(
        "a breaker is forgotten when the operator starts",
        "engine/ledger_document.py",
        "breakers = {b.backend: _load_breaker(b) for b in document.breakers}",
        "breakers = {}",
    ),
    Mutant(
        "a half-open breaker lets everybody through",
        "engine/breaker_gate.py",
        'return "Held" if all(circuit.probe is not None for _, circuit in circuits) else "Wanted"',
        "return None",
    ),
    Mutant(
        "no breaker is told of a fault",
        "engine/draft.py",
        'kind != "Neutral":  # else',
        'kind == "Success":  # else',
    ),
    Mutant(
        "what runs already is not counted when the operator starts",
        "cluster/reconciler.py",
        "            self._loads.put(policy, load)\n",
        "            pass\n",
    ),
    Mutant(
        "a slot is taken only when its attempt has been started",
        "cluster/reconciler.py",
        "        self._loads.put(policy, load_of(decided, decision.actions))\n"
        "        self._held.put(policy.metadata.name, decided, now)\n"
        "        answered = await self._executor.execute(job, policy, decision.actions)\n",
        "        answered = await self._executor.execute(job, policy, decision.actions)\n"
        "        self._loads.put(policy, load_of(decided, decision.actions))\n"
        "        self._held.put(policy.metadata.name, decided, now)\n",
    ),
    Mutant(
        "an attempt that is being cancelled has no slot any more",
        "engine/loads.py",
        "for a in attempts if a.end_time is None]",
        'for a in attempts if a.end_time is None and a.state != "Cancelling"]',
    ),
    Mutant(
        "one job more begins in a period than may",
        "engine/quotas.py",
        "if len(recent) < quota.count:",
        "if len(recent) <= quota.count:",
    ),
    Mutant(
        "windows are not asked",
        "engine/routing.py",
        "        if closed is None:\n            return option\n",
        "        if True:\n            return option\n",
    ),
    Mutant(
        "clocks are never changed",
        "api/windows.py",
        "local = instant.astimezone(ZoneInfo(self.time_zone))",
        "local = instant + (instant.replace(month=1, day=1).astimezone(ZoneInfo(self.time_zone)).utcoffset() "
        "or timedelta(0))",
    ),
    Mutant(
        "maintenance keeps nothing from starting",
        "api/windows.py",
        "return self.start_time <= instant < self.end_time",
        "return False",
    ),
    Mutant(
        "hedges are granted without end",
        "engine/hedging.py",
        " or len(recent) >= request.per_minute:",
        ":",
    ),
    Mutant(
        "a hedge begins at once",
        "engine/hedge_attempts.py",
        "if now < starts:",
        "if False:",
    ),
    Mutant(
        "a job whose hedge has failed is hedged again",
        "engine/hedge_attempts.py",
        'if attempt.state != "Cancelled" or attempt.reason is not None]',
        'if attempt.state not in ("Cancelled", "Failed")]',
    ),
    Mutant(
        "the loser of a hedge is left to run",
        "engine/decide.py",
        '        self.cancel_attempts(None, "another attempt has answered")\n        if self.all_ended():',
        "        if True:",
    ),
    Mutant(
        "what is expected to be too late is started",
        "engine/routing.py",
        "        if late is not None:\n",
        "        if False:\n",
    ),
    Mutant(
        "of a rolling period only the latest part counts",
        "engine/periods.py",
        "since = (instant - seconds) // width * width",
        "since = start",
    ),
    Mutant(
        "a budget for each namespace counts none",
        "engine/ledger.py",
        '("Namespace", entry.namespace),',
        '("Namespace", ""),',
    ),
)
