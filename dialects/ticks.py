"""Drop-in for a service of price ticks: statistics of the last 60 seconds, of all instruments or of one."""

from __future__ import annotations

from flask import Blueprint, Response

from api.answers import answer
from api.openapi.components import COUNT, NUMBER_OR_NULL, POSITIONED, object_of, share
from api.openapi.operation import JSON, Body, Operation, Reply, describe
from dialects import last_minute
from dialects.descriptions import OLD, WRITE_ERRORS
from dialects.fields import Milliseconds, Model, Number, SeriesName
from dialects.requests import load_body

bp = Blueprint("ticks", __name__)


class Tick(Model):
    """A price of an instrument."""

    instrument = SeriesName(required=True)
    price = Number(required=True)
    timestamp = Milliseconds(required=True)


_TICK = Tick()


@bp.post("/ticks", strict_slashes=False)
def add_tick() -> Response:
    """Take in a tick; 204 when it is older than 60 seconds."""
    tick = load_body(_TICK)
    accepted = last_minute.add(tick["instrument"], tick["timestamp"], tick["price"])
    if not accepted.stored:
        return last_minute.empty_answer(204, accepted.position)
    return answer({}, 201, position=accepted.position)


@bp.get("/statistics", strict_slashes=False)
@bp.get("/statistics/<series:instrument>", strict_slashes=False)
@bp.get("/statistics/<series:instrument>/", strict_slashes=False)
def statistics(instrument: str | None = None) -> Response:
    """Statistics of the last 60 seconds; all zero when there was no tick."""
    return last_minute.statistics(instrument, "avg", "max", "min", "count")


share(
    Nothing=object_of({}),
    MinuteOfTicks=object_of({"avg": NUMBER_OR_NULL, "max": NUMBER_OR_NULL, "min": NUMBER_OR_NULL, "count": COUNT}),
)
describe(
    {
        add_tick: Operation(
            tag="dialect ticks",
            summary="Take a price of an instrument",
            bodies={
                JSON: (
                    Body(
                        schema=Tick,
                        examples={"tick": {"instrument": "AAPL", "price": 201.5, "timestamp": 1750948200000}},
                    ),
                )
            },
            replies={201: Reply(description="Stored.", schema="Nothing", example={}, headers=POSITIONED), 204: OLD},
            errors=WRITE_ERRORS,
        ),
        statistics: Operation(
            tag="dialect ticks",
            summary="Statistics of the last 60 seconds, of all instruments or one; all zero when empty",
            replies={
                200: Reply(
                    description="The statistics.",
                    schema="MinuteOfTicks",
                    example={"avg": 150.0, "max": 200.0, "min": 100.0, "count": 2},
                    headers=POSITIONED,
                )
            },
            errors=("503-Detail",),
        ),
    }
)
