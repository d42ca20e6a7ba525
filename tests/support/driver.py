"""One job, decided about again and again."""

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import HybridJobStatus
from hybridjob.engine.actions import Decision
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import Facts
from hybridjob.engine.lifecycle import is_legal
from support.build import after


class Driver:
    """Keeps the status that was decided, as a runtime does."""

    def __init__(self, spec: HybridJob, rules: QuantumBackendPolicy) -> None:
        self.job, self.policy = spec, rules

    def decide(self, seconds: float, facts: Facts) -> Decision:
        """Decide by these facts, so many seconds after the start."""
        before = self.job.status.state if self.job.status else "Pending"
        decision = decide(self.job, self.policy, facts, after(seconds))
        assert is_legal(before, decision.status.state)
        self.job = self.job.model_copy(update={"status": decision.status})
        return decision

    @property
    def status(self) -> HybridJobStatus:
        assert self.job.status is not None
        return self.job.status
