"""Tiny pipelines that make pictures: each family with the parts that the real one has."""

from __future__ import annotations

from typing import Any

import diffusers

from tiny import parts


def _flux_parts(*, guided: bool) -> dict[str, Any]:
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=guided,
        axes_dims_rope=[4, 4, 8],
    )
    return {
        "transformer": transformer,
        "vae": parts.flux_autoencoder(),
        "text_encoder": parts.clip_text(),
        "tokenizer": parts.clip_tokenizer(),
        "text_encoder_2": parts.t5_text(),
        "tokenizer_2": parts.t5_tokenizer(),
        "scheduler": parts.euler(shift=3.0, use_dynamic_shifting=True)
        if guided
        else parts.euler(shift=1.0),
    }


def flux_schnell() -> Any:
    return diffusers.FluxPipeline(**_flux_parts(guided=False))


def flux_dev() -> Any:
    return diffusers.FluxPipeline(**_flux_parts(guided=True))


def flux_kontext() -> Any:
    return diffusers.FluxKontextPipeline(**_flux_parts(guided=True))


def _flux2_parts(*, guided: bool) -> dict[str, Any]:
    transformer = diffusers.Flux2Transformer2DModel(
        patch_size=1,
        in_channels=128,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        timestep_guidance_channels=32,
        axes_dims_rope=[4, 4, 4, 4],
        guidance_embeds=guided,
    )
    vae = diffusers.AutoencoderKLFlux2(
        sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8,) * 4,
        layers_per_block=1,
        latent_channels=32,
        norm_num_groups=4,
    )
    return {
        "transformer": transformer,
        "vae": vae,
        "tokenizer": parts.qwen_tokenizer(),
        "scheduler": parts.euler(use_dynamic_shifting=True),
    }


def flux2_klein() -> Any:
    return diffusers.Flux2KleinPipeline(
        **_flux2_parts(guided=False),
        text_encoder=parts.qwen3_text(28, causal=True),
        is_distilled=True,
    )


def flux2_dev() -> Any:
    return diffusers.Flux2Pipeline(**_flux2_parts(guided=True), text_encoder=parts.mistral_vl(31))


def sdxl() -> Any:
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=80,
        cross_attention_dim=64,
        norm_num_groups=4,
    )
    return diffusers.StableDiffusionXLPipeline(
        unet=unet,
        vae=parts.autoencoder(4),
        text_encoder=parts.clip_text(),
        tokenizer=parts.clip_tokenizer(),
        text_encoder_2=parts.clip_text(projected=True),
        tokenizer_2=parts.clip_tokenizer(),
        scheduler=diffusers.EulerDiscreteScheduler(steps_offset=1, timestep_spacing="leading"),
        add_watermarker=False,
    )


def sd35() -> Any:
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=16,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=64,
        pooled_projection_dim=64,
        out_channels=16,
        pos_embed_max_size=32,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    return diffusers.StableDiffusion3Pipeline(
        transformer=transformer,
        vae=parts.flux_autoencoder(),
        text_encoder=parts.clip_text(projected=True),
        tokenizer=parts.clip_tokenizer(),
        text_encoder_2=parts.clip_text(projected=True),
        tokenizer_2=parts.clip_tokenizer(),
        text_encoder_3=parts.t5_text(64),
        tokenizer_3=parts.t5_tokenizer(),
        scheduler=parts.euler(shift=3.0),
    )


def hidream() -> Any:
    """HiDream without its Llama, which a card names as a component of its own."""
    transformer = diffusers.HiDreamImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_channels=[32, 16],
        text_emb_dim=64,
        num_routed_experts=4,
        num_activated_experts=2,
        axes_dims_rope=(4, 2, 2),
        max_resolution=(128, 128),
        llama_layers=(0, 1),
    ).eval()
    return diffusers.HiDreamImagePipeline(
        transformer=transformer,
        vae=parts.flux_autoencoder(),
        text_encoder=parts.clip_text(projected=True, length=248),
        tokenizer=parts.clip_tokenizer(248),
        text_encoder_2=parts.clip_text(projected=True, length=248),
        tokenizer_2=parts.clip_tokenizer(248),
        text_encoder_3=parts.t5_text(),
        tokenizer_3=parts.t5_tokenizer(),
        text_encoder_4=None,
        tokenizer_4=None,
        scheduler=parts.unipc(),
    )


def zimage() -> Any:
    import torch

    transformer = diffusers.ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=16,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 64, 64],
    )
    with torch.no_grad():  # the tokens that fill up are not drawn at random
        transformer.x_pad_token.fill_(1)
        transformer.cap_pad_token.fill_(1)
    return diffusers.ZImagePipeline(
        transformer=transformer,
        text_encoder=parts.qwen3_text(),
        tokenizer=parts.qwen_tokenizer(),
        vae=parts.autoencoder(16, shift_factor=0.1159, scaling_factor=0.3611),
        scheduler=parts.euler(shift=3.0),
    )


def qwen_image() -> Any:
    transformer = diffusers.QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=64,
        out_channels=16,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    )
    vae = diffusers.AutoencoderKLQwenImage(
        base_dim=8, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1
    )
    return diffusers.QwenImagePipeline(
        transformer=transformer,
        vae=vae,
        text_encoder=parts.qwen_vl(),
        tokenizer=parts.qwen_tokenizer(),
        scheduler=parts.euler(use_dynamic_shifting=True),
    )


def _llama() -> dict[str, Any]:
    return {
        "text_encoder_4": parts.llama_text(2, causal=True),
        "tokenizer_4": parts.llama_tokenizer(),
    }


COMPONENTS = {"hidream": _llama}
