"""Tiny pipelines that make sounds: each family with the parts that the real one has."""

from __future__ import annotations

from typing import Any

import diffusers

from tiny import parts


def stable_audio() -> Any:
    transformer = diffusers.StableAudioDiTModel(
        sample_size=256,
        in_channels=8,
        num_layers=1,
        attention_head_dim=4,
        num_key_value_attention_heads=2,
        out_channels=8,
        cross_attention_dim=4,
        time_proj_dim=8,
        global_states_input_dim=8,
        cross_attention_input_dim=4,
    )
    vae = diffusers.AutoencoderOobleck(
        encoder_hidden_size=16,  # twice its latents
        downsampling_ratios=[2, 4, 4, 8],
        decoder_channels=8,
        decoder_input_channels=8,
        audio_channels=2,
        channel_multiples=[1, 1, 1, 1],
        sampling_rate=8000,
    )
    projection = diffusers.StableAudioProjectionModel(
        text_encoder_dim=32, conditioning_dim=4, min_value=0, max_value=32
    )
    return diffusers.StableAudioPipeline(
        transformer=transformer,
        vae=vae,
        text_encoder=parts.t5_text(),
        tokenizer=parts.t5_tokenizer(25),
        projection_model=projection,
        scheduler=diffusers.CosineDPMSolverMultistepScheduler(
            solver_order=2,
            prediction_type="v_prediction",
            sigma_data=1.0,
            sigma_schedule="exponential",
        ),
    )


def ace_step() -> Any:
    from diffusers.pipelines.ace_step import AceStepConditionEncoder

    shared = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "head_dim": 8,
        "sliding_window": 16,
        **parts.HEADS,
    }
    transformer = diffusers.AceStepTransformer1DModel(
        num_hidden_layers=1, in_channels=24, audio_acoustic_hidden_dim=8, **shared
    )
    encoder = AceStepConditionEncoder(
        text_hidden_dim=16,
        timbre_hidden_dim=8,
        num_lyric_encoder_hidden_layers=1,
        num_timbre_encoder_hidden_layers=1,
        **shared,
    )
    vae = diffusers.AutoencoderOobleck(
        encoder_hidden_size=8,
        downsampling_ratios=[2, 4, 4, 8],
        decoder_channels=8,
        decoder_input_channels=8,
        audio_channels=2,
        channel_multiples=[1, 1, 1, 1],
        sampling_rate=6400,
    )
    return diffusers.AceStepPipeline(
        transformer=transformer,
        condition_encoder=encoder,
        vae=vae,
        text_encoder=parts.qwen3_text(),
        tokenizer=parts.qwen_tokenizer(),
        scheduler=parts.euler(num_train_timesteps=1, shift=1.0),
    )
