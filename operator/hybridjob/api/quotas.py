"""Quotas: how much quantum work of a policy there may be at once, in a queue, and in a period."""

from typing import Annotated

from pydantic import Field

from hybridjob.api.common import Resource

MaxConcurrent = Annotated[int, Field(ge=1, le=100_000)]


class JobsPerPeriodSpec(Resource):
    """So many jobs in any period of so many seconds."""

    count: Annotated[int, Field(ge=1, le=1_000_000)]
    """The jobs of one namespace that may start quantum work in the period."""
    seconds: Annotated[int, Field(ge=1, le=31_622_400)]
    """The length of the period, which ends now: it rolls."""


class QuotasSpec(Resource):
    """Limits on quantum work, besides money. Classical work has none."""

    max_concurrent: MaxConcurrent | None = None
    """Quantum attempts under way at once."""
    max_concurrent_per_namespace: MaxConcurrent | None = None
    """Quantum attempts under way at once in each namespace."""
    max_queued: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """Jobs of each namespace that may wait for these quotas. One more falls back with QuotaExceeded at once."""
    max_shots_per_job: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Shots that one attempt may ask for, over all its tasks."""
    jobs_per_period: JobsPerPeriodSpec | None = None
    """Jobs of each namespace that may start quantum work in a rolling period; later ones wait."""
