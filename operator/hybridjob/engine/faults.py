"""What an attempt that ended says of its backend: the classification that circuit breakers count by.

A fault is evidence against the backend, whoever's job it was. What the job brought about, what its user or the policy
decided, and what nobody knows is none: breakers would open on work that never had a chance.
"""

from signal import SIGKILL, SIGTERM
from typing import Literal

from hybridjob.api.status import AttemptStatus
from hybridjob.contract.exit_codes import ExitCode
from hybridjob.engine.facts import AttemptFacts

Kind = Literal["Success", "Fault", "Neutral"]

_BY_EXIT_CODE: dict[int, Kind] = {
    ExitCode.USAGE: "Fault",  # its image does not understand this operator
    ExitCode.INVALID_TASK: "Neutral",  # the job's own
    ExitCode.INPUT_UNREADABLE: "Neutral",  # the job's data
    ExitCode.INTERNAL_ERROR: "Fault",
    ExitCode.OUT_OF_MEMORY: "Neutral",  # how much is needed follows from the job's size
    ExitCode.RESULT_UNWRITABLE: "Neutral",  # the machine's disk
    -SIGKILL: "Neutral",  # somebody ended it: an eviction, a deletion, a machine that goes down
    -SIGTERM: "Neutral",
}


def kind_of(attempt: AttemptStatus, facts: AttemptFacts) -> Kind:
    """What a quantum attempt says, which has ended as `facts` tell.

    Where it was given up for a fault that the runtime saw, or because it ran for too long, that was told already: see
    `facts.Fault.of_backend` and `deadlines.Deadline.of_run`.
    """
    if attempt.state == "Succeeded":
        return "Success"  # also where the answer is not good enough: quality is not availability
    if attempt.state == "Cancelled":
        return "Neutral"  # its user's doing, or a deadline's
    if attempt.start_time is None or attempt.exit_code is None:
        return "Neutral"  # nobody knows how it ended: it was deleted, or its machine was lost
    if attempt.exit_code == ExitCode.BACKEND_UNAVAILABLE:
        # Too many qubits for it, constraints without exact penalties: no other job need fail.
        return "Fault" if facts.verdict is not None and facts.verdict.backend_failed else "Neutral"
    return _BY_EXIT_CODE.get(attempt.exit_code, "Fault")  # a crash, or done without an answer
