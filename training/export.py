"""Puts the two models together as a stock diffusers pipeline and saves it in half precision."""

import copy
import json
from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, PRXPixelPipeline, PRXTransformer2DModel
from transformers import ModernBertModel, PreTrainedTokenizerFast

from codes import WIDTH
from painter import NOISE
from spec import SIDE
from text import MAX_TOKENS

SHIFT = 3.0


def save_pipeline(
    painter: PRXTransformer2DModel,
    encoder: ModernBertModel,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
) -> int:
    """Writes the pipeline folder and returns its size in bytes."""
    pipeline = PRXPixelPipeline(
        transformer=copy.deepcopy(painter).half(),
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=SHIFT),
        text_encoder=copy.deepcopy(encoder).half(),
        tokenizer=tokenizer,
        default_sample_size=SIDE,
        prompt_max_tokens=MAX_TOKENS,
        noise_scale=NOISE,
    )
    pipeline.save_pretrained(folder)
    for path in folder.rglob("*.json"):
        _tidy(path)
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _tidy(path: Path) -> None:
    """Names the tokenizer class that every transformers release knows, and drops local paths."""
    text = path.read_text().replace('"TokenizersBackend"', '"PreTrainedTokenizerFast"')
    content = json.loads(text)
    content.pop("_name_or_path", None)
    path.write_text(json.dumps(content, indent=2) + "\n")


def load_pipeline(folder: Path) -> PRXPixelPipeline:
    """Loads the folder the way any user would."""
    pipeline = PRXPixelPipeline.from_pretrained(
        folder, torch_dtype=torch.float32, use_safetensors=True, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.transformer.config.context_in_dim == WIDTH
    return pipeline
