"""Errors of Redis, and of the way to it, in our words: one clear line each, with the way out and without a secret."""

from __future__ import annotations

from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from event_log.errors import LogDamaged, LogFull, LogUnavailable

_PLAIN = {
    "NOAUTH": "wants a password; give it in TIDEMARK_LOG_URL",
    "WRONGPASS": "refuses this user or password; correct TIDEMARK_LOG_URL",
    "READONLY": "is a replica and takes no writes; point TIDEMARK_LOG_URL at the master, or use redis+sentinel://",
    "MASTERDOWN": "is a replica whose master is down",
    "LOADING": "is still loading its data",
    "BUSY": "is held up by a script of somebody else",
    "NOREPLICAS": "has fewer replicas than its min-replicas-to-write asks for",
    "MISCONF": "cannot save to its disk and so takes no writes; look at its own log",
    "CLUSTERDOWN": "is a Cluster that is down",
    "CROSSSLOT": "is a Cluster that will not have keys of one hash tag together",
    "TRYAGAIN": "is a Cluster that is moving these keys",
}
_MOVED = (
    "is a node of a Cluster that does not hold these keys; Tidemark needs one that holds all: "
    "a Redis with replicas, and redis+sentinel:// for failover"
)


def code_of(fault: Exception) -> str:
    """The word an error of Redis begins with; "" for one that is not Redis' own."""
    code: str | None = getattr(fault, "status_code", None)
    if code is None and isinstance(fault, ResponseError):
        code = str(fault).partition(" ")[0]
    return code or ""


def unavailable(where: str, fault: Exception) -> LogUnavailable:
    """The error to raise for this one."""
    code = code_of(fault)
    if "with args" in str(fault):  # Redis repeats behind it what it was given, be it a password
        fault.args = (str(fault).partition(", with args")[0],)
    said = str(fault).removeprefix(f"{code} ")
    if code in _PLAIN:
        return LogUnavailable(f"{where} {_PLAIN[code]}")
    if code in ("MOVED", "ASK"):
        return LogUnavailable(f"{where} {_MOVED}")
    if code == "OOM":
        return LogFull(
            f"{where} is out of memory; raise its maxmemory, or lower TIDEMARK_LOG_MAX_BYTES or the retention"
        )
    if code == "WRONGTYPE":
        return other_keys(where)
    if code == "NOPERM":
        return LogUnavailable(f"{where} does not permit what the log needs: {said}; see docs/several-machines.md")
    if code:
        return LogUnavailable(f"{where} refuses: {said}")
    if isinstance(fault, RedisTimeoutError | TimeoutError):
        return LogUnavailable(f"{where} does not answer")
    return LogUnavailable(f"{where} cannot be reached: {fault}")


def other_keys(where: str) -> LogDamaged:
    """The error for keys that are not the log's."""
    return LogDamaged(f"{where} holds keys of another program under this name; choose another with ?name= in the URL")
