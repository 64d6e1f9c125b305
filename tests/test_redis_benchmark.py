"""The distance that `benchmarks.redis` puts between a worker and Redis."""

from __future__ import annotations

from redis import Redis

from benchmarks.far import DISTANCE, far_from, round_trip
from tests.redis_server import shared


def test_a_far_redis_answers_the_same_and_later() -> None:
    server = shared()
    with far_from(server.port, "0") as far, Redis(port=far.port) as client:
        large = bytes(range(256)) * 2000
        client.set("far", large)
        assert client.get("far") == large
        with client.pipeline(transaction=False) as pipeline:
            for number in range(500):
                pipeline.echo(number)
            assert pipeline.execute() == [b"%d" % number for number in range(500)]
        assert round_trip(far.port, 20) > round_trip(server.port, 20) + DISTANCE / 2
        client.delete("far")
