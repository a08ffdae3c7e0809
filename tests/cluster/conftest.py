"""A ray cluster of two nodes on this machine, and a small town with a fresh tiny model."""

import os
import uuid
from pathlib import Path

import pytest
import torch

import fakes
from justzoomin.cluster import joined

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
         "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_enable_metrics_collection": "0"}
MARK = "JZI_TEST_CLUSTER"


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    return fakes.make_repository(tmp_path_factory.mktemp("cluster") / "town", pixels=32, depth=3, grid=4, train=2, val=18)


@pytest.fixture(scope="session")
def model(repository, tmp_path_factory):
    """A model folder, marked as trained on the town's region."""
    return fakes.tiny_model().save_pretrained(tmp_path_factory.mktemp("cluster") / "model", fakes.grid_of(repository))


@pytest.fixture(scope="session")
def cluster():
    """The address of a cluster of two nodes with a core each; this process has joined it."""
    pytest.importorskip("ray")
    before, threads = dict(os.environ), torch.get_num_threads()
    os.environ.update(QUIET, **{MARK: uuid.uuid4().hex})
    torch.set_num_threads(1)  # as many as the workers have, so that results are identical bit for bit
    from ray.cluster_utils import Cluster

    room = {"num_cpus": 1, "object_store_memory": 80 << 20}
    nodes = Cluster(initialize_head=True, head_node_args={**room, "include_dashboard": False})
    try:
        nodes.add_node(**room)
        nodes.wait_for_nodes()
        with joined(nodes.address):
            yield nodes.address
    finally:
        nodes.shutdown()
        torch.set_num_threads(threads)
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def workers(cluster):
    """A function that finds the worker processes of this cluster that have a block or wait for one."""
    mark = f"{MARK}={os.environ[MARK]}".encode()

    def look():
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                title = (folder / "cmdline").read_bytes().strip(b"\0")
                if title in {b"ray::_Host", b"ray::_Host.work"} and mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    return look
