"""Voices: spoken, changed, understood again; and what a file is."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media_mcp.errors import (
    BackendFailed,
    BadCard,
    BadInput,
    BadMedia,
    InvalidArguments,
    NotConfigured,
)
from media_mcp.worker.pipelines import tools
from media_mcp.worker.work import Cancelled
from toolkit import RATE, Bench, hear, level, pitch, write_wave

has_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
has_espeak = pytest.mark.skipif(find_spec("espeakng_loader") is None, reason="no espeak-ng")
FOX = "The quick brown fox jumps over the lazy dog."


@pytest.fixture
def spoken(bench: Bench) -> Path:
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed")
    return bench.use("flite", text=FOX).path


def test_what_was_spoken_is_understood_with_its_times(bench: Bench, spoken: Path) -> None:
    used = bench.use(
        "transcribe",
        roles=("text", "subtitles"),
        audio_url=spoken,
        timestamps="word",
        subtitles="srt",
    )
    told = json.loads(used.paths[0].read_text())
    right = set(FOX.lower().strip(".").split()) & set(told["text"].split())
    assert len(right) >= 6
    times = [(word["start"], word["end"]) for word in told["words"]]
    assert all(0 <= start < end <= told["duration"] + 0.1 for start, end in times)
    assert times == sorted(times)
    assert used.paths[1].read_text().startswith("1\n00:00:0")
    assert [made.role for made in used.product.outputs] == ["text", "subtitles"]
    assert used.product.facts["text"] == told["text"]
    assert used.steps[-1][0] == used.steps[-1][1]


def test_what_is_no_speech_is_told(bench: Bench, tmp_path: Path) -> None:
    path = write_wave(tmp_path / "none.wav", np.zeros(RATE // 2, np.float32))
    with pytest.raises(BadInput, match="no word was understood"):
        bench.use("transcribe", audio_url=path)


def test_transcription_stops_when_it_is_cancelled(bench: Bench, spoken: Path) -> None:
    bench.stop_after = 0
    with pytest.raises(Cancelled):
        bench.use("transcribe", audio_url=spoken)


@has_flite
def test_speech_is_faster_and_higher_when_told(bench: Bench) -> None:
    usual = hear(bench.use("flite", text=FOX).path)
    fast = hear(bench.use("flite", text=FOX, rate=2, voice="rms").path)
    assert fast.shape[1] < 0.75 * usual.shape[1]
    assert level(usual) > 0.02
    assert not list(bench.last_folder.glob("*.txt"))


@pytest.mark.parametrize("tool", ["flite", "espeak"])
def test_nothing_to_say_is_refused(bench: Bench, tool: str) -> None:
    if tool == "espeak" and find_spec("espeakng_loader") is None:
        pytest.skip("no espeak-ng")
    if tool == "flite" and shutil.which("flite") is None:
        pytest.skip("no flite")
    with pytest.raises(InvalidArguments, match="text: there is no word in it"):
        bench.use(tool, text=" … ")


def test_a_missing_engine_says_how_to_get_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotConfigured, match="The program flite is not installed") as missing:
        bench.use("flite", text=FOX)
    assert missing.value.hint == "Run: apt install flite"


def test_an_engine_that_fails_or_takes_too_long_is_told(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "flite"
    program.write_text("#!/bin/sh\n[ -e $PWD/never ] || { echo no voice >&2; exit 3; }\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(BackendFailed, match="flite failed: no voice"):
        bench.use("flite", text=FOX)
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr("media_mcp.worker.pipelines.tools.programs.PATIENCE", 0.0)
    with pytest.raises(BackendFailed, match="flite took over 0 s"):
        bench.use("flite", text=FOX)


@has_espeak
def test_many_languages_are_spoken_and_unknown_ones_refused(bench: Bench) -> None:
    french = hear(bench.use("espeak", text="Bonjour, ceci est un test.", language="fr").path)
    slow = hear(bench.use("espeak", text="Bonjour, ceci est un test.", language="fr", rate=90).path)
    assert slow.shape[1] > 1.3 * french.shape[1]
    with pytest.raises(InvalidArguments, match="language: espeak-ng has no 'gibberish'"):
        bench.use("espeak", text="nuqneH", language="gibberish")


@has_espeak
def test_espeak_stops_when_it_is_cancelled(bench: Bench) -> None:
    bench.stop_after = 0
    with pytest.raises(Cancelled):
        bench.use("espeak", text=FOX * 50)


def voice(hertz: float, seconds: float) -> Any:
    """Return a tone with overtones, which the vocoder takes for a voice."""
    moments = np.arange(round(seconds * RATE)) / RATE
    parts = [np.sin(2 * np.pi * hertz * n * moments) / n for n in range(1, 12)]
    return (0.2 * sum(parts)).astype(np.float32)


def test_a_voice_rises_by_semitones_and_lasts_as_long(bench: Bench, tmp_path: Path) -> None:
    path = write_wave(tmp_path / "voice.wav", voice(150, 1.2))
    for call, hertz in (({"semitones": 12}, 300), ({"preset": "robot"}, 110)):
        sound = hear(bench.use("change-voice", audio_url=path, **call).path)
        assert abs(sound.shape[1] / RATE - 1.2) < 0.02
        found = pitch(sound[:, RATE // 4 : -RATE // 4])
        assert min(abs(found / hertz - n) for n in (1, 2, 3)) < 0.06
    whisper = hear(bench.use("change-voice", audio_url=path, preset="whisper").path)
    assert level(whisper) > 0.005


def test_a_long_voice_is_changed_in_chunks_without_a_joint(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_mcp.worker.pipelines.tools.voices.CHUNK", 0.7)
    path = write_wave(tmp_path / "voice.wav", voice(150, 2.3))
    sound = hear(bench.use("change-voice", audio_url=path, semitones=5).path)[0]
    assert abs(len(sound) / RATE - 2.3) < 0.02
    windows = [level(sound[at : at + 2400]) for at in range(4800, len(sound) - 7200, 2400)]
    assert min(windows) > 0.4 * max(windows)


def test_a_recording_too_long_to_change_is_refused(
    bench: Bench, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_mcp.worker.pipelines.tools.voices.MAX_VOICE", 0.5)
    with pytest.raises(InvalidArguments, match="audio_url: it lasts 1 s"):
        bench.use("change-voice", audio_url=media / "tone.wav")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clip.mp4", {"kind": "video", "width": 64, "fps": 12.0, "seconds": 2.0, "codec": "h264"}),
        ("wide.webm", {"kind": "video", "height": 32, "fps": 20.0, "codec": "vp9"}),
        ("silent.mp4", {"sound": None}),
        ("tone.wav", {"kind": "audio", "seconds": 1.0}),
        ("glass.png", {"kind": "image", "width": 20, "height": 10, "transparent": True}),
    ],
)
def test_a_probe_says_what_a_file_is(
    bench: Bench, media: Path, name: str, expected: dict[str, Any]
) -> None:
    used = bench.use("probe", media_url=media / name)
    told = json.loads(used.path.read_text())
    assert {key: told[key] for key in expected} == expected
    assert told == dict(used.product.facts)


def test_a_probe_of_something_else_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("hello")
    with pytest.raises(BadMedia, match=r"a file of the kind .txt is none"):
        bench.use("probe", media_url=tmp_path / "words.txt")


def test_a_card_with_a_wrong_tool_or_argument_is_told_so(bench: Bench, media: Path) -> None:
    with pytest.raises(BadCard, match="tool: 'trim-vidoe'") as wrong:
        bench.use("trim-vidoe", video_url=media / "clip.mp4")
    assert "trim-video" in wrong.value.hint
    with pytest.raises(BadCard, match="do not fit trim-video"):
        bench.use("trim-video", video_url=media / "clip.mp4", begin=1)
    with pytest.raises(BadCard, match="do not fit trim-video"):
        bench.use("trim-video")


def test_every_tool_is_there() -> None:
    for name in tools.TOOLS:
        assert callable(tools.find_tool(name))


def test_a_missing_package_is_named_with_its_extra(
    bench: Bench, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "vtracer", None)
    with pytest.raises(NotConfigured, match="vtracer") as missing:
        bench.use("vtracer", image_url=media / "red.png")
    assert missing.value.hint == 'Run: pip install "media-mcp[tools]"'
