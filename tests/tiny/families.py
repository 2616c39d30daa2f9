"""Which cards stand for which tiny pipeline, and what a call of each must come to.

Cards keep their ids, maps, sets and classes; their weights become a folder. Sizes that are only
large are made small, and long texts that surround a prompt are taken out: a tiny tokenizer has a
token for each letter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

BARE = {"template": "{}", "crop_start": 0}
IMAGE_BARE = {**BARE, "image_emb_len": 16, "image_emb_start": 5, "image_emb_end": 21}
SHORT = {"max_sequence_length": 48}
SMALL = {"size": {"enum": ["64x64", "96x64"], "default": "96x64"}}
TABLE = {name: {"16:9": [96, 64], "9:16": [64, 96]} for name in ("480p", "720p")}
WIDE, LONG = (96, 64), (256, 192)


@dataclass(frozen=True)
class Case:
    """A card, the tiny pipeline it runs on, and what is asked: `call` are the arguments besides the
    prompt, media by the word `picture`, `pictures`, `mask` or `clip`. What comes is of `size` and,
    if it plays, `seconds` long, in `steps` steps."""

    model: str
    tiny: str
    call: dict[str, Any]
    size: tuple[int, int] | None = None
    seconds: float | None = None
    steps: int = 2
    set: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    sound: bool = False


def _picture(model: str, tiny: str, **more: Any) -> Case:
    given = {"image_size": "256x192", "num_inference_steps": 2}
    call = given | more.pop("call", {})
    return Case(model, tiny, call, size=more.pop("size", LONG), **more)


def _clip(model: str, tiny: str, fps: int, frames: int, **more: Any) -> Case:
    call = {"num_inference_steps": 2, "duration": (frames - 1) / fps} | more.pop("call", {})
    return Case(model, tiny, call, WIDE, frames / fps, **more)


KLEIN = {"steps": 4, "set": SHORT}
NO_STEPS: dict[str, Any] = {"num_inference_steps": None}
PICTURES = [
    _picture("fal-ai/flux/schnell", "flux_schnell", set=SHORT),
    _picture("fal-ai/flux/dev", "flux_dev", set=SHORT),
    _picture(
        "fal-ai/flux/dev/image-to-image",
        "flux_dev",
        call={"image_url": "picture", "image_size": None, "strength": 1.0},
        size=(128, 96),
        set=SHORT,
    ),
    _picture(
        "fal-ai/flux-kontext/dev",
        "flux_kontext",
        call={"image_url": "picture", "image_size": None},
        size=(288, 224),
        set={**SHORT, "max_area": 256 * 256, "_auto_resize": False},
    ),
    _picture(
        "local/flux-kontext-dev",
        "flux_kontext",
        call={"image_url": "picture"},
        set={**SHORT, "_auto_resize": False},
    ),
    _picture("fal-ai/flux-2", "flux2_dev", set=SHORT),
    _picture("fal-ai/flux-2/edit", "flux2_dev", call={"image_urls": "pictures"}, set=SHORT),
    _picture("fal-ai/flux-2/klein/4b", "flux2_klein", set=SHORT),
    _picture(
        "fal-ai/flux-2/klein/4b/edit", "flux2_klein", call={"image_urls": "pictures"}, set=SHORT
    ),
    _picture("local/flux-2-klein-4b", "flux2_klein", call=NO_STEPS, **KLEIN),
    _picture(
        "local/flux-2-klein-4b-edit",
        "flux2_klein",
        call=NO_STEPS | {"image_urls": "pictures"},
        **KLEIN,
    ),
    _picture("fal-ai/stable-diffusion-v35-large", "sd35", set=SHORT),
    *(
        _picture(
            f"fal-ai/hidream-i1-{one}",
            "hidream",
            call={"num_inference_steps": 1},
            size=(1168, 880),  # what a megapixel of that shape comes to: it draws no other
            steps=1,
            set=SHORT,
        )
        for one in ("full", "dev", "fast")
    ),
    *(
        _picture(
            f"local/{style}-style",
            "flux2_klein",
            call=NO_STEPS | {"image_urls": "pictures"},
            **KLEIN,
        )
        for style in ("cartoon", "ghibli")
    ),
    _picture("fal-ai/fast-sdxl", "sdxl"),
    _picture("local/sdxl", "sdxl"),
    _picture(
        "fal-ai/fast-sdxl/image-to-image",
        "sdxl",
        call={"image_url": "picture", "image_size": None, "strength": 1.0},
        size=(128, 96),
    ),
    _picture(
        "fal-ai/fast-sdxl/inpainting",
        "sdxl",
        call={"image_url": "picture", "mask_url": "mask", "strength": 1.0},
    ),
    _picture("fal-ai/z-image/turbo", "zimage", set=SHORT),
    _picture("local/z-image-turbo", "zimage", set=SHORT),
    _picture("fal-ai/qwen-image", "qwen_image", set=SHORT),
    _picture(
        "local/qwen-image",
        "qwen_image",
        set=SHORT,
    ),
]
WAN = {"inputs": SMALL, "set": SHORT}
CLIPS = [
    _clip("local/wan-2.1-t2v-1.3b", "wan_small", 16, 9, **WAN),
    _clip("local/wan-2.2-ti2v-5b", "wan_5b", 24, 9, **WAN),
    _clip("local/wan-2.2-ti2v-5b-i2v", "wan_5b", 24, 9, call={"image_url": "picture"}, **WAN),
    _clip("local/wan-2.2-t2v-a14b", "wan_14b", 16, 9, **WAN),
    _clip("local/wan-2.2-i2v-a14b", "wan_14b_i2v", 16, 9, call={"image_url": "picture"}, **WAN),
    _clip(
        "local/wan-2.1-vace-1.3b",
        "wan_vace",
        16,
        9,
        call={"video_url": "clip", "mask_video_url": "masks", "reference_image_urls": "pictures"},
        **WAN,
    ),
    _clip("local/lucy-edit-dev", "lucy", 24, 9, call={"video_url": "clip"}, **WAN),
    Case(
        "local/wan-animate-2",
        "wan_animate",
        {"image_url": "picture", "video_url": "clip", "num_inference_steps": 2},
        (64, 48),  # the picture's shape at that area, in sixteens, without the bars
        24 / 24,
        set={**SHORT, "segment_frame_length": 9, "height": 48, "width": 64},
    ),
    Case(
        "fal-ai/ltx-video-13b-dev",
        "ltx",
        {"first_pass_num_inference_steps": 2, "num_frames": 9, "frame_rate": 24},
        WIDE,
        9 / 24,
        spec={"sizes": TABLE},
    ),
    Case(
        "fal-ai/ltx-video-13b-dev/image-to-video",
        "ltx",
        {
            "first_pass_num_inference_steps": 2,
            "num_frames": 9,
            "frame_rate": 24,
            "image_url": "picture",
        },
        WIDE,
        9 / 24,
        spec={"sizes": TABLE},
    ),
    Case(
        "fal-ai/ltx-video-13b-distilled",
        "ltx",
        {"first_pass_num_inference_steps": 2, "duration": 1},
        WIDE,
        25 / 24,
        spec={"sizes": TABLE},
    ),
    Case(
        "fal-ai/ltx-video-13b-distilled/image-to-video",
        "ltx",
        {"first_pass_num_inference_steps": 2, "duration": 1, "image_url": "picture"},
        WIDE,
        25 / 24,
        spec={"sizes": TABLE},
    ),
    _clip("local/ltx-2", "ltx2", 24, 9, sound=True, **WAN),
    _clip("local/ltx-2-i2v", "ltx2", 24, 9, call={"image_url": "picture"}, sound=True, **WAN),
    Case(
        "fal-ai/hunyuan-video",
        "hunyuan",
        {"num_frames": 129},
        WIDE,
        9 / 24,
        set={"prompt_template": BARE, "num_inference_steps": 2, "num_frames": 9, **SHORT},
        spec={"sizes": TABLE},
    ),
    Case(
        "fal-ai/hunyuan-video-image-to-video",
        "hunyuan_i2v",
        {"image_url": "picture"},
        WIDE,
        5 / 24,
        set={"prompt_template": IMAGE_BARE, "num_inference_steps": 2, "num_frames": 9, **SHORT},
        spec={"sizes": TABLE},
    ),
    Case(
        "fal-ai/hunyuan-video-v1.5/text-to-video",
        "hunyuan15",
        {"num_inference_steps": 2},
        WIDE,
        9 / 24,
        set={"num_frames": 9},
        spec={"sizes": TABLE},
    ),
    Case(
        "fal-ai/hunyuan-video-v1.5/image-to-video",
        "hunyuan15_i2v",
        {"num_inference_steps": 2, "image_url": "picture"},
        (72, 56),  # the picture's shape, at the area that the weights were made for
        9 / 24,
        set={"num_frames": 9},
    ),
]
SOUNDS = [
    Case(
        "local/stable-audio-open",
        "stable_audio",
        {"duration": 2, "num_inference_steps": 2},
        seconds=2.0,
    ),
    Case(
        "local/ace-step-1.5",
        "ace_step",
        {"duration": 10, "lyrics": "la la"},
        seconds=10.0,
        steps=8,
    ),
]
CASES = [*PICTURES, *CLIPS, *SOUNDS]
# Cards that no tiny pipeline can stand for here, and why.
_TORCHVISION = (
    "is made of a video processor, too, and None is refused; transformers' own need torchvision, "
    "whose wheel does not load beside torch's build for CPUs that the tests run on (0.28.0: "
    '"operator torchvision::nms does not exist")'
)
LEFT_OUT = {
    "fal-ai/qwen-image-edit-2509": f"Qwen2VLProcessor {_TORCHVISION}",
    "local/qwen-image-edit-2509": f"Qwen2VLProcessor {_TORCHVISION}",
    "local/minimax-h3-t2v": f"Qwen3VLProcessor {_TORCHVISION}",
    "local/minimax-h3-i2v": f"Qwen3VLProcessor {_TORCHVISION}",
    "local/minimax-h3-reference": f"Qwen3VLProcessor {_TORCHVISION}",
    "local/minimax-music-3": "diffusers fixes its vocabulary at 168,059 tokens",
}
