"""Joining a ray cluster, and how many workers it has room for."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from justzoomin.errors import ClusterError, MissingExtraError

LOCAL = "local"
"""The address that stands for a cluster of this machine alone, begun and ended with the job."""
MOST_CORES = 4
"""Cores of a worker without a GPU: more make one batch hardly faster, fewer cost another copy of the model each."""


@dataclass(frozen=True)
class Room:
    """Workers that a cluster has room for, and what each takes.

    Attributes:
        workers: How many.
        cores: Cores of each.
        gpus: GPUs of each, 0 or 1.
    """

    workers: int
    cores: int
    gpus: int

    def no_more_than(self, blocks: int) -> Room:
        """The same with no more workers than there are blocks."""
        return Room(min(self.workers, blocks), self.cores, self.gpus)


def require_ray() -> Any:
    """The module ray.

    Raises:
        MissingExtraError: If it is not installed.
    """
    # Ray tells its makers about every cluster unless told not to. Where the user has decided, that holds.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A worker without a GPU is to see none; this is what ray will do by itself in later versions.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "cluster") from error
    return ray


@contextlib.contextmanager
def joined(address: str) -> Iterator[Any]:
    """Be part of a cluster while the block runs; gives the module ray.

    A process that is part of a cluster already stays so, whatever the address says.

    Args:
        address: `local` for this machine alone, `auto` for the cluster that this machine belongs to, or the head's `host:port`.

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
        raise ClusterError(f"ray address {address}", f"no cluster can be joined there ({_first_line(error)})",
                           "Start one with ray start --head and give host:port, auto on its machines, or local.") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def room(ray: Any, device: str) -> Room:
    """Workers that the cluster has room for when nothing else runs: one for each GPU, or for every few cores where it has none.

    Args:
        ray: The module, joined.
        device: Device that was asked for: `cpu` leaves GPUs aside.

    Raises:
        ClusterError: If no machine of it offers a core.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    if not nodes:
        raise ClusterError("ray", "no machine of the cluster offers a core", "Start its machines with --num-cpus of 1 or more.")
    gpus = 0 if device == "cpu" else int(sum(node.get("GPU", 0) for node in nodes))
    if gpus:
        return Room(gpus, 1, 1)
    cores = min(MOST_CORES, *(int(node["CPU"]) for node in nodes))
    return Room(sum(int(node["CPU"]) // cores for node in nodes), cores, 0)
