"""What earlier jobs of a state directory have taken of their quotas."""

from hybridjob.engine.loads import Loads, load_of
from hybridjob.local.store import Store


def count_past(store: Store, loads: Loads) -> None:
    """Count when the jobs that have ended began, for quotas on periods."""
    for past in store.all():
        if past.ended:
            loads.put(past.policy, load_of(past.job))
