"""Which call types each source can carry, and alert rules that can never fire for want of one."""

from collections.abc import Iterator, Mapping

from seacanary.alerts.rules import AlertRule
from seacanary.config import SourceSection
from seacanary.contract import ModelContract
from seacanary.doctor.findings import Finding, broken, ok, warning
from seacanary.doctor.subject import Subject
from seacanary.errors import SourceError
from seacanary.sources.files import FilesSection
from seacanary.sources.folders import is_folder, sound_files
from seacanary.sources.network import UrlSection
from seacanary.sources.recordings import probe


def coverage(subject: Subject) -> Iterator[Finding]:
    """Each hydrophone's rate against the model's call types."""
    if subject.contract is None:
        return
    rates_hz = {name: rate for source in subject.sources for name, rate in _rates(source, subject)}
    for name, rate_hz in rates_hz.items():
        yield carried(name, rate_hz, subject.contract)
    if subject.station is not None:
        for rule in subject.station.alerts.rules:
            yield from silenced(rule, rates_hz, subject.contract)


def carried(name: str, rate_hz: int, contract: ModelContract) -> Finding:
    """What a hydrophone of this rate can be heard to say."""
    lacking = [call for call in contract.call_types if call.name in contract.unobservable(rate_hz)]
    heard = [call.name for call in contract.call_types if call not in lacking]
    if not lacking:
        return ok(f"hydrophone {name}", f"{rate_hz:,} Hz carries {', '.join(heard)}")
    needs = ", ".join(f"{call.name} ({call.species}) needs {call.min_sample_rate_hz:,} Hz" for call in lacking)
    remedy = (
        "set sample_rate_hz to what is needed if the device can (`seacanary devices`), or use one that can; if this "
        "hydrophone is not meant for these species, leave it so"
    )
    tell = warning if heard else broken
    return tell(
        f"hydrophone {name}",
        f"{rate_hz:,} Hz carries {', '.join(heard) or 'no call type'}; {needs}",
        means="those calls are unobserved here: never reported, and never counted as absence",
        remedy=remedy,
    )


def silenced(rule: AlertRule, rates_hz: Mapping[str, int], contract: ModelContract) -> Iterator[Finding]:
    """A rule about calls that none of its hydrophones can carry."""
    meant = [
        call.name
        for call in contract.call_types
        if (not rule.species or call.species in rule.species) and (not rule.call_types or call.name in rule.call_types)
    ]
    rates = [rate for name, rate in rates_hz.items() if not rule.hydrophones or name in rule.hydrophones]
    if meant and rates and all(set(meant) <= contract.unobservable(rate_hz) for rate_hz in rates):
        yield broken(
            f"alert rule {rule.name}",
            f"it is about {', '.join(meant)}, which none of its hydrophones can carry",
            means="it can never tell anybody anything",
            remedy="give it a hydrophone with a higher sample rate, or take the rule out",
        )


def _rates(source: SourceSection, subject: Subject) -> Iterator[tuple[str, int]]:
    """Hydrophones of a source with their rate, where it can be known without listening."""
    match source:
        case FilesSection():
            yield from ((name, rate) for name in source.hydrophone_names[:1] for rate in _recorded(source))
        case UrlSection():
            streams = subject.running.detail("streams")
            yield from (
                (name, int(rate))
                for name in source.hydrophone_names
                if (rate := (streams.get(name) or {}).get("sample_rate_hz"))
            )
        case _:
            yield from ((name, source.sample_rate_hz) for name in source.hydrophone_names)


def _recorded(source: FilesSection) -> Iterator[int]:
    """The rate of the first recording there is."""
    try:
        files = sound_files(source.path, recursive=source.recursive) if is_folder(source.path) else [source.path]
        if files:
            yield probe(files[0]).sample_rate_hz
    except SourceError:  # the source's own check says so
        return
