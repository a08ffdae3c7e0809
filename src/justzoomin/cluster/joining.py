"""Join a ray cluster, and find how many workers it has room for."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from justzoomin.errors import ClusterError, MissingExtraError

LOCAL = "local"
"""The address of a cluster of this machine alone, which starts and ends with the job."""
MOST_CORES = 4
"""Cores of a worker without a GPU: more hardly speed up one batch, fewer cost one more copy of the model each."""


@dataclass(frozen=True)
class Room:
    """The workers that a cluster has room for, and what each takes.

    Attributes:
        workers: Number of workers.
        cores: Cores of each.
        gpus: GPUs of each, 0 or 1.
    """

    workers: int
    cores: int
    gpus: int

    def no_more_than(self, blocks: int) -> Room:
        """Return the same with at most as many workers as blocks."""
        return Room(min(self.workers, blocks), self.cores, self.gpus)


def require_ray() -> Any:
    """Return the module ray.

    Raises:
        MissingExtraError: If ray is not installed.
    """
    # Ray reports every cluster to its makers unless this is switched off. A choice by the user is respected.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A worker without a GPU should see none; later versions of ray do this by themselves.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "cluster") from error
    return ray


@contextlib.contextmanager
def joined(address: str) -> Iterator[Any]:
    """Join a cluster while the block runs; yields the module ray.

    A process that already belongs to a cluster stays in it, whatever the address says.

    Args:
        address: `local` for this machine alone, `auto` for the cluster of this machine, or the head's `host:port`.

    Raises:
        MissingExtraError: If ray is not installed.
        ClusterError: If there is no cluster at the address.
    """
    ray = require_ray()
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (OSError, RuntimeError, ValueError) as error:  # ConnectionError is an OSError
        raise ClusterError(f"ray address {address!r}", f"the cluster cannot be joined ({_first_line(error)})",
                           "Start one with ray start --head, then give host:port, auto on its machines, or local.") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def room(ray: Any, device: str) -> Room:
    """Return the workers that an idle cluster has room for: one per GPU, or one per few cores if it has no GPU.

    Args:
        ray: The module, joined.
        device: Requested device: `cpu` ignores GPUs.

    Raises:
        ClusterError: If no machine of the cluster offers a core.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    if not nodes:
        raise ClusterError("ray", "no machine of the cluster offers a core", "Start its machines with --num-cpus of 1 or more.")
    gpus = 0 if device == "cpu" else int(sum(node.get("GPU", 0) for node in nodes))
    if gpus:
        return Room(gpus, 1, 1)
    cores = min(MOST_CORES, *(int(node["CPU"]) for node in nodes))
    return Room(sum(int(node["CPU"]) // cores for node in nodes), cores, 0)
