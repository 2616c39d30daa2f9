"""Tiny models that speak and play: random weights, no hub, less than a megabyte each."""

from __future__ import annotations

import json
from pathlib import Path

from tiny.common import CHAT, LETTERS, letters_tokenizer, loud, qwen_tokenizer, saved, t5_tokenizer
from tiny.hearing import mimi, qwen, vibevoice_encoder


def vits(folder: Path, *, speakers: int = 1) -> Path:
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    signs = {sign: index for index, sign in enumerate("_ abcdefghijklmnopqrstuvwxyz'-")}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(signs))
    tokenizer = VitsTokenizer(
        str(folder / "vocab.json"),
        pad_token="_",
        unk_token="_",
        phonemize=False,
        is_uroman=False,
    )
    config = VitsConfig(
        vocab_size=len(signs),
        num_speakers=speakers,
        speaker_embedding_size=8 if speakers > 1 else 0,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=16,
        flow_size=16,
        spectrogram_bins=33,
        upsample_initial_channel=32,
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3]],
        prior_encoder_num_flows=2,
        prior_encoder_num_wavenet_layers=1,
        posterior_encoder_num_wavenet_layers=1,
        duration_predictor_num_flows=2,
        depth_separable_num_layers=1,
        duration_predictor_filter_channels=16,
        sampling_rate=16000,
    )
    return saved(folder, VitsModel(config), tokenizer)


def musicgen(folder: Path) -> Path:
    """16 kHz, 50 frames of 4 codes a second: its sizes are small, its rates are the real ones."""
    from transformers import (
        EncodecConfig,
        EncodecFeatureExtractor,
        GenerationConfig,
        MusicgenConfig,
        MusicgenDecoderConfig,
        MusicgenForConditionalGeneration,
        MusicgenProcessor,
        T5Config,
    )

    tokenizer = t5_tokenizer()
    text = T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2
    )
    codec = EncodecConfig(
        num_filters=4,
        hidden_size=8,
        codebook_size=32,
        codebook_dim=8,
        upsampling_ratios=[8, 5, 4, 2],
        num_residual_layers=1,
        num_lstm_layers=1,
        target_bandwidths=[1.0],
        sampling_rate=16000,
        use_causal_conv=False,
    )
    decoder = MusicgenDecoderConfig(
        vocab_size=32,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=16,
        num_codebooks=4,
        max_position_embeddings=2048,
        pad_token_id=32,  # one beyond the codes; by default it would be 2048, outside the table
        bos_token_id=32,
        eos_token_id=None,
    )
    config = MusicgenConfig(
        text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=decoder.to_dict()
    )
    model = MusicgenForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        decoder_start_token_id=32,
        pad_token_id=32,
        bos_token_id=32,
        do_sample=True,
        guidance_scale=3.0,
        max_length=1500,
    )
    hears = EncodecFeatureExtractor(feature_size=1, sampling_rate=16000)
    return saved(folder, model, MusicgenProcessor(hears, tokenizer))


def dia(folder: Path) -> Path:
    """Dia with its DAC beside it, to which its processor points."""
    from transformers import (
        DacConfig,
        DacModel,
        DiaConfig,
        DiaDecoderConfig,
        DiaEncoderConfig,
        DiaFeatureExtractor,
        DiaForConditionalGeneration,
        DiaProcessor,
        DiaTokenizer,
    )

    codec = DacConfig(
        encoder_hidden_size=4,
        decoder_hidden_size=16,
        downsampling_ratios=[2, 4, 8, 8],
        n_codebooks=9,
        codebook_size=1024,
        codebook_dim=2,
        sampling_rate=44100,
    )
    saved(folder.parent / "dac", loud(DacModel(codec), "codebook.weight", "out_proj.weight"))
    encoder = DiaEncoderConfig(
        num_hidden_layers=1,
        hidden_size=16,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=16,
    )
    decoder = DiaDecoderConfig(
        num_hidden_layers=1,
        hidden_size=16,
        intermediate_size=16,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        cross_num_attention_heads=2,
        cross_head_dim=8,
        cross_num_key_value_heads=2,
        cross_hidden_size=16,
    )
    config = DiaConfig(
        encoder_config=encoder,
        decoder_config=decoder,
        pad_token_id=1025,
        eos_token_id=1024,
        bos_token_id=1026,
    )
    model = DiaForConditionalGeneration(config)
    hears = DiaFeatureExtractor(sampling_rate=44100, hop_length=512)
    sounds = DacModel.from_pretrained(str(folder.parent / "dac"))
    return saved(folder, model, DiaProcessor(hears, DiaTokenizer(), sounds))


def csm(folder: Path) -> Path:
    from transformers import (
        CsmConfig,
        CsmDepthDecoderConfig,
        CsmForConditionalGeneration,
        CsmProcessor,
        EncodecFeatureExtractor,
    )

    tokenizer = qwen_tokenizer("<|AUDIO|>", "<|audio_eos|>")
    ids = {mark: tokenizer.convert_tokens_to_ids(mark) for mark in ("<|AUDIO|>", "<|audio_eos|>")}
    depth = CsmDepthDecoderConfig(
        num_codebooks=4,
        backbone_hidden_size=16,
        vocab_size=64,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=5,
    )
    config = CsmConfig(
        num_codebooks=4,
        vocab_size=64,
        text_vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.pad_token_id,
        codebook_pad_token_id=63,
        codebook_eos_token_id=62,
        audio_token_id=ids["<|AUDIO|>"],
        audio_eos_token_id=ids["<|audio_eos|>"],
        depth_decoder_config=depth,
        codec_config=mimi(codes=64),
    )
    model = loud(CsmForConditionalGeneration(config), "embed_sum")
    processor = CsmProcessor(
        EncodecFeatureExtractor(sampling_rate=24000),
        tokenizer,
        chat_template=CHAT.replace("AUDIO", "<|AUDIO|><|audio_eos|>"),
    )
    return saved(folder, model, processor)


def vibevoice(folder: Path) -> Path:
    from transformers import (
        VibeVoiceAcousticTokenizerConfig,
        VibeVoiceAcousticTokenizerFeatureExtractor,
        VibeVoiceConfig,
        VibeVoiceDiffusionHeadConfig,
        VibeVoiceForConditionalGeneration,
        VibeVoiceProcessor,
    )

    marks = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>")
    tokenizer = qwen_tokenizer(*marks)
    start, end, sound = (tokenizer.convert_tokens_to_ids(mark) for mark in marks)
    config = VibeVoiceConfig(
        audio_config=VibeVoiceAcousticTokenizerConfig(
            hidden_size=8, num_filters=2, depths=[1] * 7, ffn_expansion=1
        ),
        semantic_model_config=vibevoice_encoder(8),
        text_config=qwen(tokenizer),
        diffusion_head_config=VibeVoiceDiffusionHeadConfig(
            num_hidden_layers=1, intermediate_size=16, frequency_embedding_size=16
        ),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        audio_bos_token_id=start,
        audio_eos_token_id=end,
        audio_token_id=sound,
    )
    model = VibeVoiceForConditionalGeneration(config)
    model.generation_config.update(guidance_scale=1.3, bos_token_id=start)
    # Random weights would say at once that there is nothing to say.
    model.generation_config.suppress_tokens = [start, end, tokenizer.eos_token_id]
    processor = VibeVoiceProcessor(
        VibeVoiceAcousticTokenizerFeatureExtractor(),
        tokenizer,
        chat_template=CHAT.replace("AUDIO", "".join((marks[0], marks[2], marks[1])))
        + "<|vision_start|>",
    )
    return saved(folder, model, processor)


def higgs(folder: Path) -> Path:
    """Higgs Audio with its tokenizer of sound beside it."""
    from transformers import (
        DacConfig,
        DacFeatureExtractor,
        HiggsAudioV2Config,
        HiggsAudioV2ForConditionalGeneration,
        HiggsAudioV2Processor,
        HiggsAudioV2TokenizerConfig,
        HiggsAudioV2TokenizerModel,
        HubertConfig,
    )

    marks = ("<|AUDIO_OUT|>", "<|audio_out_bos|>", "<|audio_eos|>", "<|reserved_special_token_6|>")
    tokenizer = qwen_tokenizer(*marks)
    sound, start, _, delay = (tokenizer.convert_tokens_to_ids(mark) for mark in marks)
    acoustic = DacConfig(
        encoder_hidden_size=4,
        decoder_hidden_size=32,
        downsampling_ratios=[8, 5, 4, 2, 3],
        upsampling_ratios=[8, 5, 4, 2, 3],
        hidden_size=16,
        n_codebooks=4,
        codebook_size=32,
        codebook_dim=4,
        sampling_rate=24000,
    )
    semantic = HubertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    codec = HiggsAudioV2TokenizerConfig(
        target_bandwidths=[0.5],
        codebook_size=32,
        codebook_dim=4,
        acoustic_model_config=acoustic,
        semantic_model_config=semantic,
    )
    saved(folder.parent / "higgs-tokenizer", HiggsAudioV2TokenizerModel(codec))
    sounds = HiggsAudioV2TokenizerModel.from_pretrained(str(folder.parent / "higgs-tokenizer"))
    config = HiggsAudioV2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        num_codebooks=sounds.config.num_quantizers,
        codebook_size=34,
        audio_token_id=sound,
        audio_bos_token_id=start,
        audio_delay_token_id=delay,
        audio_stream_bos_id=32,
        audio_stream_eos_id=33,
    )
    model = HiggsAudioV2ForConditionalGeneration(config)
    processor = HiggsAudioV2Processor(
        DacFeatureExtractor(sampling_rate=24000, hop_length=960),
        tokenizer,
        sounds,
        chat_template=CHAT.replace("AUDIO", "".join((marks[1], marks[0], marks[2]))) + marks[1],
        audio_stream_bos_id=32,
        audio_stream_eos_id=33,
    )
    return saved(folder, model, processor)


def bark(folder: Path) -> Path:
    from transformers import (
        BarkCoarseConfig,
        BarkConfig,
        BarkFineConfig,
        BarkModel,
        BarkProcessor,
        BarkSemanticConfig,
        BertTokenizer,
        EncodecConfig,
    )
    from transformers.models.bark.generation_configuration_bark import (
        BarkCoarseGenerationConfig,
        BarkFineGenerationConfig,
        BarkSemanticGenerationConfig,
    )

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{x}" for x in LETTERS)]
    tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(words)})
    small = {"num_layers": 1, "num_heads": 2, "hidden_size": 16}
    codec = EncodecConfig(
        num_filters=2, hidden_size=8, codebook_dim=8, num_residual_layers=1, num_lstm_layers=1
    )
    config = BarkConfig(
        semantic_config=BarkSemanticConfig(input_vocab_size=129600, **small),
        coarse_acoustics_config=BarkCoarseConfig(
            input_vocab_size=12096, output_vocab_size=12096, **small
        ),
        fine_acoustics_config=BarkFineConfig(
            input_vocab_size=1056, output_vocab_size=1056, **small
        ),
        codec_config=codec,
    )
    saved(folder, loud(BarkModel(config), "codebook.embed"), BarkProcessor(tokenizer))
    told = {
        "semantic_config": BarkSemanticGenerationConfig(do_sample=True).to_dict(),
        "coarse_acoustics_config": BarkCoarseGenerationConfig().to_dict(),
        "fine_acoustics_config": BarkFineGenerationConfig().to_dict(),
        "sample_rate": 24000,
        "codebook_size": 1024,
    }
    (folder / "generation_config.json").write_text(json.dumps(told))
    return folder


def speecht5(folder: Path) -> Path:
    """SpeechT5 with its vocoder beside it."""
    from transformers import (
        SpeechT5Config,
        SpeechT5FeatureExtractor,
        SpeechT5ForTextToSpeech,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
    )

    tokenizer = letters_tokenizer("<s>", "<pad>", "</s>")
    tokenizer.pad_token, tokenizer.eos_token = "<pad>", "</s>"
    config = SpeechT5Config(
        vocab_size=len(tokenizer),
        hidden_size=24,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        speech_decoder_prenet_units=16,
        speech_decoder_postnet_units=16,
        speaker_embedding_dim=8,
        max_text_positions=60,
        max_speech_positions=200,
    )
    vocoder = SpeechT5HifiGanConfig(
        upsample_initial_channel=16, resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]]
    )
    saved(folder.parent / "hifigan", loud(SpeechT5HifiGan(vocoder), "conv_post.weight"))
    return saved(folder, SpeechT5ForTextToSpeech(config), SpeechT5FeatureExtractor(), tokenizer)


BUILDERS = {
    "BarkModel": bark,
    "CsmForConditionalGeneration": csm,
    "DiaForConditionalGeneration": dia,
    "HiggsAudioV2ForConditionalGeneration": higgs,
    "MusicgenForConditionalGeneration": musicgen,
    "SpeechT5ForTextToSpeech": speecht5,
    "VibeVoiceForConditionalGeneration": vibevoice,
    "VitsModel": vits,
}
