"""How an operation is described: what the schemas cannot say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import Schema

JSON = "application/json"
PROBLEM = "application/problem+json"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One form of a request: a schema that validates, or a description of text; and requests that work."""

    schema: type[Schema] | Json
    examples: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One status: what it means, the names of its schema among the components, and an example."""

    description: str
    schema: str | None = None
    example: Any = None
    media_type: str = JSON
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One view: its parameters and bodies are those its schemas accept, its errors those in the table of errors."""

    tag: str
    summary: str
    answers: Mapping[int, Answer]
    description: str = ""
    query: type[Schema] | None = None
    headers: tuple[str, ...] = ()
    bodies: Mapping[str, tuple[Body, ...]] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    """Names among the responses of the components; each begins with its status."""
