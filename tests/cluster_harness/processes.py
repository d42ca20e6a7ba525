"""The native cluster's processes: started inside its network namespace, recorded, and stopped by their recorded ids."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


def process_start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: tells a recycled pid from the process that was recorded."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


@dataclass(frozen=True)
class Record:
    name: str
    pid: int
    start: int
    command: tuple[str, ...] = ()

    @property
    def alive(self) -> bool:
        return process_start(self.pid) == self.start


class Processes:
    """The processes of one cluster, written to a file as they start, so that a later command can stop them."""

    def __init__(self, file: Path, logs: Path, network: Path) -> None:
        self._file, self._logs, self._network = file, logs, network

    def records(self) -> list[Record]:
        """In the order in which they were started."""
        if not self._file.exists():
            return []
        return [Record(**json.loads(line)) for line in self._file.read_text().splitlines()]

    def start(self, name: str, command: Sequence[object]) -> None:
        """Start a process that outlives this one."""
        words = [*map(str, command)]
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                ["nsenter", f"--net={self._network}", "--", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        record = {"name": name, "pid": process.pid, "start": process_start(process.pid) or 0, "command": words}
        with self._file.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def restart(self, name: str) -> None:
        """Stop a process and start it again, with the same command line."""
        others = [record for record in self.records() if record.name != name]
        (old,) = (record for record in self.records() if record.name == name)
        _stop(old)
        self._file.write_text("".join(json.dumps(asdict(record)) + "\n" for record in others))
        self.start(name, old.command)

    def dead(self) -> list[str]:
        """The names of those that have ended by themselves."""
        return [record.name for record in self.records() if not record.alive]

    def stop(self) -> None:
        """Stop all, the last started first, and wait until each is gone: a second etcd that finds the first one's port
        taken makes everything hang without a word."""
        for record in reversed(self.records()):
            _stop(record)
        self._file.unlink(missing_ok=True)


def _stop(record: Record, patience_seconds: float = 20) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + patience_seconds
        while record.alive and time.monotonic() < deadline:
            try:
                os.kill(record.pid, number)
            except ProcessLookupError:
                return
            _reap(record.pid)
            time.sleep(0.1)


def _reap(pid: int) -> None:
    """Take the exit status of our own child, which would stay a zombie otherwise."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
