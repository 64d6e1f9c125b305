"""Clients of two hosts on one Redis that is far away, killed at any point. Run by `test_redis_far`; prints what came
of it: whether enough was done, how many writes were lost, doubled and not known, and whether the hosts agree."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import faulthandler  # noqa: E402
import random  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402

from event_log import redis_session  # noqa: E402
from event_log.base import START  # noqa: E402
from event_log.redis.url import parse_redis_url  # noqa: E402
from event_log.redis_log import RedisLog  # noqa: E402
from event_service import EventService  # noqa: E402
from settings import Settings  # noqa: E402

CLIENTS = 16
SERIES = 20

faulthandler.dump_traceback_later(600, exit=True)  # one who waits for ever has no other end
redis_session.FAR = 0.0
chance = random.Random(1)
logs = [RedisLog(parse_redis_url(sys.argv[1]), max_bytes=2**30) for _ in range(2)]
hosts = [EventService(log, Settings()) for log in logs]
acknowledged: dict[int, float] = {}
stale: list[int] = []
sent = 0


def client() -> None:
    """Write and ask until killed."""
    global sent
    while True:
        sent += 1
        value = float(sent)
        position = chance.choice(hosts).add(f"s{chance.randrange(SERIES)}", None, value).position
        assert position not in acknowledged
        acknowledged[position] = value
        if chance.choice(hosts).statistics().position < position:
            stale.append(position)


clients = [gevent.spawn(client) for _ in range(CLIENTS)]
kills = int(sys.argv[2])
while kills > 0 or len(acknowledged) <= SERIES:
    kills -= 1
    gevent.sleep(chance.random() * 0.004)
    victim = chance.randrange(CLIENTS)
    clients[victim].kill()
    clients[victim] = gevent.spawn(client)
gevent.killall(clients)
for log in logs:
    log._writes.close()  # waits for what the killed have left under way
stored: list[tuple[int, float]] = []
events = logs[0].read(START)
stored += zip(events.positions.tolist(), events.values.tolist(), strict=True)
while events.more:
    events = logs[0].read(events.place)
    stored += zip(events.positions.tolist(), events.values.tolist(), strict=True)
lost = acknowledged.items() - set(stored)
doubled = len(stored) - len({value for _, value in stored})
agree = {host.statistics().summary.count for host in hosts} == {len(stored)}
print(len(acknowledged) > SERIES, len(lost), doubled, len(stale), agree)
