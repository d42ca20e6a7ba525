"""The base of every typed model: strict types, no unknown fields, camelCase on the wire."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A frozen value whose JSON names are camelCase.

    Strict: a number is never made from a string, nor an integer from a boolean. Unknown fields are errors, because a
    misspelt limit that is silently dropped is a limit that does not hold.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
    )
