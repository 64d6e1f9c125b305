"""The file of ALERTS: receivers, which stay on this host, and rules, which go into the log."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from alerts.lines import Lines
from alerts.rules import MOST_RULES, BadField, Rule, parse_rule
from watched.file import BadFile

MOST_RECEIVERS = 100
_PLACE = re.compile(r"at line (\d+)")
_NAME = re.compile(r"[\w.@:/+-]{1,64}", re.ASCII)
_RECEIVER_FIELDS = ("name", "webhook", "alertmanager", "headers_file")


class BadAlerts(BadFile):
    """The file cannot be used; the message is one line for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver of alerts. Never printed: a URL may hold a secret."""

    name: str
    url: str
    is_alertmanager: bool
    headers_file: str | None = None

    def __repr__(self) -> str:
        return f"Receiver({self.name!r})"


@dataclass(frozen=True, slots=True)
class AlertsFile:
    """A file that is good."""

    receivers: Mapping[str, Receiver]
    rules: Mapping[str, Rule]
    entries: list[dict[str, Any]]
    """The rules as the log has them: `parse_rule` reads each again."""


def parse_file(text: bytes, retention: int | None = None) -> AlertsFile:
    """Read the text of a file; `retention`, if given, bounds windows. Raises BadAlerts."""
    try:
        document = tomllib.loads(decoded := text.decode())
    except UnicodeDecodeError as fault:
        raise BadAlerts(f"line {text[: fault.start].count(10) + 1}: it is not UTF-8 here") from None
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        place = _PLACE.search(str(fault))
        where = f"line {place[1]}" if place else "at its end"
        raise BadAlerts(f"{where}: it is not TOML; most often a quote or a bracket is missing") from None
    lines = Lines(decoded)
    if unknown := sorted(set(document) - {"receiver", "alert"}):
        raise BadAlerts(f"line {lines.top(unknown[0])}: write [[receiver]] or [[alert]] before each entry")
    receivers = _entries(document, lines, "receiver", MOST_RECEIVERS, _receiver)
    rules = _entries(document, lines, "alert", MOST_RULES, lambda entry: parse_rule(entry, retention))
    for index, rule in enumerate(rules.values()):
        if missing := set(rule.to or ()) - set(receivers):
            line = lines.field("alert", index, "to")
            known = ", ".join(receivers) or "none"
            raise BadAlerts(
                f"line {line}: alert {rule.name!r}: to names {len(missing)} receiver(s) that the file does not have; "
                f"it has {known}"
            )
    return AlertsFile(receivers, rules, document.get("alert", []))


def _entries(document: Mapping[str, Any], lines: Lines, table: str, most: int, parse: Any) -> dict[str, Any]:
    entries = document.get(table, [])
    if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
        raise BadAlerts(f"line {lines.top(table)}: write [[{table}]], with two brackets, before each entry")
    if len(entries) > most:
        raise BadAlerts(f"line {lines.entry(table, most)}: there are {len(entries)} entries, and {most} are the most")
    found = dict[str, Any]()
    for index, entry in enumerate(entries):
        try:
            parsed = parse(entry)
            if parsed.name in found:
                raise BadField("name", "another entry has this name; give each its own")
        except BadField as fault:
            line = lines.field(table, index, fault.field)
            raise BadAlerts(f"line {line}: {_called(table, entry)}{_named(fault.field)}: {fault.message}") from None
        found[parsed.name] = parsed
    return found


def _called(table: str, entry: Mapping[str, Any]) -> str:
    """Return the name of an entry in a message: its own, where that can hold no secret."""
    name = entry.get("name")
    known = isinstance(name, str) and name.isprintable() and 0 < len(name) <= 64
    return f"{table} {name!r}: " if known else f"{table}: "


def _named(field: str) -> str:
    return field if re.fullmatch(r"\w{1,20}", field, re.ASCII) else "a field"


def _receiver(entry: Mapping[str, Any]) -> Receiver:
    name = entry.get("name")
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise BadField("name", "write 1 to 64 letters, digits or any of _ . @ : / + -")
    if unknown := sorted(set(entry) - set(_RECEIVER_FIELDS)):
        raise BadField(unknown[0], f"this field is not known; there are {', '.join(_RECEIVER_FIELDS)}")
    kinds = [kind for kind in ("webhook", "alertmanager") if kind in entry]
    if len(kinds) != 1:
        raise BadField(kinds[1] if kinds else "name", "write exactly one of webhook and alertmanager")
    headers_file = entry.get("headers_file")
    if headers_file is not None and not (isinstance(headers_file, str) and headers_file.startswith("/")):
        raise BadField("headers_file", "write the absolute path of a file")
    return Receiver(name, _url(entry, kinds[0]), kinds[0] == "alertmanager", headers_file)


def _url(entry: Mapping[str, Any], field: str) -> str:
    value = entry[field]
    try:
        parts = urlsplit(value if isinstance(value, str) and value.isascii() and value.isprintable() else "")
        is_good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and " " not in value
    except ValueError:
        is_good = False
    if not is_good:
        raise BadField(field, "write a URL that begins with http:// or https:// and names a host")
    if "@" in parts.netloc:
        raise BadField(field, "write no user into the URL; put an Authorization line into headers_file")
    return str(value)
