"""The service: HTTP for programs, tiles for GIS, a page for people."""
