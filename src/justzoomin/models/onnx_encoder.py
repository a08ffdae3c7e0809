"""An exported encoder in the place of torch's: ONNX Runtime gives vectors and feature maps, everything else stays as it is."""

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
from justzoomin.models.onnx_file import AGAIN, Part, read_header

ONNX_FILE = "encoder.onnx"
"""Name of the exported encoder in its model's folder."""
INPUT, OUTPUT = "images", "vectors"
MAPS = "maps_{}"
"""Names of the feature maps, the finest first: `maps_0`, `maps_1`, ..."""
MEMORY_BYTES = 6 << 30
"""Memory that exported encoders may take: a file has up to 2 GiB of weights, a batch less than that."""
SECONDS, SECONDS_PER_IMAGE = 60.0, 30.0
"""Time that a batch may take, and each of its images besides."""


class OnnxEncoder(nn.Module):
    """The encoder from a file that `export_onnx` made, on the CPU.

    Args:
        path: The file; looked through before it is run.
        config: Settings of the model it belongs to.
        part: Which of the model's encoders it must be.

    Attributes:
        config: Settings of the encoder.
        width: Length of the vectors.
        header: What the file belongs to.
        matcher: The encoder that the model's ray matcher has of its own, from the file beside this one; None where it has none.

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
            raise ModelError(path, f"it holds a model's {is_given}, and the {is_wanted} is needed here",
                             f"Name the encoder as the runtime, and keep {matcher_file(Path(ONNX_FILE))} beside it. {AGAIN}")
        if header.pixels != config.image_pixels:
            raise ModelError(path, f"it takes images of {header.pixels} px and the model of {config.image_pixels} px", AGAIN)
        self._session = _session(path)
        self._outputs = [OUTPUT, *(MAPS.format(k) for k in range(len(header.channels)))]
        sides: list[Any] = ["H", "W"] if header.channels else [header.pixels] * 2
        gives: list[list[Any]] = [[self.width], *([channels, "h", "w"] for channels in header.channels)]
        for kind, found, names, shapes in (("takes", self._session.get_inputs(), [INPUT], [[3, *sides]]),
                                           ("gives", self._session.get_outputs(), self._outputs, gives)):
            if [value.name for value in found] != names or not all(
                    value.type == "tensor(float)" and _fits(value.shape[1:], shape)
                    for value, shape in zip(found, shapes, strict=True)):
                listed = (f"{name} (N, {', '.join(map(str, shape))})" for name, shape in zip(names, shapes, strict=True))
                raise ModelError(path, f"it {kind} something else than {', '.join(listed)}", AGAIN)
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
            ModelError: If ONNX Runtime fails, takes too long or too much memory, or gives something else.
        """
        return self.stages(images)[0]

    def stages(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Vectors (N, D) as `forward` gives them, and the file's feature maps (N, C, h, w), the finest first.

        Raises:
            ModelError: As `forward`.
        """
        vectors, *maps = self._run(images)
        count, (height, width) = len(images), (size // self.stride for size in images.shape[-2:])
        if vectors.shape != (count, self.width):
            raise ModelError(self.path, f"it gave vectors of shape {vectors.shape}", AGAIN)
        for k, (found, channels) in enumerate(zip(maps, self.stage_widths, strict=True)):
            low = (count, channels, height, width) if k == 0 else (count, channels, 1, 1)  # coarser maps are no larger
            if found.ndim != 4 or not all(
                    a <= size <= b for a, size, b in zip(low, found.shape, (count, channels, height, width), strict=True)):
                raise ModelError(self.path, f"it gave a feature map of shape {found.shape} for images of shape "
                                 f"{tuple(images.shape)}", AGAIN)
        if not all(np.isfinite(values).all() for values in (vectors, *maps)):
            raise ModelError(self.path, "its vectors or feature maps hold values that are not finite", AGAIN)
        return torch.from_numpy(vectors), [torch.from_numpy(m) for m in maps]

    def _run(self, images: Tensor) -> list[npt.NDArray[np.float32]]:
        """What the file gives for images, within the bounds of time and memory."""
        import onnxruntime

        batch = images.detach().to("cpu", torch.float32).contiguous().numpy()
        options, seconds = onnxruntime.RunOptions(), SECONDS + SECONDS_PER_IMAGE * len(batch)
        clock = threading.Timer(seconds, setattr, (options, "terminate", True))
        clock.daemon = True
        clock.start()
        try:
            found: list[npt.NDArray[np.float32]] = self._session.run(self._outputs, {INPUT: batch}, options)
            return found
        except Exception as error:  # its errors share no base of their own
            if options.terminate:
                raise ModelError(self.path, f"it did not end within {seconds:g} s for {len(batch)} images", AGAIN) from error
            raise ModelError(self.path, f"ONNX Runtime cannot run it ({_reason(error)})", AGAIN) from error
        finally:
            clock.cancel()

    def check_belongs(self, config_file: Path, weights_file: Path) -> None:
        """Refuse the encoder of another model, and one of another model as its ray matcher's.

        Raises:
            ModelError: If the model's files are not those that it was exported from.
        """
        for file, name in ((config_file, "config"), (weights_file, "weights")):
            digest = file_digest(file)
            for encoder in (self,) if self.matcher is None else (self, self.matcher):
                if getattr(encoder.header, name) != digest:
                    raise ModelError(encoder.path, f"it was exported from another model than {file.parent}: {file.name} "
                                     "differs", AGAIN)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        ModelError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(path, f"it cannot be read ({error.strerror or error})", "Give a readable model folder.") from error


def runtime_file(runtime: str, folder: Path) -> Path:
    """The file that a runtime's name means: `onnx` is the one in the model's folder, everything else is a path.

    Raises:
        ModelError: If there is no such file.
    """
    path = folder / ONNX_FILE if runtime == "onnx" else Path(runtime)
    if not path.is_file():
        what = "this model was not exported to ONNX yet" if runtime == "onnx" else "there is no such runtime or file"
        raise ModelError(path if runtime == "onnx" else f"runtime {runtime}", what,
                         f'Make it with: jzi export MODEL. A runtime is "torch", "onnx" (the model folder\'s {ONNX_FILE}) '
                         "or the path of an .onnx file.")
    return path


def matcher_file(path: Path) -> Path:
    """The file beside an exported encoder that holds the encoder of the model's ray matcher: `encoder.matcher.onnx`."""
    return path.with_suffix(f".matcher{path.suffix}")


def gives_maps(config: ModelConfig, part: Part) -> bool:
    """Whether an exported encoder gives feature maps besides vectors: the one that the model's ray matcher looks through."""
    return config.matcher is not None and config.matcher.own_encoder == (part == "matcher_encoder")


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # whoever bounds torch bounds this too
    options.log_severity_level = 4  # what goes wrong is raised as well
    _bound_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        # Folding computes what a file calls constant while it is opened, however long that takes; an export has folded already
        # what is small. With transposes moved, ONNX Runtime 1.32 refuses to reduce a table of positions.
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"],
                                            disabled_optimizers=["ConstantFolding", "TransposeOptimizer_CPUExecutionProvider"])
    except Exception as error:  # its errors share no base of their own
        raise ModelError(path, f"ONNX Runtime cannot open it ({_reason(error)})", AGAIN) from error


@functools.cache
def _bound_memory() -> None:
    """Give all sessions of this process one allocator that says no beyond `MEMORY_BYTES`."""
    import onnxruntime

    kind, use = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, use)
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg({"max_mem": MEMORY_BYTES}))


def _fits(found: list[Any], wanted: list[Any]) -> bool:
    """Whether a file's sizes are those wanted; where a text is wanted, any size that the file leaves open."""
    return len(found) == len(wanted) and all(
        a == b if isinstance(b, int) else not isinstance(a, int) for a, b in zip(found, wanted, strict=True))


def _reason(error: Exception) -> str:
    from justzoomin.untrusted import printable

    return printable(error, 200) or type(error).__name__
