"""What is decided: a pure function from facts to (new status, actions, next wake-up).

Two rules hold for this package. Everything that decides about a job lives here; and nothing here knows Kubernetes, a
clock, a file or a socket: time and observations come in as arguments, effects go out as values.

* `facts`      what a runtime has observed
* `actions`    what it shall do; each may be repeated without harm
* `lifecycle`  the legal transitions, one table
* `decide`     the decision itself; the other modules each hold one concern of it
* `ledger`     the book that both runtimes keep of each policy's money
"""
