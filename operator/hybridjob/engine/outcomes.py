"""What became of an attempt that ended: its reason, its message, its cost."""

from datetime import datetime
from decimal import Decimal
from signal import Signals

from hybridjob.api.status import AttemptStatus, Reason
from hybridjob.contract.exit_codes import Disposition, ExitCode, disposition
from hybridjob.contract.verdict import Usage
from hybridjob.engine.facts import AttemptFacts
from hybridjob.engine.pricing import ZERO, charge


def end_attempt(attempt: AttemptStatus, facts: AttemptFacts, *, begun: bool = False) -> AttemptStatus:
    """The attempt as it stands after its end. `begun`: whether its solver is known to have run, though the facts may
    not say when. It has no cost where nobody knows what it cost."""
    changes: dict[str, object] = {
        "start_time": facts.start_time,
        "end_time": facts.end_time,
        "exit_code": facts.exit_code,
        "cost": _cost(attempt, facts, begun),
        "queue_seconds": _seconds(attempt.created_time, facts.start_time or facts.end_time),
        "run_seconds": _seconds(facts.start_time, facts.end_time),
    }
    verdict = facts.verdict
    if verdict is not None:
        changes |= {
            "shots": verdict.usage.shots or None,
            "qubits": verdict.qubits,
            "circuit_depth": verdict.circuit_depth,
        }
        if verdict.answer is not None:
            changes |= {"objective": verdict.answer.objective, "feasible": verdict.answer.feasible}
    if attempt.state == "Cancelling":
        changes["state"] = "Cancelled"
    elif verdict is not None and verdict.answer is not None and facts.exit_code == ExitCode.SOLVED:
        changes |= {"state": "Succeeded", "message": verdict.message}
    else:
        changes |= {"state": "Failed", "reason": _reason(facts.exit_code), "message": _message(facts)}
    return attempt.model_copy(update=changes)


def lose_attempt(attempt: AttemptStatus, now: datetime, *, begun: bool) -> AttemptStatus:
    """The attempt as it stands when it is found to be gone: it was cancelled, or it had begun, and nothing is left to
    tell what it did."""
    if attempt.state == "Cancelling":
        cost = ZERO if attempt.reserved is not None and not begun else None
        return attempt.model_copy(update={"state": "Cancelled", "end_time": now, "cost": cost})
    message = "its solver has begun and is gone; what it did, nobody knows"
    return attempt.model_copy(update={"state": "Failed", "reason": "SolverFailed", "message": message, "end_time": now})


def may_retry(attempt: AttemptStatus) -> bool:
    """Whether the same attempt may succeed when repeated. A solver that said it was done and left no usable verdict
    counts as crashed."""
    code = attempt.exit_code if attempt.exit_code is not None else ExitCode.INTERNAL_ERROR
    return disposition(code) in (Disposition.RETRY, Disposition.DONE)


def _reason(exit_code: int | None) -> Reason:
    if exit_code == ExitCode.BACKEND_UNAVAILABLE:
        return "BackendUnavailable"
    if exit_code is not None and disposition(exit_code) is Disposition.REJECT:
        return "InvalidProblem"
    return "SolverFailed"


def _message(facts: AttemptFacts) -> str:
    if facts.verdict is not None and facts.exit_code != ExitCode.SOLVED:
        text = facts.verdict.message
    elif facts.exit_code is not None and facts.exit_code < 0:
        text = f"the solver was ended by {_signal_name(-facts.exit_code)}"
    elif facts.exit_code == ExitCode.SOLVED:
        text = f"the solver ended without a usable verdict: {facts.verdict_error or 'there is none'}"
    elif facts.exit_code == ExitCode.OUT_OF_MEMORY:
        text = "the solver ran out of memory"
    elif facts.exit_code is None:
        text = "the solver ended, and nobody knows how"
    else:
        text = f"the solver ended with exit code {facts.exit_code} and no verdict"
    return (f"{text} ({facts.detail})" if facts.detail else text)[:2048]


def _signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


def _cost(attempt: AttemptStatus, facts: AttemptFacts, begun: bool) -> Decimal | None:
    """What to charge. None where it is free, and where nobody knows what the provider did: there is no verdict, or one
    that does not tell, and the price is not by time, or nobody saw the end: it would be late by all the time that
    nobody looked.

    An attempt that a crash kept out of the status may have been settled already, and nothing is reserved for it any
    more: it has cost what it has cost.
    """
    card = attempt.rate_card
    if card is None:
        return None
    if facts.start_time is None:
        return None if begun else ZERO
    # A classical solver reports what it used of a quantum backend: nothing.
    usage = facts.verdict.usage if facts.verdict is not None and attempt.route == "Quantum" else None
    if usage is None and card.formula in ("PerSecond", "PerHour") and facts.exit_code is not None:
        usage = Usage(seconds=_seconds(facts.start_time, facts.end_time) or 0.0)
    return charge(card, usage) if usage is not None else None


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return max(0.0, round((end - start).total_seconds(), 3))
