"""Inference node: how long each stage takes, how full the queues are, and what the machine does."""

from dashboards.source import board as boards
from dashboards.source.board import Board, Panel
from dashboards.source.palette import BLUE, GREY, QUANTILES, STAGES, VERMILLION, more_is_worse, steps
from dashboards.source.panels import Column, Text, bars, figure, lines, rows, spread
from dashboards.source.queries import EVERYWHERE, STATION, Query, by, grown, of, quantile, rate

PROCESS = f'job="seacanary",{STATION}'

ABOUT = (
    "How fast the model answers, what waits for it, and what the process and its GPU do. "
    "The GPU row needs NVIDIA's DCGM exporter on the node."
)


def board() -> Board:
    """The dashboard."""
    page = Board(
        "Inference node",
        uid="seacanary-inference-node",
        about=ABOUT,
        hours=3,
        variables=[boards.datasource(), boards.station()],
    )
    page.row("Now", _batch_now(), _conclusion_now(), _throughput_now(), _queue_now(), _shed_now(), _failed_now())
    page.row("From sound to event", _conclusion(), _to_event(), _stages(), _stage_means())
    page.row("Batches", _batch_times(), _batch_sizes(), _queue(), _throughput())
    page.row("What went wrong", _shed(), _failures())
    page.row("Version and model", _build())
    page.row("Process", _cpu(), _memory(), _handles(), _restarts())
    page.row(
        "GPU (needs the DCGM exporter)", _gpu_load(), _gpu_memory(), _gpu_power(), _gpu_temperature(), _gpu_errors()
    )
    return page


def _batch_now() -> Panel:
    text = Text("Batch, p95", "Time of one batch through T and M, 95th percentile of the last minutes.", "s")
    now = quantile(0.95, of("inference_duration_seconds_bucket", STATION))
    return figure(text, Query(now, "p95", "now"), thresholds=more_is_worse(0.3, 1))


def _conclusion_now() -> Panel:
    text = Text("Sound to conclusion, p99", "From a live window's last sample to what presence made of it.", "s")
    now = quantile(0.99, of("capture_to_conclusion_seconds_bucket", STATION))
    return figure(text, Query(now, "p99", "now"), thresholds=more_is_worse(1, 2))


def _throughput_now() -> Panel:
    text = Text("Windows per second", "Windows analysed per second, all hydrophones.", "short")
    now = f"sum({rate(of('windows_analysed_total', STATION))})"
    return figure(text, Query(now, "windows/s", "now"))


def _queue_now() -> Panel:
    text = Text("Windows waiting", "Windows that wait for the model.", "short")
    now = f"max({of('queue_windows', STATION)})"
    return figure(text, Query(now, "longest queue", "now"), thresholds=more_is_worse(16, 64))


def _shed_now() -> Panel:
    text = Text("Windows shed", "Windows dropped in the selected time because inference was behind.", "short")
    shed = f"sum({grown(of('windows_shed_total', STATION))})"
    return figure(text, Query(f"round({shed})", "shed", "now"), thresholds=steps(GREY, (1, VERMILLION)))


def _failed_now() -> Panel:
    text = Text("Batches failed", "Batches the model could not answer, in the selected time.", "short")
    failed = f"sum({grown(of('inference_failures_total', STATION))})"
    return figure(text, Query(f"round({failed})", "failed", "now"), thresholds=steps(GREY, (1, VERMILLION)))


def _latencies(text: Text, name: str) -> Panel:
    """Quantiles of a histogram per station; nothing where nothing was observed."""
    bucket = of(f"{name}_bucket", STATION)
    queries = [
        Query(f"{quantile(q, bucket, labels='station')} >= 0", f"{{{{station}}}} p{100 * q:.0f}")
        for q in (0.5, 0.95, 0.99)
    ]
    return lines(text, *queries, bounds=(0, None), thresholds=more_is_worse(1, 2), colours=QUANTILES)


def _conclusion() -> Panel:
    text = Text(
        "Sound to conclusion",
        "From a live window's last sample to what the presence trackers made of it; every window counts.",
        "s",
    )
    return _latencies(text, "capture_to_conclusion_seconds")


def _to_event() -> Panel:
    text = Text(
        "Sound to event",
        "The same for windows that led to an event, until it is in the journal. Holes: no events in that stretch.",
        "s",
    )
    return _latencies(text, "capture_to_event_seconds")


def _stages() -> Panel:
    text = Text(
        "Latency by stage, p95",
        "Intake (resampling, windows), queue (waiting for a batch), inference (T and M), presence, journal.",
        "s",
    )
    slow = f"{quantile(0.95, of('stage_duration_seconds_bucket', STATION), labels='stage')} >= 0"
    return lines(text, Query(slow, "{{stage}}"), bounds=(0, None), colours=STAGES)


def _stage_means() -> Panel:
    text = Text(
        "Load by stage", "Time spent in each stage per second: near 1, a stage fills one thread.", "percentunit"
    )
    spent = by("stage", rate(of("stage_duration_seconds_sum", STATION, stage="intake|inference|presence|journal")))
    return lines(text, Query(spent, "{{stage}}"), bounds=(0, None), thresholds=more_is_worse(0.7, 1), colours=STAGES)


def _batch_times() -> Panel:
    text = Text("Batch durations", "How many batches took how long, through T and M.", "s")
    return spread(text, Query(_buckets("inference_duration_seconds"), "{{le}}", "buckets"), axis="one batch")


def _batch_sizes() -> Panel:
    text = Text("Batch sizes", "How many batches held how many windows. Larger ones: more waited at once.", "short")
    return spread(text, Query(_buckets("batch_windows"), "{{le}}", "buckets"), axis="windows in a batch")


def _buckets(name: str) -> str:
    return by("le", grown(of(f"{name}_bucket", STATION), "$__rate_interval"))


def _queue() -> Panel:
    text = Text("Windows waiting", "Windows that wait for the model. If they only grow, the oldest are shed.", "short")
    waiting = by("station", of("queue_windows", STATION))
    return lines(text, Query(waiting, "{{station}}"), bounds=(0, None))


def _throughput() -> Panel:
    text = Text(
        "Windows analysed",
        "Per second and hydrophone. A live hydrophone that keeps up shows one window per hop: 1.95 by default.",
        "short",
    )
    windows = by("station, hydrophone", rate(of("windows_analysed_total", STATION)))
    return lines(text, Query(windows, "{{station}} / {{hydrophone}}"), bounds=(0, None))


def _shed() -> Panel:
    text = Text(
        "Windows shed", "Dropped because inference was behind, oldest first; they count as shed audio.", "short"
    )
    shed = by("station, hydrophone", grown(of("windows_shed_total", STATION), "$__interval"))
    return bars(text, Query(shed, "{{station}} / {{hydrophone}}"), interval="1m")


def _failures() -> Panel:
    text = Text("Batches failed", "Batches the model could not answer; their windows count as unobserved.", "short")
    failed = by("station", grown(of("inference_failures_total", STATION), "$__interval"))
    return bars(text, Query(failed, "{{station}}"), interval="1m")


def _build() -> Panel:
    text = Text("Version and model", "What runs where: version of the service, model, and where it runs.", "none")
    columns = [
        Column("station", "Station", wide=True),
        Column("instance", "Address", wide=True),
        Column("version", "Version"),
        Column("model", "Model", wide=True),
        Column("provider", "Provider"),
    ]
    return rows(text, Query(of("build_info", STATION), form="rows_now"), columns=columns, height=5)


def _process(name: str) -> str:
    return by("station", f"process_{name}{{{PROCESS}}}")


def _cpu() -> Panel:
    text = Text("CPU", "Processor time per second, in cores.", "short")
    used = by("station", rate(f"process_cpu_seconds_total{{{PROCESS}}}"))
    return lines(text, Query(used, "{{station}}"), width=6, bounds=(0, None))


def _memory() -> Panel:
    text = Text("Memory", "Resident memory of the process. It should be level after some minutes.", "bytes")
    return lines(text, Query(_process("resident_memory_bytes"), "{{station}}"), width=6, bounds=(0, None))


def _handles() -> Panel:
    text = Text("Open files", "Files and sockets the process holds open, over those it may.", "percentunit")
    held = f"{_process('open_fds')} / {_process('max_fds')}"
    return lines(text, Query(held, "{{station}}"), width=6, bounds=(0, None), thresholds=more_is_worse(0.5, 0.8))


def _restarts() -> Panel:
    text = Text("Running since", "Time since the process started; a fall to zero is a restart.", "s")
    up = f"time() - {by('station', f'process_start_time_seconds{{{PROCESS}}}', 'max')}"
    return lines(text, Query(up, "{{station}}"), width=6, bounds=(0, None))


GPU = "{{Hostname}} GPU {{gpu}}"


def _dcgm(name: str, how: str = "max") -> str:
    return by("Hostname, gpu", f"DCGM_FI_DEV_{name}{{{EVERYWHERE}}}", how)


def _gpu_load() -> Panel:
    text = Text("GPU use", "Share of time the GPU had a kernel running. Every GPU of every DCGM exporter.", "percent")
    return lines(text, Query(_dcgm("GPU_UTIL"), GPU), width=6, bounds=(0, 100))


def _gpu_memory() -> Panel:
    text = Text("GPU memory", "Frame buffer in use.", "mbytes")
    return lines(text, Query(_dcgm("FB_USED"), GPU), width=6, bounds=(0, None))


def _gpu_power() -> Panel:
    text = Text("GPU power", "Power drawn.", "watt")
    return lines(text, Query(_dcgm("POWER_USAGE"), GPU), width=4, bounds=(0, None))


def _gpu_temperature() -> Panel:
    text = Text("GPU temperature", "Temperature of the chip.", "celsius")
    return lines(text, Query(_dcgm("GPU_TEMP"), GPU), width=4, thresholds=more_is_worse(80, 90))


def _gpu_errors() -> Panel:
    text = Text("GPU errors", "Number of the last XID error; 0 is none.", "short")
    return lines(
        text, Query(_dcgm("XID_ERRORS"), GPU), width=4, bounds=(0, None), thresholds=steps(BLUE, (1, VERMILLION))
    )
