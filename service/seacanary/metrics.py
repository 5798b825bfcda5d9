"""Every Prometheus metric, in one place. Names follow seacanary_<what>_<unit>."""

from collections.abc import Callable
from errno import EADDRINUSE

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from pydantic import BaseModel, ConfigDict, Field

from seacanary.errors import ConfigError
from seacanary.health import Health
from seacanary.probe_server import ProbeServer, probes_app

# Buckets stand around the budgets: an alert within 2 s, hop + 0.5 s to an event.
LATENCY_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
STAGE_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class MetricsSection(BaseModel):
    """Where Prometheus scrapes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="serve /metrics, and /healthz, /readyz and /health for probes")
    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 opens it to the network")
    port: int = Field(9108, ge=0, le=65535, description="TCP port; 0 takes a free one")


class Metrics:
    """The station's metrics, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # process_cpu_seconds_total and its kin
        self._server: ProbeServer | None = None
        self._presence_metrics()
        self._ledger_metrics()
        self._stream_metrics()
        self._inference_metrics()
        self._source_metrics()
        self._publisher_metrics()
        self._alert_metrics()
        self._review_metrics()
        self._delivery_metrics()
        self._quality_metrics()
        self._retention_metrics()
        self._worker_metrics()
        self._watchdog_metrics()
        self._edge_metrics()
        self._edge_evidence_metrics()
        self._config_metrics()
        self.build = Info("seacanary_build", "Version of the service and id of the model.", registry=self.registry)

    def serve(self, section: MetricsSection, *, health: Callable[[], Health] | None = None) -> int:
        """Serve /metrics, and what probes ask, in threads of its own.

        Args:
            section: where.
            health: what is known of the process now, asked on any thread; None: there are no probes.

        Returns:
            The port really taken.

        Raises:
            ConfigError: the port is in use or the address is not this machine's.
        """
        try:
            self._server = ProbeServer(section.host, section.port, probes_app(self.registry, health))
        except OSError as exc:
            error = ConfigError(
                f"metrics: cannot listen on {section.host}:{section.port}: {exc.strerror}; choose another host or port"
            )
            error.may_pass = exc.errno == EADDRINUSE  # whoever has it may give it back
            raise error from exc
        return self._server.server_port

    def close(self) -> None:
        """Stop serving, if serve() was called."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"seacanary_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"seacanary_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"seacanary_{name}", text, labels, buckets=buckets, registry=self.registry)

    def _presence_metrics(self) -> None:
        self.presence_state = self._gauge(
            "presence_state", "1 for the state a species is in: absent, candidate, present, fading.",
            "hydrophone", "species", "state",
        )  # fmt: skip
        self.probability = self._gauge(
            "call_probability_ratio", "Probability of the latest window.", "hydrophone", "call_type"
        )
        self.species_probability = self._gauge(
            "species_probability_ratio", "Highest of the species' call types in the latest window.",
            "hydrophone", "species",
        )  # fmt: skip
        self.events = self._counter("events_total", "Presence events journalled.", "hydrophone", "species", "kind")
        self.guard_flagged = self._gauge(
            "persistent_source_state", "1 while a persistent source is held back.", "hydrophone", "call_type"
        )
        self.guard_low = self._gauge(
            "persistent_source_low_hertz", "Lower edge of a flagged persistent source.", "hydrophone", "call_type"
        )
        self.guard_high = self._gauge(
            "persistent_source_high_hertz", "Upper edge of a flagged persistent source.", "hydrophone", "call_type"
        )

    def _ledger_metrics(self) -> None:
        self.samples = {
            what: self._counter(f"samples_{what}_total", text, "hydrophone")
            for what, text in (
                ("elapsed", "Samples since the stream began: captured + lost."),
                ("captured", "Samples received."),
                ("lost", "Samples that never arrived."),
                ("analysed", "Captured samples inside an analysed window."),
                ("shed", "Captured samples dropped because inference was behind."),
                ("unobserved", "Captured samples no window could hold."),
            )
        }
        self.samples_pending = self._gauge("samples_pending", "Captured samples on their way.", "hydrophone")
        self.unobserved_by_call_type = self._counter(
            "call_type_unobserved_samples_total",
            "Analysed samples whose rate cannot carry the call type.", "hydrophone", "call_type",
        )  # fmt: skip
        self.coverage = self._gauge("coverage_ratio", "Share of elapsed samples that was analysed.", "hydrophone")
        self.gaps = self._counter("gaps_total", "Stretches in which samples were lost.", "hydrophone")
        self.windows_shed = self._counter("windows_shed_total", "Windows shed, oldest first.", "hydrophone")
        self.windows = self._counter("windows_analysed_total", "Windows analysed.", "hydrophone")
        self.windows_abstained = self._counter(
            "windows_abstained_total", "Analysed windows on which the model did not know.", "hydrophone", "call_type"
        )

    def _stream_metrics(self) -> None:
        self.sample_rate = self._gauge(
            "sample_rate_hertz", "Sample rate of the stream, which turns samples into time.", "hydrophone"
        )

    def _inference_metrics(self) -> None:
        self.inference_duration = self._histogram(
            "inference_duration_seconds", "One batch through T and M.", buckets=STAGE_BUCKETS_S
        )
        self.inference_failures = self._counter("inference_failures_total", "Batches the model could not answer.")
        self.batch_windows = self._histogram("batch_windows", "Windows per batch.", buckets=BATCH_BUCKETS)
        self.queue_windows = self._gauge("queue_windows", "Windows waiting for inference.")
        self.stage_duration = self._histogram(
            "stage_duration_seconds", "Time spent in a stage: intake, queue, inference, presence, journal.",
            "stage", buckets=STAGE_BUCKETS_S,
        )  # fmt: skip
        self.capture_to_conclusion = self._histogram(
            "capture_to_conclusion_seconds", "From a live window's last sample to what the trackers made of it.",
            buckets=LATENCY_BUCKETS_S,
        )  # fmt: skip
        self.capture_to_event = self._histogram(
            "capture_to_event_seconds", "From a live window's last sample to the event it led to, journalled.",
            buckets=LATENCY_BUCKETS_S,
        )  # fmt: skip

    def _source_metrics(self) -> None:
        self.source_state = self._gauge("source_state", "1 for the state a source is in.", "source", "state")
        self.source_restarts = self._counter("source_restarts_total", "Times reopened.", "source", "reason")
        self.source_overflows = self._counter(
            "source_overflows_total", "Overflows the driver reported; each is a gap.", "source"
        )
        self.source_shed_blocks = self._counter(
            "source_shed_blocks_total", "Blocks shed between capture and the loop; each is a gap.", "source"
        )
        self.clock_drift = self._gauge("clock_drift_ratio", "Fitted sample rate over nominal, minus 1.", "hydrophone")
        self.clock_error = self._gauge("clock_error_seconds", "Bound of a sample's time error.", "hydrophone")
        self.clock_synchronised = self._gauge(
            "clock_synchronised_state", "1 while the system clock is kept by NTP, as the kernel says."
        )
        self.audio_age = self._gauge(
            "audio_age_seconds", "Time since the last audio of the hydrophone was analysed.", "hydrophone"
        )
        self.clock_steps = self._counter("clock_steps_total", "Steps of the system clock seen.", "hydrophone")

    def _delivery_metrics(self) -> None:
        self.circuit_state = self._gauge(
            "circuit_state", "1 for the state a publisher's circuit is in: open while it is only probed.",
            "publisher", "state",
        )  # fmt: skip
        self.publisher_requests = self._counter(
            "publisher_requests_total", "Requests, by what became of them: delivered, retried or rejected.",
            "publisher", "outcome",
        )  # fmt: skip

    def _publisher_metrics(self) -> None:
        self.journal_failures = self._counter("journal_failures_total", "Failed attempts to write the journal.")
        self.publisher_lag = self._gauge(
            "publisher_lag_seconds", "Age of the oldest event not yet acknowledged.", "publisher"
        )
        self.publisher_pending = self._gauge("publisher_pending_events", "Events not yet acknowledged.", "publisher")
        self.publisher_failures = self._counter("publisher_failures_total", "Failed attempts.", "publisher")
        self.publisher_deadletters = self._counter(
            "publisher_deadletters_total", "Events a publisher will never accept.", "publisher"
        )

    def _quality_metrics(self) -> None:
        self.rms_level = self._gauge(
            "rms_level_decibels", "RMS over the latest second; its reference is in level_reference_info.", "hydrophone"
        )
        self.band_level = self._gauge(
            "band_level_decibels", "Level in a decidecade band, named by its nominal centre.", "hydrophone", "band_hz"
        )
        self.level_reference = self._gauge(
            "level_reference_info", "1 for what the hydrophone's levels are relative to.", "hydrophone", "reference"
        )
        self.signal_ratio = {
            what: self._gauge(f"{what}_ratio", text, "hydrophone")
            for what, text in (
                ("clipped", "Share of the latest second's samples at full scale."),
                ("silent", "Share of the latest second below any recorder's noise."),
                ("stuck", "Share of the latest second in long runs of one value."),
                ("dc_offset", "Mean of the latest second over full scale, signed."),
                ("hum", "Share of mains lines in the power around them, of the third clearest harmonic."),
            )
        }
        self.spikes = self._counter("spikes_total", "Spikes far above the second around them.", "hydrophone")
        self.quality_state = self._gauge(
            "quality_state", "1 while a condition of the signal holds.", "hydrophone", "condition"
        )
        self.quality_shed = self._counter(
            "quality_shed_samples_total", "Samples whose quality was not measured for want of time.", "hydrophone"
        )
        self.condition_state = self._gauge(
            "condition_state", "1 while a condition holds; hydrophone is empty for the whole station.",
            "condition", "hydrophone",
        )  # fmt: skip
        self.selftest_calls = self._counter(
            "selftest_calls_total", "Calls mixed into copies of live audio, by outcome: heard, missed, void, skipped.",
            "hydrophone", "call_type", "snr_db", "outcome",
        )  # fmt: skip
        self.selftest_recall = self._gauge(
            "selftest_recall_ratio", "Share of the latest self-test calls heard; void and skipped ones not counted.",
            "hydrophone", "call_type", "snr_db",
        )  # fmt: skip

    def _retention_metrics(self) -> None:
        self.evidence_bytes = self._gauge("evidence_bytes", "Evidence kept.", "species")
        self.evidence_deleted = self._counter(
            "evidence_deleted_total", "Clips deleted to keep to age, size, headroom or quota.", "species", "cause"
        )
        self.disk_free = self._gauge("disk_free_bytes", "Free on the file system of the evidence.")
        self.disk_headroom = self._gauge(
            "disk_headroom_hours", "Hours until it is full, as fast as it fills now; +Inf while it does not fill."
        )
        self.evidence_state = self._gauge("evidence_state", "1 for the state: recording or stopped.", "state")
        self.evidence_copies = self._counter(
            "evidence_copies_total", "Copies: verified, or failed attempts.", "outcome"
        )
        self.archive_bytes = self._gauge("archive_bytes", "Continuous archive kept.")
        self.archive_shed = self._counter(
            "archive_shed_samples_total", "Samples that are not in the archive for want of time or room.", "hydrophone"
        )
        self.evidence_clips = self._counter(
            "evidence_clips_total", "Clips of events: complete, partial or missed.", "hydrophone", "outcome"
        )
        self.evidence_shed = self._counter(
            "evidence_shed_samples_total", "Samples the spool could not keep for clips.", "hydrophone"
        )

    def _edge_evidence_metrics(self) -> None:
        self.events_reached = self._gauge(
            "events_reached_state", "1 while the events topic is read to its end: an edge's clips wait for its events."
        )
        self.evidence_late = self._counter(
            "evidence_late_clips_total", "Clips that lack audio which was gone before their event came.", "hydrophone"
        )
        self.evidence_spool = self._gauge(
            "evidence_spool_seconds", "Audio in the spool, for clips to come and on request.", "hydrophone"
        )

    def _edge_metrics(self) -> None:
        self.images_spooled = self._counter("images_spooled_total", "Images made and put on disk.", "hydrophone")
        self.images_shipped = self._counter(
            "images_shipped_total", "Images, lost stretches and ends acknowledged by the brokers.", "hydrophone"
        )
        self.image_bytes_shipped = self._counter(
            "image_bytes_shipped_total", "Bytes of records acknowledged by the brokers.", "hydrophone"
        )
        self.spool_envelopes = self._gauge("image_spool_envelopes", "Images and what stands between them, on disk.")
        self.spool_bytes = self._gauge("image_spool_bytes", "Size of all that waits on disk.")
        self.spool_age = self._gauge("image_spool_age_seconds", "How long the oldest has waited; 0: nothing waits.")
        self.spool_failures = self._counter("image_spool_failures_total", "Failed attempts to read or write the spool.")
        self.spool_shed_images = self._counter(
            "image_spool_shed_images_total", "Images shed because the spool was full, oldest first.", "hydrophone"
        )
        self.spool_shed_samples = self._counter(
            "image_spool_shed_samples_total", "Captured samples that only shed images held.", "hydrophone"
        )
        self.brokers_reached = self._gauge("brokers_reached_state", "1 while the brokers answer.")
        self.brokers_ahead = self._gauge(
            "brokers_clock_ahead_seconds", "The brokers' clock minus this machine's, at least; negative: behind."
        )

    def _worker_metrics(self) -> None:
        self.worker_records = self._counter(
            "worker_records_total", "Records of a stage, by outcome: concluded, repeated or refused.",
            "stage", "outcome",
        )  # fmt: skip
        self.dead_letters = self._counter(
            "deadletters_total", "Records no worker could read, put into the dead-letter topic.", "topic"
        )
        self.images_expired = self._counter(
            "images_expired_total",
            "Images, or what the model said of them, that the brokers deleted before any worker read them.", "topic",
        )  # fmt: skip
        self.worker_degraded_images = self._counter(
            "worker_degraded_images_total",
            "Images not judged: for want of time skipped (the hop was coarsened) or shed (the oldest, when all wait), "
            "or failed (the model had no answer).",
            "outcome",
        )
        self.worker_overload = self._gauge(
            "worker_overload_level",
            "0 keeps up, 1 larger batches, 2 every second image, 3 every fourth, 4 sheds; of its worst partition.",
        )

    def _watchdog_metrics(self) -> None:
        self.cluster_lag_records = self._gauge(
            "cluster_lag_records", "Records not acknowledged; each worker says it of every partition of its stages.",
            "stage", "partition",
        )  # fmt: skip
        self.cluster_lag = self._gauge(
            "cluster_lag_seconds", "Age of the oldest record not acknowledged, by the brokers' time; 0: none waits.",
            "stage",
        )  # fmt: skip
        self.watchdog_quiet = self._gauge(
            "watchdog_quiet_seconds", "How long the most suspicious part of the worker has not moved."
        )
        self.watchdog_ends = self._counter(
            "watchdog_ends_total", "Workers of this folder ended by their watchdog, counted on disk.", "reason"
        )

    def _config_metrics(self) -> None:
        self.config_reloads = self._counter(
            "config_reloads_total",
            "Times the configuration was read again: applied, partly (the rest needs a restart) or refused.", "outcome",
        )  # fmt: skip
        self.config_loaded = self._gauge(
            "config_loaded_timestamp_seconds", "When the configuration in force was read, seconds since 1970."
        )

    def _review_metrics(self) -> None:
        self.reviews = self._counter("reviews_total", "Reviews by people, journalled.", "species", "verdict")

    def _alert_metrics(self) -> None:
        self.alerts = self._counter("alerts_total", "Alerts journalled.", "rule", "notice")
        self.alerts_held_back = self._counter(
            "alerts_held_back_total",
            "Notices held back: cooldown, quiet_hours, rate_limit, unconfirmed, late.", "rule", "cause",
        )  # fmt: skip
        self.alert_open = self._gauge(
            "alert_open_state", "1 while people have been told that a species is here, and not yet that it left.",
            "rule", "species",
        )  # fmt: skip
        self.event_to_alert = self._histogram(
            "event_to_alert_seconds", "From an event in the journal to the alert it led to at once, journalled.",
            buckets=(0.005, 0.01, 0.02, *LATENCY_BUCKETS_S),
        )  # fmt: skip
