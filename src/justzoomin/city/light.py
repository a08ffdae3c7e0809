"""Light and weather: the sun, the sky, the season, and their effect on a camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from justzoomin.city.arrays import F32, Array, linear, sample_smooth
from justzoomin.city.vehicles import Vehicle

Season = Literal["spring", "summer", "autumn", "winter"]
Weather = Literal["clear", "hazy", "overcast", "rain"]


@dataclass(frozen=True)
class Conditions:
    """Light, season and weather of one photo. The first block of fields belongs to a drive, the second to a single photo."""

    sun_azimuth_deg: float = 150.0
    sun_elevation_deg: float = 48.0
    season: Season = "summer"
    weather: Weather = "clear"
    cloud_cover: float = 0.4
    cloud_offset: tuple[float, float] = (0.0, 0.0)
    red_gain: float = 1.0
    blue_gain: float = 1.0
    exposure: float = 1.0
    visibility_m: float = 900.0

    noise: float = 0.0
    blur_px: float = 0.0
    jpeg_quality: int = 90
    seed: int = 0
    vehicles: tuple[Vehicle, ...] = ()

    @property
    def casts_shadows(self) -> bool:
        """Whether the sun is visible."""
        return self.weather in ("clear", "hazy")

    @property
    def sun(self) -> Array:
        """Unit vector (3,) towards the sun: east, north, up."""
        a, e = np.radians(self.sun_azimuth_deg), np.radians(self.sun_elevation_deg)
        return np.array([np.sin(a) * np.cos(e), np.cos(a) * np.cos(e), np.sin(e)])

    @property
    def sun_colour(self) -> F32:
        """Light of the sun on a surface facing it (3,), linear."""
        low = np.clip((55.0 - self.sun_elevation_deg) / 35.0, 0.0, 1.0)
        strength = {"clear": 2.5, "hazy": 1.6, "overcast": 0.0, "rain": 0.0}[self.weather]
        return (strength * np.array([1.0, 0.95 - 0.10 * low, 0.86 - 0.24 * low])).astype(np.float32)

    @property
    def sky_colours(self) -> tuple[F32, F32]:
        """Zenith and horizon colours (3,), linear."""
        if self.weather == "clear":
            return linear((84, 136, 206)) * 1.25, linear((196, 214, 228)) * 1.35
        if self.weather == "hazy":
            return linear((134, 168, 206)) * 1.25, linear((216, 220, 220)) * 1.4
        if self.weather == "overcast":
            return linear((186, 192, 198)) * 1.25, linear((212, 214, 214)) * 1.3
        return linear((140, 148, 158)) * 1.2, linear((182, 188, 192)) * 1.25

    @property
    def ambient(self) -> tuple[F32, F32]:
        """Light from above and from below (3,) each, linear."""
        if self.weather in ("overcast", "rain"):
            level = 1.25 if self.weather == "overcast" else 0.95
            return (level * np.array([0.97, 1.0, 1.05])).astype(np.float32), np.full(3, 0.42, np.float32)
        up = np.array([0.62, 0.74, 0.96]) if self.weather == "clear" else np.array([0.86, 0.9, 0.97])
        return up.astype(np.float32), np.array([0.44, 0.40, 0.34], np.float32)


def sky(conditions: Conditions, noise: F32, hills: F32, d: F32, *, far: bool = True) -> F32:
    """Return the colour (3, n), linear, of the sky in directions `d` (3, n) of unit length.

    Args:
        conditions: Weather and sun.
        noise: A smooth periodic tile for the clouds.
        hills: Height of the horizon, (1024,).
        d: Directions east, north, up.
        far: Whether to draw clouds and hills; reflections omit the hills.
    """
    zenith, horizon = conditions.sky_colours
    up = np.clip(d[2], 0.0, 1.0)
    mix = np.exp(up * -3.6)
    out = zenith[:, None] + (horizon - zenith)[:, None] * mix
    sun = conditions.sun.astype(np.float32)
    toward = np.clip(sun[0] * d[0] + sun[1] * d[1] + sun[2] * d[2], 0.0, 1.0)
    if conditions.casts_shadows:
        glow = toward**8
        out += (np.array([0.30, 0.24, 0.15], np.float32)[:, None]) * glow
        glow *= glow
        glow *= glow
        glow *= glow
        out += (np.array([2.2, 2.0, 1.6], np.float32)[:, None]) * glow
    reach = 60.0 / (up + 0.09)
    u = d[0] * reach + np.float32(conditions.cloud_offset[0])
    v = d[1] * reach + np.float32(conditions.cloud_offset[1])
    cloud = sample_smooth(noise, u, v)
    if conditions.weather in ("overcast", "rain"):
        out *= 0.80 + 0.42 * cloud
    else:
        threshold = np.float32(0.78 - 0.5 * conditions.cloud_cover)
        amount = np.clip((cloud - threshold) * 4.5, 0.0, 0.92) * np.clip(up * 7.0, 0.0, 1.0)
        shade = 1.0 - 0.35 * np.clip((cloud - threshold) * 2.5, 0.0, 1.0)
        white = (1.42 + 0.4 * toward**4) * shade
        out += (white * np.array([1.0, 0.99, 0.985], np.float32)[:, None] - out) * amount
    if far:
        turn = (np.arctan2(d[0], d[1]) * np.float32(1024 / (2 * np.pi))).astype(np.int32) & 1023
        hill = d[2] < hills[turn]
        if hill.any():
            green = linear((104, 126, 112) if conditions.season != "winter" else (128, 132, 130))
            out[:, hill] = (0.42 * green + 0.58 * 0.85 * horizon)[:, None]
    return np.asarray(out, np.float32)
