"""Text to speech and music by every class that sounds, on tiny random models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

from media_mcp.errors import BadCard, BadMedia, InvalidArguments
from media_mcp.worker.work import Cancelled
from speechkit import Place

BARK = "BarkModel"
CSM = "CsmForConditionalGeneration"
DIA = "DiaForConditionalGeneration"
MUSICGEN = "MusicgenForConditionalGeneration"
SPEECHT5 = "SpeechT5ForTextToSpeech"
VIBEVOICE = "VibeVoiceForConditionalGeneration"
VITS = "VitsModel"
RATES = {BARK: 24000, CSM: 24000, DIA: 44100, SPEECHT5: 16000, VIBEVOICE: 24000, VITS: 16000}
SHORT: dict[str, dict[str, Any]] = {
    BARK: {"semantic_max_new_tokens": 8},
    CSM: {"max_new_tokens": 10, "temperature": 0.9},
    DIA: {"max_new_tokens": 40, "temperature": 1.8, "top_p": 0.9, "top_k": 45, "guidance_scale": 3},
    SPEECHT5: {"threshold": 1.1, "maxlenratio": 2.0},
    VIBEVOICE: {"max_new_tokens": 6, "guidance_scale": 1.3, "num_diffusion_steps": 2},
    VITS: {},
}


def spec_of(place: Place, name: str) -> dict[str, Any]:
    if name != SPEECHT5:
        return {}
    return {"companions": {"vocoder": str(place.weights(name).parent / "hifigan")}}


def spoken(place: Place, name: str, text: str = "Hello there.", **call: Any) -> Any:
    return place.run(name, spec=spec_of(place, name), text=text, **SHORT[name], **call)


@pytest.mark.parametrize("name", list(RATES))
def test_every_class_that_speaks_says_the_same_again_with_the_same_seed(
    place: Place, name: str
) -> None:
    product = spoken(place, name)
    samples, rate = place.heard(product)

    assert product.outputs[0].mime_type == "audio/wav"
    assert rate == product.facts["sample_rate"] == RATES[name]
    assert abs(len(samples) / rate - product.facts["seconds"]) < 0.01
    assert numpy.isfinite(samples).all() and numpy.abs(samples).max() > 0
    assert place.steps == sorted(set(place.steps))
    assert place.steps[-1][0] == place.steps[-1][1]
    first = place.made(product)
    assert place.made(spoken(place, name)) == first
    if name != BARK:  # whose tiny codec sounds the same whatever the codes
        assert place.made(spoken(place, name, seed=8)) != first


@pytest.mark.parametrize("name", [BARK, CSM, DIA, SPEECHT5, VIBEVOICE])
def test_a_cancellation_arrives_within_a_step_and_the_next_run_is_right(
    place: Place, name: str
) -> None:
    before = place.made(spoken(place, name))
    with pytest.raises(Cancelled):
        spoken(place, name, stop_at=2)
    assert len(place.steps) == 2
    assert place.made(spoken(place, name)) == before


def test_a_long_text_is_spoken_sentence_by_sentence_and_joined(place: Place) -> None:
    one, two = "Hello there.", "How are you?"
    alone = [place.heard(spoken(place, VITS, text))[0] for text in (one, two)]
    both = spoken(place, VITS, f"{one} {two}")
    samples, rate = place.heard(both)

    assert place.steps == [(1, 2), (2, 2)]
    assert both.facts["parts"] == 2
    gap = round(0.15 * rate)
    assert len(samples) == sum(map(len, alone)) + gap
    assert not samples[len(alone[0]) : len(alone[0]) + gap].any()
    assert (samples[: len(alone[0])] == alone[0]).all()
    with pytest.raises(Cancelled):
        spoken(place, VITS, f"{one} {two}", stop_at=1)
    assert place.steps == [(1, 2)]


def test_speed_makes_speech_shorter_and_is_forgotten_after_the_run(place: Place) -> None:
    plain = len(place.heard(spoken(place, VITS))[0])
    quick = len(place.heard(spoken(place, VITS, speed=2.0))[0])
    assert quick < 0.7 * plain
    assert len(place.heard(spoken(place, VITS))[0]) == plain


def test_a_voice_s_recording_goes_before_what_is_said(place: Place) -> None:
    voice, said = place.recording(1.0, "voice"), "la la"
    plain = place.made(spoken(place, VIBEVOICE))
    assert place.made(spoken(place, VIBEVOICE, audio=[voice])) != plain
    for name in (CSM, DIA):
        product = spoken(place, name, audio=[voice], reference_text=said)
        assert 0 < product.facts["seconds"] < 1.0  # the recording is no part of it


def test_a_script_s_speakers_take_their_turns(place: Place) -> None:
    from media_mcp.worker.pipelines.transformers.speaking.dialogue import spoken_by

    script = "Intro.\nSpeaker 0: Hi.\n[1]: Ho,\nho.\n 0: Bye."
    assert spoken_by(script) == [("0", "Intro."), ("0", "Hi."), ("1", "Ho,\nho."), ("0", "Bye.")]
    assert spoken_by(" just this ") == [("0", "just this")]
    assert spoken(place, CSM, "0: Hi.\n1: Ho.").facts["parts"] == 2


def test_dia_is_given_whole_turns_each_of_which_says_who_speaks(place: Place) -> None:
    from media_mcp.worker.pipelines.transformers.speaking.dia import Dia

    parts = Dia.parts(Dia.__new__(Dia), "Hi! [S2] " + "This is long. " * 40 + "[S1] Bye.")
    assert all(len(part) <= 320 and part[:4] in ("[S1]", "[S2]") for part in parts)
    assert parts[0].startswith("[S1] Hi! [S2] This") or parts[0] == "[S1] Hi!"
    assert parts[-1].endswith("[S1] Bye.")


def test_speecht5_speaks_in_a_voice_of_the_card_s(place: Place, tmp_path: Path) -> None:
    numpy.save(tmp_path / "ann.npy", numpy.ones(8, "float32"))
    numpy.save(tmp_path / "short.npy", numpy.ones(3, "float32"))
    files = {"ann": str(tmp_path / "ann.npy"), "bad": str(tmp_path / "short.npy")}
    spec = spec_of(place, SPEECHT5)
    call = {"text": "Hello there.", **SHORT[SPEECHT5]}
    none = place.made(place.run(SPEECHT5, spec=spec, **call))
    ann = place.run(SPEECHT5, spec=spec | {"voices": files}, voice="ann", **call)
    assert place.made(ann) != none
    with pytest.raises(InvalidArguments, match="voice: 'anne' is none of this model's 2") as caught:
        place.run(SPEECHT5, spec=spec | {"voices": files}, voice="anne", **call)
    assert caught.value.hint == "Did you mean ann?"
    with pytest.raises(BadCard, match="holds 3 numbers, not 8"):
        place.run(SPEECHT5, spec=spec | {"voices": files}, voice="bad", **call)


def test_speecht5_without_a_vocoder_is_the_card_s_fault(place: Place) -> None:
    with pytest.raises(BadCard, match="speaks through a vocoder") as caught:
        place.run(SPEECHT5, text="Hello there.", spec={"dtype": "float32"})
    assert "companions: {vocoder: microsoft/speecht5_hifigan}" in caught.value.hint


def test_an_unknown_voice_is_named_and_never_read_as_a_path(place: Place, tmp_path: Path) -> None:
    numpy.savez(tmp_path / "mine.npz", semantic_prompt=numpy.zeros(3))
    for voice in ("v2/en_speaker_6", str(tmp_path / "mine")):
        with pytest.raises(InvalidArguments, match="is none of this model's 0 voices"):
            spoken(place, BARK, voice=voice)
    with pytest.raises(InvalidArguments, match="voice: '3' is none of this model's 0 voices"):
        spoken(place, VITS, voice=3)


@pytest.mark.parametrize(
    ("name", "text", "call", "words"),
    [
        (VITS, "  ", {}, "text: it is empty."),
        (VITS, "你好", {}, "text: this voice knows no letter of '你好'."),
        (VITS, "Hello.", {"speed": 0}, "speed: 0 is not above 0."),
        (VIBEVOICE, "Hello. " * 2000, {}, "text: it has 140"),
        (DIA, "Hello.", {"audio": "voice"}, "reference_text: what the recording"),
        (CSM, "Hello.", {"audio": "voice"}, "reference_text: what the recording"),
    ],
)
def test_a_wrong_argument_is_named(
    place: Place, name: str, text: str, call: dict[str, Any], words: str
) -> None:
    voice = place.recording(1.0, "voice")
    given = {key: voice if value == "voice" else value for key, value in call.items()}
    with pytest.raises(InvalidArguments) as caught:
        spoken(place, name, text, **given)
    assert words in caught.value.message


def test_a_voice_that_is_silent_or_a_picture_is_told(place: Place) -> None:
    for wrong, words in (
        (place.recording(1.0, "silent", loud=0), "audio: the recording is silent"),
        (place.picture(), "audio: it is no audio or video file"),
    ):
        with pytest.raises(BadMedia, match=words):
            spoken(place, VIBEVOICE, audio=[wrong])


def test_an_audio_tokenizer_that_is_a_pickle_is_not_loaded(place: Place, tmp_path: Path) -> None:
    import shutil

    import torch

    from media_mcp.errors import NotConfigured

    codec = tmp_path / "codec"
    shutil.copytree(place.weights(DIA).parent / "dac", codec)
    (codec / "model.safetensors").unlink()
    torch.save({}, codec / "pytorch_model.bin")
    spec = {"companions": {"audio_tokenizer": str(codec)}, "dtype": "bfloat16"}
    with pytest.raises(NotConfigured):
        place.run(DIA, spec=spec, text="Hello.")


def test_music_is_as_long_as_is_asked_and_the_same_again(place: Place) -> None:
    product = place.run(MUSICGEN, prompt="house", seconds=1.5)
    samples, rate = place.heard(product)
    assert (rate, len(samples)) == (16000, 24000)
    assert place.steps[0] == (1, 75) and place.steps[-1] == (75, 75)
    assert place.made(place.run(MUSICGEN, prompt="house", seconds=1.5)) == place.made(product)


def test_music_is_cancelled_within_a_token_and_bounded(place: Place) -> None:
    with pytest.raises(Cancelled):
        place.run(MUSICGEN, stop_at=3, prompt="house", seconds=2)
    assert place.steps == [(1, 100), (2, 100), (3, 100)]
    with pytest.raises(InvalidArguments, match="seconds: 31 is not above 0 and at most 30"):
        place.run(MUSICGEN, prompt="house", seconds=31)


def test_music_goes_on_from_a_recording(place: Place) -> None:
    product = place.run(MUSICGEN, prompt="house", seconds=1, audio=place.recording(1.0))
    assert 1.9 < product.facts["seconds"] <= 2.05
