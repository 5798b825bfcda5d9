"""Draw docs/images/demo.svg from a demo station that is really running: `python docs/draw_demo.py`."""

import asyncio
import io
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from seacanary.demo import demo_config
from seacanary.detection import Detector
from seacanary.metrics import Metrics
from seacanary.station import Station
from seacanary.view import station_panel

PICTURE = Path(__file__).parent / "images" / "demo.svg"
AFTER_S = 40


async def draw(folder: Path) -> None:
    """Run the demo for a while and keep what its terminal would show."""
    config = demo_config(folder, seed=1)
    station = Station(config, detector=Detector.load(config.model), metrics=Metrics())
    running = asyncio.create_task(station.run())
    await asyncio.sleep(AFTER_S)
    panel = station_panel(
        f"Sea Canary · demo · {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        hydrophones=station.view(),
        events=station.recent[-8:],
        footer=f"running {AFTER_S} s   metrics: http://127.0.0.1:9108/metrics   Ctrl-C stops",
    )
    console = Console(record=True, width=132, file=io.StringIO())
    console.print(panel)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(console.export_svg(title="make run"), encoding="utf-8")
    station.stop()
    await running


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(draw(Path(folder)))
