"""Starts a real Kubernetes for the cluster tests, and for a developer's day.

A control plane and a node, built from pinned Go modules, in a network namespace of their own:
`python -m tests.cluster_harness up|down|status|exec|load|kueue`, or the `make cluster-…` targets.
"""
