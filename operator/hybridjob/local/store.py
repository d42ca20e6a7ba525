"""What the laptop runtime remembers: one SQLite database per state directory.

Jobs belong to a runner, a process that holds the lock of its own file while it lives. The kernel drops the lock at its
death, whatever the death was: a job whose runner's lock can be taken has been left behind, and may be adopted.
"""

import fcntl
import json
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from hybridjob.api.common import format_timestamp
from hybridjob.api.errors import sentence
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import HybridJobStatus
from hybridjob.contract.task import ProblemData
from hybridjob.engine.actions import Settlement
from hybridjob.engine.audit import Finding, audit
from hybridjob.engine.lifecycle import TERMINAL, is_legal
from hybridjob.engine.policies import stand_in
from hybridjob.engine.reservations import settlement
from hybridjob.local import ledger
from hybridjob.local.database import BUSY_SECONDS, Immediate, StateError, UnknownJobError
from hybridjob.local.ledger import Ledger

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  uid TEXT PRIMARY KEY,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  created_time TEXT NOT NULL,
  job TEXT NOT NULL,                -- JSON, without status
  policy TEXT NOT NULL,             -- JSON, as it was at submission
  data TEXT NOT NULL,               -- JSON, where the solver finds the problem
  problem_size INTEGER,
  status TEXT,                      -- JSON
  ended INTEGER NOT NULL DEFAULT 0,
  cancel INTEGER NOT NULL DEFAULT 0,
  runner TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_by_name ON jobs (namespace, name, created_time);
CREATE TABLE IF NOT EXISTS attempts (
  job_uid TEXT NOT NULL,
  number INTEGER NOT NULL,
  pid INTEGER,                      -- also its process group
  pid_start INTEGER,                -- clock ticks since boot: tells a recycled pid
  start_time TEXT,
  end_time TEXT,
  exit_code INTEGER,
  detail TEXT,
  PRIMARY KEY (job_uid, number)
) STRICT;
CREATE TABLE IF NOT EXISTS transitions (
  job_uid TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  time TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  message TEXT NOT NULL,
  PRIMARY KEY (job_uid, sequence)
) STRICT;
"""
SCHEMA_VERSION = 2
DATABASE = "state.db"


@dataclass(frozen=True)
class StoredJob:
    """A job with all that is needed to drive it, even when its files have changed since."""

    job: HybridJob
    policy: QuantumBackendPolicy
    data: ProblemData
    problem_size: int | None
    policy_error: str | None = None
    """Why the policy that was stored with it is none any more: another one, that allows nothing, stands for it."""

    @property
    def uid(self) -> str:
        return self.job.metadata.uid or ""

    @property
    def ended(self) -> bool:
        return self.job.status is not None and self.job.status.state in TERMINAL


@dataclass(frozen=True)
class AttemptRow:
    number: int
    pid: int | None
    pid_start: int | None
    start_time: datetime | None
    end_time: datetime | None
    exit_code: int | None
    detail: str | None


@dataclass(frozen=True)
class Transition:
    time: datetime
    state: str
    reason: str | None
    message: str


class Store:
    """The state directory. One instance per process; not for several threads."""

    def __init__(self, directory: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # problems and answers are the user's own
            (directory / "runners").mkdir(exist_ok=True)
            self._connection = sqlite3.connect(directory / DATABASE, timeout=BUSY_SECONDS, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._create_schema(directory)
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"state directory {directory}: {error}; it must be a writable directory") from error
        self.directory = directory
        self.ledger = Ledger(self._connection, clock)
        self._locks: list[int] = []

    def _create_schema(self, directory: Path) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version == SCHEMA_VERSION:
            return
        if version > SCHEMA_VERSION:
            raise StateError(f"state directory {directory} was written by a newer hybridjob: use that one")
        if 0 < version < SCHEMA_VERSION:
            raise StateError(
                f"state directory {directory} was written by an older hybridjob, whose ledger this one cannot go on "
                "with: end its jobs with that version, and give another directory with --state"
            )
        with Immediate(self._connection):
            for statement in (SCHEMA + ledger.SCHEMA).split(";"):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        self._connection.close()
        for descriptor in self._locks:
            os.close(descriptor)

    def audit(self, policy: str, *, repair: bool = False) -> list[Finding]:
        """What does not agree between a policy's ledger and its jobs; mended where that is asked for and can be."""
        with Immediate(self._connection):
            jobs = [stored.job for stored in self.all() if stored.policy.metadata.name == policy]
            findings = audit(self.ledger.book(policy), jobs, complete=True)
            if repair:
                self.ledger.apply(policy, [finding.repair for finding in findings if finding.repair is not None])
        return findings

    # Runners

    def register_runner(self) -> str:
        """Become a runner: the lock of its file is held until this process ends."""
        name = uuid.uuid4().hex
        descriptor = os.open(self._lock_path(name), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._locks.append(descriptor)
        return name

    def _lock_path(self, runner: str) -> Path:
        return self.directory / "runners" / runner

    def is_runner_alive(self, runner: str) -> bool:
        try:
            descriptor = os.open(self._lock_path(runner), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def adopt(self, runner: str, uids: Iterable[str] | None = None) -> list[str]:
        """Take over the jobs that have not ended and whose runner is dead; of these `uids`, or all."""
        wanted = None if uids is None else set(uids)
        adopted = []
        with Immediate(self._connection):
            rows = self._connection.execute("SELECT uid, runner FROM jobs WHERE ended = 0 ORDER BY rowid").fetchall()
            for uid, owner in rows:
                if (wanted is None or uid in wanted) and owner != runner and not self.is_runner_alive(owner):
                    self._connection.execute("UPDATE jobs SET runner = ? WHERE uid = ?", (runner, uid))
                    adopted.append(uid)
        return adopted

    # Jobs

    def submit(self, jobs: Sequence[StoredJob], runner: str) -> None:
        """Store jobs: all or none."""
        with Immediate(self._connection):
            for stored in jobs:
                metadata = stored.job.metadata
                self._connection.execute(
                    "INSERT INTO jobs (uid, namespace, name, created_time, job, policy, data, problem_size, runner)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        stored.uid,
                        metadata.namespace or "default",
                        metadata.name,
                        format_timestamp(metadata.creation_timestamp or datetime.now(UTC)),
                        stored.job.model_dump_json(by_alias=True, exclude={"status"}, exclude_none=True),
                        stored.policy.model_dump_json(by_alias=True, exclude={"status"}, exclude_none=True),
                        stored.data.model_dump_json(by_alias=True, exclude_none=True),
                        stored.problem_size,
                        runner,
                    ),
                )

    def get(self, uid: str) -> StoredJob:
        rows = self._jobs("WHERE uid = ?", uid)
        if not rows:
            raise UnknownJobError(f"no job with uid {uid} in {self.directory}")
        return rows[0]

    def find(self, name: str, namespace: str = "default") -> StoredJob:
        """The newest job of that name; or the job with that uid, or a unique beginning of one."""
        rows = self._jobs(
            "WHERE namespace = ? AND name = ? ORDER BY created_time DESC, rowid DESC LIMIT 1", namespace, name
        )
        if not rows and len(name) >= 4:
            rows = self._jobs("WHERE substr(uid, 1, ?) = ?", len(name), name)
        if len(rows) != 1:
            raise UnknownJobError(
                f"no job named {name} in namespace {namespace}: `hybridjob get` lists the jobs in {self.directory}"
            )
        return rows[0]

    def all(self) -> list[StoredJob]:
        """All jobs, oldest first."""
        return self._jobs("ORDER BY created_time, rowid")

    def _jobs(self, where: str, *parameters: object) -> list[StoredJob]:
        rows = self._connection.execute(
            f"SELECT job, policy, data, problem_size, status, cancel FROM jobs {where}",  # noqa: S608 — constant text
            parameters,
        )
        return [_stored_job(*row) for row in rows]

    def save_status(self, uid: str, status: HybridJobStatus, settlements: Iterable[Settlement], now: datetime) -> None:
        """Settle attempts and write the status in one transaction, so that neither is ever seen without the other."""
        with Immediate(self._connection):
            before, policy = self._connection.execute(
                "SELECT status, policy ->> '$.metadata.name' FROM jobs WHERE uid = ?", (uid,)
            ).fetchone()
            old = HybridJobStatus.model_validate_json(before) if before else HybridJobStatus()
            if old.state in TERMINAL or not is_legal(old.state, status.state):
                raise StateError(f"job {uid}: the transition from {old.state} to {status.state} is not legal")
            self.ledger.apply(policy, [settlement(uid, ended) for ended in settlements])
            self._connection.execute(
                "UPDATE jobs SET status = ?, ended = ? WHERE uid = ?",
                (status.model_dump_json(by_alias=True, exclude_none=True), status.state in TERMINAL, uid),
            )
            if (old.state, old.message) != (status.state, status.message):
                self._connection.execute(
                    "INSERT INTO transitions SELECT ?, COUNT(*), ?, ?, ?, ? FROM transitions WHERE job_uid = ?",
                    (uid, format_timestamp(now), status.state, status.reason, status.message, uid),
                )

    def transitions(self, uid: str) -> list[Transition]:
        rows = self._connection.execute(
            "SELECT time, state, reason, message FROM transitions WHERE job_uid = ? ORDER BY sequence", (uid,)
        )
        return [Transition(datetime.fromisoformat(row[0]), *row[1:]) for row in rows]

    def request_cancel(self, uid: str) -> None:
        self._connection.execute("UPDATE jobs SET cancel = 1 WHERE uid = ? AND ended = 0", (uid,))

    def cancel_requests(self, runner: str) -> set[str]:
        """The jobs of this runner that someone asked to cancel."""
        rows = self._connection.execute("SELECT uid FROM jobs WHERE runner = ? AND cancel = 1 AND ended = 0", (runner,))
        return {row[0] for row in rows}

    # Attempts

    def attempts(self, uid: str) -> list[AttemptRow]:
        rows = self._connection.execute(
            "SELECT number, pid, pid_start, start_time, end_time, exit_code, detail FROM attempts WHERE job_uid = ?",
            (uid,),
        )
        return [AttemptRow(row[0], row[1], row[2], _time(row[3]), _time(row[4]), row[5], row[6]) for row in rows]

    def create_attempt(self, uid: str, number: int) -> None:
        """Note that an attempt waits for its place, whatever was there before under its number."""
        self._connection.execute("INSERT OR REPLACE INTO attempts (job_uid, number) VALUES (?, ?)", (uid, number))

    def start_attempt(self, uid: str, number: int, pid: int, pid_start: int | None, now: datetime) -> None:
        self._connection.execute(
            "UPDATE attempts SET pid = ?, pid_start = ?, start_time = ? WHERE job_uid = ? AND number = ?",
            (pid, pid_start, format_timestamp(now), uid, number),
        )

    def end_attempt(self, uid: str, number: int, exit_code: int | None, detail: str | None, now: datetime) -> None:
        self._connection.execute(
            "UPDATE attempts SET end_time = ?, exit_code = ?, detail = ? WHERE job_uid = ? AND number = ?",
            (format_timestamp(now), exit_code, detail, uid, number),
        )

    def forget_attempt(self, uid: str, number: int) -> None:
        """Drop an attempt whose solver is gone without a trace: it does not exist any more."""
        self._connection.execute("DELETE FROM attempts WHERE job_uid = ? AND number = ?", (uid, number))

    def attempt_directory(self, uid: str, number: int) -> Path:
        return self.directory / "attempts" / uid / str(number)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _stored_job(
    job: str, policy: str, data: str, problem_size: int | None, status: str | None, cancel: int
) -> StoredJob:
    parsed = HybridJob.model_validate_json(job)
    if cancel:
        parsed = parsed.model_copy(update={"spec": parsed.spec.model_copy(update={"cancel": True})})
    if status is not None:
        parsed = parsed.model_copy(update={"status": HybridJobStatus.model_validate_json(status)})
    held, error = _stored_policy(policy)
    return StoredJob(parsed, held, ProblemData.model_validate_json(data), problem_size, error)


def _stored_policy(text: str) -> tuple[QuantumBackendPolicy, str | None]:
    """An earlier version may have taken a policy that this one does not: its jobs must not go on to pay under it."""
    try:
        return QuantumBackendPolicy.model_validate_json(text), None
    except ValidationError as error:
        name = json.loads(text)["metadata"]["name"]
        return stand_in(name), f"policy {name}, as it was stored, is invalid: {sentence(error, QuantumBackendPolicy)}"
