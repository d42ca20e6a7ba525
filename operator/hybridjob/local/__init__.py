"""The laptop runtime: the same engine, with solver processes for pods and SQLite for the API server and the ledger.

* `errors`     what can be wrong with a state directory
* `database`   transactions
* `store`      what is remembered: jobs, attempts, transitions
* `ledger`     money, in the same database
* `sandbox`    what stands between a solver process and the machine: limits, and death with its parent
* `solvers`    starts, watches and ends solver processes
* `results`    reads what a solver left, and trusts none of it
* `problems`   a problem as a solver gets it, and what only a solver can tell of it
* `submission` from manifests to stored jobs
* `runner`     drives jobs to their end by asking the engine
"""
