"""Speech to text by every class that hears, on tiny random models built from their own configs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import soundfile

from media_mcp.errors import BadCard, BadInput, BadMedia, InvalidArguments, NotConfigured
from media_mcp.worker.work import Cancelled
from speechkit import RATE, Place

WHISPER = "WhisperForConditionalGeneration"
CTC, TDT, RNNT = "ParakeetForCTC", "ParakeetForTDT", "ParakeetForRNNT"
CANARY = "CanaryForConditionalGeneration"
MOONSHINE = "MoonshineForConditionalGeneration"
KYUTAI = "KyutaiSpeechToTextForConditionalGeneration"
VIBEVOICE = "VibeVoiceAsrForConditionalGeneration"
MOSS = "MossTranscribeDiarizeForConditionalGeneration"


@pytest.mark.parametrize(
    "name", [WHISPER, CTC, TDT, RNNT, CANARY, MOONSHINE, KYUTAI, VIBEVOICE, MOSS]
)
def test_every_class_that_hears_writes_the_same_transcript_again(place: Place, name: str) -> None:
    talk = place.recording(1.5)
    product = place.run(name, audio=talk)

    told = json.loads(place.made(product))
    assert told["duration"] == 1.5
    assert told["text"] == " ".join(one["text"] for one in told["segments"])
    assert all(0 <= one["start"] <= one["end"] <= 1.5 for one in told["segments"])
    assert product.outputs[0].mime_type == "application/json"
    assert product.facts["seconds_heard"] == 1.5
    assert place.steps == sorted(set(place.steps)) and place.steps[-1][0] == place.steps[-1][1]
    assert (
        place.made(place.run(name, audio=talk))
        == json.dumps(told, ensure_ascii=False, indent=1).encode()
    )


@pytest.mark.parametrize("name", [WHISPER, RNNT, CANARY, MOONSHINE, KYUTAI, VIBEVOICE, MOSS])
def test_a_cancellation_arrives_within_a_token(place: Place, name: str) -> None:
    with pytest.raises(Cancelled):
        place.run(name, stop_at=2, audio=place.recording(1.5))
    assert len(place.steps) == 2
    assert place.steps[0][0] == 1


def test_whisper_recognises_the_language_or_takes_it_by_code_or_name(place: Place) -> None:
    talk = place.recording(1.0)
    assert place.run(WHISPER, audio=talk).facts["language"] in ("de", "en")
    for given in ("de", "German", "de-AT"):
        assert place.run(WHISPER, audio=talk, language=given).facts["language"] == "de"


def test_whisper_gives_words_within_the_recording(place: Place) -> None:
    told = json.loads(place.made(place.run(WHISPER, audio=place.recording(2), timestamps="word")))
    assert told["words"]
    assert all(word["start"] <= word["end"] and word["text"].strip() for word in told["words"])
    plain = json.loads(place.made(place.run(WHISPER, audio=place.recording(2), timestamps="none")))
    assert "segments" not in plain and "words" not in plain


def test_translating_is_another_task_of_whisper(place: Place) -> None:
    talk = place.recording(1.0)
    spoken = place.run(WHISPER, audio=talk, language="de").facts["text"]
    told = place.run(WHISPER, audio=talk, language="de", task="translate").facts["text"]
    assert spoken != told


def test_canary_is_told_the_language_that_is_spoken_and_the_one_to_write(place: Place) -> None:
    from media_mcp.worker.pipelines.transformers.calling import Call
    from media_mcp.worker.pipelines.transformers.hearing import hearer_of

    place.run(CANARY, audio=place.recording(1.0))
    (held,) = (one.value for one in place.residency.held() if one.value.name == CANARY)
    asked = {"language": "de", "task": "translate", "timestamps": "segment"}
    hearer = hearer_of(Call.of(place.work(CANARY, {}, {}, dict(asked)), held), "segment")
    assert hearer.told == {"source_language": "de", "target_language": "en"}


def test_whisper_moves_through_a_recording_longer_than_it_can_hear_at_once(place: Place) -> None:
    product = place.run(WHISPER, audio=place.recording(34), language="en", subtitles="srt")
    assert product.facts["seconds_heard"] == 34
    assert [(one.role, one.mime_type) for one in product.outputs] == [
        ("made", "application/json"),
        ("subtitles", "application/x-subrip"),
    ]
    assert place.made(product, 1).startswith(b"1\n00:00:")


def test_whisper_tells_how_far_it_is_within_a_window_of_many(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from media_mcp.worker.pipelines.transformers.hearing.whisper import Whisper

    monkeypatch.setattr(Whisper, "seconds", 64.0)
    product = place.run(WHISPER, audio=place.recording(70), language="en")
    assert product.facts["seconds_heard"] == 70
    assert {total for _, total in place.steps} == {70}
    assert len(place.steps) > 2 and place.steps[-1] == (70, 70)


def test_a_long_recording_is_heard_in_windows_and_its_seconds_are_told(place: Place) -> None:
    product = place.run(CTC, audio=place.recording(70))
    told = json.loads(place.made(product))
    assert product.facts["seconds_heard"] == 70
    starts = [one["start"] for one in told["segments"]]
    assert len(starts) == 3 and 24 <= starts[1] <= 30 and starts == sorted(starts)
    assert [total for _, total in place.steps] == [70] * 3
    assert place.steps[-1] == (70, 70)


def test_parakeet_s_words_are_its_text_in_order(place: Place) -> None:
    for name in (CTC, RNNT):
        told = json.loads(place.made(place.run(name, audio=place.recording(2), timestamps="word")))
        assert "".join(w["text"] for w in told["words"]) == told["text"].replace(" ", "")
        starts = [word["start"] for word in told["words"]]
        assert starts == sorted(starts) and starts[-1] <= 2


def test_who_speaks_and_when_becomes_segments_and_voices_in_subtitles(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random weights keep to no form, so that what the model would write is put in its place."""
    from transformers import VibeVoiceAsrProcessor

    said = '[{"Start":0,"End":0.6,"Speaker":0,"Content":"Tea?"},'
    said += '{"Start":0.7,"End":9,"Speaker":1,"Content":"Yes."}]'
    parse = VibeVoiceAsrProcessor.extract_speaker_dict
    monkeypatch.setattr(
        VibeVoiceAsrProcessor, "extract_speaker_dict", lambda self, text: parse(self, said)
    )
    product = place.run(VIBEVOICE, audio=place.recording(1.5), subtitles="vtt")
    told = json.loads(place.made(product))
    assert told["speakers"] == ["Speaker 0", "Speaker 1"]
    assert told["segments"] == [
        {"start": 0.0, "end": 0.6, "text": "Tea?", "speaker": "Speaker 0"},
        {"start": 0.7, "end": 1.5, "text": "Yes.", "speaker": "Speaker 1"},
    ]
    assert product.facts["speakers"] == 2
    assert b"<v Speaker 1>Yes." in place.made(product, 1)


def test_a_transcript_can_be_plain_text(place: Place) -> None:
    product = place.run(
        CTC, audio=place.recording(1.0), arguments={"output_format": "txt"}, output_format="txt"
    )
    assert product.outputs[0].mime_type == "text/plain"
    assert place.made(product).decode().strip() == product.facts["text"]


def test_a_silent_recording_and_an_empty_one_are_told(place: Place) -> None:
    silent = place.recording(1.0, "silent", loud=0)
    with pytest.raises(BadMedia, match="audio: the recording is silent"):
        place.run(WHISPER, audio=silent)
    soundfile.write(place.folder / "empty.wav", numpy.zeros((0, 1)), RATE)
    with pytest.raises(BadMedia, match="audio: the recording is empty"):
        place.run(WHISPER, audio=place.file(place.folder / "empty.wav"))


def test_a_picture_is_no_recording(place: Place) -> None:
    with pytest.raises(BadMedia, match="audio: it is no audio or video file"):
        place.run(WHISPER, audio=place.picture())


@pytest.mark.parametrize(
    ("name", "call", "words"),
    [
        (WHISPER, {"language": "klingon"}, "language: 'klingon' is not spoken by this model."),
        (CANARY, {"language": "klingon"}, "language: Unsupported language"),
        (WHISPER, {"task": "sing"}, "task: 'sing' is none of transcribe, translate."),
        (MOONSHINE, {"task": "translate"}, f"task: {MOONSHINE} does not translate."),
        (WHISPER, {"timestamps": "letter"}, "timestamps: 'letter' is none of none, segment, word"),
        (MOONSHINE, {"timestamps": "word"}, f"timestamps: {MOONSHINE} gives no times of words."),
        (CTC, {"subtitles": "ass"}, "subtitles: 'ass' is none of none, srt, vtt."),
    ],
)
def test_a_wrong_argument_is_named(
    place: Place, name: str, call: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidArguments) as caught:
        place.run(name, audio=place.recording(1.0), **call)
    assert words in caught.value.message


def test_what_a_class_has_no_use_for_is_told(place: Place) -> None:
    product = place.run(MOONSHINE, audio=place.recording(1.0), language="de", volume=3)
    assert product.facts["ignored"] == ["language", "volume"]
    assert place.lines[-1].startswith(f"Ignored, as {MOONSHINE} has no use for it: language,")


def test_a_recording_that_did_not_come_and_several_of_them_are_told(place: Place) -> None:
    with pytest.raises(BadInput, match=r"audio: '/etc/passwd' is no file that came with the call"):
        place.run(CTC, audio="/etc/passwd")
    talk = place.recording(1.0)
    with pytest.raises(InvalidArguments, match="audio: it holds 2 recordings, not one"):
        place.run(CTC, audio=[talk, talk])
    with pytest.raises(InvalidArguments, match="audio: it holds 0 recordings, not one"):
        place.run(CTC)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("WhisperForConditionalGeneratio", "Did you mean WhisperForConditionalGeneration"),
        ("BertModel", "Did you mean BarkModel, VitsModel?"),
        ("os.system", "Mend the model's card"),
        ("", "Mend the model's card"),
    ],
)
def test_a_class_that_is_none_of_ours_is_the_cards_fault(
    place: Place, name: str, hint: str
) -> None:
    with pytest.raises(BadCard, match="is no model for speech, music or captions") as caught:
        place.run(name, spec={"weights": "/nowhere"}, audio="x")
    assert hint in caught.value.hint


def test_weights_that_are_not_there_and_pickles_are_refused(
    place: Place, tmp_path: Path, tiny: Callable[[str], Path]
) -> None:
    with pytest.raises(NotConfigured, match="There are no weights at"):
        place.run(CTC, spec={"weights": str(tmp_path / "none")}, audio=place.recording(1.0))
    import shutil

    import torch

    pickled = tmp_path / "pickled"
    shutil.copytree(tiny(CTC), pickled)
    (pickled / "model.safetensors").unlink()
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(NotConfigured, match="are pickles, which can hold code") as caught:
        place.run(CTC, spec={"weights": str(pickled)}, audio=place.recording(1.0))
    assert "safetensors" in str(caught.value)


def test_weights_of_another_class_are_told(place: Place, tiny: Callable[[str], Path]) -> None:
    with pytest.raises(BadCard, match=f"are of VitsModel, not {CANARY}"):
        place.run(CANARY, spec={"weights": str(tiny("VitsModel"))}, audio=place.recording(1.0))
