"""What the tests of the transformers pipeline share: recordings, pictures, and work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import soundfile
from PIL import Image

from media_mcp.worker import protocol
from media_mcp.worker.device import Device
from media_mcp.worker.residency import Residency
from media_mcp.worker.work import Cancelled, Product, Work

RATE = 16_000


@dataclass
class Place:
    """A folder in which jobs run one after another on models that stay loaded."""

    folder: Path
    weights: Callable[[str], Path]
    residency: Residency = field(default_factory=lambda: Residency(10**9, lambda: None))
    steps: list[tuple[int, int]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    stop_at: int = 0

    def recording(self, seconds: float, name: str = "talk", *, loud: float = 0.4) -> str:
        """Put a recording into the folder that swells and fades, and return its URI."""
        t = numpy.arange(round(seconds * RATE)) / RATE
        wave = loud * numpy.sin(440 * t) * numpy.sin(3 * t) ** 2
        soundfile.write(self.folder / f"{name}.wav", wave.astype("float32"), RATE)
        return self.file(self.folder / f"{name}.wav")

    def picture(self) -> str:
        Image.new("RGB", (40, 30), "red").save(self.folder / "red.png")
        return self.file(self.folder / "red.png")

    def file(self, path: Path) -> str:
        self.inputs[f"media://{path.name}"] = str(path)
        return f"media://{path.name}"

    def work(
        self, name: str, spec: dict[str, Any], arguments: dict[str, Any], call: dict[str, Any]
    ) -> Work:
        whole = {"class": name, **spec}
        run = protocol.Run(
            job_id="job",
            attempt=1,
            model="tests/model",
            pipeline="transformers",
            spec=whole if "weights" in spec else {**whole, "weights": str(self.weights(name))},
            arguments=arguments,
            call=call,
            seed=call.pop("seed", 7),
            folder=str(self.folder),
            roles=("made",),
            inputs=self.inputs,
        )
        return Work(
            run, Device("cpu", 2 * 10**9), self.residency, self._step, self._check, self._log
        )

    def run(
        self,
        name: str,
        *,
        spec: dict[str, Any] | None = None,
        arguments: dict[str, Any] | None = None,
        stop_at: int = 0,
        **call: Any,
    ) -> Product:
        """Run a class on its tiny weights, cancelled once `stop_at` steps were told."""
        from media_mcp.worker.pipelines.transformers import run

        self.stop_at = stop_at
        self.steps.clear()
        self.lines.clear()
        return run(self.work(name, spec or {}, arguments or {}, call))

    def made(self, product: Product, index: int = 0) -> bytes:
        return (self.folder / product.outputs[index].path).read_bytes()

    def heard(self, product: Product) -> tuple[Any, int]:
        """Return the samples that were made and their rate."""
        samples, rate = soundfile.read(self.folder / product.outputs[0].path)
        return samples, rate

    def _step(self, done: int, total: int) -> None:
        self.steps.append((done, total))
        self._check()

    def _check(self) -> None:
        if self.stop_at and len(self.steps) >= self.stop_at:
            raise Cancelled

    def _log(self, line: str) -> None:
        self.lines.append(line)
