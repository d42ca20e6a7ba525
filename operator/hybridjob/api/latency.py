"""Latency: what the platform team expects of a backend, and what its attempts have taken."""

from typing import Annotated

from pydantic import Field

from hybridjob.api.common import Count, Resource
from hybridjob.contract.base import Model

MAX_SAMPLES = 128
"""How many attempts are remembered of each backend."""

Seconds = Annotated[float, Field(ge=0, le=31_536_000)]


class LatencySpec(Resource):
    """Learn from the attempts that ended how long the next one takes; and how much may be hedged."""

    minimum_samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] = 20
    """Of fewer attempts nothing is concluded."""
    window_seconds: Annotated[int, Field(ge=60, le=31_622_400)] = 604_800
    """Older attempts do not count."""
    hedges_per_minute: Annotated[int, Field(ge=1, le=600)] | None = None
    """So many jobs with routing.strategy Hedged may start their classical solver beside the quantum one in a minute."""


class ExpectedLatency(Resource):
    """What nine of ten attempts are expected to take, until enough have been measured."""

    queue_seconds: Annotated[int, Field(ge=0, le=2_592_000)] = 0
    """Until the solver starts."""
    run_seconds: Annotated[int, Field(ge=0, le=2_592_000)]
    """From then to its end, with any queue of the provider's."""


class Quantiles(Model):
    """So many of a hundred attempts took at most so many seconds."""

    p50: Seconds
    """Half of them."""
    p90: Seconds
    """Nine of ten."""
    p99: Seconds
    """All but one of a hundred."""


class MeasuredLatency(Model):
    """What the attempts on a backend have taken."""

    samples: Count
    """How many attempts that is from."""
    queue: Quantiles
    """From decision to the start of the solver."""
    run: Quantiles
    """From the start to the end of the solver."""
    total: Quantiles
    """Both together."""
    estimated: Count = 0
    """Of how many of these attempts there was an estimate before they began to count."""
    covered: Count = 0
    """How many of those took no longer than nine of ten were estimated to: some 90 % where estimates are good."""
