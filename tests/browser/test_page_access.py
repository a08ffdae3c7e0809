"""For everybody: keyboard alone, screen readers (axe-core), dark mode, phones."""

import re

import pytest
from playwright.sync_api import expect

Axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="findings come from axe-playwright-python").Axe
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
FOCUS = "(() => { const style = getComputedStyle(document.activeElement); return [style.outlineStyle, style.boxShadow]; })()"
CONTRAST = {"runOnly": ["color-contrast"]}


def serious(visitor, options=None):
    """Return the serious findings of axe-core in the state that is shown."""
    if not visitor.page.evaluate("'axe' in window"):
        visitor.page.evaluate(Axe().axe_script)
    found = visitor.page.evaluate("(options) => axe.run(document, { resultTypes: ['violations'], ...options })", options or {})
    return [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found["violations"]
            if one["impact"] in ("serious", "critical")]


def tab_to(visitor, name):
    """Press Tab until something has the focus, and see that the focus shows."""
    for _ in range(60):
        visitor.page.keyboard.press("Tab")
        if visitor.page.evaluate("document.activeElement.id") == name:
            shown = visitor.page.evaluate(FOCUS)
            assert shown != ["none", "none"], f"nobody sees that {name} has the focus"
            return
    raise AssertionError(f"Tab does not come to {name}")


def test_the_keyboard_is_enough(visit, photos):
    visitor = visit()
    keyboard = visitor.page.keyboard
    visitor.page.on("filechooser", lambda _: None)  # else the dialog may open before Playwright waits for it
    keyboard.press("Tab")
    assert visitor.page.evaluate("document.activeElement.className") == "skip"
    keyboard.press("Enter")
    tab_to(visitor, "choose")
    with visitor.page.expect_file_chooser() as chooser:
        keyboard.press("Enter")
    chooser.value.set_files(str(photos[0]))
    visitor.answered()
    before = visitor.position
    expect(visitor["#live"]).to_contain_text("Position {:.6f}, {:.6f}".format(*before))
    tab_to(visitor, "radius")
    keyboard.press("Control+a")
    keyboard.type("100")
    tab_to(visitor, "around-not")
    keyboard.press("Enter")
    visitor.corrected(1)
    second = visitor.position
    assert second != before
    keyboard.press("Control+z")
    visitor.corrected(0)
    tab_to(visitor, "map")
    keyboard.press("Enter")
    expect(visitor["#say-here"]).to_be_focused()
    keyboard.press("Tab")
    expect(visitor["#say-not"]).to_be_focused()
    keyboard.press("Escape")
    expect(visitor["#popup"]).to_be_hidden()
    expect(visitor["#map"]).to_be_focused()
    keyboard.press("Enter")
    expect(visitor["#say-here"]).to_be_focused()
    keyboard.press("Tab")
    keyboard.press("Enter")
    visitor.corrected(1)
    expect(visitor["#corrections li"]).to_contain_text("It is not in this cell")
    keyboard.press("Control+z")
    assert visitor.corrected(0).position == before


@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_axe_finds_nothing_serious(device, visit, photos, tmp_path):
    phone = device == "phone"
    visitor = visit(**(PHONE if phone else {}))
    found = {}

    def look(state):
        if phone:
            width = PHONE["viewport"]["width"]
            assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width, f"{state} is wider than a phone"
            if state != "answer":
                return
        found[state] = serious(visitor)
        if state in ("beginning", "answer", "many"):
            visitor.page.emulate_media(color_scheme="dark")
            found[f"{state}, dark"] = serious(visitor, CONTRAST)
            visitor.page.emulate_media(color_scheme="light")

    look("beginning")
    visitor["#about-open"].click()
    look("about")
    visitor["#about-close"].click()
    visitor.pick(photos[0]).answered()
    visitor["#radius"].fill("60")
    visitor["#around-not"].click()
    visitor.corrected(1)
    visitor["#save summary"].click()
    visitor["#layers-open"].click()
    visitor["#map"].focus()
    visitor.page.keyboard.press("Enter")
    expect(visitor["#popup"]).to_be_visible()
    look("answer")
    visitor.page.keyboard.press("Escape")
    visitor["#compare-open"].click()
    look("compare")
    visitor["#compare-close"].click()
    visitor["#mode-many"].click()
    visitor.pick(*photos[:2], where="#many-input")
    expect(visitor["#many-files"]).to_be_visible()
    visitor["[data-photo='1'] .photo-row"].click()
    look("many")
    visitor["#mode-drive"].click()
    times = tmp_path / "times.csv"
    times.write_text(f"photo,time\n{photos[0].name},2024-05-01T10:00:00Z\n{photos[1].name},2024-05-01T10:00:05Z\n")
    visitor.pick(*photos[:2], times, where="#drive-input")
    expect(visitor["#time"]).to_be_visible()
    look("drive")
    assert {state: findings for state, findings in found.items() if findings} == {}


def lightness(visitor):
    colour = visitor["#panel"].evaluate("(panel) => getComputedStyle(panel).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 765


def test_dark_mode_follows_the_system_and_the_switch_is_kept(visit):
    visitor = visit(color_scheme="dark")
    assert lightness(visitor) < 0.3
    visitor["#theme"].click()
    assert lightness(visitor) > 0.8
    visitor.open()
    assert lightness(visitor) > 0.8
    visitor["#theme"].click()
    visitor.page.emulate_media(color_scheme="light")
    assert lightness(visitor) < 0.3
