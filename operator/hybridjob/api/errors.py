"""What is wrong with a manifest, in words for people: where, what was found, and what must hold.

pydantic finds the errors; its English and its URLs stay here. Each of its error types has one sentence in `_SENTENCES`.
"""

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, get_args
from zoneinfo import available_timezones

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hybridjob.api.budgets import TIME_ZONE_PATTERN
from hybridjob.api.common import (
    CPU_PATTERN,
    CURRENCY_PATTERN,
    IMAGE_PATTERN,
    LABEL_VALUE_PATTERN,
    MEMORY_PATTERN,
    NAME_PATTERN,
    OBJECT_NAME_PATTERN,
    RELATIVE_PATH_PATTERN,
)
from hybridjob.api.windows import DATE_PATTERN, END_TIME_PATTERN, START_TIME_PATTERN

Loc = tuple[str | int, ...]
"""Where a value is in an object: field names and list positions."""

MAX_COMPLAINTS = 50
"""Per object: a million wrong cells are one mistake."""


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong inside an object."""

    loc: Loc
    found: str
    must: str


@dataclass(frozen=True)
class FieldError:
    """One thing that is wrong inside a file."""

    file: str
    line: int
    """From 1; 0 for the file as a whole."""
    path: str
    found: str
    must: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(filter(None, (place, self.path, f"found {self.found}; {self.must}")))


class ManifestError(Exception):
    """Every error of every file that was loaded together."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = list(errors)


def path_of(loc: Loc) -> str:
    """`loc` as people write it: `spec.problem.inline.edges[3]`."""
    path = ""
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", step):
            path += f".{step}" if path else step
        else:
            path += f"[{json.dumps(step, ensure_ascii=False)}]"
    # Keys can be as long as their file.
    return path if len(path) <= 160 else f"{path[:80]}…{path[-80:]}"


def shown(value: Any) -> str:
    """A value, short enough for a message."""
    match value:
        case dict():
            text = "{" + ", ".join(value) + "}"
            return text if len(text) <= 60 else f"an object with {len(value)} fields"
        case list():
            # The slice keeps a list of a million numbers from being written out only to be thrown away.
            text = json.dumps(value[:20], ensure_ascii=False, default=str)
            return text if len(text) <= 60 and len(value) <= 20 else f"a list of {len(value)}"
        case str():
            line = value[:200].split("\n")[0]
            return json.dumps(value if len(value) <= 60 and line == value else line[:57] + "…", ensure_ascii=False)
        case int() if not isinstance(value, bool) and abs(value) >= 10**60:
            return "an integer of more than 60 digits"
        case _:
            return json.dumps(value, default=str)


def sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """What must hold of a stored object that does not parse."""
    return "; ".join(f"{path_of(c.loc)}: {c.must}" for c in explain(error, model)[:5])[:2048]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the known word that `word` most likely stands for, or nothing."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1) if len(word) <= 64 else []
    return f"; did you mean {by_lower[close[0]]}?" if close else ""


def among(word: str, known: Sequence[str]) -> str:
    """The known word that `word` most likely stands for, or all of them where they are few."""
    return did_you_mean(word, known) or (f": {', '.join(known)}" if 0 < len(known) <= 12 else "")


def one_of(word: Any, known: Sequence[str]) -> str:
    """That a value must be one of the known words, with the likeliest."""
    if len(known) == 1:
        return f"must be {known[0]}"
    return f"must be one of {', '.join(known)}" + (did_you_mean(word, known) if isinstance(word, str) else "")


def explain(error: ValidationError, model: type[BaseModel], at: Loc = ()) -> list[Complaint]:
    """The complaints of a validation of `model`, which stands at `at` in its object."""
    complaints: list[Complaint] = []
    details = error.errors(include_url=False)
    seen = 0
    for loc, group in groupby(details, key=_place):
        if len(complaints) >= MAX_COMPLAINTS:
            must = "must hold no errors like those above"
            return [*complaints, Complaint(at + loc, f"{len(details) - seen} more errors", must)]
        alternatives = list(group)
        seen += len(alternatives)
        if alternatives[0]["loc"] == loc:
            for detail in alternatives:
                complaints += _complaints(detail, model, at)
        else:
            # No member of a union fits: one complaint that names them all.
            sentences = [_sentence(detail, model) for detail in alternatives]
            must = " or ".join([sentences[0], *(sentence.removeprefix("must be ") for sentence in sentences[1:])])
            complaints.append(Complaint(at + loc, shown(alternatives[0]["input"]), must))
    return complaints


def _place(detail: ErrorDetails) -> Loc:
    """The place of an error without the names that pydantic appends for the members of a union."""
    loc = detail["loc"]
    return loc[:-1] if loc and loc[-1] in _UNION_MEMBERS and detail["type"].endswith("_type") else loc


_UNION_MEMBERS = ("float", "str")


def _complaints(detail: ErrorDetails, model: type[BaseModel], at: Loc) -> list[Complaint]:
    loc, value = at + detail["loc"], detail["input"]
    match detail["type"]:
        case "rule":
            return [
                _about(loc, value, field.split(".") if field else [], message)
                for field, message in detail["ctx"]["failures"]
            ]
        case "value_error":
            return [complain(str(detail["ctx"]["error"]), value, loc)]
        case "missing":
            return [Complaint(loc, "nothing", _sentence(detail, model))]
        case _:
            return [Complaint(loc, shown(value), _sentence(detail, model))]


def complain(message: str, value: Any, at: Loc) -> Complaint:
    """A complaint about the part of `value` that the message begins with, such as `edges[3] joins …`; about `value`
    where it begins with none."""
    start = re.match(r"[A-Za-z]+(\[\d+\])*", message)
    steps = [int(step) if step.isdecimal() else step for step in re.findall(r"\w+", start[0])] if start else []
    return _about(at, value, steps if _has(value, steps) else [], message)


def _about(at: Loc, value: Any, steps: Sequence[str | int], message: str) -> Complaint:
    if not _has(value, steps):
        return Complaint((*at, *steps), "nothing", message)
    for step in steps:
        value = value[step]
    return Complaint((*at, *steps), shown(value), message)


def _has(value: Any, steps: Iterable[str | int]) -> bool:
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


_PATTERNS = {
    NAME_PATTERN: "must be lower-case letters, digits and '-', such as my-name",
    OBJECT_NAME_PATTERN: "must be lower-case letters, digits, '-' and '.', such as my-name",
    LABEL_VALUE_PATTERN: "must be letters, digits, '-', '_' and '.', with a letter or digit at both ends, or empty",
    IMAGE_PATTERN: "must be the name of a container image, such as registry.example/solver@sha256:…",
    RELATIVE_PATH_PATTERN: "must be a relative path without . and .., such as data/graph.json",
    CPU_PATTERN: "must be an amount of processor time such as 500m or 2",
    MEMORY_PATTERN: "must be an amount of memory such as 512Mi or 4Gi",
    START_TIME_PATTERN: 'must be a local time from 00:00 to 23:59, in quotes, such as "06:30"',
    END_TIME_PATTERN: 'must be a local time from 00:00 to 24:00, in quotes, such as "06:30"',
    DATE_PATTERN: "must be a date of every year, such as 12-24, or of one, such as 2026-12-24",
    TIME_ZONE_PATTERN: "must be a time zone of the IANA database, such as Europe/Berlin or UTC",
    CURRENCY_PATTERN: "must be a currency code such as USD, or one of QPUSeconds, Shots, Tasks and HQC",
    r"^Fake[A-Za-z0-9]+$": "must be the name of a snapshot, such as FakeTorino",
    r"^[IXYZ]+$": "must be a Pauli string of the letters I, X, Y and Z, such as ZZI",
}

_SENTENCES = {
    "missing": "must be given",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
}
"""pydantic's error types that need nothing but their context."""


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    context, value = detail.get("ctx", {}), detail["input"]
    match detail["type"]:
        case "decimal_string" | "timestamp":
            return detail["msg"]  # our own words
        case "time_zone":
            return detail["msg"] + did_you_mean(value, available_timezones())
        case "string_type":
            quoted = isinstance(value, bool | int | float)
            return "must be a string: write it in quotes" if quoted else "must be a string"
        case "string_pattern_mismatch":
            return _PATTERNS.get(context["pattern"], f"must match {context['pattern']}")
        case "literal_error":
            return one_of(value, re.findall(r"'([^']*)'", context["expected"]))
        case "extra_forbidden":
            known, word = _fields_beside(model, detail["loc"]), str(detail["loc"][-1])
            listed = f"; the fields here are {', '.join(known)}" if 0 < len(known) <= 12 else ""
            return "may not be given: there is no such field" + (did_you_mean(word, known) or listed)
        case other:
            return _SENTENCES[other].format(**context)


def _fields_beside(model: type[BaseModel], loc: Loc) -> list[str]:
    """The JSON names of the fields of the model that holds `loc`."""
    here: type[BaseModel] | None = model
    for step in loc[:-1]:
        if here is not None and isinstance(step, str):
            fields = {field.alias or name: field.annotation for name, field in here.model_fields.items()}
            here = _model_in(fields.get(step))
    return [field.alias or name for name, field in here.model_fields.items()] if here else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
