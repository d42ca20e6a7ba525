"""Prepare steps on real tables, and steps that a table cannot take."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from hybridjob.contract.problems import Table
from hybridjob_solver.failures import InvalidTaskError
from hybridjob_solver.prepare import prepare
from hybridjob_solver.problems.load import check_problem, load_problem
from hybridjob_solver.problems.table import FeatureTable, split_target
from support.optimisation import task_of


def table_of(load: Any) -> dict[str, Any]:
    data = load()
    names = [str(name) for name in data.feature_names]
    return {"columns": [*names, "target"], "rows": np.column_stack([data.data, data.target]).tolist()}


WINE = table_of(load_wine)
SMALL = {"columns": ["a", "b", "y"], "rows": [[1.0, 5.0, 0.5], [2.0, 5.0, 1.5], [4.0, 5.0, 2.25]]}


def selection(data: dict[str, Any], select: int, prepare: list[dict[str, Any]], target: str = "target") -> Any:
    return task_of("FeatureSelection", data, parameters={"target": target, "select": select}, prepare=prepare)


def prepared(data: dict[str, Any], steps: list[dict[str, Any]], target: str = "target") -> tuple[FeatureTable, Any]:
    task = selection(data, 1, steps, target)
    return prepare(split_target(Table.model_validate(data), target), task.prepare)


def test_steps_run_in_order_and_tell_what_they_did() -> None:
    steps: list[dict[str, Any]] = [{"standardize": {}}, {"selectKBest": {"k": 8}}, {"pca": {"components": 3}}]
    table, report = prepared(WINE, steps)
    assert table.names == ["pca0", "pca1", "pca2"]
    assert table.features.shape == (178, 3)
    assert [entry["step"] for entry in report] == steps
    assert [len(entry["columnsOut"]) for entry in report] == [13, 8, 3]
    assert all(before["columnsOut"] == after["columnsIn"] for before, after in pairwise(report))
    assert len(report[1]["fScores"]) == 13
    assert np.shape(report[2]["components"]) == (3, 8)
    assert report[2]["explainedVarianceRatio"] == sorted(report[2]["explainedVarianceRatio"], reverse=True)


def test_standardized_columns_have_mean_zero_and_unit_variance() -> None:
    table, (report,) = prepared(WINE, [{"standardize": {}}])
    np.testing.assert_allclose(table.features.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(table.features.std(axis=0), 1)
    restored = table.features * report["scale"] + report["mean"]
    np.testing.assert_allclose(restored, np.array(WINE["rows"])[:, :-1])


def test_min_max_columns_are_from_zero_to_one() -> None:
    table, (report,) = prepared(WINE, [{"minMax": {}}])
    np.testing.assert_allclose(table.features.min(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(table.features.max(axis=0), 1)
    np.testing.assert_allclose(report["min"], np.array(WINE["rows"])[:, :-1].min(axis=0))


@pytest.mark.parametrize("load", [load_breast_cancer, load_diabetes])
def test_best_columns_keep_their_names_for_labels_and_for_numbers(load: Any) -> None:
    data = table_of(load)
    table, (report,) = prepared(data, [{"selectKBest": {"k": 4}}])
    kept = sorted(np.argsort(report["fScores"])[-4:])
    assert table.names == [data["columns"][i] for i in kept]
    np.testing.assert_array_equal(table.features, np.array(data["rows"])[:, kept])


def test_constant_columns_are_chosen_last_and_scale_without_harm() -> None:
    table, _ = prepared(SMALL, [{"standardize": {}}, {"selectKBest": {"k": 1}}], target="y")
    assert table.names == ["a"]
    assert np.all(np.isfinite(table.features))


def test_a_problem_is_made_of_the_prepared_columns() -> None:
    problem, report = load_problem(selection(WINE, 2, [{"standardize": {}}, {"pca": {"components": 5}}]))
    assert problem.variable_names == [f"pca{i}" for i in range(5)]
    assert len(report) == 2


@pytest.mark.parametrize(
    ("steps", "select", "message"),
    [
        ([{"pca": {"components": 14}}], 2, r"prepare\[0\] asks for 14 columns: it must be at most the smaller of 178"),
        ([{"selectKBest": {"k": 14}}], 2, r"prepare\[0\] asks for 14 columns: it must be at most the 13 columns"),
        ([{"pca": {"components": 4}}, {"selectKBest": {"k": 5}}], 2, r"prepare\[1\] asks for 5.*the 4 columns"),
        ([{"pca": {"components": 3}}], 4, "parameters.select is 4: it must be at most 3"),
        ([], 14, "parameters.select is 14: it must be at most 13"),
        ([{}], 2, r"prepare\[0\] has 0 steps: it must have one of standardize"),
        ([{"minMax": {}, "standardize": {}}], 2, r"prepare\[0\] has 2 steps: it must have one of standardize"),
    ],
)
def test_steps_that_do_not_fit_are_found_before_anything_is_fitted(
    steps: list[dict[str, Any]], select: int, message: str
) -> None:
    task = selection(WINE, select, steps)
    for load in (check_problem, load_problem):
        with pytest.raises(InvalidTaskError, match=message):
            load(task)


def test_prepare_works_on_tables_alone() -> None:
    task = task_of("MaxCut", {"nodes": 2, "edges": [[0, 1, 1.0]]}, prepare=[{"minMax": {}}])
    with pytest.raises(InvalidTaskError, match="for MaxCut it must be left out"):
        load_problem(task)


@pytest.mark.parametrize("target", [["a", "a", "a"], [1.0, 1.0, 1.0], [0.5, 0.5, 0.5]])
def test_a_constant_target_ranks_nothing_and_breaks_nothing(target: list[Any]) -> None:
    rows = [[1.0, 2.0], [2.0, 0.5], [4.0, 1.0]]
    data = {"columns": ["a", "b", "y"], "rows": [[*row, value] for row, value in zip(rows, target, strict=True)]}
    problem, _ = load_problem(selection(data, 1, [{"selectKBest": {"k": 1}}], target="y"))
    np.testing.assert_allclose(problem.objective(np.array([[0], [1]])), 0, atol=1e-12)


def test_numbers_that_overflow_are_an_invalid_task() -> None:
    data = {"columns": ["a", "y"], "rows": [[1e308, 1.0], [-1e308, 2.0], [1e308, 0.5]]}
    with pytest.raises(InvalidTaskError, match=r"prepare\[0\] overflows: .* must be scaled down"):
        prepared(data, [{"standardize": {}}, {"pca": {"components": 1}}], target="y")
