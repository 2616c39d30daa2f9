"""Recordings of any kind are read at the rate that is wanted, piece by piece, or refused."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy
import pytest
import soundfile
from PIL import Image

from media_mcp.errors import BadMedia
from media_mcp.worker import sound

RATE = 16_000


def tone(seconds: float, rate: int = RATE, channels: int = 1, hertz: float = 440) -> Any:
    wave = 0.5 * numpy.sin(2 * numpy.pi * hertz * numpy.arange(round(seconds * rate)) / rate)
    return numpy.repeat(wave[:, None].astype("float32"), channels, axis=1)


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., str]:
    def record(name: str = "tone.wav", seconds: float = 1.0, rate: int = RATE, **more: Any) -> str:
        path = str(tmp_path / name)
        soundfile.write(path, tone(seconds, rate, **more), rate)
        return path

    return record


def clip(path: Path, codec: str, *, pictures: bool = False) -> str:
    """Encode a second of sound, with or without pictures, by PyAV."""
    with av.open(str(path), "w") as made:
        video = made.add_stream("mpeg4", rate=10) if pictures else None
        audio = made.add_stream(codec, rate=48_000) if codec else None
        if audio is not None:
            audio.codec_context.layout = "stereo"
        if video is not None:
            video.width = video.height = 32
            for _ in range(10):
                still = av.VideoFrame.from_ndarray(numpy.zeros((32, 32, 3), "uint8"), "rgb24")
                made.mux(video.encode(still))
            made.mux(video.encode(None))
        if audio is not None:
            wave = numpy.ascontiguousarray(tone(1, 48_000, 2).T)
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
            made.mux(audio.encode(frame))
            made.mux(audio.encode(None))
    return str(path)


@pytest.mark.parametrize("name", ["tone.wav", "tone.flac", "tone.ogg", "tone.mp3"])
@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (8_000, 1)])
def test_any_container_rate_and_number_of_channels_becomes_mono_at_the_wanted_rate(
    recorded: Callable[..., str], name: str, rate: int, channels: int
) -> None:
    heard = sound.read(recorded(name, rate=rate, channels=channels), RATE)
    assert abs(heard.seconds - 1.0) < 0.1
    spectrum = numpy.abs(numpy.fft.rfft(heard.samples))
    assert abs(int(spectrum.argmax()) / heard.seconds - 440) < 5
    assert 0.4 < sound.peak(heard.samples) < 0.75


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "aac"), ("clip.webm", "libopus")])
def test_the_sound_of_a_clip_is_read(tmp_path: Path, name: str, codec: str) -> None:
    path = clip(tmp_path / name, codec, pictures=name == "clip.mp4")
    assert abs(sound.read(path, RATE).seconds - 1.0) < 0.1
    assert abs(sound.seconds(path) - 1.0) < 0.1


def test_windows_are_cut_where_it_is_quietest_and_lose_nothing(tmp_path: Path) -> None:
    wave = tone(10)[:, 0]
    wave[round(3.6 * RATE) : round(3.9 * RATE)] = 0
    path = str(tmp_path / "talk.wav")
    soundfile.write(path, wave, RATE)
    found = list(sound.windows(path, RATE, 4.0))
    assert 3.6 < found[1].start < 3.9
    assert all(window.seconds <= 4.0 for window in found)
    assert [round(w.start * RATE) for w in found[1:]] == list(
        numpy.cumsum([len(w.samples) for w in found])[:-1]
    )
    assert sum(len(window.samples) for window in found) == len(wave)


def test_a_window_without_a_pause_is_still_cut(recorded: Callable[..., str]) -> None:
    found = list(sound.windows(recorded(seconds=1.0), RATE, 0.3))
    assert all(0.2 < window.seconds <= 0.3 for window in found[:-1])


def test_a_picture_is_no_sound(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    with pytest.raises(BadMedia, match=r"audio: it is no audio or video file\.") as caught:
        sound.read(str(tmp_path / "red.png"), RATE)
    assert "as WAV, MP3" in caught.value.hint


def test_a_clip_without_a_sound_track_is_told(tmp_path: Path) -> None:
    path = clip(tmp_path / "mute.mp4", "", pictures=True)
    with pytest.raises(BadMedia, match=r"voice: it holds no sound that can be read\."):
        sound.read(path, RATE, name="voice")


def test_noise_with_the_name_of_a_recording_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.mp3").write_bytes(bytes(range(256)) * 64)
    with pytest.raises(BadMedia, match="audio: it"):
        sound.read(str(tmp_path / "broken.mp3"), RATE)


def test_a_playlist_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    soundfile.write(secret, tone(1), RATE)
    (tmp_path / "list.wav").write_text(f"#EXTM3U\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n")
    (tmp_path / "concat.wav").write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
    for name in ("list.wav", "concat.wav"):
        with pytest.raises(BadMedia, match="no audio or video file"):
            sound.read(str(tmp_path / name), RATE)


def test_an_empty_recording_and_a_silent_one_are_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", numpy.zeros((0, 1), "float32"), RATE)
    soundfile.write(tmp_path / "silent.wav", numpy.zeros(RATE, "float32"), RATE)
    with pytest.raises(BadMedia, match="the recording is empty: 0 seconds of sound"):
        sound.read(str(tmp_path / "empty.wav"), RATE)
    with pytest.raises(BadMedia, match="the recording is empty"):
        list(sound.windows(str(tmp_path / "empty.wav"), RATE, 1))
    with pytest.raises(BadMedia, match="nothing in it is louder than -60 dB"):
        sound.read(str(tmp_path / "silent.wav"), RATE)


def test_a_recording_longer_than_fits_is_refused_at_its_bound(recorded: Callable[..., str]) -> None:
    with pytest.raises(BadMedia, match=r"longer than the 0\.5 seconds that fit here") as caught:
        sound.read(recorded(), RATE, most=0.5)
    assert caught.value.hint == "Cut it into parts and send them one by one."
