"""The services that `benchmarks.peers` compares, each spoken to in its own way.

Tidemark takes columns of epoch milliseconds, VictoriaMetrics `/api/v1/import`, and Prometheus remote write: that is how
one that runs takes samples, while `promtool tsdb create-blocks-from` writes files for one that does not. Windows of
Debian's Prometheus still include their left edge: so moments are odd milliseconds, and samples have even ones.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import orjson

from rolling.block import Times, Values
from tests import debian

SERIES = "peers"
PACKAGES = {"victoria-metrics": ("victoria-metrics",), "prometheus": ("prometheus", "promtool")}
"""Debian's, and the programs of each that have to be there."""


class Question(NamedTuple):
    """A question as each service words it."""

    name: str
    ours: str
    ours_key: str
    promql: str


QUESTIONS = (
    Question("mean of the hour", "window=1h", "mean", "avg_over_time(peers[1h])"),
    Question(
        "p99 of the hour",
        "window=1h&include=p99&percentiles=linear",
        "p99",
        "quantile_over_time(0.99, peers[1h])",
    ),
    Question(
        "p99 of a minute",
        "window=1m&include=p99&percentiles=linear",
        "p99",
        "quantile_over_time(0.99, peers[1m])",
    ),
)
MEAN = QUESTIONS[0]


class Samples(NamedTuple):
    """Times in milliseconds, in order and even, and values, the same for all services."""

    times: Times
    values: Values

    @property
    def end(self) -> int:
        """The first moment to ask as of: an odd one."""
        return int(self.times[-1]) + 1


class Peer(NamedTuple):
    """A service, and how it is spoken to."""

    name: str
    command: Callable[[int, Path], list[str]]
    """From its port and the folder of its data."""
    ready: str
    """The path that says that it is there, and does nothing else."""
    write: str
    headers: Mapping[str, str]
    pack: Callable[[Samples], bytes]
    path: Callable[[Question, int], str]
    """The path of a question as of a moment in milliseconds."""
    found: Callable[[Question, Any], float]
    """The figure in an answer's JSON."""
    flush: str | None = None
    """The path that makes visible what was acknowledged, where that is not so by itself."""


def _columns(samples: Samples) -> bytes:
    return orjson.dumps(
        {"series": SERIES, "timestamps": samples.times.tolist(), "values": samples.values.tolist()},
    )


def _import(samples: Samples) -> bytes:
    return orjson.dumps(
        {"metric": {"__name__": SERIES}, "values": samples.values.tolist(), "timestamps": samples.times.tolist()},
    )


def remote_write(samples: Samples) -> bytes:
    """Return a write of Prometheus' protocol: a message of protobuf in snappy's format, as one literal."""
    rows = np.zeros((len(samples.times), 18), np.uint8)  # a sample: value in field 1, time as 6 bytes in field 2
    rows[:, :3] = 0x12, 16, 0x09
    rows[:, 3:11] = samples.values.astype("<f8").view(np.uint8).reshape(-1, 8)
    rows[:, 11] = 0x10
    for byte in range(6):
        rows[:, 12 + byte] = samples.times >> 7 * byte & 0x7F | (0x80 if byte < 5 else 0)
    series = _field(_field(b"__name__") + _field(SERIES.encode(), 2)) + rows.tobytes()
    message = _field(series)
    return _varint(len(message)) + b"\xfc" + struct.pack("<I", len(message) - 1) + message


def _field(content: bytes, number: int = 1) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    high, low = divmod(number, 128)
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])


def _tidemark(port: int, directory: Path) -> list[str]:
    own = {"HOST": "127.0.0.1", "PORT": port, "WEB_CONCURRENCY": 1, "TIDEMARK_LOG_URL": f"file:{directory}/log"}
    settings = [f"{name}={value}" for name, value in own.items()]
    return ["env", *settings, "TIDEMARK_RETENTION=2h", sys.executable, "-m", "gunicorn", "app:app"]


def _victoria_metrics(port: int, directory: Path) -> list[str]:
    program = debian.required("victoria-metrics", "victoria-metrics")
    return [program, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={directory}/data"]


def _prometheus(port: int, directory: Path) -> list[str]:
    (directory / "prometheus.yml").write_text("")
    command = [debian.required("prometheus", "prometheus"), f"--config.file={directory}/prometheus.yml"]
    command += [f"--storage.tsdb.path={directory}/data", "--web.enable-remote-write-receiver"]
    return [*command, f"--web.listen-address=127.0.0.1:{port}"]


def _query(question: Question, moment: int) -> str:
    return f"/api/v1/query?query={quote(question.promql)}&time={moment / 1000:.3f}"


def _value(question: Question, answer: Any) -> float:
    return float(answer["data"]["result"][0]["value"][1])


PEERS = (
    Peer(
        "Tidemark",
        _tidemark,
        "/health/live",
        "/events",
        {"Content-Type": "application/json"},
        _columns,
        lambda question, moment: f"/statistics/{SERIES}?{question.ours}&at={moment}",
        lambda question, answer: float(answer[question.ours_key]),
    ),
    Peer(
        "VictoriaMetrics",
        _victoria_metrics,
        "/health",
        "/api/v1/import",
        {},
        _import,
        lambda question, moment: _query(question, moment) + "&nocache=1",
        _value,
        "/internal/force_flush",
    ),
    Peer(
        "Prometheus",
        _prometheus,
        "/-/ready",
        "/api/v1/write",
        {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"},
        remote_write,
        _query,
        _value,
    ),
)
