"""The causal transformer that reads photo, views and actions, and scores the next action."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from justzoomin.errors import ModelError
from justzoomin.models.config import DecoderConfig


@dataclass
class DecoderCache:
    """Keys and values of the tokens read so far, one entry per block.

    Attributes:
        keys: Per block (B, heads, S, width of a head), already rotated to their positions.
        values: Per block, of the same shape.
        steps: Views read so far.
    """

    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    steps: int = 0

    @property
    def length(self) -> int:
        """Tokens read so far."""
        return self.keys[0].shape[2] if self.keys else 0

    def select(self, indices: Tensor) -> DecoderCache:
        """Return the cache of the batch rows `indices` (N,), which may repeat or drop rows: the next state of a beam."""
        return DecoderCache([keys[indices] for keys in self.keys], [values[indices] for values in self.values],
                            self.steps)


class RMSNorm(nn.Module):
    """Norm that scales a vector to a root mean square of one, then by a learned weight per channel."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return normed vectors (..., D) of vectors (..., D)."""
        return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + self.eps) * self.weight


class Attention(nn.Module):
    """Causal self-attention without biases, with rotary positions on queries and keys."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.out_proj = nn.Linear(width, width, bias=False)
        self.residual_dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], cache: DecoderCache | None, block: int,
                mask: Tensor | None = None) -> Tensor:
        """Attend to this and earlier tokens.

        Args:
            x: (B, S, D), the new tokens.
            rotary: Cosines and sines at their positions, each (S, width of a head).
            cache: Keys and values of earlier tokens, to which these are added; None for a full pass.
            block: Index of this block in the cache.
            mask: Tokens that each new token attends to (S, past + S); None for all tokens up to itself.
        """
        B, S, D = x.shape
        query, key, value = (projection(x).view(B, S, self.heads, -1).transpose(1, 2)          # (B, heads, S, h)
                             for projection in (self.q_proj, self.k_proj, self.v_proj))
        query, key = _turn(query, rotary), _turn(key, rotary)
        past = 0
        if cache is not None:
            if block < len(cache.keys):
                past = cache.keys[block].shape[2]
                key = torch.cat([cache.keys[block], key], dim=2)                               # (B, heads, past + S, h)
                value = torch.cat([cache.values[block], value], dim=2)
                cache.keys[block], cache.values[block] = key, value
            else:
                cache.keys.append(key)
                cache.values.append(value)
        if mask is None and past and S > 1:
            mask = torch.ones(S, past + S, dtype=torch.bool, device=x.device).tril(past)
        out = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None and S > 1,
            dropout_p=self.dropout if self.training else 0.0,
        )
        attended: Tensor = self.residual_dropout(self.out_proj(out.transpose(1, 2).reshape(B, S, D)))
        return attended


class FeedForward(nn.Module):
    """SwiGLU: w2(silu(w1 x) * w3 x), without biases."""

    def __init__(self, width: int, inner_width: int, dropout: float) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, inner_width, bias=False)
        self.w2 = nn.Linear(inner_width, width, bias=False)
        self.w3 = nn.Linear(width, inner_width, bias=False)
        self.inner_dropout = nn.Dropout(dropout)
        self.residual_dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, S, D) of tokens (B, S, D)."""
        gated = self.inner_dropout(functional.silu(self.w1(x)) * self.w3(x))
        out: Tensor = self.residual_dropout(self.w2(gated))
        return out


class DecoderBlock(nn.Module):
    """Attention, then feed-forward, each after a norm and added to its input."""

    def __init__(self, width: int, config: DecoderConfig) -> None:
        super().__init__()
        self.norm1 = RMSNorm(width)
        self.self_attn = Attention(width, config.heads, config.dropout)
        self.norm2 = RMSNorm(width)
        self.ffn = FeedForward(width, feed_forward_width(width, config.ffn_multiple_of), config.dropout)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], cache: DecoderCache | None, block: int,
                mask: Tensor | None = None) -> Tensor:
        """Return tokens (B, S, D) of tokens (B, S, D); see `Attention.forward`."""
        x = x + self.self_attn(self.norm1(x), rotary, cache, block, mask)
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


class Decoder(nn.Module):
    """Scores of the next action after each view of [photo, view 0, action 0, view 1, action 1, ...].

    Args:
        config: Blocks, heads, dropout and the like.
        input_width: Width of the photo's and views' vectors.
        actions: Number of actions, A.

    Raises:
        ModelError: If the width cannot be divided into heads of an even width.
    """

    def __init__(self, config: DecoderConfig, input_width: int, actions: int) -> None:
        super().__init__()
        width = config.width or input_width
        if width % config.heads or (width // config.heads) % 2:
            what = f"a width of {width} cannot be divided into {config.heads} heads of an even width"
            raise ModelError("decoder.heads", what, "Change decoder.heads or decoder.width.")
        self.width = width
        self.actions = actions
        self.head_width = width // config.heads
        self.rope_theta = config.rope_theta
        self.project = nn.Identity() if width == input_width else nn.Linear(input_width, width, bias=False)
        self.action_embed = nn.Embedding(actions, width)
        self.embed_dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(DecoderBlock(width, config) for _ in range(config.blocks))
        self.final_norm = RMSNorm(width)
        self.output_head = nn.Linear(width, actions, bias=False)
        self._initialize()

    def forward(self, photo: Tensor, views: Tensor, actions: Tensor) -> Tensor:
        """Score the action after every view in one pass, given the actions before it.

        Args:
            photo: (B, D).
            views: (B, T, D).
            actions: (B, T - 1) or (B, T) integers; only the first T - 1 are read.

        Returns:
            (B, T, A) logits; the logits at step i depend on the photo, views 0..i and actions 0..i - 1.
        """
        B, T, _ = views.shape
        if actions.shape[0] != B or actions.shape[1] not in (T - 1, T):
            raise ModelError("decoder.forward", f"{T} views of {B} photos need actions of shape ({B}, {T - 1}) or ({B}, {T}), "
                             f"not {tuple(actions.shape)}", "Pass one action between two views.")
        view_tokens = self.project(views)                                             # (B, T, D)
        action_tokens = self.action_embed(actions[:, : T - 1])                        # (B, T - 1, D)
        pairs = torch.stack([view_tokens[:, : T - 1], action_tokens.to(view_tokens.dtype)], dim=2).flatten(1, 2)
        tokens = torch.cat([self.project(photo)[:, None], pairs, view_tokens[:, T - 1 :]], dim=1)   # (B, 2 T, D)
        hidden = self._read(tokens, None)                                             # (B, 2 T, D)
        return self._score(hidden[:, 1::2])                                           # (B, T, A)

    def begin(self, photo: Tensor) -> DecoderCache:
        """Read the photo (B, D) and return the state that `step` continues from."""
        cache = DecoderCache()
        self._read(self.project(photo)[:, None], cache)
        return cache

    def step(self, view: Tensor, action: Tensor | None, cache: DecoderCache) -> Tensor:
        """Read the last action and the view it led to; the cache grows in place.

        Args:
            view: (B, D).
            action: (B,) integers; None for the first view, which has no action before it.
            cache: From `begin`, or its `select`.

        Returns:
            (B, A) logits, equal to the logits of the full pass at this step.
        """
        if (action is None) != (cache.steps == 0):
            state = "the first view" if cache.steps == 0 else f"view {cache.steps}"
            raise ModelError("decoder.step", f"{state} was given {'no' if action is None else 'an'} action before it",
                             "Pass None for the first view and the chosen actions for every later view.")
        tokens = self.project(view)[:, None]                                          # (B, 1, D)
        if action is not None:
            tokens = torch.cat([self.action_embed(action)[:, None].to(tokens.dtype), tokens], dim=1)   # (B, 2, D)
        hidden = self._read(tokens, cache)
        cache.steps += 1
        return self._score(hidden[:, -1])                                             # (B, A)

    def fan_out(self, views: Tensor, cache: DecoderCache, *, keep: bool = True) -> tuple[Tensor, DecoderCache]:
        """Read every action and the view that it leads to, for all children of each state; the common past is read once.

        All pairs of action and view go through one pass. Each pair attends to the common past and to itself, at the positions
        that it would have alone.

        Args:
            views: Views (B, A, D) of the states' children.
            cache: From `begin` and a first `step`; it is not changed.
            keep: Whether decoding continues from the children.

        Returns:
            Logits (B, A, A) of the children, equal to those of `step` after `select`; and the cache of the B A children, empty
            if it is not kept.
        """
        B, A, _ = views.shape
        past = cache.length
        actions = self.action_embed.weight.to(views.dtype).expand(B, A, -1)
        tokens = torch.stack([actions, self.project(views)], dim=2).flatten(1, 2)                  # (B, 2 A, D)
        both = DecoderCache(list(cache.keys), list(cache.values), cache.steps + 1)
        cos, sin = rotary_angles(past, 2, self.head_width, self.rope_theta, tokens.device)
        own = torch.kron(torch.eye(A, device=tokens.device), torch.ones(2, 2, device=tokens.device).tril()).bool()
        mask = torch.cat([torch.ones(2 * A, past, dtype=torch.bool, device=tokens.device), own], dim=1)
        hidden: Tensor = self.embed_dropout(tokens)
        for index, block in enumerate(self.blocks):
            hidden = block(hidden, (cos.repeat(A, 1), sin.repeat(A, 1)), both, index, mask)
        for kept in (both.keys, both.values):
            kept[:] = [_children(states, past, A) for states in kept] if keep else []
        return self._score(hidden[:, 1::2]), both

    def _read(self, tokens: Tensor, cache: DecoderCache | None) -> Tensor:
        start = cache.length if cache is not None else 0
        rotary = rotary_angles(start, tokens.shape[1], self.head_width, self.rope_theta, tokens.device)
        hidden: Tensor = self.embed_dropout(tokens)
        for index, block in enumerate(self.blocks):
            hidden = block(hidden, rotary, cache, index)
        return hidden

    def _score(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.output_head(self.final_norm(hidden))
        return logits

    def _initialize(self) -> None:
        """Draw fresh weights: logits start nearly equal, and action tokens have the scale of the encoder's normed vectors."""
        for name, parameter in self.named_parameters():
            if name == "action_embed.weight":
                nn.init.normal_(parameter, std=1.0)
            elif name == "output_head.weight":
                nn.init.normal_(parameter, std=0.02)
            elif parameter.ndim == 2:
                # The variance of torch's own default for a linear layer, 1 / (3 n).
                std = 1.0 / math.sqrt(3 * parameter.shape[1])
                if name.endswith(("out_proj.weight", "w2.weight")):
                    std /= math.sqrt(2 * len(self.blocks))  # keeps the sum of all branches at a scale of one
                nn.init.normal_(parameter, std=std)


def _children(states: Tensor, past: int, count: int) -> Tensor:
    """Return keys or values (B, heads, past + 2 A, h) of states and their children's pairs, as (B A, heads, past + 2, h)."""
    B, heads, _, h = states.shape
    before = states[:, None, :, :past].expand(B, count, heads, past, h)
    own = states[:, :, past:].view(B, heads, count, 2, h).transpose(1, 2)
    return torch.cat([before, own], dim=3).flatten(0, 1)


def feed_forward_width(width: int, multiple_of: int) -> int:
    """Return the inner width of the feed-forward: 2/3 of the width, rounded up to a multiple (768 and 256 give 512)."""
    return multiple_of * math.ceil(int(2 * width / 3) / multiple_of)


def rotary_frequencies(head_width: int, theta: float) -> Tensor:
    """Return the radians per position of each pair of channels (head_width / 2,): theta ** (-2 i / head_width), RoFormer §3."""
    return 1.0 / (theta ** (torch.arange(0, head_width, 2, dtype=torch.float32) / head_width))


def rotary_angles(start: int, count: int, head_width: int, theta: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return cosines and sines, each (count, head_width), of the positions from `start` on, in float32."""
    positions = torch.arange(start, start + count, device=device, dtype=torch.float32)
    angles = positions[:, None] * rotary_frequencies(head_width, theta).to(device)      # (count, head_width / 2)
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def _turn(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the pairs (i, i + half) of each head (B, heads, S, h) by the angles of their positions."""
    cos, sin = rotary
    first, second = x.chunk(2, dim=-1)
    turned = x * cos + torch.cat([-second, first], dim=-1) * sin
    return turned.to(x.dtype)
