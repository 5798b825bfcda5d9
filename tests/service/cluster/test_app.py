"""The app of a worker: whatever it names at the brokers begins with the topic prefix."""

from pathlib import Path

from seacanary.cluster.app import hydrophone_table, make_app
from seacanary.cluster.section import KafkaSection, WorkerSection


def test_the_group_and_the_changelog_begin_with_the_prefix(tmp_path: Path) -> None:
    """Two prefixes are two clusters, and a user's rights can be given by prefix."""
    kafka = KafkaSection(topic_prefix="trial.", partitions=3)
    app = make_app(kafka, WorkerSection(data=tmp_path))
    assert app.conf.id.startswith("trial.")
    table = hydrophone_table(app, kafka)
    assert table.changelog_topic.get_topic_name().startswith("trial.")
    assert table.partitions == 3
