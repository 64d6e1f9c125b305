"""Drop-in for a service of price ticks: statistics of the last 60 seconds, of all instruments or of one."""

from __future__ import annotations

from flask import Blueprint, Response

from access.keys import READ, WRITE
from api.answers import Outcome
from api.guard import needs, permit
from api.idempotency import KEY
from api.openapi.components import COUNT, NUMBER_OR_NULL, POSITIONED, WRITTEN, object_of, share
from api.openapi.operation import JSON, Body, Operation, Reply
from api.reading.bodies import read_body
from dialects import last_minute
from dialects.answers import END
from dialects.descriptions import OLD, WRITE_ERRORS
from dialects.fields import Milliseconds, Model, Number, SeriesName
from dialects.requests import load_body
from event_log.outcomes import Stored

bp = Blueprint("ticks", __name__)


class Tick(Model):
    """A price of an instrument."""

    instrument = SeriesName(required=True)
    price = Number(required=True)
    timestamp = Milliseconds(required=True)


share(
    Nothing=object_of({}),
    MinuteOfTicks=object_of({"avg": NUMBER_OR_NULL, "max": NUMBER_OR_NULL, "min": NUMBER_OR_NULL, "count": COUNT}),
)
_EXAMPLE = {"instrument": "AAPL", "price": 201.5, "timestamp": 1750948200000}
_TICK = Tick()


@bp.post("/ticks", strict_slashes=False)
@needs(WRITE)
@Operation(
    bodies={JSON: (Body(schema=Tick, examples={"tick": _EXAMPLE}),)},
    headers=(KEY,),
    replies={201: Reply("Stored.", "Nothing", {}, headers=WRITTEN), 204: OLD},
    errors=WRITE_ERRORS,
)
def add_tick() -> Response:
    """Take a price of an instrument; 204 when it is older than 60 seconds."""
    body = read_body()
    tick = load_body(_TICK, body)
    permit(tick["instrument"])
    return last_minute.answer_added(
        added_outcome(last_minute.add(body, tick["instrument"], tick["timestamp"], tick["price"]))
    )


def added_outcome(accepted: Stored) -> Outcome:
    """Return the answer to a tick that was taken in, or was too old."""
    return Outcome({}, 201, accepted.position, END) if accepted.stored else Outcome(None, 204, accepted.position)


@bp.get("/statistics", strict_slashes=False)
@bp.get("/statistics/<series:instrument>", strict_slashes=False)
@bp.get("/statistics/<series:instrument>/", strict_slashes=False)
@needs(READ, series="instrument")
@Operation(
    replies={
        200: Reply(
            "The statistics.",
            "MinuteOfTicks",
            {"avg": 150.0, "max": 200.0, "min": 100.0, "count": 2},
            headers=POSITIONED,
        )
    },
    errors=(503,),
)
def statistics(instrument: str | None = None) -> Response:
    """Statistics of the last 60 seconds, of all instruments or one; all zero when empty."""
    return last_minute.statistics(instrument, "avg", "max", "min", "count")
