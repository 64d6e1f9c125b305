"""Readers of option values; each says in one line what is wrong and what to write instead."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from event_log.series import LONGEST_NAME
from simulator.pacing import MICRO, Recurring
from times import parse_duration

MOST_INSTRUMENTS = 100_000
LONGEST_SECONDS = 366 * 86_400
DEFAULT_URL = "http://127.0.0.1:5000"
SHORTEST_PERIOD_US = 100_000
SHORTEST_REST_US = 10_000

Fault = argparse.ArgumentTypeError
_TOKEN = re.compile(r"[!-~]{1,200}")


def key(text: str) -> str:
    """Reads a token, or the file that `@` names: what stands on a command line others on the machine can see."""
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text().strip()
        except (OSError, UnicodeDecodeError) as fault:
            raise Fault(f"the file {text[1:]!r} cannot be read: {fault}") from fault
    if not _TOKEN.fullmatch(text):
        raise Fault("a token is one word, such as `python -m access new` prints")
    return text


def number(least: float, most: float, what: str) -> Callable[[str], float]:
    """Reads a number from `least` to `most`; `what` is what the message says was wanted."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise Fault(f"{text!r} is not {what}")
        return value

    return parse


def whole(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number from `least` to `most`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or not least <= int(text) <= most:
            raise Fault(f"{text!r} is not a whole number from {least:,} to {most:,}")
        return int(text)

    return parse


def _microseconds(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as fault:
        raise Fault(str(fault)) from None


def seconds(text: str) -> float:
    """Seconds of a duration: `90s`, `500ms`, `1h30m`, `2.5`."""
    value = _microseconds(text) / MICRO
    if value > LONGEST_SECONDS:
        raise Fault(f"{text!r} is too long; the longest is a year")
    return value


def names(text: str) -> tuple[str, ...]:
    """Return the names of the instruments, given themselves or by their number."""
    if text.isdecimal():
        count = whole(1, MOST_INSTRUMENTS)(text)
        return tuple(f"ITEM_{k:0{max(2, len(str(count - 1)))}d}" for k in range(count))
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name.endswith("/"):
            raise Fault(
                f"{name[:LONGEST_NAME]!r} is not a name: write 1 to {LONGEST_NAME} printable characters, "
                "no slash at the end"
            )
    if repeated := sorted(name for name in set(names) if names.count(name) > 1):
        raise Fault(f"{repeated[0]!r} is named twice")
    return names


def starts(text: str) -> tuple[tuple[float, float], ...]:
    """The lowest and highest starting prices: one pair for all, or one for each instrument."""
    price = number(0, 1e15, "a price from 0 to 1e15; write 100, a range 50..150, or one for each: 100,20,50..60")
    starts = []
    for part in text.split(","):
        low, _, high = part.partition("..")
        starts.append((price(low), price(high or low)))
        if starts[-1][0] > starts[-1][1]:
            raise Fault(f"{part!r} runs backwards; write the lower price first")
    return tuple(starts)


def _recurring(text: str, form: str) -> Recurring:
    every, colon, length = text.partition(":")
    if not colon:
        raise Fault(f"{text!r} lacks a length; write {form}")
    stretch = Recurring(_microseconds(every), _microseconds(length))
    if stretch.every < SHORTEST_PERIOD_US:
        raise Fault(f"{text!r} recurs too often; the shortest period is 100ms")
    if stretch.length > stretch.every - SHORTEST_REST_US:
        raise Fault(f"{text!r} leaves nothing between; the period must be at least 10ms longer than the length")
    return stretch


def idle(text: str) -> Recurring:
    """A silence: `EVERY:LENGTH`."""
    return _recurring(text, "EVERY:LENGTH, such as 30s:3s")


def burst(text: str) -> tuple[Recurring, float]:
    """A burst and its factor on the rate: `EVERY:LENGTH[:FACTOR]`."""
    parts = text.rsplit(":", 1) if text.count(":") == 2 else [text, "5"]
    factor = number(1, 1000, "a factor from 1 to 1000")(parts[1])
    return _recurring(parts[0], "EVERY:LENGTH[:FACTOR], such as 10s:2s:5"), factor


def url(text: str) -> str:
    """The address of a server, without a slash at the end."""
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not text.isascii() or parts.query or parts.fragment:
        raise Fault(f"{text!r} is not the address of a server; write one such as {DEFAULT_URL}")
    return text.rstrip("/")
