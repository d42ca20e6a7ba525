"""The rules of the models say the same in Python, for the command line, and in CEL, for the API server."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from hybridjob.api.breaker import CircuitBreakerSpec
from hybridjob.api.budgets import BudgetSpec, PeriodSpec
from hybridjob.api.common import Resource
from hybridjob.api.crds import structural_schema
from hybridjob.api.hybridjob import HybridJobSpec, LimitsSpec, PrepareStep, ProblemSpec
from hybridjob.api.policy import BackendSpec, ClassicalPolicy, LabelSelectorRequirement, PolicySpec
from hybridjob.api.rates import RateCard
from hybridjob.api.windows import DateRange, MaintenanceSpec, WindowSpec
from support.api_server import Refusal, evaluate, instances, refusals, with_defaults

MODELS: list[type[Resource]] = [
    HybridJobSpec, LimitsSpec, PrepareStep, ProblemSpec, BackendSpec, ClassicalPolicy, LabelSelectorRequirement,
    PolicySpec, RateCard, BudgetSpec, PeriodSpec,
    DateRange, MaintenanceSpec, WindowSpec, CircuitBreakerSpec,
]  # fmt: skip

MAXCUT = {"type": "MaxCut", "inline": {"nodes": 2}}
TABLE = {"type": "FeatureSelection", "uri": "data.csv", "parameters": {"target": "y", "select": 1}}
CIRCUIT = {"type": "Circuit", "text": "qubit q;"}
BACKEND = {"name": "aer", "kind": "Simulator", "sdk": "Qiskit", "qubits": 4}
WINDOW = {"name": "nights", "timeZone": "Europe/Berlin", "from": "22:00", "until": "06:00"}
INSTANTS = {"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-02T00:00:00Z", "reason": "repair"}
BUDGET = {"name": "all", "limit": "1", "currency": "USD"}
SECONDS = {"formula": "PerSecond", "currency": "USD", "perSecond": "1.6"}
GATES = {
    "formula": "GateShots",
    "currency": "AQT",
    "perTask": "12.4166",
    "perOneQubitGateShot": "0.000220",
    "perTwoQubitGateShot": "0.000975",
}
STEPS = {"standardize": {}, "minMax": {}, "pca": {"components": 2}, "selectKBest": {"k": 2}}

GOOD: list[tuple[type[Resource], dict[str, Any]]] = [
    (HybridJobSpec, {"problem": MAXCUT}),
    (HybridJobSpec, {"problem": MAXCUT, "quantum": {}, "routing": {"strategy": "QuantumFirst"}}),
    (HybridJobSpec, {"problem": MAXCUT, "quantum": {"algorithm": "QAOA"}, "classical": {"algorithm": "Exact"}}),
    (HybridJobSpec, {"problem": MAXCUT, "routing": {"strategy": "ClassicalOnly"}}),
    (HybridJobSpec, {"problem": MAXCUT, "acceptance": {"minImprovementOverBaseline": "-0.1"}}),
    (HybridJobSpec, {"problem": CIRCUIT, "quantum": {"algorithm": "Sampling"}}),
    (HybridJobSpec, {"problem": CIRCUIT, "classical": {"algorithm": "Statevector"}, "prepare": []}),
    (HybridJobSpec, {"problem": TABLE, "prepare": [{"standardize": {}}, {"pca": {"components": 2}}]}),
    (LimitsSpec, {}),
    (LimitsSpec, {"maxCost": "1.5", "currency": "EUR"}),
    *((PrepareStep, {name: step}) for name, step in STEPS.items()),
    (ProblemSpec, MAXCUT),
    (ProblemSpec, TABLE),
    (ProblemSpec, CIRCUIT),
    (ProblemSpec, {"type": "Ising", "format": "COO", "configMapKeyRef": {"name": "a", "key": "b"}}),
    (ProblemSpec, {"type": "MaxCut", "format": "EdgeList", "uri": "graph.txt"}),
    (BackendSpec, BACKEND),
    (BackendSpec, BACKEND | {"kind": "NoisySimulator", "snapshot": "FakeTorino"}),
    (PolicySpec, {}),
    (PolicySpec, {"backends": [BACKEND, BACKEND | {"name": "cirq"}], "budgets": [BUDGET, BUDGET | {"name": "b"}]}),
    (LabelSelectorRequirement, {"key": "team", "operator": "Exists"}),
    (LabelSelectorRequirement, {"key": "team", "operator": "In", "values": ["a"]}),
    (PolicySpec, {"backends": [BACKEND | {"rateCard": SECONDS}, BACKEND | {"name": "b"}], "budgets": [BUDGET]}),
    (PolicySpec, {"classical": {"rateCard": SECONDS}, "budgets": [BUDGET]}),
    (BudgetSpec, BUDGET),
    (BackendSpec, BACKEND | {"windows": [WINDOW], "windowsMode": "Deny", "maintenance": [INSTANTS]}),
    (PolicySpec, {"backends": [BACKEND | {"windows": [WINDOW]}], "windows": [WINDOW], "windowsMode": "Allow"}),
    (WindowSpec, {"name": "always", "timeZone": "UTC"}),
    (WindowSpec, WINDOW | {"days": ["Sat", "Sun"], "dates": {"from": "12-24", "until": "01-02"}}),
    (DateRange, {"from": "2026-12-24", "until": "2027-01-02"}),
    (MaintenanceSpec, INSTANTS),
    (BudgetSpec, BUDGET | {"onExceeded": "Hold", "holdSeconds": 60, "scope": "Namespace", "alerts": [50, 100]}),
    (PeriodSpec, {"type": "Lifetime"}),
    (PeriodSpec, {"type": "Calendar", "unit": "Month"}),
    (PeriodSpec, {"type": "Calendar", "unit": "Week", "timeZone": "Europe/Berlin"}),
    (PeriodSpec, {"type": "Rolling", "seconds": 3600}),
    (CircuitBreakerSpec, {}),
    (CircuitBreakerSpec, {"failureRatio": "1", "openSeconds": 60, "maxOpenSeconds": 60}),
    (RateCard, {"formula": "Free"}),
    (RateCard, {"formula": "PerTaskPerShot", "currency": "USD", "perTask": "0.3", "perShot": "0.01"}),
    (RateCard, SECONDS | {"validFrom": "2026-01-01T00:00:00Z", "validUntil": "2026-02-01T00:00:00Z"}),
    (RateCard, {"formula": "PerHour", "currency": "USD", "perHour": "7000"}),
    (RateCard, {"formula": "HQC", "currency": "HQC", "perHqc": "1"}),
    (RateCard, GATES),
    (ClassicalPolicy, {}),
    (ClassicalPolicy, {"rateCard": SECONDS}),
]

BAD: list[tuple[type[Resource], dict[str, Any], str]] = [
    (HybridJobSpec, {"problem": MAXCUT, "routing": {"strategy": "QuantumFirst"}}, "strategy QuantumFirst"),
    (HybridJobSpec, {"problem": MAXCUT, "prepare": [{"minMax": {}}]}, "problems that are tables"),
    (HybridJobSpec, {"problem": MAXCUT, "quantum": {"algorithm": "Sampling"}}, "must be QAOA for optimisation"),
    (HybridJobSpec, {"problem": CIRCUIT, "quantum": {"algorithm": "QAOA"}}, "must be QAOA for optimisation"),
    (HybridJobSpec, {"problem": MAXCUT, "classical": {"algorithm": "Statevector"}}, "must be Auto or Statevector"),
    (HybridJobSpec, {"problem": CIRCUIT, "classical": {"algorithm": "Tabu"}}, "must be Auto or Statevector"),
    (HybridJobSpec, {"problem": CIRCUIT, "acceptance": {"minImprovementOverBaseline": "0"}}, "no better or worse"),
    (LimitsSpec, {"maxCost": "1.5"}, "together with maxCost"),
    (LimitsSpec, {"currency": "EUR"}, "together with maxCost"),
    (PrepareStep, {}, "exactly one of standardize"),
    (PrepareStep, STEPS, "exactly one of standardize"),
    (ProblemSpec, {"type": "Qubo"}, "exactly one source"),
    (ProblemSpec, MAXCUT | {"uri": "a"}, "exactly one source"),
    (ProblemSpec, MAXCUT | {"format": "CSV"}, "for type MaxCut"),
    (ProblemSpec, {"type": "Qubo", "format": "LP", "uri": "a"}, "for type Qubo"),
    (ProblemSpec, {"type": "Ising", "format": "LP", "uri": "a"}, "for type Ising"),
    (ProblemSpec, {"type": "Portfolio", "format": "CSV", "uri": "a"}, "for type Portfolio"),
    (ProblemSpec, TABLE | {"format": "COO"}, "for type FeatureSelection"),
    (ProblemSpec, {"type": "BinaryProgram", "format": "Json", "uri": "a"}, "for type BinaryProgram"),
    (ProblemSpec, CIRCUIT | {"format": "CSV"}, "for type Circuit"),
    (ProblemSpec, {"type": "Expectation", "format": "LP", "uri": "a", "parameters": {"a": 1}}, "for type Expectation"),
    (ProblemSpec, {"type": "Circuit", "inline": {}}, "this type, which is text"),
    (ProblemSpec, MAXCUT | {"format": "EdgeList"}, "must be Json with inline data"),
    (ProblemSpec, MAXCUT | {"parameters": {}}, "must be given for FeatureSelection"),
    (ProblemSpec, {"type": "FeatureSelection", "uri": "a"}, "must be given for FeatureSelection"),
    (BackendSpec, BACKEND | {"snapshot": "FakeTorino"}, "with kind NoisySimulator, and only"),
    (BackendSpec, BACKEND | {"kind": "NoisySimulator"}, "with kind NoisySimulator, and only"),
    (BackendSpec, BACKEND | {"kind": "NoisySimulator", "snapshot": "FakeX", "sdk": "Cirq"}, "must be Qiskit"),
    (BackendSpec, BACKEND | {"name": "classical"}, "names the classical route"),
    (PolicySpec, {"backends": [BACKEND, BACKEND]}, "must have unique names"),
    (PolicySpec, {"budgets": [BUDGET, BUDGET]}, "must have unique names"),
    (PolicySpec, {"classical": {"rateCard": SECONDS}, "budgets": [BUDGET | {"currency": "EUR"}]}, "in the currency of"),
    (PolicySpec, {"backends": [BACKEND | {"rateCard": GATES}], "budgets": [BUDGET]}, "in the currency of a backend"),
    (BackendSpec, BACKEND | {"windowsMode": "Deny"}, "only be given with at least one"),
    (BackendSpec, BACKEND | {"windows": [WINDOW, WINDOW]}, "must have unique names"),
    (PolicySpec, {"windowsMode": "Deny"}, "only be given with at least one"),
    (WindowSpec, WINDOW | {"days": []}, "at least one day"),
    (WindowSpec, WINDOW | {"from": "06:00"}, "must differ from from"),
    (DateRange, {"from": "12-24", "until": "2027-01-02"}, "must have a year where from has one"),
    (DateRange, {"from": "2027-12-24", "until": "2027-01-02"}, "must not be before from"),
    (MaintenanceSpec, INSTANTS | {"endTime": "2026-01-01T00:00:00Z"}, "must be after startTime"),
    (BudgetSpec, BUDGET | {"onExceeded": "Hold"}, "with onExceeded Hold, and only"),
    (BudgetSpec, BUDGET | {"holdSeconds": 9}, "with onExceeded Hold, and only"),
    (PeriodSpec, {"type": "Calendar"}, "with type Calendar, and only"),
    (PeriodSpec, {"type": "Lifetime", "unit": "Day"}, "with type Calendar, and only"),
    (PeriodSpec, {"type": "Rolling", "seconds": 60, "timeZone": "UTC"}, "another type than Calendar"),
    (PeriodSpec, {"type": "Rolling"}, "with type Rolling, and only"),
    (CircuitBreakerSpec, {"failureRatio": "0"}, "must be above 0 and at most 1"),
    (CircuitBreakerSpec, {"failureRatio": "1.1"}, "must be above 0 and at most 1"),
    (CircuitBreakerSpec, {"openSeconds": 60, "maxOpenSeconds": 59}, "must not be less than openSeconds"),
    (LabelSelectorRequirement, {"key": "team", "operator": "In"}, "with In and NotIn"),
    (LabelSelectorRequirement, {"key": "team", "operator": "Exists", "values": ["a"]}, "with In and NotIn"),
    (RateCard, {"formula": "Free", "currency": "USD"}, "with every formula but Free"),
    (RateCard, {"formula": "PerSecond", "perSecond": "1"}, "with every formula but Free"),
    (RateCard, {"formula": "PerTaskPerShot", "currency": "USD", "perTask": "1"}, "with formula PerTaskPerShot, and"),
    (RateCard, {"formula": "Free", "perShot": "1"}, "with formula PerTaskPerShot, and"),
    (RateCard, {"formula": "Free", "perTask": "1"}, "with formula PerTaskPerShot and GateShots"),
    (RateCard, {"formula": "PerHour", "currency": "USD"}, "with formula PerHour"),
    (RateCard, {"formula": "HQC", "currency": "HQC"}, "with formula HQC"),
    (RateCard, {"formula": "GateShots", "currency": "AQT", "perTask": "1"}, "with formula GateShots, and"),
    (
        RateCard,
        SECONDS | {"validFrom": "2026-02-01T00:00:00Z", "validUntil": "2026-01-01T00:00:00Z"},
        "after validFrom",
    ),
    (ClassicalPolicy, {"rateCard": {"formula": "HQC", "currency": "HQC", "perHqc": "1"}}, "must be Free, PerSecond or"),
    (RateCard, {"formula": "PerSecond", "currency": "USD"}, "with formula PerSecond"),
    (RateCard, {"formula": "Free", "perSecond": "1"}, "with formula PerSecond"),
]


def by_python(model: type[BaseModel], value: Any) -> Iterator[Refusal]:
    """The rules that the model finds broken."""
    try:
        model.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        for detail in error.errors():
            if detail["type"] == "value_error":  # windows that never open: no rule of the API server can tell
                continue
            assert detail["type"] == "rule", detail
            path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in detail["loc"])
            yield from ((path, message) for _, message in detail["ctx"]["failures"])


schema_of = cache(structural_schema)


def by_api_server(model: type[BaseModel], value: Any) -> Iterator[Refusal]:
    """The rules that the CRD finds broken."""
    schema = schema_of(model)
    # The list type forbids equal keys before any rule is asked; the models leave that to their rule.
    return ((path, message) for path, message in refusals(schema, with_defaults(schema, value)) if message != "map")


@pytest.mark.parametrize(("model", "value"), GOOD, ids=lambda part: getattr(part, "__name__", ""))
def test_both_accept(model: type[Resource], value: dict[str, Any]) -> None:
    assert not list(by_python(model, value))
    assert not list(by_api_server(model, value))


@pytest.mark.parametrize(("model", "value", "message"), BAD, ids=lambda part: getattr(part, "__name__", ""))
def test_both_refuse(model: type[Resource], value: dict[str, Any], message: str) -> None:
    assert any(message in refusal for _, refusal in by_python(model, value))
    assert any(message in refusal for _, refusal in by_api_server(model, value))


@pytest.mark.parametrize("model", MODELS)
def test_each_rule_has_a_value_that_breaks_it(model: type[Resource]) -> None:
    for rule in model.rules:
        assert any(model is bad and fragment in rule.message for bad, _, fragment in BAD), rule.message


def test_no_model_with_rules_is_left_out() -> None:
    def subclasses(model: type[Resource]) -> Iterator[type[Resource]]:
        for subclass in model.__subclasses__():
            yield subclass
            yield from subclasses(subclass)

    assert {model for model in subclasses(Resource) if model.rules} == set(MODELS)


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=100, deadline=None, phases=[Phase.explicit, Phase.generate])  # shrinking takes minutes
@given(data=st.data())
def test_they_agree_on_anything(model: type[Resource], data: st.DataObject) -> None:
    value = data.draw(instances(schema_of(model)))
    if model is HybridJobSpec:  # nearly no random problem is valid, and without one the outer rules are not asked
        value["problem"] = data.draw(st.sampled_from([MAXCUT, TABLE, CIRCUIT]))
    api_server = set(by_api_server(model, value))
    # Python asks the rules of an object only when its parts are right; the API server always does.
    innermost = {
        (path, message)
        for path, message in api_server
        if not any(other != path and other.startswith(path) for other, _ in api_server)
    }
    assert set(by_python(model, value)) == innermost


SPEC = {"problem": MAXCUT, "classical": {}, "limits": {}, "fallback": {}, "acceptance": {}, "cancel": False}


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ({"cancel": True}, None),
        ({"problem": CIRCUIT}, "problem is immutable"),
        ({"limits": {"queueDeadlineSeconds": 1}}, "limits is immutable"),
        ({"quantum": {"shots": 1}}, "quantum is immutable"),
        ({"policyName": "free"}, "policyName is immutable"),
    ],
)
def test_updates(new: dict[str, Any], message: str | None) -> None:
    broken = [r.message for r in HybridJobSpec.transition_rules if not evaluate(r.cel, SPEC | new, SPEC)]
    assert broken == ([message] if message else [])


def test_a_cancelled_job_stays_cancelled() -> None:
    broken = [r.message for r in HybridJobSpec.transition_rules if not evaluate(r.cel, SPEC, SPEC | {"cancel": True})]
    assert broken == ["cancel cannot be taken back"]
