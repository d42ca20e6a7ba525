"""Validation errors as sentences for people: field path, what was found, what must hold."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_MAX_FOUND = 60
_MAX_SENTENCES = 4


def sentences(error: ValueError) -> str:
    """What is wrong and what must hold, without a library's own words and links."""
    if not isinstance(error, ValidationError):
        return str(error)
    details = error.errors(include_url=False)
    parts = [_sentence(detail) for detail in details[:_MAX_SENTENCES]]
    if len(details) > _MAX_SENTENCES:
        parts.append(f"and {len(details) - _MAX_SENTENCES} more errors")
    return "; ".join(parts)


def _sentence(detail: ErrorDetails) -> str:
    path = _path(detail["loc"])
    prefix = f"{path}: " if path else ""
    match detail["type"]:
        case "value_error":
            return f"{prefix}{detail['ctx']['error']}"
        case "missing":
            return f"{prefix}is missing: it must be given"
        case "extra_forbidden":
            return f"{prefix}is not a known field: it must be left out"
        case _:
            found = _short(repr(detail["input"]))
            rule = detail["msg"].replace("Input should", "must")
            return f"{prefix}found {found}; {rule if rule.startswith('must') else f'must be valid: {rule}'}"


def _path(location: tuple[int | str, ...]) -> str:
    """`edges[3][1]` from ("edges", 3, 1)."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{_short(part)}" if path else _short(part)
    return path


def _short(text: str) -> str:
    return text if len(text) <= _MAX_FOUND else text[:_MAX_FOUND] + "…"
