"""The picture model: a stock PRX transformer and a training pass over chosen patches.

The pass computes what `PRXTransformer2DModel.forward` computes, with three savings: it may look
at some of the patches only, the constant anchor tokens are projected once for the whole batch,
and the words of the prompt (all zeros, hence all alike) are one token with a weight.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import PRXTransformer2DModel
from diffusers.models.embeddings import get_timestep_embedding
from diffusers.models.transformers.transformer_prx import PRXAttention, PRXBlock
from torch import Tensor, nn

from codes import AXIS, GRID, PATCH, SLOTS, THETA, USED, WIDTH, anchors

NOISE = 2.0
HEADS = 8


def build_painter(hidden: int, depth: int, mlp_ratio: float) -> PRXTransformer2DModel:
    """A fresh picture model."""
    model = PRXTransformer2DModel(
        in_channels=3,
        patch_size=PATCH,
        context_in_dim=WIDTH,
        hidden_size=hidden,
        mlp_ratio=mlp_ratio,
        num_heads=HEADS,
        depth=depth,
        axes_dim=[AXIS, AXIS],
        theta=THETA,
    )
    with torch.no_grad():
        model.txt_in.weight[:, USED:] = 0
    return model


class Around(NamedTuple):
    """What every block sees besides the patches: text, rotary angles, attention bias."""

    texts: tuple[Tensor, Tensor]
    turn: tuple[Tensor, Tensor]
    mask: Tensor


class Pass(nn.Module):
    """One training pass; shares its parameters with the stock model."""

    fixed: Tensor
    cosine: Tensor
    sine: Tensor

    def __init__(self, model: PRXTransformer2DModel) -> None:
        super().__init__()
        self.model = model
        fixed = torch.cat([torch.from_numpy(anchors()), torch.zeros(1, USED)])
        self.register_buffer("fixed", fixed)
        rows, columns = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
        speeds = THETA ** (-torch.arange(0, AXIS, 2) / AXIS)
        angles = torch.cat([rows.reshape(-1, 1) * speeds, columns.reshape(-1, 1) * speeds], -1)
        self.register_buffer("cosine", angles.cos())
        self.register_buffer("sine", angles.sin())

    def forward(
        self, noisy: Tensor, places: Tensor, time: Tensor, code: Tensor, bias: Tensor
    ) -> Tensor:
        """Predicted clean patches. `bias` is the log number of empty text tokens."""
        model = self.model
        weight = model.txt_in.weight[:, :USED]
        text = F.linear(code, weight, model.txt_in.bias)
        fixed = F.linear(self.fixed, weight, model.txt_in.bias)
        turn = self.cosine[places].unsqueeze(1), self.sine[places].unsqueeze(1)
        waves = get_timestep_embedding(
            time, 256, flip_sin_to_cos=True, downscale_freq_shift=0, scale=1000.0
        )
        moment = model.time_in(waves)
        mask = torch.zeros(noisy.shape[0], 1, 1, self.fixed.shape[0] + SLOTS + noisy.shape[1])
        mask[..., self.fixed.shape[0] - 1] = bias[:, :, None]
        x = model.img_in(noisy)
        around = Around((fixed, text), turn, mask)
        for block in model.blocks:
            x = self._block(block, x, moment, around)
        return model.final_layer(x, moment)

    def _block(self, block: PRXBlock, x: Tensor, moment: Tensor, around: Around) -> Tensor:
        (shift, scale, gate), (shift2, scale2, gate2) = block.modulation(moment)
        y = (1 + scale) * block.img_pre_norm(x) + shift
        x = x + gate * self._attend(block.attention, y, around)
        y = (1 + scale2) * block.post_attention_layernorm(x) + shift2
        return x + gate2 * block.down_proj(block.mlp_act(block.gate_proj(y)) * block.up_proj(y))

    def _attend(self, attn: PRXAttention, x: Tensor, around: Around) -> Tensor:
        batch, count, width = x.shape
        q, k, v = attn.img_qkv_proj(x).view(batch, count, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        q, k = (_turn(_norm(x, n), *around.turn) for x, n in ((q, attn.norm_q), (k, attn.norm_k)))
        pairs = [_text_pair(attn, text, batch) for text in around.texts]
        k = torch.cat([*(pair[0] for pair in pairs), k], 2)
        v = torch.cat([*(pair[1] for pair in pairs), v], 2)
        logits = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        out = (logits.float() + around.mask).softmax(-1).to(v.dtype) @ v
        return attn.to_out[0](out.transpose(1, 2).reshape(batch, count, width))


def _text_pair(attn: PRXAttention, text: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    """Keys and values of text tokens; those without a batch axis serve every picture."""
    pair = attn.txt_kv_proj(text).view(*text.shape[:-1], 2, HEADS, -1)
    key, value = (pair.select(-3, i).transpose(-2, -3) for i in range(2))
    key = _norm(key, attn.norm_added_k)
    return key.expand(batch, -1, -1, -1), value.expand(batch, -1, -1, -1)


def _norm(x: Tensor, norm: nn.Module) -> Tensor:
    y = x.float()
    y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6) * norm.weight
    return y.to(x.dtype)


def _turn(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], -1)
    return turned.flatten(-2).to(x.dtype)
