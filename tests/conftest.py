"""Fixtures for the whole house: real data where it is present, words where it is not."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine draws examples says nothing about the code.
settings.register_profile("justzoomin", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("justzoomin")

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the project; skips, saying so, where it is absent."""
    folder = PROJECT.parent / "shared" / "data"
    if not (folder / "dc-mini").is_dir():
        pytest.skip(f"real data is absent: no {folder.name}/dc-mini beside the project (../shared/data)")
    return folder.parent
