"""Redis: whether it answers, lets us in, may be written, keeps what it is given, and holds a stream under our key."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, cast

from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from seacanary.doctor.findings import Finding, broken, ok, warning
from seacanary.publishers.redis_streams import RedisStreamsSection

ANSWER_S = 5.0
LEAST_VERSION = (5, 0)
FULL_SHARE = 0.9


def redis(section: RedisStreamsSection) -> Iterator[Finding]:
    """One publisher's Redis; nothing is written."""
    name = f"redis {section.name}"
    url = section.url.get_secret_value()
    tls: dict[str, Any] = (
        {"ssl_ca_certs": str(section.ca_file)} if section.ca_file and url.startswith("rediss:") else {}
    )
    client = Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=section.connect_timeout_s,
        socket_timeout=ANSWER_S,
        **tls,
    )
    with closing(client):
        try:
            info = cast("Mapping[str, Any]", client.info())
            kind = str(client.type(section.stream))
            length = int(client.xlen(section.stream)) if kind == "stream" else 0
        except RedisError as exc:
            yield _unwell(name, section, exc)
            return
    yield from _wrongs(name, section, info, kind)
    policy = info.get("maxmemory_policy", "?")
    yield ok(name, f"{section.place}: Redis {info.get('redis_version')}, {length:,} entries, eviction {policy}")


def _unwell(name: str, section: RedisStreamsSection, exc: RedisError) -> Finding:
    seen = f"{section.place}: {exc}"
    waits = "events wait in the journal until it works, and nothing is lost"
    if isinstance(exc, AuthenticationError | NoPermissionError) or "NOAUTH" in str(exc):
        return broken(
            name,
            seen,
            means=f"it does not let this user in; {waits}",
            remedy="correct user and password in the publisher's url, or the user's rights (ACL) in Redis",
        )
    return broken(
        name,
        seen,
        means=f"it cannot be reached; {waits}",
        remedy="see whether Redis runs (redis-cli ping), and whether host, port, TLS and firewall let it through",
    )


def _wrongs(name: str, section: RedisStreamsSection, info: Mapping[str, Any], kind: str) -> Iterator[Finding]:
    if kind not in ("stream", "none"):
        yield broken(
            name,
            f"the key {section.stream} holds a {kind}, not a stream",
            means="no event can be written there",
            remedy="another program uses that key: name another one under `stream`",
        )
    version = tuple(int(part) for part in str(info.get("redis_version", "0.0")).split(".")[:2])
    if version < LEAST_VERSION:
        yield broken(
            name,
            f"Redis {info.get('redis_version')}",
            means="it knows no streams",
            remedy="Redis 5 or newer",
        )
    if info.get("role") != "master":
        yield broken(
            name,
            "this Redis is a replica",
            means="it cannot be written; events wait in the journal",
            remedy="name the primary in the publisher's url",
        )
    yield from _forgetful(name, info)


def _forgetful(name: str, info: Mapping[str, Any]) -> Iterator[Finding]:
    policy = str(info.get("maxmemory_policy", ""))
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if limit and policy.startswith("allkeys"):
        yield warning(
            name,
            f"it may throw away the whole stream when its memory is full (maxmemory-policy {policy})",
            means="readers would miss events; the station notices, and fills the stream again from the journal",
            remedy="set maxmemory-policy noeviction, and the publisher's maxlen to what fits",
        )
    if limit and used > FULL_SHARE * limit:
        yield warning(
            name,
            f"{used / limit:.0%} of its memory is used",
            means="when it is full, events are refused or others' keys thrown away",
            remedy="raise maxmemory, or set the publisher's maxlen lower",
        )
    if not info.get("aof_enabled") and info.get("rdb_last_bgsave_status") != "ok":
        yield warning(
            name,
            "it keeps nothing on disk: its last snapshot failed",
            means="a restart of Redis empties the stream; it is filled again from the journal",
            remedy="see Redis's log for the reason, and its disk; or set appendonly yes",
        )
