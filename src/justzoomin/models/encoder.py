"""Images to vectors: the supported vision models of transformers behind one signature, partly frozen if the settings say so."""

from __future__ import annotations

import contextlib
import inspect
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from justzoomin.errors import ModelError
from justzoomin.models.architectures import check_architecture, patch_of, safe_architecture
from justzoomin.models.config import EncoderConfig
from justzoomin.models.parts import Parts, find_blocks, find_norm, find_parts


class VisionEncoder(nn.Module):
    """One vector per image from a model of transformers that `models/architectures.py` lists.

    Args:
        config: Which model, how its output is pooled, and how much of it is trained.
        pretrained: Read the weights from `config.source` if it is set; False builds from the architecture alone, for weights
            that are loaded later (without the network if the architecture is given).
        fresh: Draw fresh weights if none are read; False leaves them unset, because drawing takes longer than reading.

    Attributes:
        config: The settings with the complete architecture filled in, enough to build the encoder again offline.
        width: Length of the vectors.

    Raises:
        ModelError: If the source cannot be opened, its architecture is not supported or cannot be built, the pooling does not
            fit it, or some of its blocks are to be frozen but cannot be found.
    """

    def __init__(self, config: EncoderConfig, *, pretrained: bool = True, fresh: bool = True) -> None:
        super().__init__()
        self.backbone = _build_backbone(config, pretrained=pretrained, fresh=fresh)
        architecture = safe_architecture(self.backbone.config.to_dict())
        _check(architecture, config.source or "encoder.architecture")  # what is saved must open again
        self.config = config.model_copy(update={"architecture": architecture})
        self.width = _width(self.backbone.config)
        self._leading_tokens = _leading_tokens(self.backbone)
        if config.pooling == "cls" and self._leading_tokens == 0:
            raise ModelError(f"encoder {architecture['model_type']}", 'this model has no class token for the pooling "cls"',
                             'Set encoder.pooling to "pooler" or "mean".')
        parameters = inspect.signature(self.backbone.forward).parameters
        self._interpolates_on_request = "interpolate_pos_encoding" in parameters
        self._trained = self._freeze(config.trainable_blocks)
        self._parts: Parts | None = None  # not submodules: their weights are in the state once, as the backbone's
        self._cut = 0
        self._find_parts()
        # Other weights may show a difference that fresh ones hide, such as a table of zeros that is not added.
        watch: Any = self.register_load_state_dict_post_hook
        watch(_find_parts_again)
        if config.trainable_blocks is not None:
            self.train(self.training)

    @property
    def prefix_size(self) -> str | None:
        """What `prefix` runs, in words; None if this encoder has no frozen part that can run alone."""
        if self.config.trainable_blocks == 0:
            return "the whole encoder"
        if self.config.trainable_blocks is None or self._parts is None:
            return None
        return f"the embeddings and {self._cut} of {len(self._parts.blocks)} blocks"

    def forward(self, images: Tensor) -> Tensor:
        """Encode normalized images.

        Args:
            images: (N, 3, H, W), float, already normalized by mean and deviation.

        Returns:
            (N, D) vectors, D being `width`.
        """
        if self.prefix_size is not None:
            return self.suffix(self.prefix(images), _size(images))
        if self._parts is None:
            return self.whole(images)
        return self._finish(self._parts, self._parts.embed(images), _size(images), 0)

    def prefix(self, images: Tensor) -> Tensor:
        """Run the frozen part: the embeddings and the frozen blocks. It keeps no graph and is not random.

        Args:
            images: (N, 3, H, W), normalized.

        Returns:
            Input of `suffix`: tokens (N, L, D), or the vectors (N, D) if no part of the encoder is trained.

        Raises:
            ModelError: If the encoder has no frozen part that can run alone.
        """
        if self.prefix_size is None:
            raise ModelError(f"encoder {self.backbone.config.model_type}", "it has no frozen part that can run alone: "
                             + ("all of it is trained" if self.config.trainable_blocks is None else
                                "it does not consist of embeddings, blocks and a norm"),
                             "Train only its last blocks (encoder.trainable_blocks), or do not keep outputs of frozen blocks.")
        with torch.no_grad():
            if self._parts is None:
                return self.whole(images)
            tokens = self._parts.embed(images)
            if self.config.trainable_blocks == 0:
                return self._finish(self._parts, tokens, _size(images), 0)
            return self._parts.run(tokens, _size(images), 0, self._cut)

    def suffix(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Run the trained part on the output of `prefix`: `suffix(prefix(images), size)` is `forward(images)`.

        Args:
            tokens: Output of `prefix`.
            size: Height and width of the images.

        Returns:
            (N, D) vectors.
        """
        if self._parts is None or self.config.trainable_blocks == 0:
            return tokens
        return self._finish(self._parts, tokens, size, self._cut)

    def whole(self, images: Tensor) -> Tensor:
        """Return vectors (N, D) from the model's own forward pass; `forward` must give the same up to rounding."""
        options = {"interpolate_pos_encoding": True} if self._interpolates_on_request else {}
        output = self.backbone(pixel_values=images, **options)
        if self.config.pooling == "pooler":
            if getattr(output, "pooler_output", None) is None:
                raise ModelError(f"encoder {self.backbone.config.model_type}", "this model has no pooled output",
                                 'Set encoder.pooling to "cls" or "mean".')
            pooled: Tensor = output.pooler_output
            return pooled.flatten(1)                                          # (N, D)
        return self._pool(output.last_hidden_state)

    @property
    def blocks(self) -> tuple[nn.Module, ...]:
        """The transformer blocks; empty if the encoder does not run in parts."""
        return () if self._parts is None else tuple(self._parts.blocks)

    @property
    def stage_widths(self) -> tuple[int, ...]:
        """Channels of the feature maps that `stages` gives, the finest first."""
        if self.config.stages:
            return (self.width,) * len(self.config.stages)
        sizes = getattr(self.backbone.config, "hidden_sizes", None)
        return tuple(sizes) if sizes and self._leading_tokens == 0 else (self.width,)

    @property
    def stride(self) -> int:
        """Pixels between two places of the finest feature map."""
        return patch_of(self.config.architecture or {})

    def stages(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the vectors (N, D) of `forward`, and feature maps (N, C, h, w), the finest first.

        A vision transformer has one map, its patch tokens after the last norm; or one for each block in `config.stages`, that
        block's patch tokens. A staged network has one map per stage.

        Raises:
            ModelError: If the model has no feature maps.
        """
        if self.config.stages and self._parts is not None:
            return self._block_maps(self._parts, images)
        options: dict[str, Any] = {"interpolate_pos_encoding": True} if self._interpolates_on_request else {}
        output = self.backbone(pixel_values=images, output_hidden_states=True, **options)
        hidden = output.last_hidden_state
        vector = output.pooler_output.flatten(1) if self.config.pooling == "pooler" else self._pool(hidden)
        if hidden.ndim == 4 and not self.config.stages:
            return vector, list(output.hidden_states[-len(self.stage_widths):])
        found = [output.hidden_states[block] for block in self.config.stages] or [hidden]
        return vector, [self._map(tokens, _size(images)) for tokens in found]

    def _block_maps(self, parts: Parts, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return what `stages` does of an encoder in parts; the frozen blocks keep no graph."""
        size, found, done = _size(images), {}, 0
        graph, partly = torch.is_grad_enabled(), self.config.trainable_blocks is not None
        with torch.set_grad_enabled(graph and not partly):
            tokens = parts.embed(images)
        for end in sorted({*self.config.stages, self._cut, len(parts.blocks)}):
            with torch.set_grad_enabled(graph and end > self._cut):
                tokens = parts.run(tokens, size, done, end)
            found[end], done = tokens, end
        with torch.set_grad_enabled(graph and self.config.trainable_blocks != 0):
            hidden = parts.norm(tokens)
            vector = parts.pooled(hidden) if self.config.pooling == "pooler" else self._pool(hidden)
        return vector, [self._map(found[block], size) for block in self.config.stages]

    def _map(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the patches of tokens (N, L, D) of images of a height and width as a map (N, D, h, w)."""
        rows, columns = (edge // self.stride for edge in size)
        patches: Any = tokens[:, self._leading_tokens:]
        if tokens.ndim != 3 or patches.shape[1] != rows * columns:
            raise ModelError(f"encoder {self.backbone.config.model_type}",
                             f"its output of shape {tuple(tokens.shape)} does not fill a map of {rows} x {columns} patches",
                             "Use an encoder with one token per patch or with stages: the ray matcher needs one.")
        found: Tensor = patches.transpose(1, 2).unflatten(2, (rows, columns))
        return found

    def train(self, mode: bool = True) -> VisionEncoder:
        """Set training or evaluation mode; frozen parts stay in evaluation mode.

        Dropout in a frozen block, or positions moved at random before it (DINOv3), would be noise to which no weight can adapt,
        and the block's output could not be kept.
        """
        super().train(mode)
        if self.config.trainable_blocks is not None:
            self.backbone.eval()
            for module in self._trained:
                module.train(mode)
        return self

    def _find_parts(self) -> None:
        """Find the parts and the first trained block; no parts if their output differs from that of the complete model."""
        self._parts = find_parts(self.backbone)
        if self._parts is not None:
            blocks, trained = len(self._parts.blocks), self.config.trainable_blocks
            self._cut = blocks - (blocks if trained is None else trained)

    def _finish(self, parts: Parts, tokens: Tensor, size: tuple[int, int], first: int) -> Tensor:
        """Return vectors (N, D) of tokens (N, L, D) that enter block `first`."""
        last = len(parts.blocks) - 1
        only_class = self.config.pooling == "cls" or (self.config.pooling == "pooler" and parts.pooler is None)
        if only_class and parts.class_token_alone and first <= last:
            hidden = parts.norm(parts.last_class_token(parts.run(tokens, size, first, last)))  # (N, 1, D)
        else:
            hidden = parts.norm(parts.run(tokens, size, first, last + 1))     # (N, L, D)
        return parts.pooled(hidden) if self.config.pooling == "pooler" else self._pool(hidden)

    def _pool(self, hidden: Tensor) -> Tensor:
        """Return one vector (N, D) of normed tokens (N, L, D), or of a feature map (N, D, h, w)."""
        if self.config.pooling == "cls":
            return hidden[:, 0]                                               # (N, D)
        if hidden.ndim == 4:
            return hidden.mean(dim=(2, 3))                                    # (N, D)
        return hidden[:, self._leading_tokens:].mean(dim=1)                   # (N, D)

    def _freeze(self, trainable_blocks: int | None) -> list[nn.Module]:
        """Leave only the last blocks and the final norm trainable, as in the paper; None leaves everything trainable.

        Returns:
            The trained modules, if some are frozen.
        """
        if trainable_blocks is None:
            # Parameters that no vector depends on get no gradient: mark them as not trained.
            for name, parameter in self.backbone.named_parameters():
                unused_pooler = self.config.pooling != "pooler" and name.startswith("pooler.")
                if name.endswith("mask_token") or unused_pooler:
                    parameter.requires_grad_(False)
            return []
        self.backbone.requires_grad_(False)
        if trainable_blocks == 0:
            return []
        where = f"encoder {self.backbone.config.model_type}"
        blocks, norm = find_blocks(self.backbone), find_norm(self.backbone)
        if blocks is None or norm is None:
            missing = "blocks" if blocks is None else "final norm"
            raise ModelError(where, f"it cannot be frozen in part: its {missing} are not in any known place",
                             "Set encoder.trainable_blocks to null to train all of it, or to 0 to train none of it.")
        if trainable_blocks > len(blocks):
            raise ModelError(where, f"{trainable_blocks} blocks are to be trained, but it has only {len(blocks)}",
                             f"Set encoder.trainable_blocks to at most {len(blocks)}.")
        trained = [*blocks[-trainable_blocks:], norm]
        for module in trained:
            module.requires_grad_(True)
        return trained


def _find_parts_again(encoder: VisionEncoder, _: Any) -> None:
    encoder._find_parts()


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[-2], images.shape[-1]


def _build_backbone(config: EncoderConfig, *, pretrained: bool, fresh: bool) -> Any:
    """Return the transformers model in float32, pretrained, or built from its architecture with fresh or unset weights."""
    from transformers import AutoConfig, AutoModel

    source = config.source if pretrained else None
    try:
        from_source = source is not None or config.architecture is None
        values = _architecture_of(str(config.source)) if from_source else dict(config.architecture or {})
        architecture = safe_architecture(values)
        _check(architecture, str(config.source) if from_source else "encoder.architecture")
        settings = AutoConfig.for_model(architecture.pop("model_type"), **architecture)
        if source is not None:
            # Weights may be stored in half precision, but the training decides about precision, not the file.
            return AutoModel.from_pretrained(source, config=settings, trust_remote_code=False,
                                             local_files_only=Path(source).is_dir()).float()
        build: Any = AutoModel.from_config
        with contextlib.nullcontext() if fresh else _unset_weights():
            return build(settings, trust_remote_code=False).float()
    except ModelError:
        raise
    except Exception as error:  # transformers raises many kinds here; each becomes an error with a remedy
        logging.getLogger(__name__).debug("building the encoder failed", exc_info=error)
        raise _build_error(config, error, pretrained=pretrained) from error


def _architecture_of(source: str) -> dict[str, Any]:
    """Return the values of config.json in a folder or hub repository that the user named; nothing is built from them yet."""
    from transformers import PretrainedConfig

    values, _ = PretrainedConfig.get_config_dict(source, local_files_only=Path(source).is_dir())
    if not values:
        raise OSError(f"there is no config.json in {source}")
    return dict(values)


def _check(architecture: dict[str, Any], where: str) -> None:
    try:
        check_architecture(architecture)
    except ValueError as error:
        raise ModelError(where, f"this encoder cannot be used ({error})",
                         "Use a supported encoder, such as dinov2, dinov3_vit, vit or convnext.") from error


def _unset_weights() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which models are built without drawing weights; tables that no file holds are still computed."""
    try:
        from transformers.initialization import no_init_weights
    except ImportError:  # it has moved between versions; weights are then drawn without need
        return contextlib.nullcontext()
    return no_init_weights()


def _build_error(config: EncoderConfig, error: Exception, *, pretrained: bool) -> ModelError:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    if config.source is not None and (pretrained or config.architecture is None):
        kind = "folder" if Path(config.source).is_dir() else "hub model or folder"
        return ModelError(config.source, f"the encoder cannot be opened from this {kind} ({reason})",
                          "Check the name, connect to the network for its first use, or set encoder.source to a "
                          "folder that holds config.json and model.safetensors.")
    model_type = (config.architecture or {}).get("model_type")
    return ModelError(f"encoder.architecture (model_type {model_type})",
                      f"transformers cannot build this architecture ({reason})",
                      "Correct it, or install a version of transformers that knows it.")


def _width(config: Any) -> int:
    for name in ("hidden_size", "embed_dim"):
        if isinstance(width := getattr(config, name, None), int):
            return width
    hidden_sizes = getattr(config, "hidden_sizes", None)
    if hidden_sizes:
        return int(hidden_sizes[-1])
    raise ModelError(f"encoder {config.model_type}", "its configuration has no width (hidden_size or hidden_sizes)",
                     "Choose a vision encoder such as dinov2, dinov3_vit, vit or convnext.")


def _leading_tokens(backbone: nn.Module) -> int:
    """Return the number of tokens before the patches: the class token and the registers, if any."""
    embeddings = getattr(backbone, "embeddings", None)
    if embeddings is None or getattr(embeddings, "cls_token", None) is None:
        return 0
    return 1 + int(getattr(backbone.config, "num_register_tokens", 0) or 0)
