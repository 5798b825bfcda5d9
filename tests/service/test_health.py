"""Health: what is told of a loop that turns, hangs, or has not begun."""

from pydantic import BaseModel, SecretStr

from seacanary.health import LOOP_S, STARTING_S, HealthBoard, Vitals, digest_of


class Clock:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def board(clock: Clock) -> HealthBoard:
    return HealthBoard("station", facts={"station": "test"}, monotonic_s=clock)


def test_a_process_that_starts_is_alive_and_not_ready() -> None:
    health = board(Clock()).read()
    assert health.is_alive
    assert not health.is_ready
    assert health.unready == ("it is starting",)


def test_a_start_that_never_ends_fails() -> None:
    clock = Clock()
    starting = board(clock)
    clock.now_s += STARTING_S + 1
    assert starting.read().failing == (f"it has not begun its work within {STARTING_S + 1:.0f} s",)


def test_a_loop_that_posts_is_alive_and_one_that_has_stopped_is_not() -> None:
    clock = Clock()
    posting = board(clock)
    posting.post(Vitals())
    clock.now_s += LOOP_S
    assert posting.read().is_ready
    clock.now_s += 5
    health = posting.read()
    assert health.failing == (f"the event loop has not turned for {LOOP_S + 5:.0f} s",)
    assert not health.is_ready
    posting.post(Vitals())
    assert posting.read().is_ready


def test_what_is_not_done_is_told_without_asking_for_a_restart() -> None:
    posting = board(Clock())
    posting.post(Vitals(unready=("source 0-alsa is lost",), details={"sources": 1}))
    health = posting.read()
    assert health.is_alive
    assert not health.is_ready
    said = health.as_json()
    assert said["alive"] is True
    assert said["unready"] == ["source 0-alsa is lost"]
    assert (said["role"], said["station"], said["sources"]) == ("station", "test", 1)


class Settings(BaseModel):
    """A configuration with a secret."""

    port: int
    password: SecretStr


def test_a_digest_tells_configurations_apart_and_holds_no_secret() -> None:
    first = digest_of(Settings(port=1, password=SecretStr("a")))
    assert first == digest_of(Settings(port=1, password=SecretStr("b")))
    assert first != digest_of(Settings(port=2, password=SecretStr("a")))
