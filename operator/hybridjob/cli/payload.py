"""The payload of a result: what the status is too small for."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from hybridjob.api.status import ResultStatus
from hybridjob.contract.verdict import Payload


class PayloadError(Exception):
    """The payload is not there any more, or not readable; the message says where it should be."""


def read_payload(result: ResultStatus) -> Payload:
    """The payload that a result refers to. Raises PayloadError."""
    if result.reference is None:
        raise PayloadError("the result has no payload")
    try:
        return Payload.model_validate_json(Path(result.reference).read_bytes())
    except (OSError, ValidationError) as error:
        raise PayloadError(f"the payload {result.reference} cannot be read: {error}") from error


def chosen_variables(payload: Payload) -> Iterator[str]:
    """The named variables that are not zero: `name`, or `name=value` where the value is not one."""
    for name, value in (payload.assignment or {}).items():
        if value == 1:
            yield name
        elif value != 0:
            yield f"{name}={value:g}"
