"""The vision encoders of transformers that are supported, and the bounds of their settings.

Both are checked before transformers sees a setting, because a model folder may come from anywhere. Other kinds of models fetch
further repositories from the hub while they are built (`backbone` of dpt, detr, upernet, maskformer), run their own code, or do
not encode images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from justzoomin.untrusted import printable

ATTENDING = frozenset({"beit", "clip_vision_model", "data2vec-vision", "deit", "dinov2", "dinov2_with_registers", "dinov3_vit",
                       "ijepa", "internvl_vision", "siglip_vision_model", "vit", "vit_msn", "vitdet"})
"""Vision transformers: every patch of an image attends to every other one."""
STAGED = frozenset({"bit", "convnext", "convnextv2", "dinov3_convnext", "hiera", "poolformer", "pvt_v2", "regnet", "resnet",
                    "segformer", "swinv2"})
"""Networks whose feature maps become coarser from stage to stage."""

MAX_WIDTH = 65_536
MAX_BLOCKS = 256
MAX_PATCHES = 1 << 14
"""Most patches of an image in a vision transformer: 128 x 128."""
MAX_VALUES = 1 << 24
"""Most numbers in the finest feature map of an image."""

_SIZE = (1, MAX_WIDTH)
_BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("hidden_size", "hidden_sizes", "intermediate_size", "embed_dim", "embedding_size", "groups_width",
                     "num_attention_heads", "num_heads"), _SIZE),
    **dict.fromkeys(("num_hidden_layers", "depths"), (1, MAX_BLOCKS)),
    **dict.fromkeys(("num_stages", "num_layers", "num_encoder_blocks"), (1, 64)),
    **dict.fromkeys(("patch_size", "patch_sizes", "patch_stride", "strides", "output_stride"), (1, 256)),
    **dict.fromkeys(("window_size", "pretrained_window_sizes", "pool_size", "masked_unit_size"), (0, 64)),
    **dict.fromkeys(("mlp_ratio", "mlp_ratios", "width_factor", "sr_ratios", "query_stride", "embed_dim_multiplier"), (0, 64)),
    "num_channels": (3, 3), "image_size": (1, 8192), "pretrain_image_size": (1, 8192), "num_register_tokens": (0, 1024),
    "layer_norm_eps": (0, 1),
}
_WHOLE, _REAL = (-MAX_WIDTH, MAX_WIDTH), (-1e9, 1e9)
_MAX_LIST, _MAX_TEXT = 256, 200
_LABELS = frozenset({"id2label", "label2id"})
"""The only mappings that are allowed: names of classes, which no encoder uses."""
_LEFT_OUT = frozenset({"auto_map", "attn_implementation", "experts_implementation", "per_layer_config", "custom_pipelines",
                       "quantization_config", "name_or_path", "transformers_version", "dtype", "torch_dtype"})
"""Version marks, and settings that could make transformers fetch or run foreign code. No architecture needs them."""
_OTHER_MODELS = ("backbone", "use_timm_backbone", "use_pretrained_backbone", "timm_")


def safe_architecture(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an architecture without its private keys, version marks and settings that could load foreign code."""
    return {key: {str(k): v for k, v in value.items()} if key in _LABELS and isinstance(value, dict) else value
            for key, value in values.items() if key not in _LEFT_OUT and not str(key).startswith("_")}


def check_architecture(values: Mapping[str, Any]) -> None:
    """Refuse an encoder that is not supported, or that has an invalid setting.

    Raises:
        ValueError: If so. The message names the setting and its allowed values.
    """
    kind = values.get("model_type")
    if not isinstance(kind, str):
        raise ValueError("the encoder's architecture needs a model_type, such as 'dinov2'")
    if kind not in ATTENDING | STAGED:
        raise ValueError(f"model_type {printable(kind, 60)!r} is not supported; choose one of {', '.join(supported())}")
    for key, value in values.items():
        _check_setting(key, value)
    if (blocks := sum(_numbers(values.get("depths")))) > MAX_BLOCKS:
        raise ValueError(f"depths: {blocks} blocks; at most {MAX_BLOCKS} are supported")


def supported() -> list[str]:
    """Return every supported `model_type`, sorted."""
    return sorted(ATTENDING | STAGED)


def check_image(values: Mapping[str, Any], pixels: int) -> None:
    """Refuse images that are smaller than a patch, or that have too many patches.

    Args:
        values: The architecture.
        pixels: Edge of an image.

    Raises:
        ValueError: If so.
    """
    kind, patch = values.get("model_type"), patch_of(values)
    if pixels < patch:
        raise ValueError(f"{pixels} px is smaller than a patch of the encoder ({patch} px)")
    patches = (pixels // patch) ** 2
    if kind in ATTENDING and patches > MAX_PATCHES:
        raise ValueError(f"{pixels} px makes {patches} patches of {patch} px; at most {MAX_PATCHES} are supported")
    finest = (v for key in ("hidden_sizes", "embed_dim", "embedding_size", "hidden_size") for v in _numbers(values.get(key)))
    width = next(finest, 1)
    if patches * width > MAX_VALUES:
        raise ValueError(f"{pixels} px makes a feature map of {patches * width} numbers; at most {MAX_VALUES} are supported")


def patch_of(values: Mapping[str, Any]) -> int:
    """Return the pixels between two places of the finest feature map; without a setting 4, as in staged networks."""
    return next((int(v) for key in ("patch_stride", "strides", "patch_size") for v in _numbers(values.get(key))), 4)


def sizes(values: Mapping[str, Any]) -> Iterator[tuple[str, int, bool]]:
    """Yield the settings that determine sizes of weights: name, value, and whether the value counts blocks."""
    for key in ("hidden_size", "hidden_sizes", "intermediate_size", "embed_dim", "embedding_size"):
        yield from ((key, value, False) for value in _numbers(values.get(key)))
    for key in ("num_hidden_layers", "depths"):
        yield from ((key, value, True) for value in _numbers(values.get(key)))


def _numbers(value: Any) -> list[int]:
    return [v for v in (value if isinstance(value, list | tuple) else [value]) if type(v) is int]


def _check_setting(key: Any, value: Any) -> None:
    if not _is_plain(key):
        raise ValueError(f"{printable(key, 60)} is not the name of a setting")
    if key.startswith(_OTHER_MODELS) and value not in (None, False):
        raise ValueError(f"{printable(key, 60)}: an encoder made of another model is not supported")
    if key in _LABELS and isinstance(value, dict):
        if not all(isinstance(v, int) or _is_plain(v) for pair in value.items() for v in pair):
            raise ValueError(f"{key}: it must hold only short texts and whole numbers, without nested mappings")
    elif isinstance(value, list | tuple):
        if len(value) > _MAX_LIST:
            raise ValueError(f"{printable(key, 60)}: {len(value)} values; a list may have at most {_MAX_LIST}")
        if not value and key in _BOUNDS:
            raise ValueError(f"{key}: the list is empty")
        for each in value:
            _check_value(key, each)
    else:
        _check_value(key, value)


def _check_value(key: str, value: Any) -> None:
    name = printable(key, 60)
    if value is None or isinstance(value, bool) or _is_plain(value):
        if key in _BOUNDS and isinstance(value, bool | str):
            raise ValueError(f"{name}: {printable(value, 40)!r} is not a number")
        return
    if not isinstance(value, int | float):
        kind = "a long or unprintable text" if isinstance(value, str) else f"a {type(value).__name__}"
        raise ValueError(f"{name}: it holds {kind}; only numbers, short texts, true, false, null and lists of them are allowed")
    low, high = _BOUNDS.get(key, _WHOLE if isinstance(value, int) else _REAL)
    if not low <= value <= high:  # this refuses NaN too
        most = f"it must be {low:g}" if low == high else f"it must be from {low:g} to {high:g}"
        raise ValueError(f"{name}: {most} (given: {printable(value, 40)})")


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT and value.isprintable()
