"""The operator under load, on a real control plane with fake nodes (KWOK): what each job costs, and how fast jobs go.

KWOK starts and ends solver pods the moment they are bound: nothing but the control plane and the operator takes time.
Plain batch/v1 Jobs and HybridJobs alternate on the same cluster: machines are noisy, ratios less so.

    make cluster-up
    make cluster-exec CMD=".venv/bin/python benchmarks/operator_load.py"
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cluster_harness.build import KWOK, binaries

from hybridjob.cluster.api_client import ApiError, KubernetesApi, Object
from hybridjob.cluster.kinds import HYBRID_JOBS, JOBS, PODS, POLICIES, Kind

NODES = Kind("", "v1", "nodes")
NAMESPACES = Kind("", "v1", "namespaces")
SYSTEM, PORT = "hybridjob-bench-system", 18099
CONCURRENT = 32
PROBLEM = {"type": "MaxCut", "inline": {"nodes": 3, "edges": [[0, 1, 1], [1, 2, 1], [0, 2, 1]]}}
SMALL = {"memory": "1Mi", "cpu": "1m"}


def hybrid_job(name: str, **spec: Any) -> Object:
    body = {"problem": PROBLEM, "policyName": "bench", "limits": {"queueDeadlineSeconds": 3600}} | spec
    return {"apiVersion": "hybridjob.dev/v1alpha1", "kind": "HybridJob", "metadata": {"name": name}, "spec": body}


def failing_job(name: str) -> Object:
    return hybrid_job(name, quantum={})


def plain_job(name: str) -> Object:
    container = {"name": "solver", "image": "fake", "resources": {"requests": SMALL}}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    body = {"backoffLimit": 0, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


POLICY = {
    "apiVersion": "hybridjob.dev/v1alpha1",
    "kind": "QuantumBackendPolicy",
    "metadata": {"name": "bench"},
    "spec": {
        "backends": [{"name": "failing", "kind": "Simulator", "sdk": "Qiskit", "qubits": 20, "resources": SMALL}],
        "classical": {"resources": SMALL},
    },
}


async def ensure(create: Awaitable[Object]) -> None:
    try:
        await create
    except ApiError as error:
        if error.status != 409:
            raise


async def create_all(api: KubernetesApi, kind: Kind, namespace: str, bodies: Iterable[Object]) -> None:
    """Create objects, many at once."""
    gate = asyncio.Semaphore(CONCURRENT)

    async def create(body: Object) -> None:
        async with gate:
            await api.create(kind, namespace, body)

    await asyncio.gather(*(create(body) for body in bodies))


async def count_ended(api: KubernetesApi, kind: Kind, namespace: str) -> int:
    ended = 0
    async for page in api.pages(kind, namespace):
        for item in page.items:
            status = item.get("status") or {}
            terminal = status.get("state") in ("Succeeded", "Failed", "Cancelled")
            ended += terminal or any(
                c["type"] in ("Complete", "Failed") for c in status.get("conditions", []) if kind is JOBS
            )
    return ended


async def until(holds: Callable[[], Awaitable[bool]], patience_seconds: float = 900) -> None:
    deadline = time.monotonic() + patience_seconds
    while not await holds():
        if time.monotonic() > deadline:
            raise SystemExit("waited in vain: is the machine far too slow, or did the operator stop?")
        await asyncio.sleep(0.25)


class Operator:
    """The operator from this tree, as a process whose CPU time and memory can be read."""

    def start(self) -> None:
        images = [f"--{name}-image=fake" for name in ("classical", "qiskit", "cirq")]
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-c", "from hybridjob.cli.main import main; main()", "operator", *images),
                *(f"--operator-namespace={SYSTEM}", "--no-leader-election", f"--port={PORT}", "--log-level=WARNING"),
            ]
        )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)

    @property
    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_mb(self) -> float:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self._process.pid}/status").read_text())
        return int(found[1]) / 1000 if found else 0.0

    async def metrics(self) -> dict[str, float]:
        """All samples by name and labels; empty while it does not answer."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{PORT}/metrics") as answer:
                lines = (await answer.text()).splitlines()
        except aiohttp.ClientError:
            return {}
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}

    async def writes(self) -> dict[str, float]:
        """API writes by resource and verb; of policies and Leases none is a job's."""
        found: dict[str, float] = {}
        for sample, value in (await self.metrics()).items():
            labels = dict(re.findall(r'(\w+)="([^"]*)"', sample))
            if sample.startswith("hybridjob_api_writes_total") and labels["resource"] != "quantumbackendpolicies":
                key = f"{labels['verb']} {labels['resource']}"
                found[key] = found.get(key, 0) + value
        return found


class Bench:
    def __init__(self, api: KubernetesApi, operator: Operator) -> None:
        self.api, self.operator = api, operator
        self._runs = 0

    async def namespace(self) -> str:
        self._runs += 1
        name = f"bench-{os.getpid()}-{self._runs}"
        await self.api.create(NAMESPACES, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    async def run(self, kind: Kind, make: Callable[[str], Object], jobs: int) -> float:
        """Create jobs as fast as they go, wait until all have ended; jobs per second."""
        namespace = await self.namespace()
        began = time.perf_counter()
        await create_all(self.api, kind, namespace, (make(f"job-{number}") for number in range(jobs)))
        await until(lambda: self._all_ended(kind, namespace, jobs))
        return jobs / (time.perf_counter() - began)

    async def _all_ended(self, kind: Kind, namespace: str, jobs: int) -> bool:
        return await count_ended(self.api, kind, namespace) == jobs

    async def cost(self, make: Callable[[str], Object], jobs: int, rate: float) -> tuple[dict[str, float], float]:
        """Writes by kind, and milliseconds of the operator's CPU, for each job; they come at so many a second."""
        before, cpu = await self.operator.writes(), self.operator.cpu_seconds
        namespace = await self.namespace()
        for number in range(jobs):
            await self.api.create(HYBRID_JOBS, namespace, make(f"job-{number}"))
            await asyncio.sleep(1 / rate)
        await until(lambda: self._all_ended(HYBRID_JOBS, namespace, jobs))
        await asyncio.sleep(3)  # what is still to be written
        after = await self.operator.writes()
        spent = {key: (after[key] - before.get(key, 0)) / jobs for key in after}
        return {k: round(v, 3) for k, v in spent.items() if v}, (self.operator.cpu_seconds - cpu) / jobs * 1000

    async def request_cost(self, requests: int) -> float:
        """Milliseconds of this process's CPU for one raw request: what the machine makes of it just now."""
        cpu = time.process_time()
        for _ in range(requests):
            await self.api.get(POLICIES, None, "bench")
        return (time.process_time() - cpu) / requests * 1000

    async def reaction(self, rate: float, jobs: int) -> list[float]:
        """Seconds from seeing a failed pod to seeing the classical Job, at so many jobs a second; by two watches."""
        namespace = await self.namespace()
        failed: dict[str, float] = {}
        started: dict[str, float] = {}

        async def watch(kind: Kind, note: Callable[[Object], None]) -> None:
            version = [page async for page in self.api.pages(kind, namespace)][-1].resource_version
            async for event, item in self.api.watch(kind, namespace, "", version):
                if event != "BOOKMARK":
                    note(item)

        def on_pod(pod: Object) -> None:
            labels = pod["metadata"]["labels"]
            if pod.get("status", {}).get("phase") == "Failed":
                failed.setdefault(labels["hybridjob.dev/job-uid"], time.perf_counter())

        def on_job(job: Object) -> None:
            labels = job["metadata"]["labels"]
            if labels["hybridjob.dev/route"] == "Classical":
                started.setdefault(labels["hybridjob.dev/job-uid"], time.perf_counter())

        watches = [asyncio.create_task(watch(PODS, on_pod)), asyncio.create_task(watch(JOBS, on_job))]
        for number in range(jobs):
            await self.api.create(HYBRID_JOBS, namespace, failing_job(f"job-{number}"))
            await asyncio.sleep(1 / rate)
        await until(lambda: self._all_ended(HYBRID_JOBS, namespace, jobs))
        for task in watches:
            task.cancel()
        return sorted(started[uid] - failed[uid] for uid in started.keys() & failed.keys())

    async def restart(self, stored: int) -> tuple[float, float]:
        """Seconds from the start of an operator that finds so many active jobs to the end of its first pass; and its
        memory in MB when it has looked at all of them."""
        namespace = await self.namespace()
        self.operator.stop()
        bodies = (hybrid_job(f"job-{number}", suspend=True) for number in range(stored))
        await create_all(self.api, HYBRID_JOBS, namespace, bodies)
        began = time.perf_counter()
        self.operator.start()

        async def passes() -> float:
            return (await self.operator.metrics()).get("hybridjob_reconcile_seconds_count", 0.0)

        async def first() -> bool:
            return await passes() >= 1

        await until(first)
        seconds = time.perf_counter() - began

        async def all_held() -> bool:
            counted = await self.operator.metrics()
            held = f'hybridjob_jobs{{namespace="{namespace}",reason="",state="Held"}}'
            return counted.get(held) == stored

        await until(all_held)
        return seconds, self.operator.memory_mb


async def prepare(api: KubernetesApi, directory: Path) -> subprocess.Popen[bytes]:
    """Ten fake nodes; the real one takes nothing meanwhile."""
    for node in [item async for page in api.pages(NODES) for item in page.items]:
        await api.merge(NODES, None, node["metadata"]["name"], {"spec": {"unschedulable": True}})
    source = Path(
        subprocess.run(
            ["go", "-C", KWOK.folder, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )
    stages = source / "kustomize" / "stage" / "node"
    config = directory / "kwok.yaml"
    parts = [
        (stages / "fast" / "node-initialize.yaml").read_text(),
        (stages / "heartbeat-with-lease" / "node-heartbeat-with-lease.yaml").read_text(),
        Path(__file__).with_name("kwok.yaml").read_text(),
    ]
    config.write_text("\n---\n".join(parts))
    kwok = subprocess.Popen(
        [
            *(binaries(KWOK) / "kwok", f"--config={config}", f"--kubeconfig={os.environ['KUBECONFIG']}"),
            *("--manage-nodes-with-label-selector=type=kwok", "--node-lease-duration-seconds=40", "-v", "ERROR"),
        ]
    )
    for number in range(10):
        labels = {"type": "kwok", "kubernetes.io/hostname": f"fake-{number}"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"fake-{number}", "labels": labels}}
        await ensure(api.create(NODES, None, node))
    system = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}
    await ensure(api.create(NAMESPACES, None, system))
    await ensure(api.create(POLICIES, None, POLICY))
    return kwok


async def clean(api: KubernetesApi) -> None:
    for kind, prefix in ((NAMESPACES, "bench-"), (NAMESPACES, SYSTEM), (NODES, "fake-"), (POLICIES, "bench")):
        async for page in api.pages(kind):
            for item in page.items:
                if item["metadata"]["name"].startswith(prefix):
                    await api.delete(kind, None, item["metadata"]["name"], item["metadata"]["uid"])
    for node in [item async for page in api.pages(NODES) for item in page.items]:
        await api.merge(NODES, None, node["metadata"]["name"], {"spec": {"unschedulable": None}})


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--rate", type=float, default=10.0, help="jobs a second where their cost is measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stored", type=int, default=10_000)
    options = parser.parse_args()
    api = await KubernetesApi.connect()
    operator = Operator()
    with tempfile.TemporaryDirectory() as directory:
        kwok = await prepare(api, Path(directory))
        operator.start()
        bench = Bench(api, operator)
        try:
            await until(lambda: _answers(operator))
            request = await bench.request_cost(options.jobs)
            print(f"idle: {operator.memory_mb:.0f} MB; a raw request takes {request:.2f} ms CPU", flush=True)
            for label, make in (("single attempt", hybrid_job), ("rolled back", failing_job)):
                writes, cpu = await bench.cost(make, options.jobs, options.rate)
                total = sum(value for key, value in writes.items() if not key.endswith("events"))
                print(
                    f"{label}: {total:.2f} writes a job without Events, {cpu:.2f} ms CPU; {json.dumps(writes)}",
                    flush=True,
                )
            ratios = []
            for _ in range(options.rounds):
                plain = await bench.run(JOBS, plain_job, options.jobs)
                hybrid = await bench.run(HYBRID_JOBS, hybrid_job, options.jobs)
                ratios.append(hybrid / plain)
                print(f"jobs a second: plain {plain:.1f}, HybridJob {hybrid:.1f}, ratio {ratios[-1]:.2f}", flush=True)
            print(f"median ratio {median(ratios):.2f}", flush=True)
            seconds = await bench.reaction(20, options.jobs)
            p99 = seconds[int(len(seconds) * 0.99)]
            print(
                f"failure to classical Job, {len(seconds)} at 20 jobs/s: p50 {median(seconds) * 1000:.0f} ms, "
                f"p99 {p99 * 1000:.0f} ms",
                flush=True,
            )
            first, memory = await bench.restart(options.stored)
            print(f"{options.stored} stored jobs: first pass after {first:.1f} s, {memory:.0f} MB when all are seen")
        finally:
            operator.stop()
            await clean(api)
            kwok.terminate()
            await api.close()


async def _answers(operator: Operator) -> bool:
    return bool(await operator.metrics())


if __name__ == "__main__":
    asyncio.run(main())
