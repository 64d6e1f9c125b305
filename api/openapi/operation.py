"""Description of an operation: what neither its schemas nor its docstring can say. Each stands on its view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import getdoc, unwrap
from typing import Any, TypeVar

from marshmallow import Schema

JSON = "application/json"

Json = dict[str, Any]
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One form of a request: a schema that validates, or a description of text; and requests that work."""

    schema: type[Schema] | Json
    examples: Mapping[str, Any]
    is_batch: bool = False
    """True if the body is an array of these, 1 to MAX_BATCH."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One status: its meaning, the name of its schema among the components, and an example."""

    description: str
    schema: str | None = None
    example: Any = None
    media_type: str = JSON
    other_media: Mapping[str, str] = field(default_factory=dict)
    """Further media types, and the names of their schemas."""
    headers: tuple[str, ...] = ()


READ_ERRORS = (400, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One view, which it decorates: the first sentence of the view's docstring is the summary, the rest the
    description. Parameters and bodies are those that its schemas accept."""

    replies: Mapping[int, Reply]
    tag: str = ""
    """Empty: the name of its blueprint."""
    description: str = ""
    """Added to that of the docstring."""
    path: Mapping[str, Json] = field(default_factory=dict)
    """Schemas of the parameters in the path that do not take just any text."""
    query: type[Schema] | Schema | None = None
    headers: tuple[str, ...] = ()
    bodies: Mapping[str, tuple[Body, ...]] = field(default_factory=dict)
    may_lack_body: bool = False
    errors: tuple[int, ...] = READ_ERRORS
    """Statuses of its errors; a key's come by themselves."""

    def __call__(self, view: View) -> View:
        """Describe this view, wherever it is registered."""
        _described[view] = self
        return view


_described: dict[Callable[..., Any], Operation] = {}


def operation_of(view: Callable[..., Any]) -> Operation:
    """Return the description of this view; KeyError if there is none."""
    return _described[unwrap(view)]


def texts_of(view: Callable[..., Any]) -> tuple[str, str]:
    """Return the summary and the description of a view."""
    summary, *rest = (" ".join(part.split()) for part in (getdoc(unwrap(view)) or "").split("\n\n"))
    return summary.removesuffix("."), "\n\n".join([*rest, operation_of(view).description]).strip()


def page(media_type: str = "text/html", schema: str = "Text") -> Operation:
    """Describe a page for people and their browsers."""
    return Operation(tag="pages", replies={200: Reply("Here.", schema, media_type=media_type)}, errors=())


def files() -> Operation:
    """Describe the files that a page is made of."""
    return Operation(tag="pages", replies={200: Reply("The file.", "File", media_type="*/*")}, errors=(404,))
