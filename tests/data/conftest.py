"""One small dataset for the room's tests."""

from data_fixtures import dataset, repository

__all__ = ["dataset", "repository"]
