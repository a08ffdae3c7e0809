"""Decoded tiles in memory: a tile in use is never overwritten, whichever tiles are dropped meanwhile."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from justzoomin.maps import Map
from justzoomin.tiles import TileId
from justzoomin.tiles.decoding import TileCache, decode_tile


@pytest.fixture
def tiles(utm_map):
    """A map's source and the first tiles of its finest level."""
    source = Map.open(utm_map).source
    return source, [(0, x, y) for x, y in source.tiles(0)[:12]]


def expected(source, tile):
    return decode_tile(source.read(TileId(*tile)), source.describe(TileId(*tile)), 100)


def cache_of(source, tiles: int) -> TileCache:
    return TileCache(source, 100, tiles * 100 * 100 * 3)


def fetch(cache: TileCache, tile):
    return cache.get(TileId(*tile))


def test_tiles_that_are_held_stay_as_they_are(tiles):
    source, numbers = tiles
    cache = cache_of(source, 2)
    whole = fetch(cache, numbers[0])
    part = fetch(cache, numbers[1])[10:20, 5:9]
    turned = fetch(cache, numbers[2]).transpose(1, 0, 2)[::-1]
    for _ in range(3):
        for number in numbers[3:]:
            assert np.array_equal(fetch(cache, number), expected(source, number))
        cache.clear()
    assert np.array_equal(whole, expected(source, numbers[0]))
    assert np.array_equal(part, expected(source, numbers[1])[10:20, 5:9])
    assert np.array_equal(turned, expected(source, numbers[2]).transpose(1, 0, 2)[::-1])
    assert not whole.flags.writeable


def test_memory_of_forgotten_tiles_is_used_again(tiles):
    source, numbers = tiles
    cache = cache_of(source, 1)
    first = fetch(cache, numbers[0]).ctypes.data
    fetch(cache, numbers[1])
    assert fetch(cache, numbers[2]).ctypes.data == first


def test_threads_get_whole_tiles(tiles):
    source, numbers = tiles
    cache = cache_of(source, 2)
    wanted = [expected(source, number) for number in numbers]

    def look(step: int) -> bool:
        number = step * 7 % len(numbers)
        return np.array_equal(np.array(fetch(cache, numbers[number])), wanted[number])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(look, range(400)))


def test_it_travels_empty(tiles):
    source, numbers = tiles
    cache = cache_of(source, 4)
    fetch(cache, numbers[0])
    other = pickle.loads(pickle.dumps(cache))
    assert np.array_equal(fetch(other, numbers[0]), expected(source, numbers[0]))
