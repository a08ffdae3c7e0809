"""Datasets from the hub: planned, fetched, checked, unpacked."""

__all__: list[str] = []
