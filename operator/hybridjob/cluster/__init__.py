"""The cluster runtime: Kubernetes below, the engine above.

`operator` puts the parts together. Events of the cluster fill the `cache`; each names a key for the `work_queue`; the
`reconciler` takes a key, asks the engine, does what it says through `solver_jobs` and the `ledger`, and writes the
status. Nothing here decides.
"""
