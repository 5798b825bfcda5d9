"""The interview: every question in its order, each answer tried before the next is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seacanary.config import StationConfig, check_against_model, parse_config
from seacanary.contract import ModelContract
from seacanary.doctor.findings import Finding
from seacanary.init.asking import Asking, Question, answer_to, say
from seacanary.init.destination_questions import DestinationQuestions
from seacanary.init.destinations import Destination
from seacanary.init.document import Answers, Tree, document_of, tree_of
from seacanary.init.given import Given
from seacanary.init.secret_files import PrivateFile
from seacanary.init.source_questions import SourceQuestions
from seacanary.init.station_answers import read_name, read_position, station_section, suggested_name
from seacanary.init.trials import load_model, settled

BUNDLED = "bundled"
TELL = frozenset({"webhook", "notify"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the interview came to.

    Attributes:
        config: that will be read from the file.
        files: to be written, the configuration last.
    """

    config: StationConfig
    files: Sequence[PrivateFile]


class Interview:
    """One run of all questions."""

    def __init__(self, given: Given, asking: Asking, *, trying: bool) -> None:
        """Prepare.

        Args:
            given: answers of flags.
            asking: who answers the rest.
            trying: whether each answer is tried.
        """
        self._given, self._asking, self._trying = given, asking, trying
        self._contract: ModelContract | None = None

    def run(self, path: Path) -> Outcome:
        """Ask everything.

        Args:
            path: where the configuration is to lie; nothing is written here.

        Raises:
            ConfigError: an answer cannot be used, and nobody is there to correct it.
        """
        station = self._station()
        say("\nHydrophones", "bold")
        sources = SourceQuestions(self._given, self._asking, trying=self._trying).ask()
        say("\nModel", "bold")
        model = settled(self._model, self._load, self._asking) or BUNDLED
        folder = None if model == BUNDLED else Path(model)
        say("\nWhere events go", "bold")
        name = str(station["name"])
        destinations = DestinationQuestions(self._given, self._asking, name, self._trying).ask()
        rules = self._rules(destinations)

        def answers(publishers: Sequence[Tree]) -> Answers:
            journal = self._given.state / "journal.db"
            return Answers(station, sources, journal, publishers, rules, folder)

        config = self._read(answers([_inline(destination) for destination in destinations]), path)
        written = answers([destination.written(path.parent) for destination in destinations])
        secrets = [file for destination in destinations for file in destination.files(path.parent)]
        return Outcome(config, [*secrets, PrivateFile(path, document_of(written))])

    def _station(self) -> Tree:
        name = Question("Name of the station", "--name", read_name, default=suggested_name(), given=self._given.name)
        where = Question(
            "Position: degrees north, east, such as 48.14, -69.72 (empty: not known)", "--position", read_position,
            default="", given=self._given.position,
        )  # fmt: skip
        return station_section(answer_to(name, self._asking), answer_to(where, self._asking))

    def _model(self, anew: bool) -> str:
        text = f"Folder of the model ({BUNDLED}: the one that comes with the program)"
        given = None if anew else self._given.model
        return answer_to(Question(text, "--model", str, default=BUNDLED, given=given), self._asking)

    def _load(self, model: str) -> list[Finding]:
        if not self._trying:
            return []
        self._contract, findings = load_model(None if model == BUNDLED else Path(model))
        return findings

    def _rules(self, destinations: Sequence[Destination]) -> Sequence[Tree]:
        """A rule for each species, where somebody is to be told."""
        if not any(destination.tree["kind"] in TELL for destination in destinations):
            return ()
        known = sorted({call.species for call in self._contract.call_types}) if self._contract else []
        question = Question(
            "Tell of which species, separated by commas (all: every one the model knows)", "--species", _read_species,
            default=", ".join(known) or "all", given=self._given.species,
        )  # fmt: skip
        species = answer_to(question, self._asking)
        return [{"name": name, "species": [name]} for name in species] or [{"name": "all"}]

    def _read(self, answers: Answers, path: Path) -> StationConfig:
        config = parse_config(tree_of(answers), where=str(path))
        if self._contract is not None:
            check_against_model(config, self._contract)
        return config


def _inline(destination: Destination) -> Tree:
    return {**destination.tree, **(destination.secret.inline if destination.secret else {})}


def _read_species(said: str) -> list[str]:
    return [] if said == "all" else [name.strip() for name in said.split(",") if name.strip()]
