"""Every setting of the service, declared once: its name, default, check and meaning."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environs import Env, EnvError
from marshmallow import ValidationError
from marshmallow.validate import OneOf

from times import HOUR, MINUTE, format_duration, parse_duration

VERSION = "1.0.0"
GIB = 1024**3
PREFIX = "TIDEMARK_"
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\\s?#@]+")


class BadSetting(Exception):
    """A setting cannot be used; the message is one line for the person who starts the service."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `TIDEMARK_<name>`, read by `parse`, checked by `check`."""

    name: str
    default: str
    parse: Callable[[str], Any]
    help: str
    check: Callable[[Any], Any] | None = None


def _whole(least: int, most: int) -> Callable[[str], int]:
    """A parser of whole numbers between these bounds."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"write a whole number from {least} to {most}")
        return int(text)

    return parse


def _duration_or_none(text: str) -> int:
    return 0 if text.rstrip("s") == "0" else parse_duration(text)


def _log_url(text: str) -> str:
    scheme, colon, rest = text.partition(":")
    if text == "memory:" or (colon and scheme == "lmdb" and rest):
        return text
    raise ValueError("write memory: or lmdb: and a path, such as lmdb:/var/lib/tidemark")


def _file(text: str) -> Path | None:
    return Path(text) if text else None


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip() for origin in text.split(",") if origin.strip())
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin; write scheme and host, such as https://example.com, or *")
    return origins


SETTINGS = (
    Setting("WINDOW", "1h", parse_duration, "What `GET /statistics` covers when the request names no window"),
    Setting("RETENTION", "1h", parse_duration, "How long an event stays; no window is longer"),
    Setting("KEEP_LAST", "1000", _whole(0, 10**8), "How many events each series keeps whatever their age"),
    Setting("MAX_FUTURE", "60s", _duration_or_none, "How far ahead of the clock an event may be dated"),
    Setting("MAX_BATCH", "10000", _whole(1, 1_000_000), "Most events in one request"),
    Setting("MAX_BODY", "2097152", _whole(1, GIB), "Most bytes in the body of one request"),
    Setting("MAX_SERIES", "10000", _whole(1, 1_000_000), "Most series"),
    Setting("MAX_SYMBOLS", "10", _whole(0, 10_000), "Most symbols of the batches dialect"),
    Setting("MAX_STREAMS", "2000", _whole(0, 100_000), "Most open streams of one worker"),
    Setting("LOG_URL", "lmdb:instance/log", _log_url, "Where events are logged: `lmdb:` and a path, or `memory:`"),
    Setting("LOG_MAX_BYTES", str(10 * GIB), _whole(1, 1024**5), "Most bytes the log may take on disk"),
    Setting(
        "SYNC",
        "everysec",
        str,
        "When the log is synced to disk: `everysec`, `always` or `never`",
        OneOf(("everysec", "always", "never")),
    ),
    Setting("KEYS", "", _file, "File of access keys; without it everyone who reaches the port may do everything"),
    Setting("CORS_ORIGINS", "", _origins, "Origins whose pages may call the API, separated by commas; `*` for all"),
    Setting(
        "LOG_LEVEL",
        "INFO",
        str.upper,
        "`DEBUG` (adds a line a request), `INFO`, `WARNING` or `ERROR`",
        OneOf(("DEBUG", "INFO", "WARNING", "ERROR")),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force. Durations are microseconds."""

    window: int = HOUR
    retention: int = HOUR
    keep_last: int = 1000
    max_future: int = MINUTE
    max_batch: int = 10_000
    max_body: int = 2 * 1024**2
    max_series: int = 10_000
    max_symbols: int = 10
    max_streams: int = 2000
    log_url: str = "memory:"
    log_max_bytes: int = 10 * GIB
    sync: str = "everysec"
    keys: Path | None = None
    cors_origins: tuple[str, ...] = ()
    log_level: str = "INFO"

    def __post_init__(self) -> None:
        if self.window > self.retention:
            raise BadSetting(
                f"{PREFIX}WINDOW ({format_duration(self.window)}) is longer than {PREFIX}RETENTION "
                f"({format_duration(self.retention)}); raise the retention or shorten the window"
            )


def read_settings() -> Settings:
    """The settings of this environment. Raises BadSetting with one clear line."""
    env = Env()
    values = {setting.name.lower(): _read(env, setting) for setting in SETTINGS}
    # Naming only one of the two moves the other along, so that neither alone is an error.
    if _given(env, "RETENTION") and not _given(env, "WINDOW"):
        values["window"] = min(values["window"], values["retention"])
    elif _given(env, "WINDOW") and not _given(env, "RETENTION"):
        values["retention"] = max(values["window"], values["retention"])
    return Settings(**values)


def read_address() -> tuple[str, int]:
    """HOST and PORT, as everything that serves HTTP reads them. Raises BadSetting."""
    port = os.environ.get("PORT") or "5000"
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise BadSetting(f"PORT={port!r}: write a port number from 0 to 65535")
    return os.environ.get("HOST") or "0.0.0.0", int(port)


def unknown_settings() -> list[str]:
    """Names in this environment that look like settings and are none: a typo, most likely."""
    known = {PREFIX + setting.name for setting in SETTINGS}
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)


def _given(env: Env, name: str) -> bool:
    return bool(env.str(PREFIX + name, ""))


def _read(env: Env, setting: Setting) -> Any:
    name = PREFIX + setting.name
    try:
        text = env.str(name, "") or setting.default
        value = setting.parse(text)
        if setting.check is not None:
            setting.check(value)
    except (EnvError, ValidationError, ValueError) as fault:
        reason = " ".join(fault.messages) if isinstance(fault, ValidationError) else str(fault)
        raise BadSetting(f"{name}={text!r}: {reason}") from fault
    return value
