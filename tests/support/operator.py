"""The operator as a process of its own, run from source against the test cluster."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from support.cluster import Cluster
from support.command_line import REPOSITORY

OPERATOR_NAMESPACE = "hybridjob-system"
IMAGES = ("classical", "qiskit", "cirq")


class OperatorProcess:
    """One replica. Its log is kept beside the test's other files."""

    def __init__(self, cluster: Cluster, log: Path, images: dict[str, str], *options: str) -> None:
        self._cluster, self.log, self._images, self._options = cluster, log, images, options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 18080 + os.getpid() % 1000

    def start(self) -> None:
        """Start it, and wait until it answers its probes."""
        command = [
            sys.executable,
            "-P",
            "-c",
            "from hybridjob.cli.main import main; main()",
            "operator",
            f"--operator-namespace={OPERATOR_NAMESPACE}",
            f"--port={self.port}",
            *(f"--{name}-image={image}" for name, image in self._images.items()),
            "--image-pull-policy=IfNotPresent",
            "--log-format=text",
            *self._options,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._cluster.inside(*command),
                env=self._cluster.environment(),
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
            )
        eventually(lambda: self.fetch("/readyz") == "ok", f"the operator answers its probes (its log: {self.log})")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def fetch(self, path: str) -> str:
        """A page of its probes and metrics; empty where it does not answer."""
        done = self._cluster.run("curl", "--silent", "--max-time", "2", f"http://127.0.0.1:{self.port}{path}")
        return done.stdout

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = (line for line in self.fetch("/metrics").splitlines() if not line.startswith("#"))
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def wait_until_it_leads(self) -> None:
        eventually(lambda: self.metric("hybridjob_leader") == 1, f"the operator leads (its log: {self.log})")

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it without a word, as a node that loses power does."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(timeout=10)

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def eventually(holds: object, what: str, patience_seconds: float = 60.0) -> None:
    """Wait until `holds()` is true. The patience is for slow machines: nothing is measured by it."""
    assert callable(holds)
    deadline = time.monotonic() + patience_seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.2)
