"""Sound alone: cut, joined, mixed, faded, evened out, converted; what is made is heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media_mcp.errors import BadInput, BadMedia, InvalidArguments
from media_mcp.worker.pipelines.tools.filters import loudness
from media_mcp.worker.pipelines.tools.tracks_io import open_track, read
from toolkit import RATE, Bench, hear, level, make_tone, pitch, tone, write_wave


def part(sound: Any, start: float, end: float) -> Any:
    return sound[:, int(start * RATE) : int(end * RATE)]


def seconds(sound: Any) -> float:
    return float(sound.shape[1] / RATE)


def test_a_piece_is_exact_to_the_sample(bench: Bench, tmp_path: Path) -> None:
    steps = np.arange(RATE, dtype=np.float32) / RATE
    ramp = write_wave(tmp_path / "ramp.wav", steps)
    sound = hear(bench.use("trim-audio", audio_url=ramp, start=0.25, end=0.5).path)
    assert sound.shape == (1, 12_000)
    assert np.abs(sound[0] - steps[12_000:24_000]).max() < 1e-4


def test_a_piece_that_is_not_there_is_refused(bench: Bench, media: Path) -> None:
    with pytest.raises(InvalidArguments, match=r"start: 4 s is past the end: the sound lasts 1.00"):
        bench.use("trim-audio", audio_url=media / "tone.wav", start=4)


@pytest.mark.parametrize("name", ["broken.wav", "text.mp3", "red.png"])
def test_what_is_no_sound_is_refused(bench: Bench, media: Path, tmp_path: Path, name: str) -> None:
    path = media / name if name == "red.png" else tmp_path / name
    if name != "red.png":
        path.write_bytes(b"RIFF\x24\x00\x00\x00WAVE" if name == "broken.wav" else b"hello" * 300)
    with pytest.raises(BadMedia, match="cannot be read as sound"):
        bench.use("convert-audio", audio_url=path)


def test_sounds_follow_one_another_at_the_first_ones_rate(
    bench: Bench, media: Path, tmp_path: Path
) -> None:
    low = make_tone(tmp_path / "low.wav", 440, 0.5, rate=22_050)
    used = bench.use("concat-audio", audio_urls=[low, media / "tone.wav"], gap=0.25)
    sound = hear(used.path)
    assert seconds(sound) == pytest.approx(1.75, abs=0.01)
    assert abs(pitch(part(sound, 0.05, 0.45)) - 440) < 8
    assert level(part(sound, 0.55, 0.7)) < 0.01
    assert abs(pitch(part(sound, 0.8, 1.7)) - 880) < 8
    assert used.product.facts["rate"] == 22_050


def test_sounds_fade_into_one_another(bench: Bench, media: Path, tmp_path: Path) -> None:
    low = make_tone(tmp_path / "low.wav", 440, 1)
    sound = hear(
        bench.use("concat-audio", audio_urls=[low, media / "tone.wav"], crossfade=0.4).path
    )
    assert seconds(sound) == pytest.approx(1.6, abs=0.01)
    assert level(part(sound, 0.75, 0.85)) > 0.15  # both are heard in the middle
    assert abs(pitch(part(sound, 0, 0.5)) - 440) < 8
    assert abs(pitch(part(sound, 1.1, 1.6)) - 880) < 8
    with pytest.raises(InvalidArguments, match=r"crossfade: 0.6 s is more than half"):
        bench.use("concat-audio", audio_urls=[low, low], crossfade=0.6)
    with pytest.raises(InvalidArguments, match="gap: it is given along with crossfade"):
        bench.use("concat-audio", audio_urls=[low, low], crossfade=0.1, gap=1)


def test_sounds_play_at_the_same_time(bench: Bench, media: Path, tmp_path: Path) -> None:
    low = make_tone(tmp_path / "low.wav", 440, 1)
    urls = [media / "tone.wav", low]
    call = {"offsets": [0, 0.5], "volumes": [0, -20]}
    sound = hear(bench.use("mix-audio", audio_urls=urls, **call).path)
    assert seconds(sound) == pytest.approx(1.5, abs=0.01)
    assert abs(pitch(part(sound, 0.6, 1.0)) - 880) < 8  # the other is 20 dB softer
    assert abs(pitch(part(sound, 1.1, 1.5)) - 440) < 8
    assert level(part(sound, 1.1, 1.4)) == pytest.approx(0.0212, rel=0.1)
    first = bench.use("mix-audio", audio_urls=urls, length="first", offsets=[0, 0.5])
    assert seconds(hear(first.path)) == pytest.approx(1, abs=0.01)
    with pytest.raises(InvalidArguments, match="volumes: there are 1 for 2 sounds"):
        bench.use("mix-audio", audio_urls=urls, volumes=[1])


def test_loud_sounds_together_are_limited_and_not_clipped(bench: Bench, tmp_path: Path) -> None:
    loud = make_tone(tmp_path / "loud.wav", 440, 0.5, loud=0.9)
    sound = hear(bench.use("mix-audio", audio_urls=[loud, loud]).path)
    assert 0.9 < np.abs(sound).max() < 1.0
    assert (np.abs(sound) > 0.9999).mean() < 0.2


def test_sound_swells_dies_away_and_repeats_to_a_length(bench: Bench, media: Path) -> None:
    call = {"seconds": 2.5, "fade_in": 0.5, "fade_out": 0.5, "volume": 6}
    sound = hear(bench.use("fade-audio", audio_url=media / "tone.wav", **call).path)
    assert seconds(sound) == pytest.approx(2.5, abs=0.01)
    assert level(part(sound, 0, 0.05)) < 0.05
    assert level(part(sound, 1.2, 1.4)) == pytest.approx(0.3 * 1.995 / np.sqrt(2), rel=0.05)
    assert level(part(sound, 2.45, 2.5)) < 0.05
    with pytest.raises(InvalidArguments, match="fade_in: 1 s and 1 s are longer than the sound"):
        bench.use("fade-audio", audio_url=media / "tone.wav", fade_in=1, fade_out=1)


def test_sound_changes_its_rate_and_channels(bench: Bench, media: Path) -> None:
    call = {"rate": 16_000, "channels": "stereo", "output_format": "flac"}
    used = bench.use("convert-audio", audio_url=media / "tone.wav", **call)
    track = open_track(used.path)
    assert (track.rate, track.channels) == (16_000, 2)
    assert track.seconds == pytest.approx(1, abs=0.01)
    assert abs(pitch(hear(used.path)) - 880) < 8


def test_the_loudness_is_what_was_asked_for(bench: Bench, tmp_path: Path) -> None:
    soft = make_tone(tmp_path / "soft.wav", 997, 2, loud=0.02)
    used = bench.use("normalize-loudness", audio_url=soft, loudness_target=-20)
    track = open_track(used.path)
    assert loudness(read(track), track.rate, track.channels).lufs == pytest.approx(-20, abs=0.2)
    assert used.product.facts["gain_db"] == pytest.approx(17, abs=1)


def test_the_peak_bounds_the_loudness(bench: Bench, tmp_path: Path) -> None:
    clicks = np.zeros(2 * RATE, np.float32)
    clicks[:: RATE // 4] = 0.9
    path = write_wave(tmp_path / "clicks.wav", clicks + tone(300, 2, loud=0.01))
    used = bench.use("normalize-loudness", audio_url=path, loudness_target=-10, peak=-2)
    assert used.product.facts["limited_by"] == "peak"
    assert np.abs(hear(used.path)).max() <= 10 ** (-2 / 20) + 0.01


def test_silence_goes_and_speech_stays(bench: Bench, tmp_path: Path) -> None:
    quiet = np.zeros(RATE, np.float32)
    path = write_wave(tmp_path / "s.wav", np.concatenate([quiet, tone(440, 0.5)] * 2 + [quiet]))
    tight = hear(bench.use("remove-silence", audio_url=path, keep=0.1).path)
    assert seconds(tight) == pytest.approx(2 * (0.5 + 0.2), abs=0.1)
    ends = hear(bench.use("remove-silence", audio_url=path, keep=0.1, where="ends").path)
    assert seconds(ends) == pytest.approx(0.5 + 1 + 0.5 + 0.2, abs=0.1)


def test_nothing_but_silence_is_told(bench: Bench, tmp_path: Path) -> None:
    path = write_wave(tmp_path / "none.wav", np.zeros(RATE, np.float32))
    for tool in ("remove-silence", "normalize-loudness"):
        with pytest.raises(BadInput, match="audio_url: it is silent"):
            bench.use(tool, audio_url=path)
