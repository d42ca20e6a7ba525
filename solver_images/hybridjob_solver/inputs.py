"""The problem's data, from wherever the task says it is, checked against the contract."""

import re
from typing import BinaryIO

from hybridjob.contract.base import Model
from hybridjob.contract.problems import FORMATS, SHAPES, check_parameters, parse_object, parse_text
from hybridjob.contract.task import Problem, ProblemData
from hybridjob_solver.failures import InputUnreadableError, InvalidTaskError
from hybridjob_solver.sentences import sentences

MAX_BYTES = 64 * 2**20
"""The largest problem data that is read: a bound on memory before anything is parsed."""
_STEP = 2**20


def parse_parameters(problem: Problem) -> Model:
    """The problem's parameters. Raises InvalidTaskError where they, or the format, do not fit the type."""
    if problem.format not in FORMATS[problem.type]:
        raise InvalidTaskError(
            f"problem.format is {problem.format}: for {problem.type} it must be {' or '.join(FORMATS[problem.type])}"
        )
    try:
        return check_parameters(problem.type, problem.parameters)
    except ValueError as error:
        raise InvalidTaskError(f"problem.parameters: {sentences(error)}") from error


def parse_data(problem: Problem) -> Model | str:
    """The problem's data as its contract's model, or as text where only a solver can read the format.

    Raises InputUnreadableError when the data cannot be read, InvalidTaskError when it is not what it must be.
    """
    data = problem.data
    try:
        if data.inline is not None and _count_sources(data) == 1:
            if problem.type not in SHAPES or problem.format != "Json":
                raise InvalidTaskError(f"problem.inline holds an object: {problem.format} must be given as text")
            return parse_object(problem.type, data.inline)
        text = read_text(data)
        parsed = parse_text(problem.type, problem.format, text)
    except (ValueError, RecursionError) as error:
        reason = sentences(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise InvalidTaskError(f"The problem's data ({problem.type}, {problem.format}): {reason}") from error
    return text if parsed is None else parsed


def read_text(data: ProblemData) -> str:
    """The text that `text`, `path` or `uri` holds, at most 64 MiB of UTF-8."""
    if _count_sources(data) != 1:
        raise InvalidTaskError("problem.data must have exactly one of inline, text, path and uri")
    if data.text is not None:
        content = data.text.encode()
        where = "problem.text"
    elif data.path is not None:
        content, where = _read_path(data.path), f"The file {data.path}"
    elif data.uri is not None:
        content, where = _read_uri(data.uri), f"The data at {_without_secrets(data.uri)}"
    else:
        raise InvalidTaskError("problem.inline holds an object: text, path or uri must be given")
    if len(content) > MAX_BYTES:
        raise InvalidTaskError(f"{where} is larger than {MAX_BYTES // 2**20} MiB: it must be smaller")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidTaskError(f"{where} must be UTF-8 text: byte {error.start} is not") from error


def _count_sources(data: ProblemData) -> int:
    return sum(source is not None for source in (data.inline, data.text, data.path, data.uri))


def read_bounded(file: BinaryIO) -> bytes:
    """The file's content, or its first bytes where there are more than MAX_BYTES: then longer than that."""
    content = bytearray()
    # In steps: `read` makes room for as much as it is asked for.
    while len(content) <= MAX_BYTES and (step := file.read(_STEP)):
        content += step
    return bytes(content)


def _read_path(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 — Path would drop a trailing slash, and with it an error
            return read_bounded(file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputUnreadableError(f"The file {path} cannot be read: {reason}; it must be readable here") from error


def _read_uri(uri: str) -> bytes:
    try:
        import fsspec

        with fsspec.open(uri, "rb") as file:
            return read_bounded(file)
    except MemoryError:
        raise
    except Exception as error:  # each of fsspec's file systems has errors of its own
        where, reason = _without_secrets(uri), _without_secrets(f"{type(error).__name__}: {error}")
        raise InputUnreadableError(f"{where} cannot be read: {reason}; it must be reachable from the solver") from error


def _without_secrets(text: str) -> str:
    """Without the user names, passwords and signatures that a URI may carry: messages end up in a status."""
    return re.sub(r"\?[^\s'\"]*", "", re.sub(r"(://)[^/\s@]*@", r"\1", text))
