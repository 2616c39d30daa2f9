"""Tiny models that hear: random weights, no hub, less than a megabyte each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny.common import CHAT, bytes_vocabulary, letters_tokenizer, qwen_tokenizer, saved


def whisper(folder: Path) -> Path:
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    end, start = "<|endoftext|>", "<|startoftranscript|>"
    languages = ("<|en|>", "<|de|>")
    tasks = ("<|translate|>", "<|transcribe|>")
    others = ("<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>")
    special = (end, start, *languages, *tasks, *others)
    tokenizer = WhisperTokenizer(vocab=bytes_vocabulary(*special), merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    tokenizer.add_tokens([f"<|{step * 0.02:.2f}|>" for step in range(1501)])
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in special}
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_target_positions=64,
        decoder_start_token_id=ids[start],
        eos_token_id=ids[end],
        bos_token_id=ids[end],
        pad_token_id=ids[end],
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        decoder_start_token_id=ids[start],
        eos_token_id=ids[end],
        pad_token_id=ids[end],
        bos_token_id=ids[end],
        is_multilingual=True,
        lang_to_id={token: ids[token] for token in languages},
        task_to_id={token.strip("<|>"): ids[token] for token in tasks},
        no_timestamps_token_id=ids["<|notimestamps|>"],
        alignment_heads=[[0, 0], [1, 1]],
        max_length=24,
        return_timestamps=False,
    )
    processor = WhisperProcessor(WhisperFeatureExtractor(), tokenizer)
    return saved(folder, model, processor)


def parakeet_encoder() -> Any:
    from transformers import ParakeetEncoderConfig

    return ParakeetEncoderConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        subsampling_conv_channels=8,
    )


def parakeet_processor(decoder: str) -> Any:
    from transformers import ParakeetFeatureExtractor, ParakeetProcessor, ParakeetTokenizer

    fast = letters_tokenizer("<pad>", "<blank>")
    tokenizer = ParakeetTokenizer(
        tokenizer_object=fast.backend_tokenizer, unk_token="<unk>", pad_token="<pad>"
    )
    return ParakeetProcessor(ParakeetFeatureExtractor(), tokenizer, decoder_type=decoder)


def parakeet_ctc(folder: Path) -> Path:
    from transformers import ParakeetCTCConfig, ParakeetForCTC

    processor = parakeet_processor("ctc")
    config = ParakeetCTCConfig(
        vocab_size=len(processor.tokenizer), encoder_config=parakeet_encoder(), pad_token_id=0
    )
    return saved(folder, ParakeetForCTC(config), processor)


def parakeet_transducer(folder: Path, kind: str) -> Path:
    import transformers

    processor = parakeet_processor(kind.lower())
    config = getattr(transformers, f"Parakeet{kind}Config")(
        vocab_size=len(processor.tokenizer),
        decoder_hidden_size=16,
        num_decoder_layers=1,
        max_symbols_per_step=2,
        encoder_config=parakeet_encoder(),
        pad_token_id=0,
        blank_token_id=1,
    )
    model = getattr(transformers, f"ParakeetFor{kind}")(config)
    model.generation_config.decoder_start_token_id = 1
    return saved(folder, model, processor)


def parakeet_tdt(folder: Path) -> Path:
    return parakeet_transducer(folder, "TDT")


def parakeet_rnnt(folder: Path) -> Path:
    return parakeet_transducer(folder, "RNNT")


def canary(folder: Path) -> Path:
    from transformers import (
        CanaryConfig,
        CanaryDecoderConfig,
        CanaryForConditionalGeneration,
        CanaryProcessor,
        ParakeetEncoderConfig,
        ParakeetFeatureExtractor,
    )

    tokenizer = letters_tokenizer("<unused>", "<s>", "<pad>", "</s>", "<start>")
    tokenizer.pad_token, tokenizer.eos_token = "<pad>", "</s>"
    template = (
        "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'text' %}"
        "<start>{{ c['source_language'] }}{{ c['target_language'] }}{% endif %}"
        "{% endfor %}{% endfor %}"
    )
    encoder = ParakeetEncoderConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        subsampling_conv_channels=8,
        scale_input=False,
    )
    decoder = CanaryDecoderConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        pad_token_id=2,
        bos_token_id=1,
        eos_token_id=3,
    )
    config = CanaryConfig(
        encoder_config=encoder,
        decoder_config=decoder,
        vocab_size=len(tokenizer),
        pad_token_id=2,
        bos_token_id=1,
        eos_token_id=3,
        decoder_start_token_id=4,
    )
    model = CanaryForConditionalGeneration(config)
    hears = ParakeetFeatureExtractor()
    return saved(folder, model, CanaryProcessor(hears, tokenizer, chat_template=template))


def moonshine(folder: Path) -> Path:
    from transformers import (
        MoonshineConfig,
        MoonshineForConditionalGeneration,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2Processor,
    )

    tokenizer = letters_tokenizer("<pad>", "<s>", "</s>")
    tokenizer.pad_token, tokenizer.bos_token, tokenizer.eos_token = "<pad>", "<s>", "</s>"
    config = MoonshineConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        encoder_num_hidden_layers=1,
        decoder_num_hidden_layers=1,
        encoder_num_attention_heads=2,
        decoder_num_attention_heads=2,
        pad_token_id=0,
    )
    hears = Wav2Vec2FeatureExtractor(do_normalize=False)
    processor = Wav2Vec2Processor(hears, tokenizer)
    return saved(folder, MoonshineForConditionalGeneration(config), processor)


def vibevoice_encoder(size: int) -> Any:
    from transformers import VibeVoiceAcousticTokenizerEncoderConfig

    return VibeVoiceAcousticTokenizerEncoderConfig(
        hidden_size=size, num_filters=2, depths=[1] * 7, ffn_expansion=1
    )


def qwen(tokenizer: Any, **more: Any) -> Any:
    from transformers import Qwen2Config

    return Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        **more,
    )


def vibevoice_asr(folder: Path) -> Path:
    from transformers import (
        VibeVoiceAcousticTokenizerFeatureExtractor,
        VibeVoiceAsrConfig,
        VibeVoiceAsrForConditionalGeneration,
        VibeVoiceAsrProcessor,
    )

    marks = ("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>")
    tokenizer = qwen_tokenizer(*marks)
    start, end, sound = (tokenizer.convert_tokens_to_ids(mark) for mark in marks)
    config = VibeVoiceAsrConfig(
        acoustic_tokenizer_encoder_config=vibevoice_encoder(8),
        semantic_tokenizer_encoder_config=vibevoice_encoder(8),
        text_config=qwen(tokenizer),
        audio_token_id=sound,
        audio_bos_token_id=start,
        audio_eos_token_id=end,
    )
    model = VibeVoiceAsrForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    processor = VibeVoiceAsrProcessor(
        VibeVoiceAcousticTokenizerFeatureExtractor(),
        tokenizer,
        chat_template=CHAT.replace("AUDIO", "".join((marks[0], marks[2], marks[1]))),
    )
    return saved(folder, model, processor)


def moss(folder: Path) -> Path:
    from transformers import (
        MossTranscribeDiarizeAudioConfig,
        MossTranscribeDiarizeConfig,
        MossTranscribeDiarizeFeatureExtractor,
        MossTranscribeDiarizeForConditionalGeneration,
        MossTranscribeDiarizeProcessor,
        Qwen3Config,
    )

    marks = ("<|audio_start|>", "<|audio_end|>", "<|audio_pad|>")
    tokenizer = qwen_tokenizer(*marks)
    audio = MossTranscribeDiarizeAudioConfig(
        num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, hidden_size=16
    )
    text = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )
    config = MossTranscribeDiarizeConfig(
        audio_config=audio,
        text_config=text,
        audio_token_id=tokenizer.convert_tokens_to_ids("<|audio_pad|>"),
    )
    model = MossTranscribeDiarizeForConditionalGeneration(config)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    processor = MossTranscribeDiarizeProcessor(
        MossTranscribeDiarizeFeatureExtractor(),
        tokenizer,
        chat_template=CHAT.replace("AUDIO", "".join((marks[0], marks[2], marks[1]))),
    )
    return saved(folder, model, processor)


def mimi(codes: int = 32) -> Any:
    from transformers import MimiConfig

    return MimiConfig(
        hidden_size=16,
        num_filters=2,
        codebook_size=codes,
        codebook_dim=8,
        num_quantizers=4,
        vector_quantization_hidden_dimension=8,
        upsample_groups=16,
        num_hidden_layers=1,
        intermediate_size=16,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )


def kyutai(folder: Path) -> Path:
    from transformers import (
        KyutaiSpeechToTextConfig,
        KyutaiSpeechToTextFeatureExtractor,
        KyutaiSpeechToTextForConditionalGeneration,
        KyutaiSpeechToTextProcessor,
    )

    tokenizer = letters_tokenizer("<s>", "</s>", "<x>", "<pad>")
    tokenizer.pad_token = "<pad>"
    config = KyutaiSpeechToTextConfig(
        codebook_vocab_size=33,
        vocab_size=len(tokenizer) + 1,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        ffn_dim=32,
        num_codebooks=4,
        audio_bos_token_id=32,
        audio_pad_token_id=len(tokenizer) + 2,
        pad_token_id=3,
        bos_token_id=len(tokenizer),
        codec_config=mimi(),
    )
    model = KyutaiSpeechToTextForConditionalGeneration(config)
    hears = KyutaiSpeechToTextFeatureExtractor(
        audio_delay_seconds=0.5, audio_silence_prefix_seconds=0.0
    )
    return saved(folder, model, KyutaiSpeechToTextProcessor(hears, tokenizer))


BUILDERS = {
    "WhisperForConditionalGeneration": whisper,
    "ParakeetForCTC": parakeet_ctc,
    "ParakeetForTDT": parakeet_tdt,
    "ParakeetForRNNT": parakeet_rnnt,
    "CanaryForConditionalGeneration": canary,
    "MoonshineForConditionalGeneration": moonshine,
    "VibeVoiceAsrForConditionalGeneration": vibevoice_asr,
    "MossTranscribeDiarizeForConditionalGeneration": moss,
    "KyutaiSpeechToTextForConditionalGeneration": kyutai,
}
