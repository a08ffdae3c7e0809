"""The synthetic city: a world, its overhead image, its street photos, in the dataset card's format."""

from __future__ import annotations

from justzoomin.city.build import build_city, is_town, positions, town_grid
from justzoomin.city.camera import Pose, render_photo
from justzoomin.city.config import CityConfig
from justzoomin.city.drives import Router, Shot, draw_conditions
from justzoomin.city.light import Conditions, Vehicle
from justzoomin.city.overhead import FLIGHT, render_overhead
from justzoomin.city.world import World, build_world

__all__ = ["FLIGHT", "CityConfig", "Conditions", "Pose", "Router", "Shot", "Vehicle", "World", "build_city", "build_world",
           "draw_conditions", "is_town", "positions", "render_overhead", "render_photo", "town_grid"]
