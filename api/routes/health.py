"""Health checks: the process answers, it can serve, the log is sound."""

from __future__ import annotations

from flask import Blueprint, Response

from alerts.following import MISSING
from api.answers import LINE_END, answer
from api.context import context, service
from api.guard import guard_of, open_to_all
from api.openapi.components import TEXT, object_of, share
from api.openapi.operation import Operation, Reply
from event_log.errors import LogError, LogUnavailable

_BROKEN_KEYS = (
    "The key file is not used as it is now, the last good one is; the log of the service says why, as does "
    "`python -m access check`."
)
"""Everybody may read this, so it says where to look and nothing of what stands in the file."""
_BROKEN_ALERTS = (
    "The file of alerts is not used as it is now, the last good one is; the log of the service says why, as does "
    "`python -m alerts check`."
)
bp = Blueprint("health", __name__, url_prefix="/health")

share(Status=object_of({"status": TEXT}, {"detail": TEXT, "notice": TEXT}))


def _described(good: str, bad: str) -> Operation:
    no = Reply("No.", "Status", {"status": bad, "detail": "why"})
    return Operation(replies={200: Reply("Yes.", "Status", {"status": good}), 503: no}, errors=())


@bp.get("")
@open_to_all
@_described("healthy", "unhealthy")
def get_health() -> Response:
    """Return whether the log can be read and written, and what a person should know of it."""
    return health_answer(LINE_END)


def health_answer(end: bytes) -> Response:
    """Return the answer of `get_health`, with this behind its JSON."""
    fault = _log_fault()
    if fault is not None:
        return answer({"status": "unhealthy", "detail": fault}, 503, end=end)
    notices = [
        notice for notice in (service().notice(), _notice_of_keys(), *_notices_of_alerts()) if notice is not None
    ]
    return answer({"status": "healthy"} | ({"notice": " ".join(notices)} if notices else {}), end=end)


@bp.get("/live")
@open_to_all
@Operation(replies={200: Reply("Yes.", "Status", {"status": "alive"})}, errors=())
def get_live() -> Response:
    """Answer, which says that the process does."""
    return answer({"status": "alive"})


@bp.get("/ready")
@open_to_all
@_described("ready", "not ready")
def get_ready() -> Response:
    """Return whether the view has caught up and the log takes writes."""
    if (fault := _view_fault() or _log_fault()) is not None:
        return answer({"status": "not ready", "detail": fault}, 503)
    return answer({"status": "ready"})


def _notice_of_keys() -> str | None:
    guard = guard_of()
    return None if guard is None or guard.watch.fault() is None else _BROKEN_KEYS


def _notices_of_alerts() -> list[str]:
    alerts = context().alerts
    found = [] if alerts is None or alerts.watch.fault() is None else [_BROKEN_ALERTS]
    if alerts is not None and alerts.lacks_a_receiver:
        found.append(MISSING)
    try:
        if service().ready():
            found.extend(f"Alerts: {notice}." for notice in context().boards.here().notices())
    except LogError:
        pass  # which is told by what asks for the log
    return found


def _view_fault() -> str | None:
    try:
        return None if service().ready() else "The view has not caught up with the log yet."
    except LogUnavailable as fault:  # a log elsewhere that has not been there yet
        return _reason(fault)


def _log_fault() -> str | None:
    try:
        service().check()
    except LogUnavailable as fault:
        return _reason(fault)
    return None


def _reason(fault: LogUnavailable) -> str:
    return str(fault) or "The log is not available."
