"""HybridJob: one unit of hybrid work; its status is in `status`."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from hybridjob.api.common import (
    OBJECT_NAME_PATTERN,
    RELATIVE_PATH_PATTERN,
    Currency,
    LabelValue,
    Money,
    Name,
    ObjectMeta,
    Resource,
    Rule,
    SignedRatio,
    TransitionRule,
    list_of,
)
from hybridjob.api.status import FALLBACK_REASONS, FallbackReason, HybridJobStatus
from hybridjob.contract import task as contract
from hybridjob.contract.problems import FORMATS, PARAMETERS, SHAPES, ProblemFormat, ProblemType

Strategy = Literal["ClassicalOnly", "QuantumFirst", "Hedged"]

CIRCUIT_TYPES: frozenset[ProblemType] = frozenset({"Circuit", "Expectation"})
TABLE_TYPES: frozenset[ProblemType] = frozenset({"FeatureSelection"})

MAX_ATTEMPTS = 10


FreeForm = Annotated[
    dict[str, Any], Field(max_length=64, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
]
"""An object whose shape depends on the problem's type: checked by `problem_data`, not by the schema."""


def _quoted(names: Any) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


class ConfigMapKeyRef(Resource):
    """A key of a ConfigMap in the job's own namespace."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """The ConfigMap."""
    key: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """One of the keys of its data."""


def _format_rule(problem_type: ProblemType, formats: tuple[ProblemFormat, ...]) -> Rule:
    def holds(problem: "ProblemSpec") -> bool:
        return problem.type != problem_type or problem.format is None or problem.format in formats

    return Rule(
        cel=f"self.type != '{problem_type}' || !has(self.format) || self.format in [{_quoted(formats)}]",
        message=f"must be {' or '.join(formats)} for type {problem_type}",
        holds=holds,
        field="format",
    )


class PersistentVolumeClaimSource(Resource):
    """A file on a volume of the job's own namespace; clusters only."""

    claim_name: Annotated[str, StringConstraints(pattern=OBJECT_NAME_PATTERN, min_length=1, max_length=253)]
    """The PersistentVolumeClaim."""
    path: Annotated[str, StringConstraints(pattern=RELATIVE_PATH_PATTERN, min_length=1, max_length=1024)]
    """The file's path on the volume, relative to its root; it may not leave it."""


_SOURCES = ("inline", "text", "configMapKeyRef", "persistentVolumeClaim", "uri")


class ProblemSpec(Resource):
    """The problem: one type, one source of data."""

    type: ProblemType
    """What kind of problem it is."""
    format: ProblemFormat | None = None
    """How the data reads. The default is Json, LP for BinaryProgram, and QASM3 for Circuit and Expectation."""
    inline: FreeForm | None = None
    """The data as an object, in the Json shape of the type."""
    text: Annotated[str, StringConstraints(min_length=1, max_length=1_048_576)] | None = None
    """The data as a string in the given format."""
    config_map_key_ref: ConfigMapKeyRef | None = None
    """The data in a ConfigMap of the same namespace."""
    persistent_volume_claim: PersistentVolumeClaimSource | None = None
    """The data in a file on a volume of the same namespace; on a cluster only."""
    uri: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = None
    """The data at a path or URL that fsspec opens; a relative path is relative to the manifest."""
    parameters: FreeForm | None = None
    """Parameters of the type: FeatureSelection and Expectation need them, the others take none."""

    rules = (
        Rule(
            cel="[" + ", ".join(f"has(self.{name})" for name in _SOURCES) + "].filter(x, x).size() == 1",
            message="must have exactly one source: inline, text, configMapKeyRef, persistentVolumeClaim or uri",
            holds=lambda p: (
                sum(s is not None for s in (p.inline, p.text, p.config_map_key_ref, p.persistent_volume_claim, p.uri))
                == 1
            ),
        ),
        *(_format_rule(problem_type, formats) for problem_type, formats in FORMATS.items()),
        Rule(
            cel=f"!has(self.inline) || self.type in [{_quoted(SHAPES)}]",
            message="may not be used with this type, which is text: use text, configMapKeyRef or uri",
            holds=lambda p: p.inline is None or p.type in SHAPES,
            field="inline",
        ),
        Rule(
            cel="!has(self.inline) || !has(self.format) || self.format == 'Json'",
            message="must be Json with inline data",
            holds=lambda p: p.inline is None or p.format in (None, "Json"),
            field="format",
        ),
        Rule(
            cel=f"has(self.parameters) == (self.type in [{_quoted(PARAMETERS)}])",
            message="must be given for FeatureSelection and Expectation, and may not be given for any other type",
            holds=lambda p: (p.parameters is not None) == (p.type in PARAMETERS),
            field="parameters",
        ),
    )

    @property
    def read_format(self) -> ProblemFormat:
        """The format, with the default of the type."""
        return self.format or FORMATS[self.type][0]


class PrepareStep(contract.PrepareStep, Resource):
    """One step of classical feature compression; exactly one of the fields is set."""

    rules = (
        Rule(
            cel="[has(self.standardize), has(self.minMax), has(self.pca), has(self.selectKBest)]"
            ".filter(x, x).size() == 1",
            message="must be exactly one of standardize, minMax, pca and selectKBest",
            holds=lambda s: sum(step is not None for step in (s.standardize, s.min_max, s.pca, s.select_k_best)) == 1,
        ),
    )


class QuantumSpec(Resource):
    """The quantum route."""

    sdk: Literal["Auto", "Qiskit", "Cirq"] = "Auto"
    """Which SDK's backends may be used."""
    algorithm: contract.QuantumAlgorithm | None = None
    """QAOA for optimisation problems, Sampling for Circuit and Expectation; the default follows the type."""
    backends: Annotated[list[Name], list_of("atomic", 32)] = []
    """Narrows the policy's backends, in order of preference."""
    shots: Annotated[int, Field(ge=1, le=1_000_000)] = 1024
    """Samples taken of the final circuit (of each measurement group, for Expectation)."""
    layers: Annotated[int, Field(ge=1, le=32)] = 3
    """QAOA layers, p."""
    max_iterations: Annotated[int, Field(ge=0, le=10_000)] = 40
    """Evaluations of the QAOA angle search; 0 uses the starting angles as they are."""
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 0
    """Seed of everything random on this route."""


class ClassicalSpec(Resource):
    """The classical route: the fallback, and the baseline of every quantum answer."""

    algorithm: contract.ClassicalAlgorithm = "Auto"
    """Auto picks by size and structure, and says why."""
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 0
    """Seed of everything random on this route."""


class RoutingSpec(Resource):
    """Which route comes first."""

    strategy: Strategy
    """ClassicalOnly. QuantumFirst: quantum, and classical when that ends badly. Hedged: the same, and the classical
    solver starts beside it in time for completionDeadlineSeconds; the first acceptable answer is the job's."""


class LimitsSpec(Resource):
    """What the job may cost and how long it may take."""

    max_cost: Money | None = None
    """The most that all attempts together may cost."""
    currency: Currency | None = None
    """The currency of maxCost."""
    queue_deadline_seconds: Annotated[int, Field(ge=1, le=2_592_000)] = 600
    """From creation to the start of the first solver."""
    active_deadline_seconds: Annotated[int, Field(ge=1, le=604_800)] = 900
    """For each attempt, from the start of its solver."""
    completion_deadline_seconds: Annotated[int, Field(ge=1, le=2_592_000)] = 3600
    """From creation to the end of the preferred route. A fallback that begins then still has activeDeadlineSeconds."""

    rules = (
        Rule(
            cel="has(self.maxCost) == has(self.currency)",
            message="must be given together with maxCost, and only with it",
            holds=lambda limits: (limits.max_cost is None) == (limits.currency is None),
            field="currency",
        ),
    )


class FallbackSpec(Resource):
    """When the classical solver takes over."""

    on: Annotated[list[FallbackReason], list_of("set", len(FALLBACK_REASONS))] = list(FALLBACK_REASONS)
    """The causes that roll back to the classical route; the others fail the job. Quote the key in YAML: "on"."""
    max_attempts: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)] = 2
    """Attempts on each route before it counts as SolverFailed; only failures that may pass are tried again."""


class AcceptanceSpec(Resource):
    """What an answer must be to be accepted."""

    feasible: bool = True
    """The answer must satisfy the problem's constraints."""
    min_improvement_over_baseline: SignedRatio | None = None
    """The least relative improvement of a quantum answer over the classical baseline: "0.05" means 5 % better,
    "-0.10" at most 10 % worse."""


_OPTIMISATION = "!(self.problem.type in [" + _quoted(CIRCUIT_TYPES) + "])"


class HybridJobSpec(Resource):
    """What to solve and what must hold. Immutable after creation, except cancel, suspend and
    ttlSecondsAfterFinished."""

    policy_name: Annotated[str, StringConstraints(min_length=1, max_length=253)] | None = None
    """The QuantumBackendPolicy; may be left out when exactly one selects the namespace, or one is the default."""
    problem: ProblemSpec
    prepare: Annotated[list[PrepareStep], list_of("atomic", 16)] = []
    """Classical feature compression, applied in order before anything is encoded."""
    quantum: QuantumSpec | None = None
    """Absent means classical only."""
    classical: ClassicalSpec = ClassicalSpec()
    routing: RoutingSpec | None = None
    """The default is QuantumFirst with a quantum route and ClassicalOnly without."""
    limits: LimitsSpec = LimitsSpec()
    fallback: FallbackSpec = FallbackSpec()
    acceptance: AcceptanceSpec = AcceptanceSpec()
    queue_name: LabelValue | None = None
    """The Kueue LocalQueue that admits the job's solvers on a cluster."""
    correlation_id: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    """The caller's own name for this piece of work; repeated in logs and on solver pods."""
    suspend: bool = False
    """True holds the job: no solver starts, one that runs is ended and not counted as a failure; no deadline runs."""
    cancel: bool = False
    """Set to true to cancel the job; cannot be taken back."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=315_360_000)] | None = None
    """A cluster deletes the job so long after it ended. What makes it again, as a GitOps tool does, pays again."""

    rules = (
        Rule(
            cel="!has(self.routing) || self.routing.strategy == 'ClassicalOnly' || has(self.quantum)",
            message="must be given with routing.strategy QuantumFirst and Hedged",
            holds=lambda s: s.routing is None or s.routing.strategy == "ClassicalOnly" or s.quantum is not None,
            field="quantum",
        ),
        Rule(
            cel=f"!has(self.prepare) || self.prepare.size() == 0 || self.problem.type in [{_quoted(TABLE_TYPES)}]",
            message="may only be used with problems that are tables (FeatureSelection)",
            holds=lambda s: not s.prepare or s.problem.type in TABLE_TYPES,
            field="prepare",
        ),
        Rule(
            cel="!has(self.quantum) || !has(self.quantum.algorithm) || "
            f"({_OPTIMISATION}) == (self.quantum.algorithm == 'QAOA')",
            message="must be QAOA for optimisation problems and Sampling for Circuit and Expectation",
            holds=lambda s: (
                s.quantum is None
                or s.quantum.algorithm is None
                or (s.problem.type not in CIRCUIT_TYPES) == (s.quantum.algorithm == "QAOA")
            ),
            field="quantum.algorithm",
        ),
        Rule(
            cel="self.classical.algorithm == 'Auto' || "
            f"({_OPTIMISATION}) == (self.classical.algorithm != 'Statevector')",
            message="must be Auto or Statevector for Circuit and Expectation, "
            "and may not be Statevector for any other type",
            holds=lambda s: (
                s.classical.algorithm == "Auto"
                or (s.problem.type not in CIRCUIT_TYPES) == (s.classical.algorithm != "Statevector")
            ),
            field="classical.algorithm",
        ),
        Rule(
            cel=f"!has(self.acceptance.minImprovementOverBaseline) || {_OPTIMISATION}",
            message="may not be used with Circuit and Expectation, which have no better or worse answer",
            holds=lambda s: s.acceptance.min_improvement_over_baseline is None or s.problem.type not in CIRCUIT_TYPES,
            field="acceptance.minImprovementOverBaseline",
        ),
    )
    transition_rules = (
        *(
            TransitionRule(f"self.{name} == oldSelf.{name}", f"{name} is immutable")
            for name in ("problem", "classical", "limits", "fallback", "acceptance")
        ),
        *(
            TransitionRule(
                f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})",
                f"{name} is immutable",
            )
            for name in ("policyName", "prepare", "quantum", "routing", "queueName", "correlationId")
        ),
        TransitionRule("!oldSelf.cancel || self.cancel", "cancel cannot be taken back"),
    )

    @property
    def strategy(self) -> Strategy:
        """The routing strategy, with the default."""
        if self.routing is not None:
            return self.routing.strategy
        return "QuantumFirst" if self.quantum is not None else "ClassicalOnly"


class HybridJob(Resource):
    """A problem, a quantum route, a classical route, and what must hold of cost, latency and quality."""

    api_version: Literal["hybridjob.dev/v1alpha1"]
    kind: Literal["HybridJob"]
    metadata: ObjectMeta
    spec: HybridJobSpec
    status: HybridJobStatus | None = None
