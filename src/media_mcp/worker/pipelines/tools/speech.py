"""Speech from text by engines that need no weights: flite, and espeak-ng."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import tempfile
import threading
import wave
from pathlib import Path
from typing import Any

from media_mcp.errors import BackendFailed, MissingExtra, NotConfigured
from media_mcp.worker import encode
from media_mcp.worker.pipelines.tools.faults import wrong
from media_mcp.worker.pipelines.tools.programs import run_program
from media_mcp.worker.work import Product, Work

_LONGEST_PATH = 120  # bytes; espeak-ng has room for 160 with what it adds, and takes no longer one
_ESPEAK_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS of speak_lib.h
_ESPEAK_RATE, _ESPEAK_PITCH = 1, 3  # espeakRATE and espeakPITCH of speak_lib.h
_ESPEAK_UTF8 = 0x1001  # espeakCHARS_UTF8 | espeakENDPAUSE


def _short(folder: str) -> str:
    """Return a path to a folder that espeak-ng has room for: a link, where its own is too long."""
    if len(os.fsencode(folder)) <= _LONGEST_PATH:
        return folder
    link = Path(tempfile.mkdtemp(prefix="espeak-"), "data")
    link.symlink_to(folder, target_is_directory=True)
    atexit.register(shutil.rmtree, link.parent, ignore_errors=True)
    return str(link)


def flite(
    work: Work, text: str, voice: str = "slt", rate: float = 1, pitch: float | None = None
) -> Product:
    """Speak English with the program `flite`. `rate` 2 is twice as fast, `pitch` is in hertz."""
    program = shutil.which("flite")
    if program is None:
        raise NotConfigured("The program flite is not installed.", "Run: apt install flite")
    spoken, source = work.folder / "spoken.wav", work.folder / "text.txt"
    source.write_text(_speakable(text), encoding="utf-8")
    command = [program, "-voice", voice, "--setf", f"duration_stretch={1 / rate:.4f}"]
    command += ["--setf", f"int_f0_target_mean={pitch:g}"] if pitch else []
    command += ["-f", str(source), "-o", str(spoken)]
    run_program(work, "flite", command, "Speak less at once, in plain words.")
    try:
        return _finish(work, *_samples(spoken), voice)
    finally:
        source.unlink(missing_ok=True)
        spoken.unlink(missing_ok=True)


def _speakable(text: str) -> str:
    """Return text in which there is something to say. Raises `InvalidArguments`."""
    if not any(sign.isalnum() for sign in text):
        raise wrong("text", "there is no word in it.", "Say what is to be spoken.")
    return text


def _samples(path: Path) -> tuple[Any, int]:
    import numpy

    with wave.open(str(path)) as file:
        data = file.readframes(file.getnframes())
        return numpy.frombuffer(data, numpy.int16), file.getframerate()


def _finish(work: Work, samples: Any, rate: int, voice: str) -> Product:
    if not len(samples):
        raise wrong("text", "nothing of it can be spoken.", "Say it in the voice's language.")
    made = encode.save_sound(work, samples, rate)
    return Product((made,), {"voice": voice})


def espeak(
    work: Work, text: str, language: str = "en-us", rate: int = 160, pitch: int = 50
) -> Product:
    """Speak a hundred languages with espeak-ng. `rate` in words a minute, `pitch` 0 to 99."""
    engine = _Espeak.shared()
    samples = engine.speak(work, _speakable(text), language, rate, pitch)
    import numpy

    return _finish(work, numpy.frombuffer(samples, numpy.int16), engine.rate, language)


class _Espeak:
    """espeak-ng's library, loaded once in a process; it knows one voice at a time."""

    _one: _Espeak | None = None
    _lock = threading.Lock()

    @classmethod
    def shared(cls) -> _Espeak:
        """Return the library. Raises `MissingExtra` where its loader is not installed."""
        with cls._lock:
            cls._one = cls._one or cls()
            return cls._one

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError:
            raise MissingExtra("espeakng-loader", "espeak") from None
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        folder = _short(espeakng_loader.get_data_path())
        self.rate = self._library.espeak_Initialize(_ESPEAK_SYNCHRONOUS, 0, folder.encode(), 0)
        if self.rate <= 0:
            raise BackendFailed("espeak-ng does not start.", "Install espeakng-loader anew.")
        self._heard = bytearray()
        self._check: Any = None
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self._callback = kind(self._hear)  # kept, as the library keeps no reference
        self._library.espeak_SetSynthCallback(self._callback)

    def _hear(self, samples: Any, count: int, events: Any) -> int:
        """Take what was synthesised; 1 tells the library to stop."""
        if samples and count > 0:
            self._heard += ctypes.string_at(samples, 2 * count)
        try:
            self._check()
        except BaseException:
            return 1
        return 0

    def speak(self, work: Work, text: str, language: str, rate: int, pitch: int) -> bytes:
        """Return 16-bit samples. Raises `InvalidArguments` for a language that there is not."""
        with self._lock:
            self._heard.clear()
            self._check = work.check
            if self._library.espeak_SetVoiceByName(language.encode()) != 0:
                hint = "Take en-us, en-gb, de, fr, es, it, pt, ru, ar, hi, ja or cmn (Chinese)."
                raise wrong("language", f"espeak-ng has no {language[:20]!r}.", hint)
            self._library.espeak_SetParameter(_ESPEAK_RATE, rate, 0)
            self._library.espeak_SetParameter(_ESPEAK_PITCH, pitch, 0)
            data = text.replace("\0", " ").encode()
            self._library.espeak_Synth(data, len(data) + 1, 0, 0, 0, _ESPEAK_UTF8, None, None)
            self._library.espeak_Synchronize()
            work.check()
            return bytes(self._heard)
