"""Proof that the simulation can fail: each mistake is put into a copy of the package, and random schedules are played
on the copy until one is violated."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.simulation.mistakes import MUTANTS, Mutant

SCHEDULES = 1500
_TIMEOUT_SECONDS = 900
_REPOSITORY = Path(__file__).resolve().parents[2]


def source() -> Path:
    """The package as it is."""
    import hybridjob

    return Path(hybridjob.__file__ or "").parent


def _apply(mutant: Mutant, package: Path) -> None:
    file = package / mutant.file
    text = file.read_text()
    if mutant.old not in text:
        raise SystemExit(f"{mutant.file} has changed: the mutant '{mutant.name}' must be written anew")
    file.write_text(text.replace(mutant.old, mutant.new))
    if mutant.also is not None:
        _apply(mutant.also, package)


def caught(mutant: Mutant) -> str:
    """What was violated, and how soon; empty where nothing was."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "hybridjob"
        shutil.copytree(source(), copy, ignore=shutil.ignore_patterns("__pycache__"))
        _apply(mutant, copy)
        command = [sys.executable, "-m", "tests.simulation", "run", str(SCHEDULES), "--brief"]
        environment = os.environ | {"PYTHONPATH": folder}
        done = subprocess.run(
            command, cwd=_REPOSITORY, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS
        )
        if done.returncode == 0:
            return ""
        if "schedule " not in done.stdout:
            raise SystemExit(f"{mutant.name}: {done.stderr[-2000:]}")
        return done.stdout.strip().splitlines()[-1]


def main(only: str = "") -> int:
    """Try all of them; how many survive."""
    tried = [mutant for mutant in MUTANTS if only in mutant.name]
    began, survivors = time.perf_counter(), 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutant, how in zip(tried, pool.map(caught, tried), strict=True):
            survivors += not how
            print(f"{'caught  ' if how else 'SURVIVES'}  {mutant.name}\n          {how}", flush=True)
    print(f"{len(tried) - survivors} of {len(tried)} caught in {time.perf_counter() - began:.0f} s")
    return survivors
