"""Every setting of the service, declared once: its name, default, check and meaning."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from typing import Any

from event_log.urls import checked_url, printable_url
from times import format_duration, parse_duration

VERSION = "1.0.0"
"""Version of the service, wherever it says which it is; the changelog names it first."""
GIB = 1024**3
MOST_WORKERS = 1000
"""A worker for each core is what serves fastest; this many is a slip of the keyboard."""
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": GIB}
_BYTES = re.compile(r"([0-9]{1,20})([KMG]?)")
PREFIX = "TIDEMARK_"
START_ID = "SERVICE_START_ID"
"""The variable by which all workers of one start of the service know that they are; not for people to set."""
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\\\s?#@*]+")


class BadSetting(Exception):
    """A setting cannot be used; the message is one line for the person who starts the service."""


def _whole(least: int, most: int) -> Callable[[str], int]:
    """A parser of whole numbers between these bounds."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"write a whole number from {least} to {most}")
        return int(text)

    return parse


def _size(least: int, most: int) -> Callable[[str], int]:
    """A parser of numbers of bytes between these bounds, such as `64M`."""

    def parse(text: str) -> int:
        match = _BYTES.fullmatch(text)
        bytes_ = int(match[1]) * _UNITS[match[2]] if match else -1
        if not least <= bytes_ <= most:
            raise ValueError(f"write a number of bytes from {least} to {most}, such as 2097152, 512K, 64M or 1G")
        return bytes_

    return parse


def _duration_or_none(text: str) -> int:
    return 0 if text.rstrip("s") == "0" else parse_duration(text)


def _origins(text: str) -> tuple[str, ...]:
    # Browsers write an origin in small letters.
    origins = tuple(origin.strip().lower() for origin in text.split(",") if origin.strip())
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin; write scheme and host, such as https://example.com, or *")
    return origins


def _host_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower().removesuffix(".") for name in text.split(",") if name.strip())
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no host name; write names such as tidemark.example, without scheme and port")
    return names


def _one_of(*words: str, spelt: Callable[[str], str] = str) -> Callable[[str], str]:
    """A parser of one of these words."""

    def parse(text: str) -> str:
        if spelt(text) not in words:
            raise ValueError(f"Must be one of: {', '.join(words)}.")
        return spelt(text)

    return parse


def _setting(default: str, parse: Callable[[str], Any], meaning: str) -> Any:
    """A field read by `parse` from `TIDEMARK_<its name>`, or from `default` where that is not set."""
    return field(default=parse(default), metadata={"default": default, "parse": parse, "meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force. Durations are microseconds."""

    window: int = _setting("1h", parse_duration, "What `GET /statistics` covers when the request names no window")
    retention: int = _setting("1h", parse_duration, "How long an event stays; no window is longer")
    keep_last: int = _setting("1000", _whole(0, 10**8), "How many events each series keeps whatever their age")
    idle: int = _setting("7d", _duration_or_none, "A series without an event for so long ends by itself; `0`: never")
    max_future: int = _setting("60s", _duration_or_none, "How far ahead of the clock an event may be dated")
    max_batch: int = _setting("10000", _whole(1, 1_000_000), "Most events in one request")
    max_body: int = _setting("2097152", _size(1, GIB), "Most bytes in the body of one request")
    max_bodies: int = _setting("64M", _size(1, 1024**5), "Most bytes of request bodies that a worker holds at a time")
    max_series: int = _setting("10000", _whole(1, 1_000_000), "Most series")
    max_symbols: int = _setting("10", _whole(0, 10_000), "Most symbols of the batches dialect")
    max_streams: int = _setting("2000", _whole(0, 100_000), "Most open streams of one worker")
    percentile_bytes: int = _setting(
        "256M", _size(0, 1024**5), "Most bytes of a worker's memory for what speeds percentiles up"
    )
    log_url: str = _setting(
        "file:instance/events",
        checked_url,
        "Where events are logged: `file:` and a path, `redis://`, or `memory:`",
    )
    log_max_bytes: int = _setting("10G", _size(1, 1024**5), "Most bytes the log may take, on disk or in Redis")
    sync: str = _setting(
        "everysec",
        _one_of("everysec", "always", "never"),
        "When the log is synced to disk: `everysec`, `always` or `never`",
    )
    max_wait: int = _setting(
        "0.1s", _duration_or_none, "How long a request may wait in its worker before others are refused; `0`: any time"
    )
    keys: str = _setting("", str, "File of access keys; without it everyone who reaches the port may do everything")
    alerts: str = _setting("", str, "File of alert rules and receivers; without it this process evaluates none")
    cors_origins: tuple[str, ...] = _setting(
        "", _origins, "Origins whose pages may call the API, separated by commas; `*` for all"
    )
    allowed_hosts: tuple[str, ...] = _setting(
        "", _host_names, "Names other than localhost by which browsers on this machine reach it, separated by commas"
    )
    log_level: str = _setting(
        "INFO",
        _one_of("DEBUG", "INFO", "WARNING", "ERROR", spelt=str.upper),
        "`DEBUG` (adds a line a request), `INFO`, `WARNING` or `ERROR`",
    )

    def __post_init__(self) -> None:
        if self.max_bodies < self.max_body:
            raise BadSetting(
                f"{PREFIX}MAX_BODIES ({self.max_bodies} bytes) is below {PREFIX}MAX_BODY ({self.max_body} bytes); "
                "no worker could hold such a body: raise the one or lower the other"
            )
        if self.window > self.retention:
            raise BadSetting(
                f"{PREFIX}WINDOW ({format_duration(self.window)}) is longer than {PREFIX}RETENTION "
                f"({format_duration(self.retention)}); raise the retention or shorten the window"
            )


VARIABLES = {PREFIX + field.name.upper(): field for field in fields(Settings)}
"""The variables of the environment, and the field that each sets."""


def read_settings() -> Settings:
    """The settings of this environment. Raises BadSetting with one clear line."""
    values = {field.name: _read(name, field) for name, field in VARIABLES.items()}
    # Naming only one of the two moves the other along, so that neither alone is an error.
    if _given("RETENTION") and not _given("WINDOW"):
        values["window"] = min(values["window"], values["retention"])
    elif _given("WINDOW") and not _given("RETENTION"):
        values["retention"] = max(values["window"], values["retention"])
    if not _given("MAX_BODIES"):
        values["max_bodies"] = max(values["max_bodies"], values["max_body"])
    return Settings(**values)


def read_address() -> tuple[str, int]:
    """HOST and PORT, as everything that serves HTTP reads them. Raises BadSetting."""
    port = os.environ.get("PORT") or "5000"
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise BadSetting(f"PORT={port!r}: write a port number from 0 to 65535")
    return os.environ.get("HOST") or "0.0.0.0", int(port)


def read_workers(default: int) -> int:
    """Return the number of workers that WEB_CONCURRENCY names, or the default. Raises BadSetting, also where it is
    empty: gunicorn takes no empty one."""
    workers = os.environ.get("WEB_CONCURRENCY", str(default))
    if not (workers.isascii() and workers.isdigit() and 1 <= int(workers) <= MOST_WORKERS):
        raise BadSetting(f"WEB_CONCURRENCY={workers[:40]!r}: write a number of workers from 1 to {MOST_WORKERS}")
    return int(workers)


def unknown_settings() -> list[str]:
    """Names in this environment that look like settings and are none: a typo, most likely."""
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in VARIABLES)


def _given(name: str) -> bool:
    return bool(os.environ.get(PREFIX + name))


def _read(name: str, field: Field[Any]) -> Any:
    text = os.environ.get(name) or field.metadata["default"]
    try:
        return field.metadata["parse"](text)
    except ValueError as fault:
        raise BadSetting(f"{name}={printable_url(text)!r}: {fault}") from fault


def main() -> None:
    """Check the settings before gunicorn starts, which ends with a traceback where WEB_CONCURRENCY is no number."""
    try:
        read_settings()
        read_address()
        read_workers(1)
    except BadSetting as fault:
        print(f"tidemark: {fault}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
