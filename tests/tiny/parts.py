"""Parts of tiny pipelines: tokenizers, text encoders and autoencoders of random weights."""

from __future__ import annotations

from typing import Any

import diffusers
import transformers

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?-"
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content if message.content is string else message.content[0].text }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2}


def signs() -> list[str]:
    """Return a sign for each of the 256 bytes, as byte-level tokenizers write them."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return list(bytes_to_unicode().values())


def clip_tokenizer(length: int = 77) -> Any:
    words = [*signs(), *(f"{one}</w>" for one in signs()), "<|startoftext|>", "<|endoftext|>"]
    numbered = {word: index for index, word in enumerate(words)}
    return transformers.CLIPTokenizer(vocab=numbered, merges=[], model_max_length=length)


def t5_tokenizer(length: int = 512) -> Any:
    ends = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    pieces = [*ends, *((letter, -3.0) for letter in LETTERS)]
    return transformers.T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=length)


def llama_tokenizer(length: int = 512) -> Any:
    words = ["<unk>", "<s>", "</s>", "\u2581", *(f"<0x{n:02X}>" for n in range(256)), *LETTERS]
    numbered = {word: index for index, word in enumerate(words)}
    return transformers.LlamaTokenizer(
        vocab=numbered, merges=[], model_max_length=length, pad_token="</s>"
    )


def qwen_tokenizer(length: int = 1200) -> Any:
    tokenizer = transformers.Qwen2Tokenizer(
        vocab={sign: index for index, sign in enumerate(signs())},
        merges=[],
        model_max_length=length,
    )
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>", "<think>", "</think>"], special_tokens=True)
    tokenizer.chat_template = CHAT
    return tokenizer


def clip_text(width: int = 32, *, projected: bool = False, length: int = 77) -> Any:
    config = transformers.CLIPTextConfig(
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
        hidden_size=width,
        intermediate_size=width,
        num_attention_heads=2,
        num_hidden_layers=2,
        vocab_size=514,
        projection_dim=32,
        max_position_embeddings=length,
    )
    kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    return kind(config).eval()


def clip_vision(width: int = 4) -> Any:
    config = transformers.CLIPVisionConfig(
        hidden_size=width,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        intermediate_size=16,
        patch_size=8,
    )
    return transformers.CLIPVisionModel(config)


def t5_text(width: int = 32, *, multilingual: bool = False) -> Any:
    shape = {"vocab_size": 48, "d_model": width, "d_kv": 8, "d_ff": 32}
    more = {"num_layers": 2, "num_heads": 2, "feed_forward_proj": "gated-gelu"}
    if multilingual:
        return transformers.UMT5EncoderModel(transformers.UMT5Config(**shape, **more)).eval()
    return transformers.T5EncoderModel(transformers.T5Config(**shape, **more)).eval()


def llama_text(layers: int = 4, *, causal: bool = False) -> Any:
    config = transformers.LlamaConfig(
        hidden_size=16,
        intermediate_size=16,
        num_attention_heads=2,
        num_hidden_layers=layers,
        vocab_size=320,
        pad_token_id=2,
    )
    kind = transformers.LlamaForCausalLM if causal else transformers.LlamaModel
    return kind(config).eval()


def qwen3_text(layers: int = 2, *, causal: bool = False, width: int = 16) -> Any:
    config = transformers.Qwen3Config(
        hidden_size=width,
        intermediate_size=16,
        num_hidden_layers=layers,
        head_dim=8,
        vocab_size=300,
        max_position_embeddings=1200,
        **HEADS,
    )
    kind = transformers.Qwen3ForCausalLM if causal else transformers.Qwen3Model
    return kind(config).eval()


QWEN_VL = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "vocab_size": 300,
    "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"},
    **HEADS,
}


def qwen_vl_text() -> Any:
    return transformers.Qwen2_5_VLTextModel(transformers.Qwen2_5_VLTextConfig(**QWEN_VL)).eval()


def qwen_vl() -> Any:
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2}
    config = transformers.Qwen2_5_VLConfig(
        text_config=QWEN_VL, vision_config={**vision, "out_hidden_size": 16}, vocab_size=300
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config).eval()


def mistral_vl(layers: int) -> Any:
    text = {
        "model_type": "mistral",
        "vocab_size": 300,
        "hidden_size": 16,
        "intermediate_size": 16,
        "max_position_embeddings": 512,
        "num_hidden_layers": layers,
        "head_dim": 8,
        "sliding_window": None,
        **HEADS,
    }
    vision = {
        "model_type": "pixtral",
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "image_size": 28,
        "patch_size": 14,
    }
    config = transformers.Mistral3Config(text_config=text, vision_config=vision)
    return transformers.Mistral3ForConditionalGeneration(config).eval()


def autoencoder(latents: int, **more: Any) -> Any:
    """Return an autoencoder of pictures, eight times smaller in latents."""
    return diffusers.AutoencoderKL(
        sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8,) * 4,
        layers_per_block=1,
        latent_channels=latents,
        norm_num_groups=4,
        mid_block_add_attention=False,
        **more,
    )


def flux_autoencoder() -> Any:
    return autoencoder(
        16,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.1159,
        scaling_factor=0.3611,
    )


def euler(**more: Any) -> Any:
    return diffusers.FlowMatchEulerDiscreteScheduler(**more)


def unipc() -> Any:
    return diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
