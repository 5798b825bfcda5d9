"""Redis: whether it answers, lets us in, may be written, keeps what it is given, and holds a stream under our key."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, cast

from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from seacanary.doctor.findings import Finding, broken, ok, warning
from seacanary.publishers.redis_section import RedisStreamsSection

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
        **section.login(),
    )
    with closing(client):
        try:
            length = int(client.xlen(section.stream))
            info = _info(client)
        except RedisError as exc:
            yield _not_a_stream(name, section) if "WRONGTYPE" in str(exc) else _unwell(name, section, exc)
            return
    if info is None:
        yield ok(name, f"{section.place}: {length:,} entries; this user may not ask Redis for more (INFO)")
        return
    yield from _wrongs(name, info)
    policy = info.get("maxmemory_policy", "?")
    yield ok(name, f"{section.place}: Redis {info.get('redis_version')}, {length:,} entries, eviction {policy}")


def _info(client: Redis) -> Mapping[str, Any] | None:
    """What Redis says of itself; None: a user with the rights of a publisher alone is not told."""
    try:
        return cast("Mapping[str, Any]", client.info())
    except NoPermissionError:
        return None


def _not_a_stream(name: str, section: RedisStreamsSection) -> Finding:
    return broken(
        name,
        f"the key {section.stream} of {section.place} holds something else than a stream",
        means="no event can be written there",
        remedy="another program uses that key: name another one under `stream`",
    )


def _unwell(name: str, section: RedisStreamsSection, exc: RedisError) -> Finding:
    seen = f"{section.place}: {exc}"
    waits = "events wait in the journal until it works, and nothing is lost"
    if isinstance(exc, AuthenticationError | NoPermissionError) or "NOAUTH" in str(exc):
        return broken(
            name,
            seen,
            means=f"it does not let this user in; {waits}",
            remedy="correct user and password in the publisher's url (or password_file), or its rights in Redis (ACL)",
        )
    return broken(
        name,
        seen,
        means=f"it cannot be reached; {waits}",
        remedy="see whether Redis runs (redis-cli ping), and whether host, port, TLS and firewall let it through",
    )


def _wrongs(name: str, info: Mapping[str, Any]) -> Iterator[Finding]:
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
