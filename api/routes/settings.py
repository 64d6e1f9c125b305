"""`GET /settings`: the settings that shape answers, as they are in force in the log."""

from __future__ import annotations

from flask import Blueprint, Response

from access.keys import READ
from api.answers import answer
from api.context import service
from api.guard import needs
from api.openapi.components import COUNT, POSITIONED, TEXT, object_of, share
from api.openapi.operation import Operation, Reply
from times import format_duration

bp = Blueprint("settings", __name__)

share(
    Settings=object_of(
        {
            **dict.fromkeys(("window", "retention"), TEXT),
            "keep_last": COUNT,
            "max_future": TEXT,
            **dict.fromkeys(("max_series", "max_symbols"), COUNT),
        }
    )
)
_EXAMPLE = {
    "window": "1h",
    "retention": "1h",
    "keep_last": 1000,
    "max_future": "1m",
    "max_series": 10000,
    "max_symbols": 10,
}


@bp.get("/settings")
@needs(READ)
@Operation(
    tag="statistics",
    replies={200: Reply("The settings.", "Settings", _EXAMPLE, headers=POSITIONED)},
    errors=(503,),
)
def get_settings() -> Response:
    """The settings that shape answers.

    As in force in the log, for all its processes: those of the service that was started last on it. Durations are
    written as requests take them. No window is longer than `retention`.
    """
    rules, position = service().rules_in_force()
    return answer(
        {
            "window": format_duration(rules.window),
            "retention": format_duration(rules.retention),
            "keep_last": rules.keep_last,
            "max_future": format_duration(rules.max_future),
            "max_series": rules.max_series,
            "max_symbols": rules.max_symbols,
        },
        position=position,
    )
