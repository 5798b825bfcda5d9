"""`seacanary webhooks`: what people see of a trial and of dead letters, and with which exit code."""

import asyncio
import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from event_samples import event
from seacanary.journal import Journal
from seacanary.journal_store import JournalStore
from seacanary.webhook_commands import webhooks_app
from webhook_receiver import SECRET, Receiver, Reply, always


def call(*arguments: object) -> Result:
    return CliRunner().invoke(webhooks_app(), [str(argument) for argument in arguments], catch_exceptions=False)


def config(folder: Path, *publishers: dict[str, object]) -> Path:
    file = folder / "station.yaml"
    tree = {
        "station": {"name": "tadoussac"},
        "sources": [{"kind": "simulated", "hydrophones": ["north"]}],
        "journal": {"path": str(folder / "journal.db")},
        "publishers": list(publishers) or [{"kind": "jsonl", "name": "far", "path": str(folder / "events.jsonl")}],
    }
    file.write_text(yaml.safe_dump(tree))
    return file


@pytest.fixture
def station(tmp_path: Path) -> Path:
    """A station whose publisher `far` has three dead letters: 1, 2 and 3."""

    async def fill() -> None:
        async with await Journal.open(tmp_path / "journal.db", now=lambda: 1_777_777_777.0) as journal:
            for entry in await journal.append([event(n) for n in range(1, 5)]):
                if entry.sequence < 4:
                    await journal.dead_letter("far", entry, f"{399 + entry.sequence} refused")

    asyncio.run(fill())
    return config(tmp_path)


def letters(station: Path) -> dict[int, bool]:
    with JournalStore.open_to_read(station.with_name("journal.db")) as store:
        return {letter.entry.sequence: letter.retry for letter in store.dead_letters()}


def test_dead_letters_are_listed_with_their_reason(station: Path) -> None:
    shown = call("deadletters", "list", station)
    assert shown.exit_code == 0
    for word in ("far", "400", "401", "402", "refused"):
        assert word in shown.stdout


def test_dead_letters_are_listed_as_json(station: Path) -> None:
    [first, *others] = [json.loads(line) for line in call("deadletters", "list", station, "--json").stdout.splitlines()]
    assert first == {
        "publisher": "far",
        "sequence": 1,
        "id": str(event(1).id),
        "type": "org.seacanary.presence.started.v1",
        "refused": "2026-05-03T03:09:37+00:00",
        "reason": "400 refused",
        "retry": False,
    }
    assert len(others) == 2


def test_some_or_all_are_marked_to_be_tried_again_while_the_station_runs(station: Path) -> None:
    async def marked_meanwhile() -> None:
        async with await Journal.open(station.with_name("journal.db")):
            shown = await asyncio.to_thread(call, "deadletters", "retry", station, "far", 1, 3)
        assert (shown.exit_code, shown.stdout) == (0, "far: 2 to be tried again\n")

    asyncio.run(marked_meanwhile())
    assert letters(station) == {1: True, 2: False, 3: True}
    assert call("deadletters", "retry", station, "far", "--all").stdout == "far: 3 to be tried again\n"
    assert all(letters(station).values())


def test_dropping_forgets_the_refusal_and_keeps_the_event(station: Path) -> None:
    assert call("deadletters", "drop", station, "far", 2).stdout == "far: 1 dropped\n"
    assert letters(station) == {1: False, 3: False}
    with JournalStore.open_to_read(station.with_name("journal.db")) as store:
        assert [entry.sequence for entry in store.read_after(0, 9)] == [1, 2, 3, 4]


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_naming_what_is_none_is_an_error(station: Path, command: str) -> None:
    some = call("deadletters", command, station, "far", 3, 77)
    assert (some.exit_code, "1 of these are no dead letters" in some.stderr) == (1, True)
    assert call("deadletters", command, station, "far", 77).exit_code == 2
    assert call("deadletters", command, station, "far").exit_code == 2
    assert call("deadletters", command, station, "far", 1, "--all").exit_code == 2
    assert 1 in letters(station)


def test_without_a_journal_there_is_nothing_to_list(tmp_path: Path) -> None:
    shown = call("deadletters", "list", config(tmp_path))
    assert shown.exit_code == 2
    assert "there is no journal here" in shown.stderr


# --- a trial ------------------------------------------------------------------


def webhook(receiver: Receiver) -> dict[str, object]:
    return {"kind": "webhook", "name": "hook", "url": receiver.url, "secret": SECRET, "allow_private_networks": True}


def test_a_trial_sends_a_signed_event_and_says_what_came_back(tmp_path: Path) -> None:
    with Receiver() as receiver:
        shown = call("test", config(tmp_path, webhook(receiver)), "hook")
    assert shown.exit_code == 0
    assert f"event {receiver.received[0].id} is taken" in shown.stdout
    assert receiver.received[0].verified()["subject"] == "webhook_test"
    assert not (tmp_path / "journal.db").exists()


def test_a_trial_that_is_refused_has_exit_code_1(tmp_path: Path) -> None:
    with Receiver(always(Reply(404))) as receiver:
        shown = call("test", config(tmp_path, webhook(receiver)), "hook")
    assert shown.exit_code == 1
    assert "404 Not Found" in shown.stdout


def test_a_webhook_that_is_not_there_is_named(tmp_path: Path) -> None:
    shown = call("test", config(tmp_path, webhook(Receiver())), "other")
    assert shown.exit_code == 2
    assert "no webhook named 'other'; there are: hook" in shown.stderr


@pytest.mark.parametrize("command", [("list",), ("retry", "--all"), ("drop", "--all")])
def test_a_publisher_that_is_neither_configured_nor_has_dead_letters_is_a_mistake(
    station: Path, command: tuple[str, ...]
) -> None:
    shown = call("deadletters", command[0], station, "fra", *command[1:])
    assert shown.exit_code == 2
    assert "no publisher named 'fra'; there are: far" in shown.stderr
    assert letters(station) == {1: False, 2: False, 3: False}


def test_dead_letters_of_a_publisher_that_was_taken_out_can_be_dropped(station: Path) -> None:
    config(station.parent, {"kind": "jsonl", "name": "another", "path": str(station.with_name("events.jsonl"))})
    assert call("deadletters", "list", station, "another").stdout == "no dead letters\n"
    assert call("deadletters", "drop", station, "far", "--all").exit_code == 0
    assert letters(station) == {}
