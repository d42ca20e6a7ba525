"""Start-up: `hybridjob run` of a small classical job, from the shell's prompt to the printed answer, against importing
dwave-samplers alone, which that job cannot do without.

The contenders alternate, so that a noisy machine is noisy for both; the figure is the median of the paired ratios.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

JOB = {
    "apiVersion": "hybridjob.dev/v1alpha1",
    "kind": "HybridJob",
    "metadata": {"name": "start-up"},
    "spec": {
        "problem": {
            "type": "MaxCut",
            "inline": {"nodes": 40, "edges": [[i, (i + 1) % 40, 1.0] for i in range(40)]},
        },
        "classical": {"algorithm": "SimulatedAnnealing"},
    },
}


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """Wall time of a whole process that must succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as directory:
        job = Path(directory) / "job.yaml"
        job.write_text(json.dumps(JOB))
        environment = {**os.environ, "HYBRIDJOB_STATE": str(Path(directory) / "state")}
        run = [str(Path(sys.executable).with_name("hybridjob")), "run", str(job), "-o", "json"]
        bare = [sys.executable, "-c", "import dwave.samplers"]
        for command in (run, bare):  # fill the caches of the file system and of bytecode
            seconds(command, environment)
        pairs = [(seconds(run, environment), seconds(bare, environment)) for _ in range(rounds)]
    print(f"hybridjob run, classical job   median {median(a for a, _ in pairs):.3f} s")
    print(f"import dwave.samplers          median {median(b for _, b in pairs):.3f} s")
    print(f"ratio, median of {rounds} pairs      {median(a / b for a, b in pairs):.2f}   (aim: at most 3)")


if __name__ == "__main__":
    main()
