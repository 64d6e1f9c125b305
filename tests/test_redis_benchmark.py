"""The distance that `benchmarks.redis` puts between a worker and Redis."""

from __future__ import annotations

from time import monotonic

from redis import Redis

from benchmarks.far import relay
from tests.redis_server import shared

LATER = 0.02


def test_a_far_redis_answers_the_same_and_later() -> None:
    server = shared()
    with relay(server.port, "0", LATER) as far, Redis(port=far.port) as client:
        large = bytes(range(256)) * 2000
        client.set("far", large)
        assert client.get("far") == large
        with client.pipeline(transaction=False) as pipeline:
            for number in range(500):
                pipeline.echo(number)
            assert pipeline.execute() == [b"%d" % number for number in range(500)]
        begun = monotonic()
        client.ping()
        assert monotonic() - begun >= 2 * LATER
        client.delete("far")
