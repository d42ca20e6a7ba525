"""Random schedules, one schedule again, the shortest that still fails, and the mutants."""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.simulation import mutants
from tests.simulation.explorer import Report, random_choices
from tests.simulation.schedules import explore, minimise, play, read_script, script, sort_of

_CHUNK = 250


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="play random schedules")
    run.add_argument("schedules", type=int)
    run.add_argument("--first", type=int, default=0)
    run.add_argument("--keep-going", action="store_true", help="count what is violated, and go on")
    run.add_argument("--brief", action="store_true", help="one process, one line, up to the first violation")
    replay = commands.add_parser("replay", help="play one schedule, and tell what happens")
    replay.add_argument("script")
    shrink = commands.add_parser("minimise", help="the shortest schedule that is violated like this random one")
    shrink.add_argument("number", type=int)
    mutate = commands.add_parser("mutants", help="see that each mistake is caught")
    mutate.add_argument("only", nargs="?", default="", help="a part of its name")
    arguments = parser.parse_args()
    match arguments.command:
        case "run" if arguments.brief:
            return _brief(arguments.first, arguments.schedules)
        case "run":
            return _run(arguments.first, arguments.schedules, arguments.keep_going)
        case "minimise":
            return _minimise(arguments.number)
        case "mutants":
            return mutants.main(arguments.only)
    number, choices = read_script(arguments.script)
    report = play(number, choices, trace=True)
    print("\n".join(report.trace))
    print(report.violation or "all invariants hold")
    return bool(report.violation)


def _minimise(number: int) -> int:
    choices = list(random_choices(number))
    report = play(number, choices)
    print(report.violation or "all invariants hold")
    if report.violation:
        print(f"python -m tests.simulation replay '{script(number, minimise(number, choices, report.violation))}'")
    return bool(report.violation)


def _brief(first: int, schedules: int) -> int:
    def on_report(number: int, report: Report) -> bool:
        if report.violation:
            print(f"schedule {number}: {sort_of(report.violation)}")
        return bool(report.violation)

    return bool(explore(range(first, first + schedules), on_report).violation)


def _chunk(first: int, size: int, keep_going: bool) -> tuple[Report, dict[int, str]]:
    failed: dict[int, str] = {}

    def on_report(number: int, report: Report) -> bool:
        if report.violation:
            failed[number] = report.violation
        return bool(failed) and not keep_going

    return explore(range(first, first + size), on_report), failed


def _run(first: int, schedules: int, keep_going: bool) -> int:
    """On all cores, with a line now and then."""
    began, done, total = time.perf_counter(), 0, Report(schedules=0)
    failed: dict[int, str] = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        end = first + schedules
        waiting = [
            pool.submit(_chunk, start, min(_CHUNK, end - start), keep_going) for start in range(first, end, _CHUNK)
        ]
        for future in as_completed(waiting):
            report, violations = future.result()
            total.add(report)
            failed |= violations
            for number, violation in violations.items():
                print(f"\rschedule {number}: {sort_of(violation)}", flush=True)
            done += report.schedules
            seconds = time.perf_counter() - began
            print(f"\r{done} schedules, {done / seconds:.1f}/s, {len(failed)} violated", end="", file=sys.stderr)
            if failed and not keep_going:
                pool.shutdown(cancel_futures=True)
                break
    print(file=sys.stderr)
    seconds = time.perf_counter() - began
    print(f"{done} schedules in {seconds:.0f} s ({done / seconds:.1f}/s) on {os.cpu_count()} cores")
    print(f"{total.steps} steps ({total.steps / seconds:.0f}/s)")
    print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(total.faults.items())))
    print("jobs: " + ", ".join(f"{state} {count}" for state, count in sorted(total.states.items())))
    print("reached: " + ", ".join(f"{what} {count}" for what, count in sorted(total.reached.items())))
    kinds: dict[str, list[int]] = {}
    for number, violation in sorted(failed.items()):
        kinds.setdefault(sort_of(violation), []).append(number)
    for kind, numbers in kinds.items():
        print(f"{len(numbers)} times {kind}: python -m tests.simulation minimise {numbers[0]}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
