"""All tests here need what build-tools.sh builds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from helm_chart import APISERVER, HELM, TOOLS
from kube_server import KubeServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them: they are slow, and skipped where the tools have not been built."""
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.slow)
        item.add_marker(pytest.mark.system)
        tools = (HELM, APISERVER) if "kube" in getattr(item, "fixturenames", ()) else (HELM,)
        if missing := [tool.name for tool in tools if not tool.exists()]:
            item.add_marker(pytest.mark.skip(reason=f"{' and '.join(missing)} not built: make helm-test"))


@pytest.fixture(scope="session")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeServer]:
    """An API server that knows the Prometheus operator's and KEDA's resources."""
    with KubeServer(tmp_path_factory.mktemp("kubernetes"), APISERVER) as server:
        for path in sorted((TOOLS / "definitions").glob("*.yaml")):
            server.make_definition(yaml.safe_load(path.read_text(encoding="utf-8")))
        yield server
