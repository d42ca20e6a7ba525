"""Whether an answer is good enough."""

from decimal import Decimal

from hybridjob.api.hybridjob import AcceptanceSpec
from hybridjob.api.status import Route
from hybridjob.contract.verdict import Answer

_TOLERANCE = 1e-9
"""Answers are sums of floats: two ways to add the same terms may differ by this much, relatively."""


def why_unacceptable(answer: Answer, acceptance: AcceptanceSpec, route: Route) -> str | None:
    """What the answer lacks, or None. Improvement is asked of quantum answers only: the classical answer is what they
    are compared with."""
    if acceptance.feasible and not answer.feasible:
        return "the best answer violates the problem's constraints, and acceptance.feasible is true"
    wanted = acceptance.min_improvement_over_baseline
    if wanted is None or route == "Classical":
        return None
    if answer.baseline is None:
        return "the answer has no classical baseline to be compared with"
    gained = improvement(answer, answer.baseline)
    if gained < float(wanted) - _TOLERANCE:
        return (
            f"objective {answer.objective:g} against baseline {answer.baseline:g}: an improvement of {gained:.4f}, "
            f"and acceptance.minImprovementOverBaseline is {_plain(wanted)}"
        )
    return None


def improvement(answer: Answer, baseline: float) -> float:
    """How much better than the baseline, relative to it; positive is better whatever the sense. Against a baseline of
    zero the difference itself."""
    difference = answer.objective - baseline
    if answer.sense == "Minimize":
        difference = -difference
    return difference / abs(baseline) if abs(baseline) > _TOLERANCE else difference


def _plain(value: Decimal) -> str:
    return format(value, "f")
