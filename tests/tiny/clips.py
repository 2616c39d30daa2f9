"""Tiny pipelines that make clips: each family with the parts that the real one has."""

from __future__ import annotations

from typing import Any

import diffusers
import transformers

from tiny import parts

WAN = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "out_channels": 16,
    "text_dim": 32,
    "freq_dim": 32,
    "ffn_dim": 32,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "rope_max_seq_len": 32,
}


def _wan_transformer(channels: int = 16, **more: Any) -> Any:
    return diffusers.WanTransformer3DModel(**WAN, in_channels=channels, num_layers=1, **more)


def _wan_parts() -> dict[str, Any]:
    vae = diffusers.AutoencoderKLWan(
        base_dim=4,
        z_dim=16,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
    )
    return {
        "vae": vae,
        "text_encoder": parts.t5_text(multilingual=True),
        "tokenizer": parts.t5_tokenizer(),
        "scheduler": parts.unipc(),
    }


def wan_small() -> Any:
    return diffusers.WanPipeline(transformer=_wan_transformer(), **_wan_parts())


def wan_5b() -> Any:
    """One set of weights for text and for pictures, as the 5B has it."""
    parts = _wan_parts()
    return diffusers.WanPipeline(transformer=_wan_transformer(), expand_timesteps=True, **parts)


def wan_14b() -> Any:
    return diffusers.WanPipeline(
        transformer=_wan_transformer(),
        transformer_2=_wan_transformer(),
        boundary_ratio=0.875,
        **_wan_parts(),
    )


def wan_14b_i2v() -> Any:
    return diffusers.WanImageToVideoPipeline(
        transformer=_wan_transformer(36),
        transformer_2=_wan_transformer(36),
        boundary_ratio=0.9,
        **_wan_parts(),
    )


def wan_vace() -> Any:
    transformer = diffusers.WanVACETransformer3DModel(
        **WAN, in_channels=16, num_layers=2, vace_layers=[0], vace_in_channels=96
    )
    return diffusers.WanVACEPipeline(transformer=transformer, **_wan_parts())


def lucy() -> Any:
    return diffusers.LucyEditPipeline(
        transformer=_wan_transformer(32), expand_timesteps=True, **_wan_parts()
    )


def wan_animate() -> Any:
    """The vision tower is as wide as the transformer expects; pictures reach it at 224 pixels."""
    vision = transformers.CLIPVisionConfig(
        hidden_size=1280,
        intermediate_size=16,
        projection_dim=8,
        num_attention_heads=2,
        num_hidden_layers=2,
        image_size=224,
        patch_size=56,
    )
    transformer = diffusers.WanAnimate2Transformer3DModel(
        text_len=48, dim=24, ffn_dim=32, freq_dim=32, text_dim=32, num_heads=2, num_layers=1
    )
    pipe = diffusers.WanAnimate2DistilledBlocks().init_pipeline()
    pipe.update_components(
        transformer=transformer,
        image_encoder=transformers.CLIPVisionModel(vision).eval(),
        **(_wan_parts() | {"scheduler": parts.euler(shift=5.0)}),
    )
    return pipe


def ltx() -> Any:
    transformer = diffusers.LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=4,
        attention_head_dim=8,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=32,
    )
    vae = diffusers.AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8,) * 4,
        decoder_block_out_channels=(8,) * 4,
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
        spatio_temporal_scaling=(True, True, True, False),
        decoder_spatio_temporal_scaling=(True, True, True, False),
        decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4,
        upsample_factor=(1,) * 4,
    )
    return diffusers.LTXConditionPipeline(
        transformer=transformer,
        vae=vae,
        text_encoder=parts.t5_text(),
        tokenizer=parts.t5_tokenizer(128),
        scheduler=parts.euler(),
    )


def ltx2() -> Any:
    from diffusers.pipelines.ltx2 import LTX2TextConnectors
    from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder

    heads = {"num_attention_heads": 2, "attention_head_dim": 8}
    transformer = diffusers.LTX2VideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        cross_attention_dim=16,
        audio_in_channels=16,
        audio_out_channels=16,
        audio_num_attention_heads=2,
        audio_attention_head_dim=4,
        audio_cross_attention_dim=8,
        num_layers=1,
        caption_channels=16,
        rope_double_precision=False,
        rope_type="split",
        **heads,
    )
    connectors = LTX2TextConnectors(
        caption_channels=16,
        text_proj_in_factor=3,
        video_connector_num_attention_heads=2,
        video_connector_attention_head_dim=8,
        video_connector_num_layers=1,
        video_connector_num_learnable_registers=None,
        audio_connector_num_attention_heads=2,
        audio_connector_attention_head_dim=8,
        audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=None,
        connector_rope_base_seq_len=32,
        rope_double_precision=False,
        causal_temporal_positioning=False,
        rope_type="split",
    )
    vocoder = LTX2Vocoder(
        in_channels=16,
        hidden_channels=32,
        out_channels=2,
        upsample_kernel_sizes=[4, 4, 4, 4],
        upsample_factors=[2, 2, 2, 2],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3, 5]],
        output_sampling_rate=1600,
    )
    return diffusers.LTX2Pipeline(
        transformer=transformer,
        vae=_ltx2_autoencoder(),
        audio_vae=_ltx2_sound(),
        text_encoder=_gemma(),
        tokenizer=parts.llama_tokenizer(),
        connectors=connectors,
        vocoder=vocoder,
        scheduler=parts.euler(),
    )


def _ltx2_autoencoder() -> Any:
    return diffusers.AutoencoderKLLTX2Video(
        latent_channels=8,
        block_out_channels=(8,) * 3,
        decoder_block_out_channels=(8,) * 3,
        layers_per_block=(1,) * 4,
        decoder_layers_per_block=(1,) * 4,
        spatio_temporal_scaling=(True,) * 3,
        decoder_spatio_temporal_scaling=(True,) * 3,
        decoder_inject_noise=(False,) * 4,
        downsample_type=("spatiotemporal",) * 3,
        upsample_residual=(False,) * 3,
        upsample_factor=(1,) * 3,
        patch_size=4,
    )


def _ltx2_sound() -> Any:
    return diffusers.AutoencoderKLLTX2Audio(
        base_channels=16,  # as many as its latents have: eight, twice
        output_channels=2,
        ch_mult=(1, 1, 1),
        num_res_blocks=1,
        in_channels=2,
        resolution=32,
        latent_channels=8,
        norm_type="pixel",
        causality_axis="height",
        mid_block_add_attention=False,
        sample_rate=1600,
        mel_hop_length=16,
        mel_bins=8,
    )


def _gemma() -> Any:
    text = {
        "vocab_size": 320,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "head_dim": 8,
        "sliding_window": 64,
        **parts.HEADS,
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    config = transformers.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4
    )
    return transformers.Gemma3ForConditionalGeneration(config).eval()


def _hunyuan_parts(channels: int, *, guided: bool, **more: Any) -> dict[str, Any]:
    transformer = diffusers.HunyuanVideoTransformer3DModel(
        in_channels=channels,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=10,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        patch_size=2,
        patch_size_t=1,
        guidance_embeds=guided,
        text_embed_dim=16,
        pooled_projection_dim=8,
        rope_axes_dim=(2, 4, 4),
        **more,
    )
    vae = diffusers.AutoencoderKLHunyuanVideo(
        latent_channels=4,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4,
        up_block_types=("HunyuanVideoUpBlock3D",) * 4,
        block_out_channels=(8,) * 4,
        layers_per_block=1,
        norm_num_groups=4,
    )
    return {
        "transformer": transformer,
        "vae": vae,
        "tokenizer": parts.llama_tokenizer(),
        "text_encoder_2": parts.clip_text(8),
        "tokenizer_2": parts.clip_tokenizer(),
        "scheduler": parts.euler(shift=7.0),
    }


def hunyuan() -> Any:
    return diffusers.HunyuanVideoPipeline(
        **_hunyuan_parts(4, guided=True), text_encoder=parts.llama_text()
    )


def hunyuan_i2v() -> Any:
    text = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_attention_heads": 2,
        "num_hidden_layers": 3,
        "vocab_size": 320,
        "pad_token_id": 2,
    }
    vision = {
        "hidden_size": 8,
        "intermediate_size": 16,
        "projection_dim": 8,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**vision),
        text_config=transformers.LlamaConfig(**text),
        pad_token_id=2,
        image_token_index=319,
    )
    return diffusers.HunyuanVideoImageToVideoPipeline(
        **_hunyuan_parts(9, guided=False, image_condition_type="latent_concat"),
        text_encoder=transformers.LlavaForConditionalGeneration(config).eval(),
        image_processor=transformers.CLIPImageProcessorPil(crop_size=32, size=32),
    )


def _hunyuan15_parts(task: str) -> dict[str, Any]:
    from diffusers.guiders import ClassifierFreeGuidance

    transformer = diffusers.HunyuanVideo15Transformer3DModel(
        in_channels=9,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        num_refiner_layers=1,
        mlp_ratio=2.0,
        patch_size=1,
        patch_size_t=1,
        text_embed_dim=16,
        text_embed_2_dim=32,
        image_embed_dim=12,
        rope_axes_dim=(2, 2, 4),
        target_size=64,
        task_type=task,
    )
    vae = diffusers.AutoencoderKLHunyuanVideo15(
        latent_channels=4,
        block_out_channels=(16, 16, 16, 16),
        layers_per_block=1,
        spatial_compression_ratio=8,
        temporal_compression_ratio=4,
        downsample_match_channel=False,
        upsample_match_channel=False,
    )
    byte_text = transformers.T5Config(
        vocab_size=384, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2
    )
    return {
        "transformer": transformer.eval(),
        "vae": vae.eval(),
        "text_encoder": parts.qwen_vl_text(),
        "tokenizer": parts.qwen_tokenizer(),
        "text_encoder_2": transformers.T5EncoderModel(byte_text).eval(),
        "tokenizer_2": transformers.ByT5Tokenizer(),
        "scheduler": parts.euler(shift=7.0),
        "guider": ClassifierFreeGuidance(guidance_scale=1.0),
    }


def hunyuan15() -> Any:
    return diffusers.HunyuanVideo15Pipeline(**_hunyuan15_parts("t2v"))


def hunyuan15_i2v() -> Any:
    vision = transformers.SiglipVisionConfig(
        hidden_size=12,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    return diffusers.HunyuanVideo15ImageToVideoPipeline(
        **_hunyuan15_parts("i2v"),
        image_encoder=transformers.SiglipVisionModel(vision).eval(),
        feature_extractor=transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32}),
    )
