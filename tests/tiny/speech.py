"""Builders of tiny models of speech, music and captions: random weights, no hub, some kB each.

Every function saves a model as a real one is saved and returns its folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

LETTERS = "abcdefghijklmnopqrstuvwxyz'-,.!?0123456789:[]<>|/_"
QWEN = {"pad": "<|endoftext|>", "start": "<|im_start|>", "end": "<|im_end|>"}


def bytes_vocabulary(*more: str) -> dict[str, int]:
    """Return a vocabulary of one token for each byte, and special ones."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    words = [*bytes_to_unicode().values(), *more]
    return {word: index for index, word in enumerate(words)}


def qwen_tokenizer(*special: str) -> Any:
    from transformers import Qwen2Tokenizer

    tokenizer = Qwen2Tokenizer(vocab=bytes_vocabulary(*QWEN.values()), merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": [*QWEN.values(), *special]})
    tokenizer.pad_token = QWEN["pad"]
    tokenizer.eos_token = QWEN["end"]
    return tokenizer


def letters_tokenizer(*special: str, unk: str = "<unk>", blank: str = " ") -> Any:
    """A tokenizer of one token for each letter; `▁` begins a word."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [*special, unk, *("▁" + letter for letter in LETTERS), "▁", *LETTERS]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=unk))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=unk, additional_special_tokens=list(special)
    )


def saved(folder: Path, *parts: Any) -> Path:
    for part in parts:
        part.save_pretrained(str(folder))
    return folder


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


def t5_tokenizer() -> Any:
    from transformers import T5Tokenizer

    letters = [(letter, -3.0) for letter in LETTERS]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *letters]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=64)


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


BUILDERS: Mapping[str, Callable[[Path], Path]] = {
    "WhisperForConditionalGeneration": whisper,
    "VitsModel": vits,
    "MusicgenForConditionalGeneration": musicgen,
}


def built(names: Sequence[str], under: Path) -> dict[str, Path]:
    """Build the named classes below a folder; each has the same weights in every run."""
    import torch

    folders = {}
    for name in names:
        torch.manual_seed(0)
        folders[name] = BUILDERS[name](under / name)
    return folders
