"""YAML text to plain values, keeping the line of every field.

Reads the YAML 1.2 core schema: `true` and `false` are the only booleans, so that the field `on` and the value `no` are
strings. Stricter than YAML where a manifest that is read differently from what its author meant would cost money:
duplicate keys, keys that are not strings, NaN and infinities are errors. Safe on hostile input: size, depth, documents
and the expansion of aliases are bounded, and tags construct nothing.

Works on the parser's events, not on its nodes: nodes take eight times as long and expand before they can be refused.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Never

import yaml

from hybridjob.api.errors import MAX_COMPLAINTS, FieldError, Loc, ManifestError, path_of, shown

MAX_BYTES = 4 * 2**20
MAX_DEPTH = 64
MAX_DOCUMENTS = 1000
MAX_EXPANSION = 10_000
"""Values that aliases may stand for, all together. Bounds the depth that chained aliases can reach, too."""

# The C parser is seven times as fast; a PyYAML that was built without it has the same events.
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Lines = int | tuple[int, "dict[str, Lines] | list[Lines]"]
"""The line of a value, and the lines of what it holds."""


_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"
_MAX_INTEGER = 2**63 - 1
_CORE = re.compile(
    r"""(?P<null>~|null|Null|NULL|)
    |(?P<true>true|True|TRUE)
    |(?P<false>false|False|FALSE)
    |(?P<int>[-+]?[0-9]+)
    |(?P<base>0o[0-7]+|0x[0-9a-fA-F]+)
    |(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)
    |(?P<not_finite>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))""",
    re.VERBOSE,
)
"""The plain scalars of YAML 1.2's core schema that are not strings."""


@dataclass(frozen=True)
class Document:
    """One YAML document: plain values, and where they stand."""

    value: Any
    lines: Lines

    def line_of(self, loc: Loc) -> int:
        """The line of the value at `loc`, or of the innermost thing around it that exists."""
        here = self.lines
        for step in loc:
            if isinstance(here, int):
                break
            line, inner = here
            try:
                here = inner[step]  # type: ignore[index]  # a wrong kind of step is the TypeError below
            except (KeyError, IndexError, TypeError):
                return line
        return _first(here)


def read_documents(file: str, content: bytes) -> tuple[list[Document], list[FieldError]]:
    """The documents of a file that are not empty, and what is wrong with its YAML.

    Errors that hide what follows them (syntax, limits) end the list of documents.
    """
    documents: list[Document] = []
    reader = None
    try:
        reader = _Reader(file, _decode(file, content))
        for document in reader.documents():
            if document.value is not None:
                documents.append(document)
    except ManifestError as error:
        return documents, [*(reader.errors if reader else []), *error.errors]
    return documents, reader.errors


def _decode(file: str, content: bytes) -> str:
    if len(content) > MAX_BYTES:
        must = "must be at most 4 MiB: put large problem data into a file of its own, and name it in problem.uri"
        raise ManifestError([FieldError(file, 0, "", "a larger file", must)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{content[error.start]:02x}"
        raise ManifestError([FieldError(file, line, "", found, "must be UTF-8 text")]) from None


class _Reader:
    """One pass over the events of a file."""

    def __init__(self, file: str, text: str) -> None:
        self.errors: list[FieldError] = []
        self._file = file
        self._text = text
        self._events: Iterator[Any] = yaml.parse(text, Loader=_PARSER)
        self._loc: list[str | int] = []
        self._anchors: dict[str, tuple[Any, Lines, int]] = {}
        self._values = 0
        self._expanded = 0

    def documents(self) -> Iterator[Document]:
        count = 0
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    count += 1
                    if count > MAX_DOCUMENTS:
                        self._stop(event, f"more than {MAX_DOCUMENTS} documents", "must be split into several files")
                    self._anchors.clear()
                    self._loc.clear()
                    root = next(self._events)
                    yield Document(*self._value(root, _line(root)))
        except yaml.YAMLError as error:
            raise ManifestError([_syntax_error(self._file, self._text, error)]) from None

    def _value(self, event: Any, line: int) -> tuple[Any, Lines]:
        """The value that begins with `event`. Its line is that of its key, where it has one."""
        self._values += 1
        before = self._values
        kind = type(event)
        result: tuple[Any, Lines]
        if kind is yaml.ScalarEvent:
            result = self._scalar(event), line
        elif kind is yaml.AliasEvent:
            return self._alias(event)
        else:
            if len(self._loc) >= MAX_DEPTH:
                self._stop(event, f"{MAX_DEPTH} levels of nesting", "must be nested less deeply")
            if event.tag is not None and event.tag not in ("!", _TAG + "map", _TAG + "seq"):
                self._refuse(event, f"the tag {event.tag}", "must have no tag but !!str")
            result = self._mapping(line) if kind is yaml.MappingStartEvent else self._sequence(line)
        if event.anchor is not None:
            self._anchors[event.anchor] = (*result, self._values - before + 1)
        return result

    def _mapping(self, line: int) -> tuple[Any, Lines]:
        values: dict[str, Any] = {}
        lines: dict[str, Lines] = {}
        merged: tuple[dict[str, Any], dict[str, Lines]] = ({}, {})
        while type(event := next(self._events)) is not yaml.MappingEndEvent:
            key, key_line = self._key(event), _line(event)
            self._loc.append(key or "")
            value, value_lines = self._value(next(self._events), key_line)
            if key in values:
                found, first = f"{shown(key)} twice", _first(lines[key])
                self._refuse(event, found, f"must be unique: it is also on line {first}")
            elif key == _MERGE and event.implicit[0]:
                merged = self._merge(event, value, value_lines)
            elif key is not None:
                values[key], lines[key] = value, value_lines
            self._loc.pop()
        return merged[0] | values, (line, merged[1] | lines)

    def _merge(self, event: Any, value: Any, lines: Lines) -> tuple[dict[str, Any], dict[str, Lines]]:
        """The mapping that `<<` names: YAML 1.1, but kubectl takes it, and so do people."""
        if isinstance(value, dict) and isinstance(lines, tuple) and isinstance(lines[1], dict):
            return value, lines[1]
        self._refuse(event, shown(value), "must be one mapping, such as *defaults")
        return {}, {}

    def _sequence(self, line: int) -> tuple[Any, Lines]:
        values: list[Any] = []
        lines: list[Lines] = []
        self._loc.append(0)
        while type(event := next(self._events)) is not yaml.SequenceEndEvent:
            self._loc[-1] = len(values)
            value, value_lines = self._value(event, _line(event))
            values.append(value)
            lines.append(value_lines)
        self._loc.pop()
        return values, (line, lines)

    def _key(self, event: Any) -> str | None:
        """The key that `event` is, or None where it was refused."""
        if type(event) is not yaml.ScalarEvent:
            self._stop(event, "a key that is not a string", "must have strings as keys")
        key = self._scalar(event)
        if isinstance(key, str):
            return key
        self._refuse(event, f"the key {shown(key)}", f'must have strings as keys: write "{event.value}"')
        return None

    def _alias(self, event: Any) -> tuple[Any, Lines]:
        try:
            value, lines, size = self._anchors[event.anchor]
        except KeyError:
            self._stop(event, f"the alias *{event.anchor}", f"must come after the end of &{event.anchor}")
        self._values += size - 1
        self._expanded += size
        if self._expanded > MAX_EXPANSION:
            found = f"aliases that stand for more than {MAX_EXPANSION:,} values"
            self._stop(event, found, "must be written with fewer aliases")
        return value, lines

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.tag is not None and event.tag not in ("!", _TAG + "str"):
            self._refuse(event, f"the tag {event.tag}", "must have no tag but !!str")
        if not event.implicit[0] or (match := _CORE.fullmatch(text)) is None:
            return text
        match match.lastgroup:
            case "true" | "false" as name:
                return name == "true"
            case "null":
                return None
            case "int" | "base":
                # The length first: Python takes quadratic time for thousands of digits.
                integer = int(text, 10 if match["int"] else 0) if len(text) <= 24 else _MAX_INTEGER + 1
                if abs(integer) <= _MAX_INTEGER:
                    return integer
                self._refuse(event, shown(text), "must be an integer of 64 bits, or a number with an exponent")
            case _:
                number = float(text) if match["float"] else math.inf
                if math.isfinite(number):
                    return number
                self._refuse(event, text[:60], "must be a finite number")
        return 0

    def _refuse(self, event: Any, found: str, must: str) -> None:
        if len(self.errors) >= MAX_COMPLAINTS:
            self._stop(event, f"more than {MAX_COMPLAINTS} errors", "must hold fewer to be read to its end")
        self.errors.append(FieldError(self._file, _line(event), path_of(tuple(self._loc)), found, must))

    def _stop(self, event: Any, found: str, must: str) -> Never:
        raise ManifestError([FieldError(self._file, _line(event), path_of(tuple(self._loc)), found, must)])


def _first(lines: Lines) -> int:
    return lines if isinstance(lines, int) else lines[0]


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _syntax_error(file: str, text: str, error: yaml.YAMLError) -> FieldError:
    if isinstance(error, yaml.reader.ReaderError):
        line, found = text.count("\n", 0, error.position) + 1, f"the control character 0x{error.character:02x}"
        return FieldError(file, line, "", found, "must be text: control characters need an escape in double quotes")
    mark = getattr(error, "problem_mark", None)
    number = mark.line if mark else 0
    rows = text.splitlines()
    row = rows[number] if number < len(rows) else ""
    problem = ", ".join(filter(None, (getattr(error, "context", None), getattr(error, "problem", None))))
    must = f"must be YAML: {problem}"
    if "\t" in row[: len(row) - len(row.lstrip())]:
        must = "must be indented by spaces: YAML allows no tabs there"
    elif "nesting depth" in problem:  # the parser's own limit, which some releases reach before ours
        must = "must be nested less deeply"
    return FieldError(file, number + 1, "", shown(row.strip()) if row else "the end of the file", must)
