"""A vision transformer cut between its frozen and its trained blocks.

transformers returns a model's output, not the tokens between two blocks. Its vision transformers all have the same structure:
embeddings, a row of blocks, a norm, sometimes a pooler. Here they are run part by part. The structure is not assumed from a
model's name: `find_parts` runs the model as a whole and in parts, and returns the parts only if both outputs agree.
"""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_BLOCK_LISTS = (
    "encoder.layer", "encoder.layers", "layer", "layers", "model.layer", "model.layers", "encoder.blocks", "blocks",
    "vision_model.encoder.layers",
)
_FINAL_NORMS = ("layernorm", "norm", "post_layernorm", "vision_model.post_layernorm", "encoder.layernorm")
_EMBEDDINGS = ("embeddings", "vision_model.embeddings")
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Parts:
    """The parts of a vision transformer, in the order in which an image goes through them.

    Attributes:
        embeddings: Images to tokens.
        blocks: The transformer blocks.
        norm: The norm after the last block.
        rotary: Image sizes to rotary positions for every block (DINOv3); None if the model has none.
        pooler: Normed tokens to one vector; None if the class token is that vector.
        interpolates_on_request: Whether the embeddings adapt their positions to the image size only with an extra argument.
        class_token_alone: Whether `last_class_token` works for the last block.
    """

    embeddings: nn.Module
    blocks: nn.ModuleList
    norm: nn.Module
    rotary: nn.Module | None
    pooler: nn.Module | None
    interpolates_on_request: bool
    class_token_alone: bool = False

    def embed(self, images: Tensor) -> Tensor:
        """Return tokens (N, L, D) of images (N, 3, H, W)."""
        options = {"interpolate_pos_encoding": True} if self.interpolates_on_request else {}
        tokens: Tensor = self.embeddings(images, **options)
        return tokens

    def run(self, tokens: Tensor, size: tuple[int, int], first: int, last: int) -> Tensor:
        """Return tokens (N, L, D) after the blocks `first` to `last` - 1; `size` is the height and width of the images."""
        options: dict[str, Any] = {}
        if self.rotary is not None:  # it uses the shape of the images, not their pixels
            options["position_embeddings"] = self.rotary(tokens.new_empty((1, 3, *size)))
        for block in self.blocks[first:last]:
            tokens = block(tokens, **options)
        return tokens

    def last_class_token(self, tokens: Tensor) -> Tensor:
        """Return the class token (N, 1, D) after the last block, from tokens (N, L, D) before it; `run` gives the same token 0.

        If only the class token is needed, the other tokens of the last block need no query and no feed-forward, which saves
        four fifths of the block's work. The blocks before it need all tokens, for their keys and values.
        """
        block: Any = self.blocks[-1]
        attention = block.attention
        normed, seen = block.norm1(tokens), tokens[:, :1]
        query, key, value = (
            project(states).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)      # (N, heads, L or 1, D / heads)
            for project, states in ((attention.q_proj, normed[:, :1]), (attention.k_proj, normed), (attention.v_proj, normed)))
        attended = functional.scaled_dot_product_attention(query, key, value, scale=attention.scaling)
        seen = seen + block.drop_path(block.layer_scale1(attention.o_proj(attended.transpose(1, 2).flatten(2))))
        result: Tensor = seen + block.drop_path(block.layer_scale2(block.mlp(block.norm2(seen))))
        return result

    def pooled(self, tokens: Tensor) -> Tensor:
        """Return the model's own pooled vector (N, D) of normed tokens (N, L, D)."""
        if self.pooler is None:
            return tokens[:, 0]
        vector: Tensor = self.pooler(tokens)
        return vector


def find_blocks(backbone: nn.Module) -> nn.ModuleList | None:
    """Return the list of a model's transformer blocks, or None if it is not in a known place."""
    candidates = (_find(backbone, path) for path in _BLOCK_LISTS)
    return next((found for found in candidates if isinstance(found, nn.ModuleList)), None)


def find_norm(backbone: nn.Module) -> nn.Module | None:
    """Return the norm after the last block, or None if it is not in a known place."""
    return next((found for path in _FINAL_NORMS if (found := _find(backbone, path)) is not None), None)


def find_parts(backbone: nn.Module) -> Parts | None:
    """Return the parts of a vision transformer; None if it has other parts, or if running the parts gives a different output.

    The comparison runs two small images through the model in evaluation mode. It does not change the model's mode or the global
    random state.
    """
    blocks, norm = find_blocks(backbone), find_norm(backbone)
    embeddings = next((found for path in _EMBEDDINGS if (found := _find(backbone, path)) is not None), None)
    if blocks is None or norm is None or embeddings is None or not isinstance(_patch(backbone), int):
        return None
    on_request = "interpolate_pos_encoding" in inspect.signature(embeddings.forward).parameters
    parts = Parts(embeddings, blocks, norm, _find(backbone, "rope_embeddings"), _find(backbone, "pooler"), on_request)
    modes = {module: module.training for module in backbone.modules()}
    backbone.eval()
    try:
        with torch.no_grad():
            return _compared(backbone, parts)
    except Exception as error:  # a model with another structure may fail in any way
        logging.getLogger(__name__).debug("the encoder does not run in parts", exc_info=error)
        return None
    finally:
        for module, mode in modes.items():
            module.training = mode


def _compared(backbone: nn.Module, parts: Parts) -> Parts | None:
    """Return the parts, with `class_token_alone` found out, if their output agrees with that of the complete model."""
    size, count = (2 * _patch(backbone), 3 * _patch(backbone)), len(parts.blocks)
    images = torch.rand((2, 3, *size), generator=torch.Generator().manual_seed(0)).to(next(backbone.parameters()))
    options = {"interpolate_pos_encoding": True} if parts.interpolates_on_request else {}
    whole = backbone(pixel_values=images, **options)
    before = parts.run(parts.embed(images), size, 0, count - 1)
    after = parts.run(before, size, count - 1, count)
    tokens, pooled = parts.norm(after), getattr(whole, "pooler_output", None)
    if not _near(tokens, whole.last_hidden_state) or (pooled is not None and not _near(parts.pooled(tokens), pooled)):
        return None
    return replace(parts, class_token_alone=_class_token_alone(parts, before, after))


def _class_token_alone(parts: Parts, before: Tensor, after: Tensor) -> bool:
    """Return whether `last_class_token` works for the last block, from tokens before and after the block."""
    attention = getattr(parts.blocks[-1], "attention", None)
    # Dropout draws one number per query: with fewer queries the draws would differ.
    if parts.rotary is not None or attention is None or getattr(attention, "attention_dropout", 1.0) != 0.0:
        return False
    try:
        return _near(parts.last_class_token(before), after[:, :1])
    except (AttributeError, RuntimeError):
        return False


def _patch(backbone: nn.Module) -> Any:
    return getattr(backbone.config, "patch_size", None)


def _near(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one - other).abs() <= _TOLERANCE * (1.0 + other.abs())).all())


def _find(module: nn.Module, path: str) -> nn.Module | None:
    found: Any = module
    for name in path.split("."):
        found = getattr(found, name, None)
        if found is None:
            return None
    return found if isinstance(found, nn.Module) else None
