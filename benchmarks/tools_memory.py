"""How much memory a tool takes for a long video: it must not grow with the video's length.

    python benchmarks/tools_memory.py --minutes 10 --fps 10

makes a 1080p video of noise and sound, trims all but its first second in a process of its own, and
prints what that process held at most, beside what it held for a tenth of the video.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

MOST = 300 * 2**20  # bytes by which the process may grow over what it holds once it has imported
CHILD = "--child"


def make(path: Path, seconds: float, fps: int, size: tuple[int, int]) -> None:
    """Write a video of moving noise under a tone, quickly."""
    import av
    import numpy as np

    noise = np.random.default_rng(7).integers(0, 255, (size[1] + 64, size[0], 3), np.uint8)
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "35"}
        video = container.add_stream("libx264", rate=fps, options=options)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio = container.add_stream("aac", rate=48_000)
        audio.codec_context.layout = "stereo"
        for number in range(round(seconds * fps)):
            at = number % 64
            picture = av.VideoFrame.from_ndarray(noise[at : at + size[1]] // 4, "rgb24")
            container.mux(video.encode(picture))
            samples = np.sin(np.arange(48_000 // fps) / 9).astype(np.float32) / 4
            frame = av.AudioFrame.from_ndarray(np.stack([samples, samples]), "fltp", "stereo")
            frame.sample_rate, frame.pts = 48_000, number * (48_000 // fps)
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def trim(path: Path) -> None:
    """Trim a video as a worker does, and print by how many bytes this process grew at most."""
    from media_mcp.worker import protocol
    from media_mcp.worker.device import Device
    from media_mcp.worker.pipelines import tools
    from media_mcp.worker.pipelines.tools import cuts  # noqa: F401 (imports are not what grows)
    from media_mcp.worker.residency import Residency
    from media_mcp.worker.work import Work

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with tempfile.TemporaryDirectory() as folder:
        call = {"video_url": "media://clip", "start": 1}
        run = protocol.Run(
            job_id="job",
            attempt=1,
            model="tools/trim-video",
            pipeline="tools",
            spec={"tool": "trim-video"},
            arguments=call,
            call=call,
            seed=7,
            folder=folder,
            roles=("video",),
            inputs={"media://clip": str(path)},
        )
        residency = Residency(10**9, lambda: None)
        device = Device("cpu", 10**9)
        tools.run(Work(run, device, residency, lambda n, of: None, lambda: None, lambda line: None))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument(CHILD, type=Path)
    options = parser.parse_args()
    if options.child:
        trim(options.child)
        return 0
    width, height = map(int, options.size.split("x"))
    grown = []
    for share in (0.1, 1.0):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            make(path, 60 * options.minutes * share, options.fps, (width, height))
            command = [sys.executable, __file__, CHILD, str(path)]
            told = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            grown.append(int(told.stdout))
        length = f"{options.minutes * share:g} minutes"
        print(f"{length} of {options.size} at {options.fps} fps: +{grown[-1] / 2**20:.0f} MiB")
    return 0 if max(grown) <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
