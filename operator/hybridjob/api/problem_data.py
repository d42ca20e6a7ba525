"""Whether a problem's data and parameters have the shape that their type asks for."""

from collections.abc import Callable

from pydantic import BaseModel, ValidationError

from hybridjob.api.errors import Complaint, Loc, among, complain, explain, path_of, shown
from hybridjob.api.hybridjob import HybridJobSpec
from hybridjob.contract.base import Model
from hybridjob.contract.problems import (
    PARAMETERS,
    SHAPES,
    FeatureSelectionParameters,
    NoParameters,
    Table,
    check_parameters,
    parse_object,
    parse_text,
)


def read_problem(spec: HybridJobSpec, text: str | None = None) -> tuple[Model | None, list[Complaint]]:
    """The problem's data, and what is wrong with it; places are relative to the spec.

    `text` is the data that the job's ConfigMap holds. The data is None where it is wrong, behind a URI, or in a format
    that only a solver can read.
    """
    problem = spec.problem
    complaints: list[Complaint] = []

    def attempt(parse: Callable[[], Model | None], shape: type[BaseModel], at: Loc) -> Model | None:
        try:
            return parse()
        except ValidationError as error:
            complaints.extend(explain(error, shape, at))
        except ValueError as error:
            complaints.append(complain(str(error), text or problem.text, at))
        return None

    parameters = attempt(
        lambda: check_parameters(problem.type, problem.parameters or {}),
        PARAMETERS.get(problem.type, NoParameters),
        ("problem", "parameters"),
    )
    if problem.inline is not None:
        at: Loc = ("problem", "inline")
        data = attempt(lambda: parse_object(problem.type, problem.inline), SHAPES[problem.type], at)
    elif (content := text if text is not None else problem.text) is not None:
        at = ("problem", "text" if problem.text is not None else "configMapKeyRef")
        shape = SHAPES.get(problem.type, NoParameters)
        before = len(complaints)
        data = attempt(lambda: parse_text(problem.type, problem.read_format, content), shape, at)
        # A text has no fields with places of their own: what is wrong inside goes into the sentence.
        complaints[before:] = [_in_text(complaint, at) for complaint in complaints[before:]]
    else:
        return None, complaints
    if isinstance(data, Table) and isinstance(parameters, FeatureSelectionParameters):
        complaints += _check_selection(spec, data, parameters, at)
    return data, complaints


def _in_text(complaint: Complaint, at: Loc) -> Complaint:
    inside = complaint.loc[len(at) :]
    if not inside:
        return complaint
    return Complaint(at, complaint.found, f"{complaint.must} (at {path_of(inside)})")


def _check_selection(
    spec: HybridJobSpec, table: Table, parameters: FeatureSelectionParameters, at: Loc
) -> list[Complaint]:
    """A selection must name a column of the table, and leave numbers to select from."""
    columns, target = table.columns, parameters.target
    in_parameters: Loc = ("problem", "parameters")
    if target not in columns:
        must = "must be a column of the data" + among(target, columns)
        return [Complaint((*in_parameters, "target"), shown(target), must)]
    complaints = []
    features = len(columns) - 1
    if parameters.select > features and not spec.prepare:
        must = f"must be at most {features}, the columns beside the target"
        complaints.append(Complaint((*in_parameters, "select"), shown(parameters.select), must))
    for i, row in enumerate(table.rows):
        for j, cell in enumerate(row):
            if isinstance(cell, str) and columns[j] != target:
                must = f"must be a number: {columns[j]} is not the target, and only the target may hold labels"
                place: Loc = (*at, "rows", i, j) if spec.problem.inline is not None else at
                return [*complaints, Complaint(place, shown(cell), must)]
    return complaints
