"""Starts a real Kubernetes for the cluster tests, and for a developer's day.

`python -m tests.cluster_harness up|down|status|exec|load`, or the `make cluster-…` targets. It uses, in this order, the
kubeconfig named by HYBRIDJOB_TEST_KUBECONFIG, kind where Docker runs, or the native cluster: a control plane and a
node built from pinned Go modules, inside a network namespace of their own.
"""
