"""Classical feature compression of a table before anything is encoded, by scikit-learn."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from hybridjob.contract.task import MinMax, Pca, PrepareStep, SelectKBest, Standardize
from hybridjob_solver.failures import InvalidTaskError
from hybridjob_solver.problems.table import FeatureTable

Fitted = dict[str, Any]
Settings = Standardize | MinMax | Pca | SelectKBest


def check_steps(table: FeatureTable, steps: list[PrepareStep]) -> int:
    """The number of feature columns after the steps. Raises InvalidTaskError for steps that the table cannot take."""
    rows, columns = len(table.features), len(table.names)
    for position, step in enumerate(steps):
        match _settings(position, step):
            case Pca(components=wanted):
                limit, what = min(rows, columns), f"the smaller of {rows} rows and {columns} columns"
            case SelectKBest(k=wanted):
                limit, what = columns, f"the {columns} columns there are"
            case _:
                continue
        if wanted > limit:
            raise InvalidTaskError(f"prepare[{position}] asks for {wanted} columns: it must be at most {what}.")
        columns = wanted
    return columns


def prepare(table: FeatureTable, steps: list[PrepareStep]) -> tuple[FeatureTable, list[dict[str, Any]]]:
    """The table after the steps, in order, and what each did: columns in and out, rows, fitted numbers."""
    report = []
    for position, step in enumerate(steps):
        before = table
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # constant columns have no score, and are chosen last
            table, fitted = _apply(table, _settings(position, step))
        if not np.all(np.isfinite(table.features)):
            raise InvalidTaskError(
                f"prepare[{position}] overflows: the table's numbers are too large; they must be scaled down."
            )
        report.append(
            {
                "step": step.model_dump(by_alias=True, exclude_none=True),
                "rows": len(table.features),
                "columnsIn": before.names,
                "columnsOut": table.names,
                **fitted,
            }
        )
    return table, report


def _settings(position: int, step: PrepareStep) -> Settings:
    present = [s for s in (step.standardize, step.min_max, step.pca, step.select_k_best) if s is not None]
    if len(present) != 1:
        raise InvalidTaskError(
            f"prepare[{position}] has {len(present)} steps: it must have one of standardize, minMax, pca, selectKBest."
        )
    return present[0]


def _apply(table: FeatureTable, settings: Settings) -> tuple[FeatureTable, Fitted]:
    match settings:
        case Standardize():
            from sklearn.preprocessing import StandardScaler

            scaler = StandardScaler().fit(table.features)
            features = scaler.transform(table.features)
            return replace(table, features=features), {"mean": scaler.mean_.tolist(), "scale": scaler.scale_.tolist()}
        case MinMax():
            from sklearn.preprocessing import MinMaxScaler

            scaler = MinMaxScaler().fit(table.features)
            features = scaler.transform(table.features)
            return replace(table, features=features), {
                "min": scaler.data_min_.tolist(),
                "max": scaler.data_max_.tolist(),
            }
        case Pca():
            from sklearn.decomposition import PCA

            # The full decomposition: the default one is randomised for large tables.
            pca = PCA(n_components=settings.components, svd_solver="full").fit(table.features)
            names = [f"pca{i}" for i in range(settings.components)]
            return replace(table, names=names, features=pca.transform(table.features)), {
                "mean": pca.mean_.tolist(),
                "components": pca.components_.tolist(),
                "explainedVarianceRatio": pca.explained_variance_ratio_.tolist(),
            }
        case SelectKBest():
            from sklearn.feature_selection import SelectKBest as Selector
            from sklearn.feature_selection import f_classif, f_regression

            selector = Selector(f_classif if table.is_label else f_regression, k=settings.k)
            selector.fit(table.features, table.target)
            kept = selector.get_support(indices=True)
            names = [table.names[column] for column in kept]
            fitted = {"fScores": selector.scores_.tolist()}
            return replace(table, names=names, features=table.features[:, kept]), fitted
