"""`python -m hybridjob_solver`: what a solver container runs."""

import os
import sys

from hybridjob_solver.main import main

if __name__ == "__main__":
    # A panic in Rust (pydantic's core) prints its backtrace under a lock and needs memory for it: out of memory, the
    # solver would hang on that lock instead of ending.
    os.environ.pop("RUST_BACKTRACE", None)
    sys.exit(main(sys.argv[1:]))
