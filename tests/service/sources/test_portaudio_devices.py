import sys
from pathlib import Path

import pytest

from seacanary.errors import SourceLost, SourceUnusable
from seacanary.sources.portaudio_devices import InputDevice, choose, matching, sounddevice

DEVICES = [
    InputDevice(0, "HDA Intel: ALC257 Analog (hw:0,0), ALSA", 2),
    InputDevice(3, "UltraMic384K: USB Audio (hw:1,0), ALSA", 1),
    InputDevice(4, "UltraMic384K EVO: USB Audio (hw:2,0), ALSA", 1),
    InputDevice(5, "pulse, ALSA", 32),
]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("alc257", 0),
        ("UltraMic384K EVO", 4),
        ("ultramic384k: usb", 3),
        (r"UltraMic384K:.*\(hw:\d", 3),
        (r"^hda.*alsa$", 0),
        ("pulse", 5),
        ("PULSE, alsa", 5),
    ],
)
def test_a_device_is_found_by_name_part_or_pattern(name: str, index: int) -> None:
    assert choose(name, DEVICES).index == index


def test_an_exact_name_wins_over_longer_names_that_contain_it() -> None:
    assert matching("hydro", ["hydro, ALSA", "hydro two, ALSA"]) == ["hydro, ALSA"]


def test_a_name_that_fits_several_devices_is_refused_with_their_names() -> None:
    with pytest.raises(SourceUnusable, match=r"'ultramic' matches several.*UltraMic384K: .*; UltraMic384K EVO"):
        choose("ultramic", DEVICES)


def test_a_name_that_fits_none_lists_what_there_is_and_may_be_tried_again() -> None:
    with pytest.raises(SourceLost, match=r"no sound card matches 'icListen'; there is: HDA.*pulse, ALSA"):
        choose("icListen", DEVICES)
    with pytest.raises(SourceLost, match="no input device at all"):
        choose("icListen", [])


def test_a_name_that_is_no_expression_is_refused() -> None:
    with pytest.raises(SourceUnusable, match=r"'USB \(2' .* no regular expression"):
        choose("USB (2", DEVICES)


def test_a_portaudio_that_cannot_be_initialised_when_first_wanted_may_be_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The import of sounddevice initialises PortAudio; what fails there is of a class nobody can import."""
    module = tmp_path / "sounddevice.py"
    module.write_text("class PortAudioError(Exception): pass\nraise PortAudioError('no host API', -9979)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(SourceLost, match=r"PortAudio cannot be initialised now: .*no host API"):
        sounddevice()
    assert "sounddevice" not in sys.modules
