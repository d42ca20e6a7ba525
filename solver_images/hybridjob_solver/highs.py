"""HiGHS, made quiet and reproducible in one place."""

import contextlib
import os
import sys
from collections.abc import Iterator

from highspy import Highs


def quiet_highs(seed: int = 0) -> Highs:
    """A solver that prints nothing, uses one thread and follows `seed`.

    One thread: HiGHS would take half of a node's cores, whatever the container's limit is.
    """
    with _no_standard_output():  # the constructor prints a banner before any option can stop it
        highs = Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("log_to_console", False)
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("random_seed", seed % 2**31)
    return highs


@contextlib.contextmanager
def _no_standard_output() -> Iterator[None]:
    """Send file descriptor 1 nowhere: C++ does not write through sys.stdout."""
    sys.stdout.flush()
    saved, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(nowhere)
