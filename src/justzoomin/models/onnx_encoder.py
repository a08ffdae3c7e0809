"""An exported encoder instead of torch's: ONNX Runtime computes vectors and feature maps, everything else is unchanged."""

from __future__ import annotations

import functools
import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from justzoomin.errors import MissingExtraError, ModelError
from justzoomin.models.architectures import patch_of
from justzoomin.models.config import ModelConfig
from justzoomin.models.folders import ONNX_FILE
from justzoomin.models.onnx_file import AGAIN, Part, read_header

INPUT, OUTPUT = "images", "vectors"
MAPS = "maps_{}"
"""Names of the feature maps, the finest first: `maps_0`, `maps_1`, ..."""
MEMORY_BYTES = 6 << 30
"""Memory limit of exported encoders: a file has up to 2 GiB of weights, and a batch needs less than that."""
SECONDS, SECONDS_PER_IMAGE = 60.0, 30.0
"""Time limit of a batch, and the additional time for each of its images."""


class OnnxEncoder(nn.Module):
    """The encoder from a file that `export_onnx` made, on the CPU.

    Args:
        path: The file; it is checked before it is run.
        config: Settings of the model that it belongs to.
        part: The encoder of the model that it must be.

    Attributes:
        config: Settings of the encoder.
        width: Length of the vectors.
        header: The model and encoder that the file belongs to.
        matcher: The separate encoder of the model's ray matcher, from the file beside this one; None if there is none.

    Raises:
        ModelError: If the file cannot be used, or does not fit the settings.
        MissingExtraError: If ONNX Runtime is not installed.
    """

    def __init__(self, path: Path, config: ModelConfig, part: Part = "encoder") -> None:
        super().__init__()
        self.path = path
        self.header = header = read_header(path)
        self.config, self.width = config.encoder, header.width
        if (header.part, bool(header.channels)) != (part, gives_maps(config, part)):
            is_given, is_wanted = (f"{name} {'with' if maps else 'without'} feature maps" for name, maps in (
                (header.part, header.channels), (part, gives_maps(config, part))))
            raise ModelError(path, f"it holds a model's {is_given}, but the {is_wanted} is needed",
                             f"Name the encoder as the runtime, and keep {matcher_file(Path(ONNX_FILE))} beside it. {AGAIN}")
        if header.pixels != config.image_pixels:
            raise ModelError(path, f"it needs images of {header.pixels} px, but the model uses {config.image_pixels} px", AGAIN)
        self._session = _session(path)
        self._outputs = [OUTPUT, *(MAPS.format(k) for k in range(len(header.channels)))]
        sides: list[Any] = ["H", "W"] if header.channels else [header.pixels] * 2
        gives: list[list[Any]] = [[self.width], *([channels, "h", "w"] for channels in header.channels)]
        for kind, found, names, shapes in (("inputs", self._session.get_inputs(), [INPUT], [[3, *sides]]),
                                           ("outputs", self._session.get_outputs(), self._outputs, gives)):
            if [value.name for value in found] != names or not all(
                    value.type == "tensor(float)" and _fits(value.shape[1:], shape)
                    for value, shape in zip(found, shapes, strict=True)):
                listed = (f"{name} (N, {', '.join(map(str, shape))})" for name, shape in zip(names, shapes, strict=True))
                raise ModelError(path, f"its {kind} are not {', '.join(listed)}", AGAIN)
        self.matcher: OnnxEncoder | None = None

    @property
    def stage_widths(self) -> tuple[int, ...]:
        """Channels of the feature maps that `stages` gives, the finest first."""
        return self.header.channels

    @property
    def stride(self) -> int:
        """Pixels between two places of the finest feature map."""
        return patch_of(self.config.architecture or {})

    def forward(self, images: Tensor) -> Tensor:
        """Encode normalized images (N, 3, H, W) to vectors (N, D).

        Raises:
            ModelError: If ONNX Runtime fails, takes too long or too much memory, or gives outputs of other shapes.
        """
        return self.stages(images)[0]

    def stages(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the vectors (N, D) of `forward`, and the feature maps (N, C, h, w) of the file, the finest first.

        Raises:
            ModelError: As `forward`.
        """
        vectors, *maps = self._run(images)
        count, (height, width) = len(images), (size // self.stride for size in images.shape[-2:])
        if vectors.shape != (count, self.width):
            raise ModelError(self.path, f"it gave vectors of shape {vectors.shape}", AGAIN)
        for k, (found, channels) in enumerate(zip(maps, self.stage_widths, strict=True)):
            low = (count, channels, height, width) if k == 0 else (count, channels, 1, 1)  # coarser maps are not larger
            if found.ndim != 4 or not all(
                    a <= size <= b for a, size, b in zip(low, found.shape, (count, channels, height, width), strict=True)):
                raise ModelError(self.path, f"it gave a feature map of shape {found.shape} for images of shape "
                                 f"{tuple(images.shape)}", AGAIN)
        if not all(np.isfinite(values).all() for values in (vectors, *maps)):
            raise ModelError(self.path, "its vectors or feature maps hold values that are not finite", AGAIN)
        return torch.from_numpy(vectors), [torch.from_numpy(m) for m in maps]

    def _run(self, images: Tensor) -> list[npt.NDArray[np.float32]]:
        """Return the outputs of the file for images, within the limits of time and memory."""
        import onnxruntime

        batch = images.detach().to("cpu", torch.float32).contiguous().numpy()
        options, seconds = onnxruntime.RunOptions(), SECONDS + SECONDS_PER_IMAGE * len(batch)
        clock = threading.Timer(seconds, setattr, (options, "terminate", True))
        clock.daemon = True
        clock.start()
        try:
            found: list[npt.NDArray[np.float32]] = self._session.run(self._outputs, {INPUT: batch}, options)
            return found
        except Exception as error:  # its errors have no common base class
            if options.terminate:
                raise ModelError(self.path, f"it did not finish {len(batch)} images within {seconds:g} s", AGAIN) from error
            raise ModelError(self.path, f"ONNX Runtime cannot run it ({_reason(error)})", AGAIN) from error
        finally:
            clock.cancel()

    def check_belongs(self, config_file: Path, weights_file: Path) -> None:
        """Refuse an encoder, or a ray matcher's encoder, that was exported from another model.

        Raises:
            ModelError: If the model's files differ from the files that it was exported from.
        """
        for file, name in ((config_file, "config"), (weights_file, "weights")):
            digest = file_digest(file)
            for encoder in (self,) if self.matcher is None else (self, self.matcher):
                if getattr(encoder.header, name) != digest:
                    raise ModelError(encoder.path, f"it was not exported from the model in {file.parent}: {file.name} differs",
                                     AGAIN)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        ModelError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        what = f"it cannot be read ({error.strerror or error})"
        raise ModelError(path, what, "Give a readable model folder.") from error


def runtime_file(runtime: str, folder: Path) -> Path:
    """Return the file of a runtime: `onnx` means the file in the model's folder, everything else is a path.

    Raises:
        ModelError: If the file does not exist.
    """
    path = folder / ONNX_FILE if runtime == "onnx" else Path(runtime)
    if not path.is_file():
        what = "this model was not exported to ONNX yet" if runtime == "onnx" else "unknown runtime, or the file does not exist"
        raise ModelError(path if runtime == "onnx" else f"runtime {runtime}", what,
                         f'Make it with: jzi export MODEL. A runtime is "torch", "onnx" (the model folder\'s {ONNX_FILE}) '
                         "or the path of an .onnx file.")
    return path


def matcher_file(path: Path) -> Path:
    """Return the file beside an exported encoder for the encoder of the model's ray matcher: `encoder.matcher.onnx`."""
    return path.with_suffix(f".matcher{path.suffix}")


def gives_maps(config: ModelConfig, part: Part) -> bool:
    """Return whether an exported encoder must give feature maps too: the ray matcher's encoder must."""
    return config.matcher is not None and config.matcher.own_encoder == (part == "matcher_encoder")


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # a limit on torch's threads holds here too
    options.log_severity_level = 4  # errors are raised as well
    _bound_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        # Constant folding computes a file's constants while it is opened, however long that takes; an export has already folded
        # the small ones. With transposes moved, ONNX Runtime 1.32 refuses to reduce a table of positions.
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"],
                                            disabled_optimizers=["ConstantFolding", "TransposeOptimizer_CPUExecutionProvider"])
    except Exception as error:  # its errors have no common base class
        raise ModelError(path, f"ONNX Runtime cannot open it ({_reason(error)})", AGAIN) from error


@functools.cache
def _bound_memory() -> None:
    """Give all sessions of this process one allocator that refuses more than `MEMORY_BYTES`."""
    import onnxruntime

    kind, use = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, use)
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg({"max_mem": MEMORY_BYTES}))


def _fits(found: list[Any], wanted: list[Any]) -> bool:
    """Return whether a file's sizes are the wanted ones; a wanted text matches any size that the file leaves open."""
    return len(found) == len(wanted) and all(
        a == b if isinstance(b, int) else not isinstance(a, int) for a, b in zip(found, wanted, strict=True))


def _reason(error: Exception) -> str:
    from justzoomin.untrusted import printable

    return printable(error, 200) or type(error).__name__
