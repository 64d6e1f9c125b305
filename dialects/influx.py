"""Drop-in for writes to InfluxDB, 1 and 2: each field of a line is an event of a series."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, request

from access.keys import WRITE
from api.answers import POSITION
from api.context import service, settings
from api.guard import conditions, needs, open_to_all, permit_each
from api.idempotency import KEY, at_most_once
from api.openapi.components import TEXT, WRITE_ERRORS, array, object_of, share
from api.openapi.operation import JSON, Body, Operation, Reply
from api.problems import Problem, shaped
from api.reading.bodies import read_body
from dialects.answers import END, answer
from dialects.line_columns import Chunk, Precision
from dialects.lines import PRECISIONS, PRECISIONS_OF_1, TooMany, parse
from dialects.single_lines import BadLine
from event_log.errors import LogError
from event_log.outcomes import Stored
from event_log.writes import Conditions
from event_service import TooFarAhead
from times import format_duration

EXPIRED = "Events-Expired"
LEFT_OUT = "Fields-Left-Out"
VERSION = "tidemark"
_CODES = {
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    405: "method not allowed",
    413: "request too large",
    422: "unprocessable entity",
    429: "too many requests",
    503: "unavailable",
}

bp = Blueprint("influx", __name__)
share(
    InfluxError=object_of({"code": TEXT, "message": TEXT}),
    InfluxHealth=object_of(
        {"name": TEXT, "message": TEXT, "status": TEXT, "checks": array({}), "version": TEXT, "commit": TEXT}
    ),
)
_LINES = Body(
    schema={"type": "string", "description": "One point a line."}, examples={"lines": "cpu,host=a usage=0.64\n"}
)
_HEALTH = {
    "name": "influxdb",
    "message": "ready for queries and writes",
    "status": "pass",
    "checks": [],
    "version": VERSION,
    "commit": "",
}


def _described(precisions: Mapping[str, Precision], ignored: str) -> Operation:
    """Return the description of a write."""
    return Operation(
        description=f"`?precision=` is one of {', '.join(precisions)}. The media type and {ignored} are ignored.",
        bodies={"text/plain": (_LINES,)},
        headers=(KEY,),
        replies={204: Reply("Stored.", headers=(POSITION,))},
        errors=WRITE_ERRORS,
        may_lack_body=True,  # no line is no point
    )


@bp.post("/api/v2/write")
@needs(WRITE)
@_described(PRECISIONS, "`org` and `bucket`")
def write_lines() -> Response:
    """Take line protocol, all lines or none."""
    return _write(PRECISIONS)


@bp.post("/write")
@needs(WRITE)
@_described(PRECISIONS_OF_1, "`db`")
def write_lines_of_1() -> Response:
    """Take lines as clients of version 1 send them, all or none."""
    return _write(PRECISIONS_OF_1)


def _write(precisions: Mapping[str, Precision]) -> Response:
    precision = request.args.get("precision") or "ns"
    if precision not in precisions:
        raise Problem(400, f"precision must be one of {', '.join(precisions)}, not {precision[:20]!r}")
    body = read_body()
    points = _parse(body, precisions[precision])
    permit_each(points.names, len(points.values))
    if not len(points.values):
        return _written(Stored(0, 0, service().position()), points)

    def write(once: Conditions) -> Stored:
        paid = conditions(len(points.values), once)
        return service().add_many(points.names, points.which, points.times, points.values, paid)

    try:
        accepted = at_most_once(f"line protocol in {precision}", body, write)
    except TooFarAhead as fault:
        line = points.lines[fault.indexes[0]]
        limit = format_duration(fault.limit)
        raise Problem(400, f"line {line}: more than {limit} ahead of the server's clock (MAX_FUTURE)") from fault
    return _written(accepted, points)


def _parse(body: bytes, precision: Precision) -> Chunk:
    most = settings().max_batch
    try:
        return parse(body.decode(), precision, most)
    except UnicodeDecodeError as fault:
        line = body.count(b"\n", 0, fault.start) + 1
        raise Problem(400, f"line {line}: not UTF-8") from fault
    except BadLine as fault:
        raise Problem(400, str(fault)) from fault
    except TooMany as fault:
        detail = f"More than {most} lines, or ten times as many values (MAX_BATCH); send them in parts."
        raise Problem(413, detail) from fault


def _written(accepted: Stored, points: Chunk) -> Response:
    response = Response(status=204)
    del response.headers["Content-Type"]
    response.headers[POSITION] = str(accepted.position)
    if accepted.expired:
        response.headers[EXPIRED] = str(accepted.expired)
    if points.left_out:
        response.headers[LEFT_OUT] = str(points.left_out)
    return response


@bp.get("/ping")
@open_to_all
@Operation(replies={204: Reply("It is.")}, errors=())
def ping() -> Response:
    """Answer that it is there."""
    response = Response(status=204, headers={"X-Influxdb-Version": VERSION, "X-Influxdb-Build": "OSS"})
    del response.headers["Content-Type"]
    return response


@bp.get("/health")
@open_to_all
@Operation(
    replies={200: Reply("It can.", "InfluxHealth", _HEALTH), 503: Reply("It cannot.", "InfluxHealth", _HEALTH)},
    errors=(),
)
def health() -> Response:
    """Answer as InfluxDB 2 does: `pass`, or 503 and `fail` when the log cannot be read or written."""
    try:
        service().check()
    except LogError as fault:
        return answer(_HEALTH | {"message": str(fault), "status": "fail"}, 503)
    return answer(_HEALTH)


def influx_shape(problem: Problem) -> Response:
    """Word an error as InfluxDB does: `{"code": "invalid", "message": "line 3: ..."}`."""
    status = problem.code or 500
    code = _CODES.get(status, "invalid" if status < 500 else "internal error")
    return shaped({"code": code, "message": problem.detail}, problem, JSON, END)
