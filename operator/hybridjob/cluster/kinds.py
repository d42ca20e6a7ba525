"""The kinds of the API that the operator uses, and their paths."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One resource of the Kubernetes API. The core group has no name."""

    group: str
    version: str
    plural: str

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The path of the collection, of one object, or of one of its subresources."""
        parts = ["/apis", self.group] if self.group else ["/api"]
        parts.append(self.version)
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts += [self.plural, *(part for part in (name, subresource) if part is not None)]
        return "/".join(parts)


HYBRID_JOBS = Kind("hybridjob.dev", "v1alpha1", "hybridjobs")
POLICIES = Kind("hybridjob.dev", "v1alpha1", "quantumbackendpolicies")
JOBS = Kind("batch", "v1", "jobs")
PODS = Kind("", "v1", "pods")
CONFIG_MAPS = Kind("", "v1", "configmaps")
NAMESPACES = Kind("", "v1", "namespaces")
EVENTS = Kind("", "v1", "events")
LEASES = Kind("coordination.k8s.io", "v1", "leases")
