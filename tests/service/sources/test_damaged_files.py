"""Damaged and odd files: readable audio or one clear sentence, never another exception."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest

from damaged import FRAMES, READABLE, REFUSED, cut, written
from seacanary.audio import AudioBlock
from seacanary.errors import SourceUnusable
from seacanary.sources.files import FileReport, FilesSection, FilesSource


async def play(path: Path) -> tuple[list[AudioBlock], list[FileReport]]:
    reports: list[FileReport] = []
    source = FilesSource(FilesSection(path=path), on_file_done=reports.append)
    try:
        return [block async for block in source.blocks()], reports
    finally:
        await source.aclose()


@pytest.mark.parametrize(("name", "make", "samples"), READABLE, ids=[case[0] for case in READABLE])
async def test_odd_files_give_their_samples(
    tmp_path: Path, name: str, make: Callable[[Path], None], samples: int
) -> None:
    path = tmp_path / name
    make(path)
    blocks, reports = await play(path)
    assert sum(block.samples.size for block in blocks) == samples
    assert all(np.abs(block.samples).max() <= 1 for block in blocks)
    (report,) = reports
    assert report.refused is None
    whole = report.missing_frames == 0 and report.unusable_samples == 0
    assert whole is not name.startswith(
        ("truncated.", "truncated-", "odd-byte-cut", "data-size-huge", "nan", "inf", "abs", "all")
    )


@pytest.mark.parametrize(("name", "make", "message"), REFUSED, ids=[case[0][:30] for case in REFUSED])
async def test_unusable_files_are_refused_in_one_clear_sentence(
    tmp_path: Path, name: str, make: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(SourceUnusable, match=message) as caught:
        await play(path)
    assert str(caught.value).startswith(str(path)[:100])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(("suffix", "subtype"), [("flac", "PCM_16"), ("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III")])
async def test_cut_compressed_files_give_what_is_left_of_them(
    tmp_path: Path, suffix: str, subtype: str, share: float
) -> None:
    path = tmp_path / f"cut.{suffix}"
    cut(written(subtype, suffix.upper()), share)(path)
    try:
        blocks, reports = await play(path)
    except SourceUnusable as exc:
        assert "expected" in str(exc)  # noqa: PT017 either outcome is right, another exception is not
    else:
        assert sum(block.samples.size for block in blocks) == reports[0].frames_read <= FRAMES * 1.5


@pytest.mark.parametrize("seed", range(30))
async def test_random_damage_never_raises_anything_else(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    kind, suffix = [("WAV", "wav"), ("FLAC", "flac"), ("AIFF", "aiff"), ("W64", "w64"), ("CAF", "caf")][seed % 5]
    path = tmp_path / f"x.{suffix}"
    written("PCM_24", kind)(path)
    content = bytearray(path.read_bytes())
    for position in random.integers(0, min(len(content), 200 if seed % 2 else len(content)), 12):
        content[position] = random.integers(256)
    path.write_bytes(content)
    try:
        blocks, _ = await play(path)
    except SourceUnusable as exc:
        assert str(path) in str(exc)  # noqa: PT017 either outcome is right, another exception is not
    else:
        assert all(np.isfinite(block.samples).all() for block in blocks)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root reads everything: become someone whom permissions hold."""
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_a_file_one_may_not_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.wav"
    written("PCM_16")(path)
    path.chmod(0)
    with as_nobody() if os.geteuid() == 0 else nullcontext(), pytest.raises(SourceUnusable, match="Permission denied"):
        await play(path)


async def test_a_folder_with_one_readable_file_among_the_damaged_plays_it(tmp_path: Path) -> None:
    for name, make, _ in REFUSED:
        if len(name) < 100 and "\0" not in name:
            make(tmp_path / name)
    written("PCM_16")(tmp_path / "good.wav")
    blocks, reports = await play(tmp_path)
    assert {Path(block.source_file or "").name for block in blocks} == {"good.wav"}
    assert sum(report.refused is not None for report in reports) == len(reports) - 1 >= 15
