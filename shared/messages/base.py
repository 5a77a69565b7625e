"""What all messages share: how they are read and written, and how they may grow.

Fields are only added, with a default. A field that a reader must understand is named in `crit`: a reader that does
not know it refuses the message instead of misreading it.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from shared.core.canonical import encode
from shared.core.refusals import first_problem
from shared.core.times import time_text
from shared.errors import PermanentError

SCHEMA = 1


class MessageError(PermanentError):
    """Bytes are not the message they should be."""

    code = "message.invalid"


Timestamp = Annotated[AwareDatetime, PlainSerializer(time_text, return_type=str)]


class Part(BaseModel):
    """A piece of a message: frozen, and blind to fields of newer versions."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Message(Part):
    """A message of its own."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    crit: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the message in canonical JSON."""
        return encode(self.model_dump(mode="json", by_alias=True))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the message that `data` holds.

        Raises:
            MessageError: it is malformed, of another schema, or has a critical field that this version does not know.
        """
        try:
            message = cls.model_validate_json(data)
        except ValidationError as error:
            place, problem = first_problem(error)
            raise MessageError(f"{cls.__name__}: {place or 'message'}: {problem}") from error
        if message.schema_version != SCHEMA:
            raise MessageError(
                f"{cls.__name__} has schema {message.schema_version}, this version reads {SCHEMA}",
                code="message.unsupported",
            )
        unknown = set(message.crit) - {field.alias or name for name, field in cls.model_fields.items()}
        if unknown:
            raise MessageError(
                f"{cls.__name__} needs a reader that knows {', '.join(sorted(unknown))}",
                code="message.unsupported",
            )
        return message
