"""Arguing with the answer: cells, circles, areas, the heading; undo and redo; two places side by side."""

import math

import pytest
from playwright.sync_api import expect

METRES = 111_319.49


def metres_between(one, other):
    (lat, lon), (lat2, lon2) = one, other
    return METRES * math.hypot(lat - lat2, (lon - lon2) * math.cos(math.radians(lat)))


def moved_from(visitor, before):
    """Wait until the shown position is another one."""
    expect(visitor["#position"]).not_to_have_text("{:.6f}, {:.6f}".format(*before))
    return visitor.position


def test_cells_undo_redo_refusals_and_two_places_side_by_side(visit, photos):
    visitor = visit()
    visitor.watch.allow("status of 4(09|22)")
    visitor.pick(photos[0]).answered()
    first = visitor.position
    expect(visitor["#undo"]).to_be_disabled()
    visitor["#strip [data-level='1']"].click()
    visitor.page.wait_for_function("() => !justzoomin.map.view.getAnimating()")
    cell = visitor.page.evaluate("([lat, lon]) => justzoomin.map.grid4.cellAt(lat, lon, 1)", list(first))
    visitor.click_map(*first)
    expect(visitor["#popup"]).to_contain_text("Cell of 100 m")
    visitor["#say-not"].click()
    second = moved_from(visitor.corrected(1), first)
    state = visitor.state
    assert [one["kind"] for one in state["corrections"]] == ["cell"] and state["corrections"][0]["here"] is False
    assert state["fix"]["sequence"][0] != cell["sequence"][0]
    assert (state["fix"]["lat"], state["fix"]["lon"]) == pytest.approx(second, abs=1e-6)
    visitor["#undo"].click()
    assert moved_from(visitor.corrected(0), second) == first
    visitor["#redo"].click()
    assert moved_from(visitor.corrected(1), first) == second
    visitor.page.keyboard.press("Control+z")
    assert moved_from(visitor.corrected(0), second) == first
    visitor.page.keyboard.press("Control+Shift+z")
    assert moved_from(visitor.corrected(1), first) == second
    expect(visitor["#redo"]).to_be_disabled()

    visitor["#radius"].fill("5000")
    visitor["#around-not"].click()
    expect(visitor["#refusal"]).to_be_visible()
    expect(visitor["#refusal"]).to_contain_text("rules out every")
    expect(visitor["#refusal"]).not_to_contain_text("swapped")
    expect(visitor["#corrections li"]).to_have_count(1)
    assert visitor.position == second
    visitor["#undo"].click()
    assert moved_from(visitor.corrected(0), second) == first
    expect(visitor["#refusal"]).to_be_hidden()

    assert visitor["#places li"].count() >= 2
    visitor["#compare-open"].click()
    expect(visitor["#compare"]).to_be_visible()
    views = visitor["#compare .pair img"]
    expect(views).to_have_count(2)
    for k in range(2):
        assert views.nth(k).evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 480
    other = visitor.state["top"][1]
    visitor["#compare [data-here='2']"].click()
    visitor.corrected(1)
    expect(visitor["#compare"]).to_be_hidden()
    correction = visitor.state["corrections"][0]
    assert (correction["lat"], correction["lon"]) == pytest.approx((other["lat"], other["lon"]), abs=1e-6)
    assert metres_between(visitor.position, (other["lat"], other["lon"])) < correction["radius_m"] + 25


def test_circles_areas_and_headings(visit, photos, town):
    visitor = visit().pick(photos[1]).answered()
    visitor["#strip [data-level='0']"].click()
    visitor.page.wait_for_function("() => !justzoomin.map.view.getAnimating()")
    middle = town.map.grid.region.centre
    middle = (middle.lat + 60 / METRES, middle.lon)
    edge = (middle[0] + 50 / METRES, middle[1])
    visitor["#draw-circle"].click()
    expect(visitor["#hint"]).to_contain_text("Click the middle")
    visitor.click_map(*middle).click_map(*edge)
    expect(visitor["#popup"]).to_contain_text("Circle of 50 m")
    visitor["#say-here"].click()
    circle = visitor.corrected(1).state["corrections"][0]
    assert circle["kind"] == "circle" and circle["here"] is True and circle["radius_m"] == pytest.approx(50, abs=2)
    assert metres_between((circle["lat"], circle["lon"]), middle) < 2
    assert metres_between(visitor.position, middle) < 50 + 25 * math.sqrt(0.5)

    before = visitor.position
    west, north = middle[1] - 70 / METRES / 0.58, before[0] + 9 / METRES
    corners = [(before[0] - 9 / METRES, west), (before[0] - 9 / METRES, middle[1] + 70 / METRES / 0.58),
               (north, middle[1] + 70 / METRES / 0.58), (north, west)]
    visitor["#draw-area"].click()
    for corner in corners:
        visitor.click_map(*corner)
    visitor.page.mouse.dblclick(*visitor.pixel(*corners[-1]))
    expect(visitor["#popup"]).to_contain_text("This area")
    visitor["#say-not"].click()
    after = moved_from(visitor.corrected(2), before)
    assert metres_between(after, middle) < 50 + 25 * math.sqrt(0.5)
    assert visitor.state["corrections"][1]["kind"] == "polygon"

    visitor["#draw-circle"].click()
    visitor.page.keyboard.press("Escape")
    expect(visitor["#hint"]).to_be_hidden()

    visitor["#dial"].focus()
    visitor.page.keyboard.press("Home")
    for key in ("PageUp", "PageUp", "ArrowRight"):
        visitor.page.keyboard.press(key)
    expect(visitor["#dial"]).to_have_attribute("aria-valuetext", "95 degrees, east")
    visitor["#set-heading"].click()
    expect(visitor.corrected(3)["#corrections li"].last).to_contain_text("faces 95° (east)")
    state = visitor.state
    assert state["corrections"][2]["deg"] == 95 and state["corrections"][2]["sigma_deg"] == 20
    turned = abs((state["fix"]["heading_deg"] - 95 + 180) % 360 - 180)
    assert turned < 45, f"the answer faces {state['fix']['heading_deg']}"
