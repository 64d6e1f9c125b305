"""Bodies sent to receivers: those of Alertmanager's webhooks, version 4, and of its own API, v2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import orjson

from alerts.rows import Note
from times import MINUTE, format_timestamp

NEVER = "0001-01-01T00:00:00Z"
"""End of an alert that fires: the zero time of Go, as Alertmanager writes it."""
LASTS = 4 * MINUTE
"""Microseconds after which an Alertmanager that hears no more of a firing alert resolves it."""


def labels_of(name: str, series: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that identify an alert; `labels`: those of its rule."""
    return {"alertname": name, **({"series": series} if series else {}), **labels}


def webhook(receiver: str, notes: Sequence[Note]) -> bytes:
    """Return the body that receivers of Alertmanager's webhooks know. All of one status."""
    alerts = [_alert(note) for note in notes]
    body = {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": notes[0].status,
        "receiver": receiver,
        "groupLabels": {},
        "commonLabels": _common([alert["labels"] for alert in alerts]),
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": "",
        "alerts": alerts,
    }
    return orjson.dumps(body)


def alertmanager(notes: Sequence[Note], now: int) -> bytes:
    """Return the body of `POST /api/v2/alerts`."""
    return orjson.dumps(
        [
            {
                "labels": labels_of(note.name, note.series, note.labels),
                "annotations": _annotations(note),
                "startsAt": format_timestamp(note.began),
                "endsAt": format_timestamp(now + LASTS if note.status == "firing" else note.look),
            }
            for note in notes
        ]
    )


def _alert(note: Note) -> dict[str, Any]:
    labels = labels_of(note.name, note.series, note.labels)
    return {
        "status": note.status,
        "labels": labels,
        "annotations": _annotations(note),
        "startsAt": format_timestamp(note.began),
        "endsAt": NEVER if note.status == "firing" else format_timestamp(note.look),
        "generatorURL": "",
        "fingerprint": blake2b(orjson.dumps(sorted(labels.items())), digest_size=8).hexdigest(),
    }


def _annotations(note: Note) -> dict[str, str]:
    found = {
        "summary": note.summary,
        "value": "" if note.value is None else f"{note.value:.15g}",
        "reason": note.reason,
    }
    return {name: text for name, text in found.items() if text}


def _common(each: Sequence[dict[str, str]]) -> dict[str, str]:
    first, *others = each
    return {name: text for name, text in first.items() if all(other.get(name) == text for other in others)}
