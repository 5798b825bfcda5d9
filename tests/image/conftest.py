"""All tests here need an image that build-image.sh has built and laid open."""

from pathlib import Path

import pytest

from container_root import ContainerRoot, missing_tools

BUILT = Path(__file__).parents[2] / "build" / "image"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them, and skip them where nothing was built or nothing can run it."""
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.system)
        item.add_marker(pytest.mark.slow)
        if missing := missing_tools():
            item.add_marker(pytest.mark.skip(reason=f"not here: {', '.join(missing)}"))
        elif "image" in getattr(item, "fixturenames", ()) and not (BUILT / "cpu.json").exists():
            item.add_marker(pytest.mark.skip(reason="no image was built: make image-test"))


@pytest.fixture(scope="session")
def image() -> ContainerRoot:
    """The target cpu."""
    return ContainerRoot(BUILT / "cpu", BUILT / "cpu.json")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """An empty volume for /var/lib/seacanary."""
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """/etc/seacanary with a station that hears a simulated sea."""
    folder = tmp_path / "settings"
    folder.mkdir(mode=0o755)
    (folder / "station.yaml").write_text(
        "station: {name: pier}\n"
        "sources: [{kind: simulated, hydrophones: [sea], sample_rate_hz: 384000, pace: realtime, scene: {seed: 1}}]\n"
        "publishers: [{kind: jsonl, path: state/events.jsonl}]\n"
        "journal: {path: state/journal.db}\n"
    )
    return folder
