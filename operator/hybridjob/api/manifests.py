"""Objects as `kubectl apply -f` takes them: loaded from files or memory, typed, and checked against each other.

Every error of every file is reported at once, with its file, its line and what must hold.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hybridjob.api.common import ObjectMeta
from hybridjob.api.errors import Complaint, FieldError, ManifestError, among, explain, one_of, path_of, shown
from hybridjob.api.given import Given, Text, name_of, read_bytes
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.kubernetes import ConfigMap, Secret
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.problem_data import read_problem
from hybridjob.api.yaml_source import Document, read_documents
from hybridjob.contract.base import Model

__all__ = ["FieldError", "ManifestError", "Manifests", "Source", "load_files"]

Key = tuple[str, str]
"""Namespace and name."""
DEFAULT_NAMESPACE = "default"


_KINDS: dict[str, type[ConfigMap | Secret | HybridJob | QuantumBackendPolicy]] = {
    "HybridJob": HybridJob,
    "QuantumBackendPolicy": QuantumBackendPolicy,
    "ConfigMap": ConfigMap,
    "Secret": Secret,
}
_CLUSTER_SCOPED = {"QuantumBackendPolicy"}
_NONE = (None, None)
_GENERATED = "bcdfghjklmnpqrstvwxz2456789"
"""What Kubernetes ends generated names with: no letters that make words."""


@dataclass(frozen=True)
class Source:
    """Where an object was read: turns complaints about it into errors of its file."""

    file: str
    directory: Path
    """What relative paths in the object are relative to."""
    document: Document
    text: str
    refused: frozenset[tuple[int, str]]
    """Lines and paths at which the YAML reader put nothing in place of what it refused."""

    def errors(self, complaints: Iterable[Complaint]) -> list[FieldError]:
        """The complaints as errors of the file, without those about what the YAML reader has refused already."""
        errors = [self._error(complaint) for complaint in complaints]
        return [error for error in errors if (error.line, error.path) not in self.refused]

    def _error(self, complaint: Complaint) -> FieldError:
        line, found = self.document.line_of(complaint.loc), complaint.found
        # Inside a block of text the complaint is about one of its lines, which it names.
        named = re.search(r"\bline (\d+)\b", complaint.must)
        value = _value_at(self.document.value, complaint.loc)
        if named and isinstance(value, str):
            inner, outer = value.splitlines(), self.text.splitlines()[line:]
            n = int(named[1]) - 1
            # Only a block scalar has its lines below its key, as they are; quoted ones are folded and escaped.
            if 0 <= n < min(len(inner), len(outer)) and inner[n].strip() == outer[n].strip():
                line, found = line + n + 1, shown(inner[n])
        return FieldError(self.file, line, path_of(complaint.loc), found, complaint.must)


@dataclass(frozen=True)
class Manifests:
    """What the files hold."""

    jobs: list[HybridJob] = field(default_factory=list)
    policies: list[QuantumBackendPolicy] = field(default_factory=list)
    config_maps: dict[Key, dict[str, str]] = field(default_factory=dict)
    others: list[dict[str, Any]] = field(default_factory=list)
    """The objects that are not jobs as they were written, with their namespaces."""
    sources: dict[Key, Source] = field(default_factory=dict)
    """Where each job was read."""
    problems: dict[Key, Model] = field(default_factory=dict)
    """The problem's data of each job, where it is in the files and in a format that can be read without a solver."""
    refused: set[Key] = field(default_factory=set)
    """The jobs whose problem has been found wrong."""


def key_of(metadata: ObjectMeta) -> Key:
    """The key of an object in `Manifests`."""
    return metadata.namespace or DEFAULT_NAMESPACE, metadata.name


Check = Callable[["Manifests"], Iterable[FieldError]]


def load_files(
    given: Sequence[Given], *checks: Check, namespace: str = DEFAULT_NAMESPACE, closed: bool = True
) -> Manifests:
    """Load all objects of what was given. Raises ManifestError with every error of all of it.

    `checks` are asked for what else is wrong with the objects that could be read. `namespace` is that of the objects
    which name none. `closed`: jobs may refer only to what was given with them.
    """
    loader = _Loader(namespace, closed)
    for item in given:
        loader.read(item)
    loader.check_data()
    loader.check_references()
    for check in checks:
        loader.errors += check(loader.manifests)
    if loader.errors:
        order = {name_of(item): position for position, item in enumerate(given)}
        raise ManifestError(sorted(loader.errors, key=lambda error: (order.get(error.file, -1), error.line)))
    return loader.manifests


class _Loader:
    """Collects objects and errors, one source after the other."""

    def __init__(self, namespace: str, closed: bool) -> None:
        self.manifests = Manifests()
        self.errors: list[FieldError] = []
        self._namespace = namespace
        self._config_maps: dict[Key, tuple[ConfigMap, Source]] = {}
        self._places: dict[tuple[str, str, str], str] = {}
        self._unread: set[str] = set() if closed else set(_KINDS)
        """Kinds of which an object may be where nothing was read: what names it may be right."""

    def read(self, given: Given) -> None:
        name = name_of(given)
        match given:
            case Path():
                try:
                    content = read_bytes(given)
                except OSError as error:
                    self.errors.append(FieldError(name, 0, "", "nothing", f"must be a readable file: {error.strerror}"))
                    self._unread.update(_KINDS)
                    return
                self._read_yaml(name, given.parent, content)
            case Text():
                self._read_yaml(name, Path(), given.content.encode(errors="surrogatepass"))
            case _:
                self._add(Source(name, Path(), Document(dict(given), 0), "", frozenset()))

    def _read_yaml(self, file: str, directory: Path, content: bytes) -> None:
        documents, errors = read_documents(file, content)
        self.errors += errors
        if errors:
            self._unread.update(_KINDS)
        if not documents and not errors:
            self.errors.append(FieldError(file, 0, "", "nothing", "must hold at least one object"))
        text = content.decode(errors="replace")
        refused = frozenset((error.line, error.path) for error in errors)
        for document in documents:
            self._add(Source(file, directory, document, text, refused))

    def _add(self, source: Source) -> None:
        value = source.document.value
        complaint = _wrong_kind(value)
        if complaint is not None:
            self.errors += source.errors([complaint])
            self._unread.update(_KINDS)
            return
        kind = value["kind"]
        model = _KINDS[kind]
        body = {name: part for name, part in value.items() if name != "status"}
        if isinstance(body.get("metadata"), dict):
            body["metadata"] = _complete(body["metadata"], None if kind in _CLUSTER_SCOPED else self._namespace)
        try:
            # By alias only: `max_cost` is not a field on the wire, whatever Python calls it.
            resource = model.model_validate(body, by_alias=True, by_name=False)
        except ValidationError as error:
            self.errors += source.errors(explain(error, model))
            self._unread.add(kind)
            return
        if self._is_new(kind, resource.metadata, source):
            self._keep(resource, body, source)

    def _is_new(self, kind: str, metadata: ObjectMeta, source: Source) -> bool:
        namespace = "" if kind in _CLUSTER_SCOPED else key_of(metadata)[0]
        loc = ("metadata", "name")
        here = f"{source.file}:{source.document.line_of(loc)}"
        before = self._places.setdefault((kind, namespace, metadata.name), here)
        if before != here:
            must = f"must be unique: {before} has a {kind} of this name, too"
            self.errors += source.errors([Complaint(loc, shown(metadata.name), must)])
        return before == here

    def _keep(
        self, resource: ConfigMap | Secret | HybridJob | QuantumBackendPolicy, body: dict[str, Any], source: Source
    ) -> None:
        if isinstance(resource, HybridJob):
            self.manifests.jobs.append(resource)
            self.manifests.sources[key_of(resource.metadata)] = source
            return
        self.manifests.others.append(body)
        match resource:
            case QuantumBackendPolicy():
                self.manifests.policies.append(resource)
            case ConfigMap():
                self.manifests.config_maps[key_of(resource.metadata)] = resource.data
                self._config_maps[key_of(resource.metadata)] = (resource, source)

    def check_data(self) -> None:
        """Check the problem of every job whose data is in the files."""
        for job in self.manifests.jobs:
            key = key_of(job.metadata)
            reference = job.spec.problem.config_map_key_ref
            config_map, place = self._config_maps.get((key[0], reference.name), _NONE) if reference else _NONE
            text = config_map.data.get(reference.key) if reference and config_map else None
            problem, complaints = read_problem(job.spec, text)
            if complaints:
                self.manifests.refused.add(key)
            elif problem is not None:
                self.manifests.problems[key] = problem
            for complaint in complaints:
                if reference and place and complaint.loc == ("problem", "configMapKeyRef"):
                    # Said where it can be mended: in the ConfigMap.
                    must = f"{complaint.must} (read by HybridJob {key[0]}/{key[1]})"
                    self.errors += place.errors([Complaint(("data", reference.key), complaint.found, must)])
                else:
                    here = Complaint(("spec", *complaint.loc), complaint.found, complaint.must)
                    self.errors += self.manifests.sources[key].errors([here])

    def check_references(self) -> None:
        """Check what jobs name outside of themselves."""
        for job in self.manifests.jobs:
            complaints = list(self._check_config_map(job))
            if "QuantumBackendPolicy" not in self._unread:
                complaints += _check_policy(job, self.manifests.policies)
            self.errors += self.manifests.sources[key_of(job.metadata)].errors(complaints)

    def _check_config_map(self, job: HybridJob) -> Iterator[Complaint]:
        reference = job.spec.problem.config_map_key_ref
        if reference is None:
            return
        namespace = key_of(job.metadata)[0]
        loc = ("spec", "problem", "configMapKeyRef")
        config_map, _ = self._config_maps.get((namespace, reference.name), _NONE)
        if config_map is None:
            if "ConfigMap" in self._unread:
                return
            known = [name for other, name in self._config_maps if other == namespace]
            must = f"must be a ConfigMap of namespace {namespace} in the files" + among(reference.name, known)
            yield Complaint((*loc, "name"), shown(reference.name), must)
        elif reference.key in config_map.binary_data:
            must = f"must be a key of data: in ConfigMap {reference.name} it is one of binaryData, which is not text"
            yield Complaint((*loc, "key"), shown(reference.key), must)
        elif reference.key not in config_map.data:
            must = f"must be a key of ConfigMap {reference.name}" + among(reference.key, list(config_map.data))
            yield Complaint((*loc, "key"), shown(reference.key), must)


def _complete(metadata: dict[str, Any], namespace: str | None) -> dict[str, Any]:
    """With the namespace that holds where none is named, and with a name where one is to be generated."""
    complete = metadata if namespace is None else {"namespace": namespace} | metadata
    prefix = metadata.get("generateName")
    if isinstance(prefix, str) and prefix and "name" not in metadata:
        # As the API server does it, and on a laptop there is none: at most 63 characters.
        ending = "".join(secrets.choice(_GENERATED) for _ in range(5))
        complete = complete | {"name": prefix[:58] + ending}
    return complete


def _wrong_kind(value: Any) -> Complaint | None:
    """What is wrong with apiVersion and kind: without them nothing else can be judged."""
    if not isinstance(value, dict):
        return Complaint((), shown(value), "must be an object with apiVersion, kind, metadata and spec")
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        return Complaint(("kind",), "nothing" if kind is None else shown(kind), one_of(kind, list(_KINDS)))
    return None


def _check_policy(job: HybridJob, policies: Sequence[QuantumBackendPolicy]) -> Iterator[Complaint]:
    """The named policy and its backends must exist, where the files say which policies there are."""
    by_name = {policy.metadata.name: policy for policy in policies}
    name = job.spec.policy_name
    if name is not None and by_name and name not in by_name:
        must = "must be a policy in the files" + among(name, list(by_name))
        yield Complaint(("spec", "policyName"), shown(name), must)
        return
    if name is None and len(policies) == 1:
        name = policies[0].metadata.name
    if job.spec.quantum is None or name not in by_name:
        return
    known = [backend.name for backend in by_name[name].spec.backends]
    for position, backend in enumerate(job.spec.quantum.backends):
        if backend not in known:
            must = f"must be a backend of policy {name}" + among(backend, known)
            yield Complaint(("spec", "quantum", "backends", position), shown(backend), must)


def _value_at(value: Any, loc: Iterable[str | int]) -> Any:
    for step in loc:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value
