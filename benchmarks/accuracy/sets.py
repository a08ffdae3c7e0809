"""The frozen sets of the accuracy benchmark: which towns, how many photos, and what is scored.

Every byte follows from these settings and `justzoomin.city`. A set is a folder of ordinary dataset repositories, one per town:

- `home`: the town whose streets a model may learn by heart. Its validation photos lie in blocks that no training photo
  comes near (`disjoint`). The last drives of its training photos are split off: `within` is scored, `calib` is for calibration.
- `train-SEED`: many small towns that are trained on.
- `dev-SEED`: towns that are not trained on, for decisions and calibration; `other-SEED`: towns that are scored.

The set `towns` has only towns to train on, many and of several kinds: `train-SEED`. Its first N towns are a set as well.

The set `areas` has towns of several sizes, with districts, that nothing is trained on: `fit-SIZE-SEED` to fit calibrations,
`score-SIZE-SEED` to score. Their photos are the split `val`.
"""

from __future__ import annotations

from dataclasses import dataclass

from justzoomin.apps.demo import OTHER_TOWNS, other_town
from justzoomin.city import CityConfig

PHOTOS_PER_DRIVE = 16


@dataclass(frozen=True)
class Recipe:
    """One set.

    Attributes:
        name: Its name.
        town: Settings that all towns share.
        home_photos: Training photos of the home town.
        within: Photos of other drives in the home town that are scored.
        calib: Photos of further drives there, for calibration.
        disjoint: Photos of the home town's reserved blocks.
        block_m: Edge of these blocks; not a multiple of a cell of the first step.
        guard_m: Least distance between them and training photos.
        towns: Towns to train on besides the home town.
        town_photos: Photos of each.
        dev_towns: Towns for decisions and calibration.
        dev_photos: Photos of each.
        other_towns: Towns that are scored.
        other_photos: Photos of each.
    """

    name: str
    town: CityConfig
    home_photos: int
    within: int
    calib: int
    disjoint: int
    block_m: float
    guard_m: float
    towns: int
    town_photos: int
    dev_towns: int
    dev_photos: int
    other_towns: int
    other_photos: int

    def repositories(self) -> dict[str, CityConfig]:
        """Folder name and settings of every town, the home town first."""
        own = self.town.model_dump(exclude={"workers"})
        extra = self.within + self.calib
        found = {"home": CityConfig(**{**own, "seed": 11, "split": "block", "block_m": self.block_m, "guard_m": self.guard_m,
                                       "photos": self.home_photos + extra, "val_photos": self.disjoint})}
        for kind, first, count, photos, split in (("dev", 8000, self.dev_towns, self.dev_photos, "val_photos"),
                                                  ("other", 9000, self.other_towns, self.other_photos, "val_photos"),
                                                  ("train", 100, self.towns, self.town_photos, "photos")):
            for seed in range(first, first + count):
                counts = {"photos": 0, "val_photos": 1, split: photos}
                found[f"{kind}-{seed}"] = CityConfig(**{**own, "seed": seed, **counts})
        return found


CPU = Recipe(
    name="cpu", town=CityConfig(size_m=320.0, depth=3, gsd_m=0.2, photo_width=192, photo_height=96, workers=1),
    home_photos=8000, within=608, calib=400, disjoint=600, block_m=64.0, guard_m=8.0,
    towns=96, town_photos=112, dev_towns=4, dev_photos=96, other_towns=10, other_photos=64)

GPU = Recipe(
    name="gpu", town=CityConfig(size_m=2500.0, depth=4, gsd_m=0.25, photo_width=448, photo_height=224, workers=1),
    home_photos=60_000, within=2000, calib=1008, disjoint=2000, block_m=400.0, guard_m=20.0,
    towns=20, town_photos=2000, dev_towns=2, dev_photos=400, other_towns=4, other_photos=500)



@dataclass(frozen=True)
class TownSize:
    """Towns of one size.

    Attributes:
        size_m: Side of each in metres.
        depth: Zoom steps. The last cell is size_m / 4^depth wide: 5 m, or 10 m where 5 m are not a power of 4 away.
        fit: Number of towns for fitting calibrations.
        score: Number of towns for scoring.
        photos: Photos of each, in drives of 16.
    """

    size_m: int
    depth: int
    fit: int
    score: int
    photos: int


@dataclass(frozen=True)
class AreaRecipe:
    """A set of towns of several sizes.

    Attributes:
        name: Its name.
        town: Settings that all towns share.
        sizes: Its sizes, the smallest first.
    """

    name: str
    town: CityConfig
    sizes: tuple[TownSize, ...]

    def repositories(self) -> dict[str, CityConfig]:
        """Folder name and settings of every town, small towns first; fit and score share no seed."""
        own, found = self.town.model_dump(), {}
        for size in self.sizes:
            for kind, first, count in (("fit", 600_000, size.fit), ("score", 700_000, size.score)):
                for seed in range(first + size.size_m, first + size.size_m + count):
                    found[f"{kind}-{size.size_m}-{seed}"] = CityConfig(**{
                        **own, "seed": seed, "size_m": float(size.size_m), "depth": size.depth, "val_photos": size.photos})
        return found


AREAS = AreaRecipe(
    name="areas", town=CityConfig(districts=True, gsd_m=0.25, photos=0, photo_width=192, photo_height=96, workers=1),
    sizes=(TownSize(320, 3, fit=20, score=20, photos=32), TownSize(640, 3, fit=8, score=8, photos=48),
           TownSize(1280, 4, fit=3, score=3, photos=128), TownSize(2560, 4, fit=1, score=1, photos=256)))


@dataclass(frozen=True)
class TownsRecipe:
    """A set of many towns to train on, each seen by few photos: those of the demo's model.

    Attributes:
        name: Its name.
        count: Number of towns.
    """

    name: str
    count: int

    def repositories(self) -> dict[str, CityConfig]:
        """Folder name and settings of every town."""
        towns = (other_town(number).model_copy(update={"workers": 1}) for number in range(self.count))
        return {f"train-{town.seed}": town for town in towns}


TOWNS = TownsRecipe("towns", OTHER_TOWNS)

AnyRecipe = Recipe | AreaRecipe | TownsRecipe
SETS: dict[str, AnyRecipe] = {recipe.name: recipe for recipe in (CPU, GPU, AREAS, TOWNS)}
