"""An exported encoder in the place of torch's: ONNX Runtime gives the vectors, everything else stays as it is."""

from __future__ import annotations

import functools
import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from justzoomin.errors import MissingExtraError, ModelError
from justzoomin.models.config import ModelConfig
from justzoomin.models.onnx_file import ExportHeader, read_header

ONNX_FILE = "encoder.onnx"
"""Name of the exported encoder in its model's folder."""
INPUT, OUTPUT = "images", "vectors"
MEMORY_BYTES = 6 << 30
"""Memory that exported encoders may take: a file has up to 2 GiB of weights, a batch less than that."""
SECONDS, SECONDS_PER_IMAGE = 60.0, 30.0
"""Time that a batch may take, and each of its images besides."""
_AGAIN = "Export it again with: jzi export MODEL."


class OnnxEncoder(nn.Module):
    """The encoder from a file that `export_onnx` made, on the CPU.

    Args:
        path: The file; looked through before it is run.
        config: Settings of the model it belongs to.

    Attributes:
        config: Settings of the encoder.
        width: Length of the vectors.
        header: What the file belongs to.

    Raises:
        ModelError: If the file cannot be used, or does not fit the settings.
        MissingExtraError: If ONNX Runtime is not installed.
    """

    def __init__(self, path: Path, config: ModelConfig) -> None:
        super().__init__()
        self.path = path
        self.header = read_header(path)
        self.config, self.width = config.encoder, self.header.width
        if self.header.pixels != config.image_pixels:
            raise ModelError(path, f"it takes images of {self.header.pixels} px and the model of {config.image_pixels} px",
                             _AGAIN)
        self._session = _session(path)
        sides = [3, self.header.pixels, self.header.pixels]
        for kind, found, name, shape in (("takes", self._session.get_inputs(), INPUT, sides),
                                         ("gives", self._session.get_outputs(), OUTPUT, [self.width])):
            if len(found) != 1 or found[0].name != name or found[0].type != "tensor(float)" or found[0].shape[1:] != shape:
                raise ModelError(path, f"it {kind} something else than {name} (N, {', '.join(map(str, shape))})", _AGAIN)

    def forward(self, images: Tensor) -> Tensor:
        """Encode normalized images (N, 3, H, W) to vectors (N, D).

        Raises:
            ModelError: If ONNX Runtime fails, takes too long or too much memory, or gives something else.
        """
        import onnxruntime

        batch = images.detach().to("cpu", torch.float32).contiguous().numpy()
        options, seconds = onnxruntime.RunOptions(), SECONDS + SECONDS_PER_IMAGE * len(batch)
        clock = threading.Timer(seconds, setattr, (options, "terminate", True))
        clock.daemon = True
        clock.start()
        try:
            vectors = self._session.run([OUTPUT], {INPUT: batch}, options)[0]
        except Exception as error:  # its errors share no base of their own
            if options.terminate:
                raise ModelError(self.path, f"it did not end within {seconds:g} s for {len(batch)} images", _AGAIN) from error
            raise ModelError(self.path, f"ONNX Runtime cannot run it ({_reason(error)})", _AGAIN) from error
        finally:
            clock.cancel()
        if vectors.shape != (len(images), self.width):
            raise ModelError(self.path, f"it gave vectors of shape {vectors.shape}", _AGAIN)
        if not np.isfinite(vectors).all():
            raise ModelError(self.path, "its vectors hold values that are not finite", _AGAIN)
        return torch.from_numpy(vectors)

    def check_belongs(self, config_file: Path, weights_file: Path) -> None:
        """Refuse the encoder of another model.

        Raises:
            ModelError: If the model's files are not those that it was exported from.
        """
        for file, wanted in ((config_file, self.header.config), (weights_file, self.header.weights)):
            if file_digest(file) != wanted:
                raise ModelError(self.path, f"it was exported from another model than {file.parent}: {file.name} differs",
                                 _AGAIN)


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


def belonging_header(model: str, config: Path, weights: Path, pixels: int, width: int) -> ExportHeader:
    """The header of an encoder exported from these files."""
    return ExportHeader(model, file_digest(config), file_digest(weights), pixels, width)


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
        # Folding computes what a file calls constant while it is opened, however long that takes; an export has folded already.
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"],
                                            disabled_optimizers=["ConstantFolding"])
    except Exception as error:  # its errors share no base of their own
        raise ModelError(path, f"ONNX Runtime cannot open it ({_reason(error)})", _AGAIN) from error


@functools.cache
def _bound_memory() -> None:
    """Give all sessions of this process one allocator that says no beyond `MEMORY_BYTES`."""
    import onnxruntime

    kind, use = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, use)
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg({"max_mem": MEMORY_BYTES}))


def _reason(error: Exception) -> str:
    from justzoomin.untrusted import printable

    return printable(error, 200) or type(error).__name__
