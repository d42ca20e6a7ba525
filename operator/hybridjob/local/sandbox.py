"""Run as a script before a solver: limits its memory, ties its life to the parent's, then becomes it.

Imports the standard library alone and runs under `-S`, as every solver pays for its start. Linux only in two points,
both said in docs/operations.md: elsewhere the kernel may not enforce RLIMIT_DATA, and death with the parent is left to
`hybridjob resume`.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """`sandbox.py MEMORY_BYTES PARENT_PID COMMAND…`"""
    memory, parent, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    if sys.platform == "linux":
        # The solver dies with the process that supervises it, even when that is killed with SIGKILL.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)  # the parent died before the tie was made
    # RLIMIT_DATA counts private writable memory; RLIMIT_AS would count address space that numerical libraries only
    # reserve.
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.execv(command[0], command)  # noqa: S606 — no shell, the caller's own command


if __name__ == "__main__":
    main(sys.argv[1:])
