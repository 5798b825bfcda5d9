"""Questions about sources: what is on this machine, how loud it is, and what else can be listened to."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.table import Table

from seacanary.audio import PCM_ENCODINGS
from seacanary.doctor.findings import Finding, broken
from seacanary.init.asking import Asking, Question, answer_to, say, yes
from seacanary.init.given import Given
from seacanary.init.offers import (
    OTHERS,
    SCENE,
    WANTED_HZ,
    Offer,
    check_source,
    offer_of,
    read_names,
    read_rate,
    read_source,
    section_of,
)
from seacanary.init.trials import found_devices, settled, try_source
from seacanary.terminal import err, out

Tree = Mapping[str, object]

FLAG = "--source"
# So many are heard one after the other, some seconds each.
HEARD_AT_MOST = 8


class SourceQuestions:
    """Asks for all sources of a station."""

    def __init__(self, given: Given, asking: Asking, *, trying: bool) -> None:
        self._given, self._asking, self._trying = given, asking, trying
        self._taken: list[Tree] = []
        self._offers: Sequence[Offer] | None = None

    def ask(self) -> list[Tree]:
        """Sections of a configuration, at least one.

        Raises:
            ConfigError: a flag's source cannot be used, or nobody is there to name one.
        """
        for said in self._given.sources:
            self._take(said)
        while not self._taken:
            self._take()
        while not self._given.sources and yes("Another source?", self._asking, flag=FLAG, default=False):
            self._take()
        return self._taken

    def _take(self, said: str | None = None) -> None:
        source = settled(partial(self._source, said), self._attempt, self._asking)
        if source is not None:
            self._taken.append(source)

    def _source(self, said: str | None, anew: bool) -> Tree:
        if said is None or anew:
            return self._chosen()
        return answer_to(Question("Source", FLAG, read_source, given=said), self._asking)

    def _attempt(self, tree: Tree) -> list[Finding]:
        name = f"source {tree['kind']}"
        try:
            section = check_source(tree)
        except ValueError as exc:
            return [broken(name, str(exc), means="it cannot be configured so", remedy="answer again")]
        used = {name for source in self._taken for name in check_source(source).hydrophone_names}
        if twice := sorted(used & set(section.hydrophone_names)):
            seen = f"another source has hydrophones of that name: {', '.join(twice)}"
            return [broken(name, seen, means="events could not tell them apart", remedy="give each a name of its own")]
        return try_source(section) if self._trying else []

    def _chosen(self) -> Tree:
        offers = self._found()
        numbers = [str(number) for number in range(1, len(offers) + 1)]

        def read(said: str) -> str:
            if said not in (*numbers, *OTHERS):
                raise ValueError(f"got {said!r}; one of: {', '.join((*numbers, *OTHERS))}")
            return said

        text = f"What to listen to ({', '.join((*numbers, *OTHERS))})"
        kind = self._asking.ask(Question(text, FLAG, read, default="1" if offers else None))
        match kind:
            case "files":
                return self._files()
            case "simulated":
                return self._simulated()
            case "tcp" | "udp":
                return self._feed(kind)
        return self._device(offers[int(kind) - 1])

    def _found(self) -> Sequence[Offer]:
        """Devices of this machine, shown and heard the first time."""
        if self._offers is None:
            found = found_devices()
            for problem in found.problems:
                err.print(problem, highlight=False, soft_wrap=True)
            self._offers = [offer_of(device) for device in found.devices]
            self._show(self._offers)
        return self._offers

    def _show(self, offers: Sequence[Offer]) -> None:
        if not offers:
            say("No sound device was found here. A station can also hear tcp, udp, files, or a simulated sea.")
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in ("", "kind", "device", "channels", "rates, Hz"):
            table.add_column(heading, overflow="fold")
        for number, offer in enumerate(offers, 1):
            rates = ", ".join(map(str, offer.rates_hz)) or "not known: in use?"
            table.add_row(str(number), offer.kind, offer.device, str(offer.channels), rates)
        out.print(table)
        if not self._trying or not self._asking.somebody:
            return
        if yes("Hear how loud each is?", self._asking, flag=FLAG, default=True):
            self._hear(offers[:HEARD_AT_MOST])

    def _hear(self, offers: Sequence[Offer]) -> None:
        for number, offer in enumerate(offers, 1):
            say(f"{number}  {offer.device}", "bold")
            channels = [f"channel {channel}" for channel in range(1, offer.channels + 1)]
            section = check_source(section_of(offer, rate_hz=offer.best_rate_hz, hydrophones=channels))
            for finding in try_source(section):
                if finding.severity != "ok":
                    say(f"   {finding.seen}", "yellow")

    def _device(self, offer: Offer) -> Tree:
        names = self._names(f"Hydrophones on it, in the order of its channels ({offer.channels} at most)")
        return section_of(offer, rate_hz=self._rate(str(offer.best_rate_hz)), hydrophones=names)

    def _feed(self, kind: str) -> Tree:
        whose = "Address of the sender" if kind == "tcp" else "Address of this machine that it sends to, or group"
        host = self._asking.ask(Question(whose, FLAG, str, default="127.0.0.1" if kind == "tcp" else "0.0.0.0"))
        port = self._asking.ask(Question("Port", FLAG, _read_port))
        encoding = self._asking.choose("Sample format", PCM_ENCODINGS, default="s16le")
        rate_hz = self._rate(str(WANTED_HZ))
        names = self._names("Hydrophones in it, in the order of its channels")
        return {
            "kind": kind, "host": host, "port": port, "encoding": encoding, "hydrophones": names,
            "sample_rate_hz": rate_hz,
        }  # fmt: skip

    def _files(self) -> Tree:
        path = self._asking.ask(Question("A sound file, or a folder of them", FLAG, str))
        section: dict[str, object] = {"kind": "files", "path": path, "name": self._names("Name of the hydrophone")[0]}
        if Path(path).is_dir() and yes("Wait for more files to arrive there?", self._asking, flag=FLAG, default=True):
            section["watch"] = True
        return section

    def _simulated(self) -> Tree:
        return {"kind": "simulated", "hydrophones": self._names("Name of the simulated hydrophone"), "scene": SCENE}

    def _rate(self, default: str) -> int:
        return self._asking.ask(Question("Sample rate, Hz", FLAG, read_rate, default=default))

    def _names(self, text: str) -> list[str]:
        number = 1 + sum(len(check_source(source).hydrophone_names) for source in self._taken)
        question = Question(f"{text}, separated by commas", FLAG, read_names, default=f"hydrophone-{number}")
        return self._asking.ask(question)


def _read_port(said: str) -> int:
    if not said.isdigit() or not 1 <= int(said) <= 65_535:
        raise ValueError(f"got {said!r}; a number from 1 to 65535")
    return int(said)
