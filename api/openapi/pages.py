"""What is there for people and their browsers, by the endpoint that serves each."""

from __future__ import annotations

from api.openapi.operation import Answer, Operation

_NOT_FOUND = ("404-NotFound",)


def _page(summary: str, media_type: str = "text/html", schema: str = "Text") -> Operation:
    return Operation(
        tag="pages", summary=summary, answers={200: Answer(description="Here.", schema=schema, media_type=media_type)}
    )


def _files(summary: str) -> Operation:
    return Operation(
        tag="pages",
        summary=summary,
        answers={200: Answer(description="The file.", schema="File", media_type="*/*")},
        errors=_NOT_FOUND,
    )


OPERATIONS: dict[str, Operation] = {
    "dashboard.page": _page("The dashboard"),
    "dashboard.static_file": _files("Files of the dashboard"),
    "dashboard.vendored_file": _files("Files of its chart"),
    "docs.page": _page("Interactive documentation"),
    "docs.file": _files("Files of the documentation"),
    "docs.document": _page("This document", "application/json", "Document"),
}
