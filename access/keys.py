"""Access keys: the entries of the key file, and the requests that each key allows.

A token is known here by its SHA-256 alone. No message of this module repeats a token or a hash, nor any text that may
be one: what is wrong is most likely a token that was pasted into the wrong place.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from fnmatch import translate
from typing import Any, Self

from watched.file import BadFile

WRITE, READ, DELETE, METRICS = SCOPES = ("write", "read", "delete", "metrics")
TOKEN_PREFIX = "tm_"
MOST_KEYS = 10_000
MOST_PATTERNS = 100
LONGEST_TEXT = 128
MOST_STREAMS = 100_000
MOST_SERIES = 1_000_000
_LONGEST_QUOTED = 20
"""Characters of the longest name that a message quotes; a token has 46."""
_PLACE = re.compile(r"\(at [^()]*\)$")
"""The place in a message of TOML's parser; the text before it may quote the file."""
_NAME = re.compile(r"[\w.@:/+-]{1,64}", re.ASCII)
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_RATE = re.compile(r"([1-9][0-9]{0,8})/([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_FIELDS = ("name", "hash", "can", "series", "rate", "burst", "expires", "max_streams", "max_series")
_MICROSECONDS = 1_000_000
_NEVER: bytes = bytes(32)


class BadKeys(BadFile):
    """A key file cannot be used; the message is one line for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Token bucket of events that a key may write: it holds `burst` and gains `per_second`."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Patterns:
    """Shell patterns of the series that a key is for; `*` matches slashes too."""

    texts: tuple[str, ...]
    compiled: re.Pattern[str] = field(compare=False)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """These patterns as one expression, compiled once; what `fnmatch.fnmatchcase` would say of any of them."""
        texts = tuple(texts)
        return cls(texts, re.compile("|".join(map(translate, texts))))

    def __contains__(self, series: str) -> bool:
        return self.compiled.match(series) is not None

    def __str__(self) -> str:
        return ", ".join(self.texts)


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of the file."""

    name: str
    digest: bytes
    can: frozenset[str]
    series: Patterns | None = None
    """None: all of them."""
    rate: Rate | None = None
    expires: int | None = None
    """Microseconds since the epoch; from then on the key is none."""
    max_streams: int | None = None
    """Maximum number of streams that it may have open in a worker; None: as many as there are places."""
    max_series: int | None = None
    """Maximum number of living series that it may have begun; None: as many as MAX_SERIES lets it."""

    def sees(self, series: str | None) -> bool:
        """Return whether the key is for this series; None: for all of them together."""
        return self.series is None or (series is not None and series in self.series)


class Keys:
    """All keys of a file."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._by_digest = {key.digest: key for key in keys}

    def __len__(self) -> int:
        return len(self._by_digest)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._by_digest.values())

    def find(self, token: bytes, now: int) -> Key | None:
        """The key of this token, unless it has expired by `now`.

        Why a lookup is as good as a comparison with each: what is looked up is a digest of what the client sent, which
        it cannot steer towards one it does not know; and the dictionary is searched by a hash of that digest with a
        secret of this process (SipHash), so its time says nothing of the digests in it either. The comparison that
        decides takes the same time whatever it compares.
        """
        return self._valid(hashlib.sha256(token).digest(), now)

    def renewed(self, key: Key, now: int) -> Key | None:
        """The entry of the same token in this file, for one found in an earlier one; None if there is none by `now`."""
        return self._valid(key.digest, now)

    def _valid(self, digest: bytes, now: int) -> Key | None:
        key = self._by_digest.get(digest)
        same = hmac.compare_digest(_NEVER if key is None else key.digest, digest)
        return key if key is not None and same and (key.expires is None or now < key.expires) else None


def new_token() -> str:
    """`tm_` and 43 URL-safe characters: 256 bits of randomness."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """Return the digest of a token, as the key file holds it."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def parse_keys(text: bytes) -> Keys:
    """The keys of a TOML file. Raises BadKeys."""
    try:
        document = tomllib.loads(text.decode())
    except UnicodeDecodeError as fault:
        raise BadKeys(f"it is not UTF-8 at byte {fault.start}") from fault
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        place = _PLACE.search(str(fault))
        raise BadKeys(f"it is not TOML {place[0]}" if place else "it is not TOML") from None  # not to be logged either
    if unknown := sorted(set(document) - {"key"}):
        raise BadKeys(f"{_quoted(unknown[0])} means nothing here; write [[key]] before each key")
    entries = document.get("key", [])
    if not (isinstance(entries, list) and entries and all(isinstance(entry, dict) for entry in entries)):
        raise BadKeys("it has no key; write [[key]] before each, or `python -m access new` for the first")
    if len(entries) > MOST_KEYS:
        raise BadKeys(f"it has {len(entries)} keys, and {MOST_KEYS} are the most")
    keys = [parse_key(entry, number) for number, entry in enumerate(entries, 1)]
    _refuse_doubles(keys)
    return Keys(keys)


def parse_key(entry: Mapping[str, Any], number: int = 1) -> Key:
    """One entry, the `number`th of its file. Raises BadKeys."""
    where = f"key {number}"
    try:
        name = _name(entry.get("name"))
        where += f" ({name})"
        if unknown := sorted(set(entry) - set(_FIELDS)):
            raise BadKeys(f"{_quoted(unknown[0])} is no field; there are {', '.join(_FIELDS)}")
        can = _scopes(entry.get("can"))
        return Key(
            name,
            _digest(entry.get("hash")),
            can,
            _patterns(entry["series"]) if "series" in entry else None,
            _rate(entry, can),
            _moment(entry["expires"]) if "expires" in entry else None,
            _most(entry, "max_streams", MOST_STREAMS),
            _most(entry, "max_series", MOST_SERIES),
        )
    except BadKeys as fault:
        raise BadKeys(f"{where}: {fault}") from fault


def _quoted(name: str) -> str:
    return "a long name" if len(name) > _LONGEST_QUOTED or TOKEN_PREFIX in name else repr(name)


def _refuse_doubles(keys: list[Key]) -> None:
    numbers: dict[object, int] = {}
    for number, key in enumerate(keys, 1):
        for what, found in (("name", key.name), ("token", key.digest)):
            first = numbers.setdefault((what, found), number)
            if first != number:
                raise BadKeys(f"key {number} ({key.name}): key {first} has the same {what}; give each its own")


def _name(value: Any) -> str:
    if isinstance(value, str) and TOKEN_PREFIX in value and len(value) > 40:
        raise BadKeys("its name looks like a token; tokens stand nowhere, so make a new one")
    if not (isinstance(value, str) and _NAME.fullmatch(value)):
        raise BadKeys("name must be 1 to 64 letters, digits or any of _ . @ : / + -")
    return value


def _digest(value: Any) -> bytes:
    if isinstance(value, str) and value.startswith(TOKEN_PREFIX):
        raise BadKeys("hash holds the token itself, which is now no secret; make a new one: python -m access new")
    if not (isinstance(value, str) and _HASH.fullmatch(value)):
        raise BadKeys("hash must be 'sha256:' and 64 digits of 0-9a-f; python -m access new prints one")
    return bytes.fromhex(value.partition(":")[2])


def _scopes(value: Any) -> frozenset[str]:
    if not (isinstance(value, list) and value and all(scope in SCOPES for scope in value)):
        raise BadKeys(f"can must be a list of some of {', '.join(SCOPES)}")
    return frozenset(value)


def _patterns(value: Any) -> Patterns:
    texts = value if isinstance(value, list) else []
    if not (texts and all(isinstance(text, str) and 0 < len(text) <= LONGEST_TEXT for text in texts)):
        raise BadKeys("series must be a list of patterns such as 'web/*'; leave it out for all series")
    if len(texts) > MOST_PATTERNS:
        raise BadKeys(f"series has {len(texts)} patterns, and {MOST_PATTERNS} are the most")
    return Patterns.of(texts)


def _rate(entry: Mapping[str, Any], can: frozenset[str]) -> Rate | None:
    rate, burst = entry.get("rate"), entry.get("burst")
    if rate is None:
        if burst is not None:
            raise BadKeys("burst says nothing without a rate")
        return None
    found = _RATE.fullmatch(rate) if isinstance(rate, str) else None
    if found is None:
        raise BadKeys("rate must be events a second, minute or hour, such as '1000/s', '50/m' or '10/h'")
    if WRITE not in can:
        raise BadKeys("rate is for events that are written, and this key may not write")
    per_second = int(found[1]) / _SECONDS[found[2]]
    if burst is not None and (type(burst) is not int or not 0 < burst <= 10**9):
        raise BadKeys("burst must be a whole number of events from 1 to 1000000000")
    return Rate(per_second, burst or max(1, round(per_second)))


def _most(entry: Mapping[str, Any], field: str, most: int) -> int | None:
    value = entry.get(field)
    if value is not None and (type(value) is not int or not 0 <= value <= most):
        raise BadKeys(f"{field} must be a whole number from 0 to {most}")
    return value


def _moment(value: Any) -> int:
    """A date stands for its beginning; what has no zone is UTC."""
    if not isinstance(value, date):  # of which datetime is a kind
        raise BadKeys("expires must be a TOML date or time without quotes, such as 2027-01-01 or 2027-01-01T12:00:00Z")
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    try:
        return int(aware.timestamp() * _MICROSECONDS)
    except (OverflowError, ValueError) as fault:  # pragma: no cover - no platform we know; TOML's years are 1 to 9999
        raise BadKeys(f"expires is beyond what this machine can count: {fault}") from fault
