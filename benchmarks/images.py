"""The images: how large each is, and what CPU time it takes from the start of a container's process to its end.

A solver image solves a small task, the operator's says its version. Each runs several times in a pod of a real cluster;
the first run also fills the file cache. Needs what the native test cluster needs (CONTRIBUTING.md).

    python -m benchmarks.images --rounds 9
"""

import argparse
import json
from statistics import median
from typing import Any

from tests.cluster_harness import images
from tests.cluster_harness.cluster import Cluster
from tests.cluster_harness.selection import select

RING = {"nodes": 12, "edges": [[i, (i + 1) % 12, 1.0] for i in range(12)]}
TASK: dict[str, Any] = {
    "schemaVersion": "hybridjob.dev/task/v1",
    "jobUid": "benchmark",
    "attempt": 1,
    "problem": {"type": "MaxCut", "format": "Json", "data": {"inline": RING}},
    "classical": {"algorithm": "SimulatedAnnealing", "seed": 1},
}
QAOA = {"algorithm": "QAOA", "shots": 1000, "layers": 2, "maxIterations": 20, "seed": 1}
BACKENDS = {"qiskit": "Qiskit", "cirq": "Cirq"}

MEASURE = """
import os, subprocess, sys
rounds, task, *command = sys.argv[1:]
os.chdir("/tmp")
open("task.json", "w").write(task)
for _ in range(int(rounds)):
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    print(after[2] + after[3] - before[2] - before[3])
"""


def task(image: str) -> dict[str, Any]:
    if image not in BACKENDS:
        return TASK
    backend = {"name": "simulator", "kind": "Simulator", "sdk": BACKENDS[image], "qubits": 20}
    return TASK | {"quantum": QAOA, "backend": backend}


def cpu_seconds(cluster: Cluster, image: str, rounds: int) -> list[float]:
    """User and system time of each run, in a pod."""
    python = "/opt/hybridjob/bin/python"
    solver = [python, "-P", "-m", "hybridjob_solver", "--task", "task.json", "--result", "verdict.json"]
    words = ["/opt/hybridjob/bin/hybridjob", "--version"] if image == "operator" else solver
    command = [python, "-c", MEASURE, str(rounds), json.dumps(task(image)), *words]
    pod = f"images-{image}"
    container = {"name": "image", "image": cluster.load(image), "imagePullPolicy": "IfNotPresent", "command": command}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod, "namespace": "default"},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    cluster.kubectl("delete", "pod", pod, "--ignore-not-found").check_returncode()
    cluster.kubectl("apply", "-f", "-", text=json.dumps(manifest)).check_returncode()
    wait = cluster.kubectl("wait", f"pod/{pod}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=180s")
    log = cluster.kubectl("logs", pod).stdout
    if wait.returncode:
        raise SystemExit(f"the {image} image failed: {log or wait.stderr}")
    cluster.kubectl("delete", "pod", pod).check_returncode()
    return [float(line) for line in log.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    cluster = select()
    cluster.up()
    print(f"{'image':<12}{'MB':>6}{'first run, CPU s':>18}{'median, CPU s':>16}")
    for image in images.IMAGES:
        seconds = cpu_seconds(cluster, image, rounds)
        size = images.build(image).stat().st_size / 1e6
        print(f"{image:<12}{size:>6.0f}{seconds[0]:>18.2f}{median(seconds):>16.2f}", flush=True)


if __name__ == "__main__":
    main()
