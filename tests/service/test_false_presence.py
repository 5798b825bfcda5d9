"""The day without animals: made of every kind, resumed without repeating work, and able to find false alarms."""

from pathlib import Path
from queue import Queue

import pytest
from benchmarks.animal_free import OTHER_SPECIES, Recipe, Soundings, plan_sha256, stays_of
from benchmarks.false_alarms import FalseEvent, PieceResult, count_piece
from benchmarks.false_presence import done_piece, make_piece, piece_path, run
from benchmarks.false_presence_summary import Summary, event_shares, summarise, table
from rich.console import Console

from fakes import tiny_contract, write_tiny_model
from seacanary.detection import Detector, DetectorSection
from seacanary.simulation import NEGATIVES

QUIET = Recipe(sample_rate_hz=8000, piece_s=20, scene_s=(4, 6))
CALLING = QUIET.model_copy(update={"calls_per_min": 60.0})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in calls a column loud by its mean |pcm|; with such thresholds any loud sound is a presence."""
    contract = tiny_contract()
    call_types = tuple(c.model_copy(update={"enter": 0.3, "leave": 0.1}) for c in contract.call_types)
    return write_tiny_model(tmp_path_factory.mktemp("model"), tiny_contract(call_types=call_types))


@pytest.fixture(scope="module")
def detector(model: Path) -> Detector:
    return Detector.load(DetectorSection(path=model, sessions=1))


def counted(piece: int, recipe: Recipe, detector: Detector) -> PieceResult:
    return count_piece(piece, recipe, detector, told=lambda _: None)


def test_a_piece_of_an_hour_is_filled_and_every_kind_has_its_turn() -> None:
    for piece in range(24):
        stays = stays_of(piece, Recipe())
        assert sum(stay.seconds for stay in stays) == pytest.approx(3600)
        assert [stay.first_s for stay in stays[1:]] == pytest.approx([s.first_s + s.seconds for s in stays[:-1]])
        assert min(stay.seconds for stay in stays) >= 120
        assert {n.kind for stay in stays for n in stay.scene.negatives} == set(NEGATIVES)
        assert any(not stay.scene.negatives for stay in stays)


def test_no_animal_of_the_model_calls_and_other_species_sound_alone() -> None:
    for stay in stays_of(3, Recipe()):
        scene = stay.scene
        assert [scene.whistle.bouts_per_min, scene.beluga_click.bouts_per_min, scene.porpoise_click.bouts_per_min] == [
            0
        ] * 3
        kinds = [negative.kind for negative in scene.negatives]
        assert len(kinds) == 1 or not set(kinds) & set(OTHER_SPECIES)


def test_most_of_the_day_could_hear_a_porpoise() -> None:
    deaf = [stay.seconds for p in range(24) for stay in stays_of(p, Recipe()) if "band_limited" in stay.background]
    assert 0.02 < sum(deaf) / 86_400 < 0.3


def test_pieces_differ_and_the_plan_tells() -> None:
    plans = [plan_sha256(piece, recipe) for piece in (0, 1) for recipe in (QUIET, CALLING)]
    assert len(set(plans)) == 4
    assert plan_sha256(0, QUIET) == plans[0]


def test_stretches_join_from_block_to_block_and_are_found_where_they_sound() -> None:
    soundings = Soundings()
    for first in (0, 10, 30):
        soundings.add("chain", first, first + 10)
    soundings.add("bat", 40, 50)
    assert soundings.stretches == {"chain": [(0, 20), (30, 40)], "bat": [(40, 50)]}
    assert [soundings.during(*span) for span in ((20, 30), (19, 30), (35, 41))] == [(), ("chain",), ("bat", "chain")]


def test_all_audio_is_looked_at_and_the_count_is_repeatable(detector: Detector) -> None:
    first, again = counted(0, QUIET, detector), counted(0, QUIET, detector)
    hop_s = detector.contract.hop_samples / detector.contract.sample_rate_hz
    assert first.windows["all"]["whistle"].windows == pytest.approx(20 / hop_s, abs=2 * first.scenes)
    assert (first.events, first.windows, first.kinds) == (again.events, again.windows, again.kinds)


def test_planted_calls_are_counted_so_the_counter_can_fail(detector: Detector, tmp_path: Path) -> None:
    quiet = min((counted(piece, QUIET, detector) for piece in range(6)), key=loudest)
    deaf_to_noise = {"enter": 2 * loudest(quiet), "leave": loudest(quiet)}
    call_types = tuple(c.model_copy(update=deaf_to_noise) for c in tiny_contract().call_types)
    contract = tiny_contract(call_types=call_types)
    careful = Detector.load(DetectorSection(path=write_tiny_model(tmp_path, contract), sessions=1))
    assert summarise([counted(quiet.piece, QUIET, careful)]).target_met
    heard = counted(quiet.piece, CALLING, careful)
    assert "beluga" in {event.species for event in heard.events}
    assert heard.windows["all"]["whistle"].over_enter > 0
    assert not summarise([heard]).target_met


def loudest(result: PieceResult) -> float:
    return result.windows["all"]["whistle"].highest


def test_a_loud_negative_is_named_as_the_cause(detector: Detector) -> None:
    results = [counted(piece, QUIET, detector) for piece in range(12) if "clipping" in planned_kinds(piece)]
    assert any("clipping" in event.kinds for result in results for event in result.events)
    for result in results:
        stays = stays_of(result.piece, QUIET)
        for event in result.events:
            kinds = {negative.kind for negative in stays[event.scene].scene.negatives} | {"ice_crack"}
            assert set(event.kinds) <= kinds


def planned_kinds(piece: int) -> set[str]:
    return {negative.kind for stay in stays_of(piece, QUIET) for negative in stay.scene.negatives}


def test_a_stopped_day_is_resumed_and_what_is_there_is_not_made_again(model: Path, tmp_path: Path) -> None:
    make_piece(0, QUIET, model, tmp_path, Queue())
    written = piece_path(tmp_path, 0).stat().st_mtime_ns
    piece_path(tmp_path, 1).write_text("{}")  # torn, or of an older form
    summary = run([0, 1], QUIET, model=model, out=tmp_path, workers=1, console=Console(quiet=True))
    assert summary.seeds == (0, 1)
    assert piece_path(tmp_path, 0).stat().st_mtime_ns == written
    assert Summary.model_validate_json((tmp_path / "summary.json").read_text()) == summary
    assert sorted(p.name for p in tmp_path.iterdir()) == ["piece-00.json", "piece-01.json", "summary.json"]


def test_pieces_of_another_model_recipe_or_simulation_do_not_count(detector: Detector, tmp_path: Path) -> None:
    result = counted(0, QUIET, detector)
    piece_path(tmp_path, 0).write_text(result.model_dump_json())
    model_id = result.model_id
    assert done_piece(tmp_path, 0, recipe=QUIET, model_id=model_id) == result
    assert done_piece(tmp_path, 0, recipe=CALLING, model_id=model_id) is None
    assert done_piece(tmp_path, 0, recipe=QUIET, model_id="another") is None
    piece_path(tmp_path, 0).write_text(result.model_copy(update={"plan_sha256": "other"}).model_dump_json())
    assert done_piece(tmp_path, 0, recipe=QUIET, model_id=model_id) is None


def event(*kinds: str) -> FalseEvent:
    return FalseEvent(
        species="beluga",
        call_types=("whistle",),
        scene=0,
        onset_s=1.0,
        peak_probability=0.9,
        kinds=kinds,
        background=(),
    )


def test_an_event_is_shared_among_the_kinds_that_sounded() -> None:
    shares = event_shares([event("chain", "bat"), event("chain"), event()])
    assert shares == {"chain": 1.5, "bat": 0.5, "noise_only": 1.0}


def test_the_summary_scales_to_a_day_and_keeps_other_species_apart(detector: Detector) -> None:
    piece = counted(0, QUIET, detector).model_copy(
        update={"seconds": 43_200.0, "events": (event("orca_call"), event("chain"), event())}
    )
    summary = summarise([piece])
    assert (summary.false_events_per_day, summary.other_species_per_day) == (6.0, 2.0)
    assert summary.machines_and_noises_per_day == 4.0
    assert summary.by_kind["chain"].events_per_day == 2.0
    assert summary.per_day_95 == (1.24, 17.53)  # 3 events: 0.619 to 8.767 (Garwood), in half a day
    assert not summary.target_met
    assert set(summary.heard_too_rarely) <= set(NEGATIVES)
    assert summary.heard_too_rarely
    assert table(summary).row_count == len(NEGATIVES) + 1


def test_pieces_of_different_recipes_are_not_added(detector: Detector) -> None:
    with pytest.raises(ValueError, match="one model and recipe"):
        summarise([counted(0, QUIET, detector), counted(0, CALLING, detector)])
