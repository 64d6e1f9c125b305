"""Clients of two hosts on one Redis, killed at any point. Run by `test_redis_pool`; prints what came
of it: whether enough was done, how many writes were lost, doubled and not known, and whether the hosts agree."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import faulthandler  # noqa: E402
import random  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402

from event_log.log import Log  # noqa: E402
from event_log.redis.store import RedisStore  # noqa: E402
from event_log.redis.url import parse_redis_url  # noqa: E402
from event_log.rules import Rules  # noqa: E402
from tests.event_log.projection import Projection  # noqa: E402
from tests.event_log.stores import WALL  # noqa: E402
from times import HOUR, MINUTE  # noqa: E402

CLIENTS = 16
SERIES = 20

faulthandler.dump_traceback_later(600, exit=True)  # one who waits for ever has no other end
chance = random.Random(1)
url = parse_redis_url(sys.argv[1])
hosts = [Log(RedisStore(url, max_bytes=2**30)) for _ in range(2)]
hosts[0].claim(Rules(10 * 365 * 24 * HOUR, 10**6, HOUR, MINUTE, 100, 3), "a start")
acknowledged: dict[int, float] = {}
unknown: list[int] = []
sent = 0


def client() -> None:
    """Write and ask until killed."""
    global sent
    while True:
        sent += 1
        value = float(sent)
        position = chance.choice(hosts).append_one(f"s{chance.randrange(SERIES)}", WALL, value).position
        assert position not in acknowledged
        acknowledged[position] = value
        host = chance.choice(hosts)
        host.catch_up()
        if host.machine.cursor.position < position:
            unknown.append(position)


clients = [gevent.spawn(client) for _ in range(CLIENTS)]
kills = int(sys.argv[2])
while kills > 0 or len(acknowledged) <= SERIES:
    kills -= 1
    gevent.sleep(chance.random() * 0.004)
    victim = chance.randrange(CLIENTS)
    clients[victim].kill()
    clients[victim] = gevent.spawn(client)
gevent.killall(clients)
answers = []
for store in (hosts[0].store, RedisStore(url, max_bytes=2**30)):
    projection = Projection(Log(store))
    projection.follow()
    answers.append({position: value for one in projection.series.values() for _, position, value in one.events})
stored = answers[0]
lost = acknowledged.items() - stored.items()
doubled = len(stored) - len(set(stored.values()))
print(len(acknowledged) > SERIES, len(lost), doubled, len(unknown), answers[0] == answers[1])
