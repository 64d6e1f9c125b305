"""Description of an operation: all that the schemas cannot say about it. Each stands beside its view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import unwrap
from typing import Any

from marshmallow import Schema

JSON = "application/json"

Json = dict[str, Any]
View = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One form of a request: a schema that validates, or a description of text; and requests that work."""

    schema: type[Schema] | Json
    examples: Mapping[str, Any]
    is_batch: bool = False
    """True if the body is an array of these, 1 to MAX_BATCH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One status: its meaning, the names of its schema among the components, and an example."""

    description: str
    schema: str | None = None
    example: Any = None
    media_type: str = JSON
    other_media: Mapping[str, str] = field(default_factory=dict)
    """Further media types, and the names of their schemas."""
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One view: its parameters and bodies are those its schemas accept, its errors those in the table of errors."""

    tag: str
    summary: str
    replies: Mapping[int, Reply]
    description: str = ""
    path: Mapping[str, Json] = field(default_factory=dict)
    """Schemas of the parameters in the path that do not take just any text."""
    query: type[Schema] | None = None
    headers: tuple[str, ...] = ()
    bodies: Mapping[str, tuple[Body, ...]] = field(default_factory=dict)
    may_lack_body: bool = False
    errors: tuple[str, ...] = ()
    """Names among the responses of the components; each begins with its status."""
    key_errors: tuple[str, ...] = ("401-NoKey", "403-MayNot", "421-NotOurHost")
    """The same, of requests that may not come in at all; the dialects have their own."""


_described: dict[View, Operation] = {}


def describe(operations: Mapping[View, Operation]) -> None:
    """Say what the document says of these views, wherever they are registered."""
    _described.update(operations)


def operation_of(view: View) -> Operation:
    """Return the description of this view; KeyError if there is none."""
    return _described[unwrap(view)]


def page(summary: str, media_type: str = "text/html", schema: str = "Text") -> Operation:
    """Describe a page for people and their browsers."""
    return Operation(
        tag="pages", summary=summary, replies={200: Reply(description="Here.", schema=schema, media_type=media_type)}
    )


def files(summary: str) -> Operation:
    """Describe the files that a page is made of."""
    return Operation(
        tag="pages",
        summary=summary,
        replies={200: Reply(description="The file.", schema="File", media_type="*/*")},
        errors=("404-NotFound",),
    )
