"""What the builders of tiny models share: tokenizers made in memory, and saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LETTERS = "abcdefghijklmnopqrstuvwxyz'-,.!?0123456789:[]<>|/_"
# A conversation as the models here are told it: who, then text and sound or pictures.
CHAT = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + ' ' }}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' and 'text' in c %}{{ c['text'] }}"
    "{% elif c['type'] == 'audio' %}AUDIO{% elif c['type'] == 'image' %}IMAGE{% endif %}"
    "{% endfor %}{{ '<|im_end|>' }}{% endfor %}"
)
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


def loud(model: Any, *names: str) -> Any:
    """Draw the named weights and codes anew: as they begin, codes and seeds would not be heard."""
    import torch

    tensors = [*model.named_parameters(), *model.named_buffers()]
    with torch.no_grad():
        for name, tensor in tensors:
            if name.endswith(names):
                tensor.normal_()
    return model


def t5_tokenizer() -> Any:
    from transformers import T5Tokenizer

    letters = [(letter, -3.0) for letter in LETTERS]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *letters]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=64)
