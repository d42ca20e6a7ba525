"""The kinds of the API that the operator uses, and their paths."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One resource of the Kubernetes API."""

    prefix: str
    plural: str

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The path of the collection, of one object, or of one of its subresources."""
        parts = [self.prefix]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts += [self.plural, *(part for part in (name, subresource) if part is not None)]
        return "/".join(parts)


HYBRID_JOBS = Kind("/apis/hybridjob.dev/v1alpha1", "hybridjobs")
POLICIES = Kind("/apis/hybridjob.dev/v1alpha1", "quantumbackendpolicies")
JOBS = Kind("/apis/batch/v1", "jobs")
PODS = Kind("/api/v1", "pods")
CONFIG_MAPS = Kind("/api/v1", "configmaps")
NAMESPACES = Kind("/api/v1", "namespaces")
EVENTS = Kind("/api/v1", "events")
LEASES = Kind("/apis/coordination.k8s.io/v1", "leases")
