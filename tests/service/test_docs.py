"""What the pages for people say is what the code does: configurations, messages, names, commands, links."""

import importlib
import json
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel
from typer.main import get_command

from documents import PAGES, ROOT, Block, anchors, blocks, links
from seacanary.alerts.rules import AlertRule
from seacanary.cli import app
from seacanary.cluster.section import KafkaSection
from seacanary.config_checks import role_of
from seacanary.events import CloudEvent, EventKind
from seacanary.evidence.retention import EvidenceRetention
from seacanary.evidence.section import EvidenceSection
from seacanary.metrics import Metrics
from seacanary.publishers.notify import NotifySection
from seacanary.quality.state import QUALITY_CONDITIONS
from seacanary.roles import read_any
from seacanary.station_events import Notice
from webhook_receiver import OTHER_SECRET, SECRET

DOCS = Path("docs")
RECEIVING, ALERTS, EVIDENCE, GUIDE = (
    DOCS / f"{name}.md" for name in ("receiving-webhooks", "alerts", "evidence", "operator-guide")
)
LEAST_STATION = {
    "station": {"name": "pier-7"},
    "sources": [{"kind": "simulated", "hydrophones": ["north"]}],
}
ENVIRONMENT = {
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "WEBHOOK_SECRET": f"{SECRET} {OTHER_SECRET}",
    "WEBHOOK_TOKEN": "a-token",
    "S3_KEY": "a-key",
    "S3_SECRET": "another",
}
CHANNEL = "ntfy://a-topic-nobody-guesses"
SECRET_FILES = {"control-room": SECRET, "database": SECRET, "ntfy": CHANNEL, "mail": CHANNEL}

PACKAGES = {"seacanary_models"}

# A list is no configuration of a station: Prometheus has such files.
MAPPINGS = [block for block in blocks("yaml") if isinstance(yaml.safe_load(block.text), dict)]
OF_KAFKA = [block for block in MAPPINGS if yaml.safe_load(block.text).keys() == {"kafka"}]
CONFIGURATIONS = [block for block in MAPPINGS if block not in OF_KAFKA]
MESSAGES = blocks("json", RECEIVING)


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=str)
def test_every_configuration_in_the_documents_is_good(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of one are put into the least station there is; edges and workers are shown whole."""
    monkeypatch.chdir(tmp_path)
    Path("secrets").mkdir()
    for name, secret in SECRET_FILES.items():
        (Path("secrets") / name).write_text(secret)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    tree = yaml.safe_load(block.text)
    whole = tree if role_of(tree) != "station" else LEAST_STATION | tree
    Path("config.yaml").write_text(yaml.safe_dump(whole))
    assert read_any(Path("config.yaml")).role == role_of(tree)


@pytest.mark.parametrize("block", OF_KAFKA, ids=str)
def test_every_section_about_kafka_is_good(block: Block, tmp_path: Path) -> None:
    """A part of an edge's and of a worker's configuration; the files it names are not here."""
    tree = yaml.safe_load(block.text)["kafka"]
    (tmp_path / "password").write_text("a password")
    tree["login"]["password_file"], tree["tls"]["ca_file"] = str(tmp_path / "password"), None
    assert KafkaSection.model_validate(tree).login is not None


@pytest.mark.parametrize("name", ["edge", "worker"])
def test_the_files_shown_for_a_cluster_are_those_that_can_be_run(name: str) -> None:
    assert (ROOT / "deploy" / "kafka" / f"{name}.yaml").read_text(encoding="utf-8") in [
        block.text for block in blocks("yaml", DOCS / "kafka.md")
    ]


def test_the_configurations_are_found() -> None:
    assert {block.page for block in CONFIGURATIONS} >= {GUIDE, ALERTS, EVIDENCE}
    assert len(CONFIGURATIONS) > 12


FIELD_TABLES = pytest.mark.parametrize(
    ("page", "heading", "section"),
    [
        (ALERTS, "The rule", AlertRule),
        (EVIDENCE, "The spool: the last minutes, always", EvidenceSection),
        (EVIDENCE, "Retention: what goes first", EvidenceRetention),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value),
)


@FIELD_TABLES
def test_every_field_is_in_its_table(page: Path, heading: str, section: type[BaseModel]) -> None:
    named = [name for names, _ in _fields(page, heading) for name in re.findall(r"`(\w+)`", names)]
    assert sorted(named) == sorted(section.model_fields)


@FIELD_TABLES
def test_every_number_in_a_table_is_the_default(page: Path, heading: str, section: type[BaseModel]) -> None:
    numbers = {names.strip(" `"): float(default) for names, default in _fields(page, heading) if _is_number(default)}
    assert numbers
    assert numbers == {name: section.model_fields[name].default for name in numbers}


def test_every_condition_of_the_signal_is_in_the_guide() -> None:
    assert {f"`{name}`" for name in QUALITY_CONDITIONS} <= set(re.findall(r"`\w+`", (ROOT / GUIDE).read_text()))


@pytest.mark.parametrize("block", MESSAGES, ids=lambda block: block.heading)
def test_a_message_is_what_the_code_would_send(block: Block) -> None:
    """Every field is there, none is of an older version; links go along with alerts.

    To renew them: `python docs/draw_examples.py`.
    """
    message = json.loads(block.text)
    assert message["type"] == block.heading
    parsed = CloudEvent.of(CloudEvent.model_validate(message).data).model_dump(mode="json")
    assert {name: value for name, value in message.items() if not name.endswith("url")} == parsed
    assert {name for name in message if name.endswith("url")} <= {"confirmurl", "rejecturl", "evidenceurl"}


def test_every_type_of_event_has_its_message() -> None:
    presence = {f"org.seacanary.presence.{kind}.v1" for kind in get_args(EventKind)}
    alerts = {f"org.seacanary.alert.{notice}.v1" for notice in get_args(Notice)}
    others = {"org.seacanary.presence.reviewed.v1", "org.seacanary.station.condition.v1"}
    assert [block.heading for block in MESSAGES if not block.text.strip()] == []
    assert {block.heading for block in MESSAGES} == presence | alerts | others


def test_an_alert_is_shown_with_its_links() -> None:
    [heard] = [json.loads(block.text) for block in MESSAGES if ".heard." in block.heading]
    assert {"confirmurl", "rejecturl", "evidenceurl"} <= heard.keys()


def test_the_receiver_shown_is_the_one_that_is_tested() -> None:
    [block] = blocks("python", RECEIVING)
    assert block.text == (ROOT / DOCS / "receive_webhooks.py").read_text(encoding="utf-8")


def test_renewing_the_messages_puts_each_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / DOCS)
    filled_in = importlib.import_module("draw_examples").filled_in
    page = (ROOT / RECEIVING).read_text(encoding="utf-8")
    messages = [json.loads(block.text) for block in MESSAGES]
    assert filled_in(page, messages) == page
    renewed = filled_in(page, [{**message, "id": "new"} for message in messages])
    assert renewed.count('"id": "new"') == len(messages)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a channel that Apprise loads
def test_every_channel_shown_is_one() -> None:
    shown = re.findall(r"^\|[^|]+\| `(\w+://[^`]+)` \|", (ROOT / ALERTS).read_text(), re.MULTILINE)
    assert len(shown) > 3
    for url in shown:
        NotifySection.model_validate({"url": url})


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target.resolve().relative_to(ROOT))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_metric_named_exists(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![:\w])seacanary_[a-z_]+(?=[`{])", text))
    assert named - PACKAGES <= _series()


def test_every_command_named_exists() -> None:
    for page in PAGES:
        for words in re.findall(r"(?<!-u )\bseacanary ((?:[a-z]+ )*[a-z]+)\b", _code(page)):
            command, *rest = words.split()
            assert command in COMMANDS, f"{page}: seacanary {words}"
            if COMMANDS[command] and rest:
                assert rest[0] in COMMANDS[command], f"{page}: seacanary {words}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_target_of_make_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", _code(page), re.MULTILINE)) <= targets


def test_no_picture_is_larger_than_a_page_can_bear() -> None:
    pictures = list((ROOT / DOCS / "images").iterdir())
    assert pictures
    assert all(picture.stat().st_size < 150_000 for picture in pictures)


COMMANDS = {
    name: dict(getattr(command, "commands", {})) for name, command in getattr(get_command(app), "commands", {}).items()
}


def _fields(page: Path, heading: str) -> list[tuple[str, str]]:
    """Rows of the table of fields below a heading: names and default."""
    text = (ROOT / page).read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    return [(row[1], row[2]) for row in cells]


def _is_number(cell: str) -> bool:
    return re.fullmatch(r" *[\d.]+ *", cell) is not None


def _code(page: Path) -> str:
    """Whatever is set as code: a page's prose may speak of the station itself."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```.*?^```|`[^`]+`", text, re.DOTALL | re.MULTILINE))


def _series() -> set[str]:
    """Names of all series that a station can serve."""
    kinds = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count", ""), "info": ("_info",)}
    families = list(Metrics().registry.collect())
    return {family.name + suffix for family in families for suffix in kinds.get(family.type, ("",))}
