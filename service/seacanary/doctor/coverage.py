"""Which call types each source can carry, and alert rules that can never fire for want of one."""

from collections.abc import Iterator, Sequence

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
from seacanary.wiring import is_named_by


def coverage(subject: Subject) -> Iterator[Finding]:
    """Each hydrophone's rate against the model's call types."""
    if subject.contract is None:
        return
    rates_hz = [(source, _rate_hz(source, subject)) for source in subject.sources]
    for source, rate_hz in rates_hz:
        if rate_hz is not None:
            yield from (carried(name, rate_hz, subject.contract) for name in source.hydrophone_names)
    if subject.station is not None:
        for rule in subject.station.alerts.rules:
            heard_hz = [rate_hz for source, rate_hz in rates_hz if _listens_to(rule, source)]
            yield from silenced(rule, heard_hz, subject.contract)


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


def silenced(rule: AlertRule, rates_hz: Sequence[int | None], contract: ModelContract) -> Iterator[Finding]:
    """A rule about calls that none of its hydrophones can carry.

    Args:
        rule: of the configuration.
        rates_hz: of the sources it listens to; None: not known, so that nothing can be said.
        contract: of the model.
    """
    meant = {
        call.name
        for call in contract.call_types
        if (not rule.species or call.species in rule.species) and (not rule.call_types or call.name in rule.call_types)
    }
    if meant and rates_hz and all(hz is not None and meant <= contract.unobservable(hz) for hz in rates_hz):
        yield broken(
            f"alert rule {rule.name}",
            f"it is about {', '.join(sorted(meant))}, which none of its hydrophones can carry",
            means="it can never tell anybody anything",
            remedy="give it a hydrophone with a higher sample rate, or take the rule out",
        )


def _listens_to(rule: AlertRule, source: SourceSection) -> bool:
    return not rule.hydrophones or any(is_named_by(source, name) for name in rule.hydrophones)


def _rate_hz(source: SourceSection, subject: Subject) -> int | None:
    """What all hydrophones of a source have; None: it cannot be known without listening."""
    match source:
        case FilesSection():
            return _recorded_hz(source)
        case UrlSection():
            streams = subject.running.detail("streams")
            rates = (streams.get(name, {}).get("sample_rate_hz") for name in source.hydrophone_names)
            return next((int(rate) for rate in rates if rate), None)
        case _:
            return source.sample_rate_hz


def _recorded_hz(source: FilesSection) -> int | None:
    """The rate of the first recording there is."""
    try:
        files = sound_files(source.path, recursive=source.recursive) if is_folder(source.path) else [source.path]
        return probe(files[0]).sample_rate_hz if files else None
    except SourceError:  # the source's own check says so
        return None
