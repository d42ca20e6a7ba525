"""`python -m tests.simulation run 1000`, `replay 'SCRIPT'`, `minimise SEED`."""

import argparse
import sys
import time

from tests.simulation.explorer import Report, random_choices
from tests.simulation.schedules import explore, minimise, play, read_script, script, sort_of


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("schedules", type=int)
    run.add_argument("--first", type=int, default=0)
    run.add_argument("--keep-going", action="store_true")
    replay = commands.add_parser("replay")
    replay.add_argument("script")
    shrink = commands.add_parser("minimise")
    shrink.add_argument("number", type=int)
    arguments = parser.parse_args()
    if arguments.command == "run":
        return _run(arguments.schedules, arguments.first, arguments.keep_going)
    if arguments.command == "minimise":
        return _shrink(arguments.number)
    number, choices = read_script(arguments.script)
    report = play(number, choices, trace=True)
    print("\n".join(report.trace))
    print(report.violation or "all invariants hold")
    return bool(report.violation)


def _shrink(number: int) -> int:
    choices = list(random_choices(number))
    report = play(number, choices)
    print(report.violation)
    if report.violation:
        print(script(number, minimise(number, choices, report.violation)))
    return 0


def _run(schedules: int, first: int, keep_going: bool) -> int:
    began = time.perf_counter()
    failed: dict[str, list[int]] = {}

    def on_report(number: int, report: Report) -> bool:
        if report.violation:
            failed.setdefault(sort_of(report.violation), []).append(number)
        return bool(report.violation) and not keep_going

    total = explore(range(first, first + schedules), on_report)
    seconds = time.perf_counter() - began
    print(
        f"{schedules} schedules in {seconds:.1f} s: {schedules / seconds:.1f}/s; {total.steps} steps, "
        f"{total.steps / seconds:.0f}/s"
    )
    print("faults:", dict(total.faults))
    print("ends:", dict(total.states))
    for violation, numbers in failed.items():
        print(f"{len(numbers)}x {violation} … {numbers[:5]}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
