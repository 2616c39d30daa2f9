"""FLUX.1-dev, SDXL and Wan 2.1 1.3B built from their published configs with random weights.

The arithmetic is that of the real ones, layer by layer; only what they draw is noise. Tokenizers
have a few letters, since what is encoded is padded to the same length anyway. `tiny` keeps every
kind of layer and shrinks their number and width, for a machine without a GPU.

Sources: the `config.json` files of black-forest-labs/FLUX.1-dev, stabilityai/stable-diffusion-xl-
base-1.0 and Wan-AI/Wan2.1-T2V-1.3B-Diffusers.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Model:
    """A pipeline to measure: how it is built and called, and how fast others say it is."""

    name: str
    build: Callable[[bool], Any]
    call: Mapping[str, Any]
    tiny: Mapping[str, Any]
    marks: Mapping[str, str] = field(default_factory=dict)
    few_steps: int = 0  # of the micro-batch measurement; 0: none


def on(device: str, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Have modules made on `device` in `dtype` from the start: 24 GB need no copy then."""
    stack = ExitStack()
    stack.enter_context(torch.device(device))
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    stack.callback(torch.set_default_dtype, before)
    return stack


def plain() -> AbstractContextManager[Any]:
    """Have a scheduler made as ever: it computes its tables on the CPU, in numpy."""
    return on("cpu", torch.float32)


def flux(tiny: bool) -> Any:
    import diffusers

    sizes: dict[str, Any] = {"num_layers": 19, "num_single_layers": 38, "attention_head_dim": 128}
    sizes |= {"num_attention_heads": 24, "axes_dims_rope": (16, 56, 56)}
    if tiny:
        sizes = {"num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16}
        sizes |= {"num_attention_heads": 2, "axes_dims_rope": (4, 4, 8)}
    with plain():
        scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    first, first_words = clip(tiny, hidden=768, layers=12, heads=12)
    second, second_words = t5(tiny)
    return diffusers.FluxPipeline(
        transformer=diffusers.FluxTransformer2DModel(
            patch_size=1,
            in_channels=64,
            joint_attention_dim=32 if tiny else 4096,
            pooled_projection_dim=32 if tiny else 768,
            guidance_embeds=True,
            **sizes,
        ),
        vae=autoencoder(tiny, latents=16, scaling=0.3611, shift=0.1159, quant=False),
        text_encoder=first,
        tokenizer=first_words,
        text_encoder_2=second,
        tokenizer_2=second_words,
        scheduler=scheduler,
    )


def sdxl(tiny: bool) -> Any:
    import diffusers

    first, first_words = clip(tiny, hidden=768, layers=12, heads=12)
    second, second_words = clip(tiny, hidden=1280, layers=32, heads=20, projection=True)
    with plain():
        scheduler = diffusers.EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        )
    blocks = (16, 32, 32) if tiny else (320, 640, 1280)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8 if tiny else 128,
        block_out_channels=blocks,
        norm_num_groups=8 if tiny else 32,
        layers_per_block=1 if tiny else 2,
        transformer_layers_per_block=1 if tiny else [1, 2, 10],
        attention_head_dim=(2, 4, 4) if tiny else (5, 10, 20),
        cross_attention_dim=64 if tiny else 2048,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8 if tiny else 256,
        projection_class_embeddings_input_dim=6 * 8 + 32 if tiny else 2816,
    )
    return diffusers.StableDiffusionXLPipeline(
        unet=unet,
        vae=autoencoder(tiny, latents=4, scaling=0.13025),
        text_encoder=first,
        tokenizer=first_words,
        text_encoder_2=second,
        tokenizer_2=second_words,
        scheduler=scheduler,
    )


def wan(tiny: bool) -> Any:
    import diffusers
    from transformers import UMT5Config, UMT5EncoderModel

    with plain():
        scheduler = diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        )
    width = 32 if tiny else 4096
    transformer = diffusers.WanTransformer3DModel(
        num_attention_heads=2 if tiny else 12,
        attention_head_dim=12 if tiny else 128,
        num_layers=1 if tiny else 30,
        ffn_dim=32 if tiny else 8960,
        freq_dim=32 if tiny else 256,
        text_dim=width,
        in_channels=16,
        out_channels=16,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
    )
    small: dict[str, Any] = {"base_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
    config = UMT5Config(
        vocab_size=64 if tiny else 256384,
        d_model=width,
        d_kv=8 if tiny else 64,
        d_ff=32 if tiny else 10240,
        num_layers=1 if tiny else 24,
        num_heads=2 if tiny else 64,
        feed_forward_proj="gated-gelu",
    )
    return diffusers.WanPipeline(
        transformer=transformer,
        vae=diffusers.AutoencoderKLWan(**(small if tiny else {})),
        text_encoder=UMT5EncoderModel(config),
        tokenizer=letters(),
        scheduler=scheduler,
    )


def autoencoder(
    tiny: bool, latents: int, scaling: float, shift: float | None = None, quant: bool = True
) -> Any:
    import diffusers

    return diffusers.AutoencoderKL(
        sample_size=64 if tiny else 1024,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8,) * 4 if tiny else (128, 256, 512, 512),
        norm_num_groups=4 if tiny else 32,
        layers_per_block=1 if tiny else 2,
        latent_channels=latents,
        scaling_factor=scaling,
        shift_factor=shift,
        use_quant_conv=quant,
        use_post_quant_conv=quant,
        force_upcast=False,
    )


def clip(tiny: bool, hidden: int, layers: int, heads: int, projection: bool = False) -> Any:
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTextModelWithProjection,
        CLIPTokenizer,
    )
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    signs = list(bytes_to_unicode().values())
    words = [*signs, *(f"{sign}</w>" for sign in signs), "<|startoftext|>", "<|endoftext|>"]
    width = 32 if tiny else hidden
    config = CLIPTextConfig(
        vocab_size=len(words) if tiny else 49408,
        hidden_size=width,
        intermediate_size=width * (1 if tiny else 4),
        num_hidden_layers=2 if tiny else layers,
        num_attention_heads=2 if tiny else heads,
        projection_dim=width,
        hidden_act="gelu" if projection else "quick_gelu",
        bos_token_id=len(words) - 2,
        eos_token_id=len(words) - 1,
        pad_token_id=len(words) - 1,
    )
    kind = CLIPTextModelWithProjection if projection else CLIPTextModel
    vocabulary = {word: index for index, word in enumerate(words)}
    return kind(config), CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def t5(tiny: bool) -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=64 if tiny else 32128,
        d_model=32 if tiny else 4096,
        d_kv=8 if tiny else 64,
        d_ff=32 if tiny else 10240,
        num_layers=1 if tiny else 24,
        num_heads=2 if tiny else 64,
        feed_forward_proj="gated-gelu",
    )
    return T5EncoderModel(config), letters()


def letters() -> Any:
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    pieces += [(letter, -3.0) for letter in string.ascii_lowercase]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)


SQUARE = {"width": 1024, "height": 1024}
SMALL = {"width": 64, "height": 64}
MODELS: Mapping[str, Model] = {
    "flux": Model(
        "FLUX.1-dev, 1024², 28 steps",
        flux,
        SQUARE | {"num_inference_steps": 28, "guidance_scale": 3.5, "max_sequence_length": 512},
        SMALL | {"num_inference_steps": 13, "guidance_scale": 3.5, "max_sequence_length": 16},
        {
            "eager": "6.7 s (H100; pytorch.org, 2026-05)",
            "exact": "4.5 s compiled (H100; same)",
            "fast": "about 2.7 s (H100; flux-fast)",
        },
    ),
    "sdxl": Model(
        "SDXL, 1024², 30 steps, guided",
        sdxl,
        SQUARE | {"num_inference_steps": 30, "guidance_scale": 5.0},
        SMALL | {"num_inference_steps": 3, "guidance_scale": 5.0},
        few_steps=4,
    ),
    "wan": Model(
        "Wan 2.1 1.3B, 832x480, 33 frames, 14 of its 50 steps, guided",
        wan,
        {"width": 832, "height": 480, "num_frames": 33, "num_inference_steps": 14},
        SMALL | {"num_frames": 5, "num_inference_steps": 2, "max_sequence_length": 16},
    ),
}
