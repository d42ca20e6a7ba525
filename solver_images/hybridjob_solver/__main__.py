"""`python -m hybridjob_solver`: what a solver container runs."""

import sys

from hybridjob_solver.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
