"""The text encoder: a small ModernBERT that writes the parse of a prompt at fixed tokens."""

import random
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import ModernBertConfig, ModernBertModel, PreTrainedTokenizerFast

from captions import caption, nonsense
from codes import ANCHORS, PLACE, SLOTS, USED, WIDTH, anchors, encode
from sampling import sample_wish
from wishes import Wish, resolve

MAX_TOKENS = 72
LAYERS, INNER = 4, 192
LEAD = SLOTS + ANCHORS
SPECIAL = ["<pad>", "<unk>", "</s>", *(f"<slot{i}>" for i in range(SLOTS))]
SPECIAL += [f"<at{i}>" for i in range(ANCHORS)]
Log = Callable[[str], None]


def vocabulary(seed: int, captions: int = 60_000) -> list[str]:
    """Every word that the captions use, odd words left out."""
    rng = random.Random(seed)
    split = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    words: set[str] = set()
    for _ in range(captions):
        text = caption(sample_wish(rng), rng).lower()
        words.update(word for word, _ in split.pre_tokenize_str(text))
    return SPECIAL + sorted(w for w in words if not w.startswith("zq"))


def build_tokenizer(words: list[str]) -> PreTrainedTokenizerFast:
    """A word-level tokenizer whose template puts the slots and anchors before the prompt."""
    index = {word: i for i, word in enumerate(words)}
    core = Tokenizer(models.WordLevel(index, unk_token="<unk>"))
    core.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    lead = [word for word in words[: len(SPECIAL)] if word not in ("<pad>", "<unk>", "</s>")]
    core.post_processor = processors.TemplateProcessing(
        single=" ".join([*lead, "$A", "</s>"]),
        special_tokens=[(word, index[word]) for word in (*lead, "</s>")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="</s>",
        model_max_length=MAX_TOKENS,
    )


def build_encoder(words: int) -> ModernBertModel:
    """A fresh encoder. Its rotary places make "the word before" the same everywhere."""
    rope = {"rope_type": "default", "rope_theta": 200.0}
    config = ModernBertConfig(
        vocab_size=words,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        max_position_embeddings=MAX_TOKENS,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
        cls_token_id=2,
        sep_token_id=2,
        layer_types=["full_attention"] * LAYERS,
        rope_parameters={"full_attention": rope, "sliding_attention": rope},
        attn_implementation="eager",
    )
    return ModernBertModel(config)


def samples(rng: random.Random, held_out: bool = False) -> Iterator[tuple[str, np.ndarray]]:
    """Captions and their codes; now and then the empty prompt, or one that says nothing."""
    while True:
        if not held_out and rng.random() < 0.005:
            yield "", np.zeros((SLOTS, USED), np.float32)
            continue
        if not held_out and rng.random() < 0.01:
            yield nonsense(rng), encode(resolve(Wish("scene")))
            continue
        wish = sample_wish(rng)
        spec = resolve(wish)
        if spec.held_out() == held_out:
            yield caption(wish, rng), encode(spec)


def batches(
    source: Iterator[tuple[str, np.ndarray]], batch: int
) -> Iterator[tuple[list[str], Tensor]]:
    """Batches of prompts of about the same length, which wastes little on padding."""
    while True:
        drawn = sorted(
            (next(source) for _ in range(batch * 8)), key=lambda pair: len(pair[0].split())
        )
        cuts = list(range(0, len(drawn), batch))
        random.Random(len(drawn[-1][0])).shuffle(cuts)
        for cut in cuts:
            texts, codes = zip(*drawn[cut : cut + batch], strict=True)
            yield list(texts), torch.from_numpy(np.stack(codes))


def read_codes(
    encoder: ModernBertModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> tuple[Tensor, Tensor]:
    """What the encoder writes for some prompts, and which tokens are padding."""
    tokens = tokenizer(
        texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    )
    hidden = encoder(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
    return hidden.last_hidden_state[..., :USED], tokens.attention_mask


def code_loss(written: Tensor, mask: Tensor, wanted: Tensor) -> Tensor:
    """Squared error of slots, anchors and of the words, which should say nothing.

    A place is many numbers that are easy to get right, a colour is one that is not, hence the
    weights.
    """
    weight = torch.full((USED,), 4.0)
    weight[PLACE:] = 0.3
    slots = (weight * (written[:, :SLOTS] - wanted).pow(2)).sum(-1).mean()
    places = (written[:, SLOTS:LEAD] - torch.from_numpy(anchors())).pow(2).sum(-1).mean()
    rest = mask[:, LEAD:, None] * written[:, LEAD:]
    return slots + 0.1 * places + rest.pow(2).sum() / mask[:, LEAD:].sum()


def slot_accuracy(written: Tensor, wanted: Tensor) -> float:
    """Part of the prompts whose every slot is nearer to what is wanted than 0.3 in each number."""
    close = (written[:, :SLOTS] - wanted).abs().amax((1, 2)) < 0.3
    return float(close.float().mean())


def fit_encoder(
    encoder: ModernBertModel,
    tokenizer: PreTrainedTokenizerFast,
    log: Log,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
) -> None:
    """Trains on fresh captions only; every prompt is new."""
    source = batches(samples(random.Random(seed)), batch)
    held = samples(random.Random(seed + 1), held_out=True)
    check = [next(held) for _ in range(512)]
    optimisers = _optimisers(encoder, rate)
    began = time.monotonic()
    for step in range(1, steps + 1):
        _set_rate(optimisers, rate * min(1, step / 100) * min(1, 1.5 * (1 - (step - 1) / steps)))
        texts, wanted = next(source)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            written, mask = read_codes(encoder, tokenizer, texts)
        loss = code_loss(written.float(), mask, wanted)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        if step % 200 == 0 or step == steps:
            score = check_encoder(encoder, tokenizer, check)
            speed = round(step * batch / (time.monotonic() - began))
            log(f"text step {step} loss {loss.item():.4f} held-out {score:.3f} samples/s {speed}")


def _optimisers(encoder: torch.nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms."""
    inner = [p for n, p in encoder.named_parameters() if p.ndim == 2 and "layer" in n]
    known = {id(p) for p in inner}
    outer = [p for p in encoder.parameters() if id(p) not in known]
    return [
        torch.optim.Muon(inner, lr=rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(outer, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def _set_rate(optimisers: list[torch.optim.Optimizer], rate: float) -> None:
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = rate


def check_encoder(
    encoder: ModernBertModel,
    tokenizer: PreTrainedTokenizerFast,
    check: list[tuple[str, np.ndarray]],
) -> float:
    """Part of the held-out prompts that the encoder reads right in every slot."""
    with torch.no_grad():
        written, _ = read_codes(encoder, tokenizer, [text for text, _ in check])
    return slot_accuracy(written, torch.from_numpy(np.stack([code for _, code in check])))
