"""Kokoro and Chatterbox, which live in environments of their own, by stand-ins for their packages.

The stand-ins take what kokoro 0.9.4 and chatterbox-tts 0.1.7 take, argument by argument.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy
import pytest
import soundfile
import torch

from media_mcp.errors import BadCard, BadInput, BadMedia, InvalidArguments, NotConfigured
from media_mcp.worker.pipelines import chatterbox, kokoro
from media_mcp.worker.residency import Residency
from media_mcp.worker.work import Cancelled, Product, Work
from speechkit import Place


class KModel(torch.nn.Module):
    def __init__(
        self, repo_id: Any = None, config: Any = None, model: Any = None, disable_complex: Any = 0
    ) -> None:
        super().__init__()
        assert Path(config).name == "config.json" and Path(model).suffix == ".pth"
        self.repo_id = repo_id


class KPipeline:
    made: ClassVar[list[str]] = []

    def __init__(self, lang_code: str, repo_id: Any = None, model: Any = True, **_: Any) -> None:
        assert isinstance(model, KModel) and repo_id == model.repo_id
        self.made.append(lang_code)

    def __call__(
        self, text: str, voice: Any = None, speed: float = 1, split_pattern: str = r"\n+"
    ) -> Iterator[Any]:
        assert Path(voice).is_file()
        yield SimpleNamespace(audio=torch.full((int(len(text) * 100 / speed),), 0.25))
        yield SimpleNamespace(audio=None)


class ChatterboxTTS:
    def __init__(self, device: str) -> None:
        self.sr, self.device, self.conds = 24000, device, None
        self.t3 = SimpleNamespace(tfmr=torch.nn.Identity())
        self.heard: list[Any] = []

    @classmethod
    def from_local(cls, ckpt_dir: Any, device: str) -> Any:
        assert (Path(ckpt_dir) / "t3_cfg.safetensors").is_file()
        return cls(device)

    def generate(
        self,
        text: str,
        repetition_penalty: float = 1.2,
        min_p: float = 0.05,
        top_p: float = 1.0,
        audio_prompt_path: Any = None,
        exaggeration: float = 0.5,
        cfg_weight: float = 0.5,
        temperature: float = 0.8,
    ) -> Any:
        if audio_prompt_path:
            self.conds = soundfile.info(audio_prompt_path)
        assert self.conds is not None
        self.heard.append((text, audio_prompt_path, exaggeration, cfg_weight))
        for _ in range(20):
            self.t3.tfmr(torch.zeros(1))
        return torch.rand(1, 2400) - 0.5


class ChatterboxMultilingualTTS(ChatterboxTTS):
    @classmethod
    def from_local(cls, ckpt_dir: Any, device: str) -> Any:
        return cls(device)

    @classmethod
    def get_supported_languages(cls) -> dict[str, str]:
        return {"de": "German", "en": "English"}

    def generate(self, text: str, language_id: str, **more: Any) -> Any:  # type: ignore[override]
        self.language = language_id
        return super().generate(text, **more)


class ChatterboxVC:
    def __init__(self) -> None:
        self.sr, self.ref_dict = 24000, None
        estimator = SimpleNamespace(final_proj=torch.nn.Identity())
        self.s3gen = SimpleNamespace(
            flow=SimpleNamespace(decoder=SimpleNamespace(estimator=estimator))
        )

    @classmethod
    def from_local(cls, ckpt_dir: Any, device: str) -> Any:
        return cls()

    def generate(self, audio: str, target_voice_path: Any = None) -> Any:
        if target_voice_path:
            self.ref_dict = {"of": target_voice_path}
        for _ in range(10):
            self.s3gen.flow.decoder.estimator.final_proj(torch.zeros(1))
        return torch.full((1, soundfile.info(audio).frames), 0.1)


@pytest.fixture(autouse=True)
def packages(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.residency = Residency(10**9, lambda: None)  # in which no real model is

    def module(name: str, **members: Any) -> None:
        made = ModuleType(name)
        made.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, made)

    KPipeline.made = []
    module("kokoro", KModel=KModel, KPipeline=KPipeline)
    module("chatterbox")
    module("chatterbox.tts", ChatterboxTTS=ChatterboxTTS)
    module("chatterbox.mtl_tts", ChatterboxMultilingualTTS=ChatterboxMultilingualTTS)
    module("chatterbox.vc", ChatterboxVC=ChatterboxVC)


@pytest.fixture
def kokoro_weights(tmp_path: Path) -> Path:
    folder = tmp_path / "kokoro"
    (folder / "voices").mkdir(parents=True)
    for name in ("config.json", "kokoro-v1_0.pth", "voices/af_heart.pt", "voices/ff_siwis.pt"):
        (folder / name).write_bytes(b"{}")
    return folder


@pytest.fixture
def chatterbox_weights(tmp_path: Path) -> Path:
    folder = tmp_path / "chatterbox"
    folder.mkdir()
    for kind in chatterbox.KINDS.values():
        (folder / kind.must).write_bytes(b"x" * 100)
    return folder


def work(place: Place, name: str, weights: Path, **call: Any) -> Work:
    place.steps.clear()
    place.stop_at = call.pop("stop_at", 0)
    return place.work(name, {"weights": str(weights)}, {}, call)


def spoken(place: Place, weights: Path, **call: Any) -> Product:
    return kokoro.run(work(place, "KPipeline", weights, **call))


def test_kokoro_speaks_part_by_part_and_joins_them(place: Place, kokoro_weights: Path) -> None:
    text = "One sentence that is long enough. " * 20
    product = spoken(place, kokoro_weights, text=text, voice="ff_siwis")
    samples, rate = place.heard(product)
    assert rate == 24000 and abs(len(samples) / rate - product.facts["seconds"]) < 0.01
    assert product.facts["parts"] == len(place.steps) == 3
    assert place.steps == [(1, 3), (2, 3), (3, 3)]
    quick = spoken(place, kokoro_weights, text=text, voice="ff_siwis", speed=2.0)
    assert quick.facts["seconds"] < 0.6 * product.facts["seconds"]
    assert KPipeline.made == ["f"]  # made once for a language, and kept with the model


def test_kokoro_is_cancelled_between_sentences(place: Place, kokoro_weights: Path) -> None:
    with pytest.raises(Cancelled):
        spoken(place, kokoro_weights, text="A long sentence, it is. " * 40, stop_at=1)
    assert len(place.steps) == 1


@pytest.mark.parametrize("voice", ["af_hart", "../voices/af_heart", "/etc/passwd"])
def test_a_voice_of_kokoro_s_is_one_of_its_files(
    place: Place, kokoro_weights: Path, voice: str
) -> None:
    with pytest.raises(InvalidArguments, match="is none of this model's 2 voices") as caught:
        spoken(place, kokoro_weights, text="Hello.", voice=voice)
    assert "af_heart" in caught.value.hint


def test_kokoro_s_other_faults_are_told(place: Place, kokoro_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArguments, match="text: it is empty"):
        spoken(place, kokoro_weights, text=" ")
    with pytest.raises(InvalidArguments, match="speed: -1 is not above 0"):
        spoken(place, kokoro_weights, text="Hello.", speed=-1)
    with pytest.raises(NotConfigured, match=r"There are no weights at .*: no config\.json"):
        spoken(place, tmp_path / "nowhere", text="Hello.")
    with pytest.raises(BadCard, match="is no absolute path and no ORG/NAME"):
        spoken(place, Path("kokoro"), text="Hello.")


def changed(place: Place, name: str, weights: Path, **call: Any) -> Product:
    return chatterbox.run(work(place, name, weights, **call))


def held(place: Place, name: str) -> Any:
    return next(one.value for one in place.residency.held() if type(one.value).__name__ == name)


def test_chatterbox_copies_a_voice_over_all_parts_and_forgets_it(
    place: Place, chatterbox_weights: Path
) -> None:
    call = {
        "text": "Thank you for calling us today, dear. " * 12,
        "audio_prompt_path": place.recording(1.0, "voice"),
        "exaggeration": 0.7,
        "cfg_weight": 0.3,
    }
    product = changed(place, "ChatterboxTTS", chatterbox_weights, **call)
    samples, rate = place.heard(product)
    model = held(place, "ChatterboxTTS")
    assert (rate, len(samples)) == (24000, 2 * 2400 + 3600)
    assert place.steps[0] == (1, 2000) or place.steps[0] == (10, 2000)
    assert place.steps[-1] == (2000, 2000)
    assert [one[1] is not None for one in model.heard] == [True, False]
    assert {one[2:] for one in model.heard} == {(0.7, 0.3)}
    assert model.conds is None
    first = place.made(product)
    assert place.made(changed(place, "ChatterboxTTS", chatterbox_weights, **call)) == first


def test_chatterbox_is_cancelled_within_a_token(place: Place, chatterbox_weights: Path) -> None:
    voice = place.recording(1.0, "voice")
    call = {"text": "Hello.", "audio_prompt_path": voice, "stop_at": 2}
    with pytest.raises(Cancelled):
        changed(place, "ChatterboxTTS", chatterbox_weights, **call)
    assert len(place.steps) == 2
    assert held(place, "ChatterboxTTS").conds is None


def test_chatterbox_speaks_the_language_that_is_named(
    place: Place, chatterbox_weights: Path
) -> None:
    voice = place.recording(1.0, "voice")
    call = {"text": "Guten Tag.", "audio_prompt_path": voice}
    changed(place, "ChatterboxMultilingualTTS", chatterbox_weights, language="DE", **call)
    assert held(place, "ChatterboxMultilingualTTS").language == "de"
    with pytest.raises(InvalidArguments, match="language: 'xx' is not spoken by this model"):
        changed(place, "ChatterboxMultilingualTTS", chatterbox_weights, language="xx", **call)


def test_chatterbox_changes_a_voice_and_keeps_the_time(
    place: Place, chatterbox_weights: Path
) -> None:
    call = {
        "audio": place.recording(2.0, "line"),
        "target_voice_path": place.recording(1.0, "voice"),
    }
    product = changed(place, "ChatterboxVC", chatterbox_weights, **call)
    assert product.facts["seconds"] == 2.0 and product.facts["watermark"] == "PerTh"
    assert place.steps == [(n, 10) for n in range(1, 11)]
    assert held(place, "ChatterboxVC").ref_dict is None


def test_chatterbox_s_faults_are_told(place: Place, chatterbox_weights: Path) -> None:
    run = {"place": place, "weights": chatterbox_weights}
    with pytest.raises(BadCard, match="class: 'ChatterboxTS' is none of chatterbox's") as caught:
        changed(name="ChatterboxTS", **run)
    assert "ChatterboxTTS" in caught.value.hint
    with pytest.raises(InvalidArguments, match="text: it is empty"):
        changed(name="ChatterboxTTS", text="", **run)
    with pytest.raises(InvalidArguments, match="have no voice of their own"):
        changed(name="ChatterboxTTS", text="Hello.", **run)
    with pytest.raises(BadMedia, match="audio_prompt_path: it is no audio or video file"):
        changed(name="ChatterboxTTS", text="Hello.", audio_prompt_path=place.picture(), **run)
    silent = place.recording(1.0, "silent", loud=0)
    with pytest.raises(BadMedia, match="audio: the recording is silent"):
        changed(name="ChatterboxVC", audio=silent, **run)
    with pytest.raises(BadInput, match="'/etc/passwd' is no file that came with the call"):
        changed(name="ChatterboxVC", audio="/etc/passwd", **run)
    with pytest.raises(InvalidArguments, match="audio: no recording is given"):
        changed(name="ChatterboxVC", **run)


def test_the_places_of_both_say_what_runs_in_them() -> None:
    import tomllib

    root = Path(__file__).parents[2] / "backends"
    for name, package in (("kokoro", "kokoro==0.9.4"), ("chatterbox", "chatterbox-tts==0.1.7")):
        told = tomllib.loads((root / name / "backend.toml").read_text())
        assert told["pipelines"] == [name]
        assert package in told["environment"]["requirements"]


def test_silence_between_parts_is_silence() -> None:
    from media_mcp.worker import sound

    joined = sound.joined([numpy.ones(3), numpy.ones(2)], 10, pause=0.2)
    assert joined.tolist() == [1, 1, 1, 0, 0, 1, 1]
