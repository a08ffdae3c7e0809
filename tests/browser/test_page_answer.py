"""From a photo to the answer: dropped, pasted, picked, an example; with the flight, and without motion."""

import base64
import re

import pytest
from playwright.sync_api import expect

PASTE = """async (data) => {
  const picture = await (await fetch(`data:image/png;base64,${data}`)).blob();
  await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
}"""


def localized(visitor, photo):
    """Return what /v1/localize says of a photo."""
    answer = visitor.page.request.post(f"{visitor.address}v1/localize", multipart={
        "photos": {"name": photo.name, "mimeType": "image/jpeg", "buffer": photo.read_bytes()}})
    (fix,) = answer.json()
    return fix


def test_dropped_and_picked_photos_are_answered_as_the_service_answers_them(visit, photos):
    visitor = visit()
    for photo, give in ((photos[0], visitor.drop), (photos[1], visitor.pick)):
        give(photo).answered()
        fix = localized(visitor, photo)
        assert visitor.position == pytest.approx((fix["lat"], fix["lon"]), abs=1e-6)
        expect(visitor["#photo .name"]).to_have_text(photo.name)
        expect(visitor["#trust"]).to_contain_text("Not calibrated")
        expect(visitor["#places li"]).not_to_have_count(0)
        expect(visitor["#intake"]).to_be_hidden()
        assert visitor["#photo-image"].evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 160
        visitor["#other"].click()
        expect(visitor["#intake"]).to_be_visible()
        assert "#" not in visitor.page.url


def test_a_pasted_photo_is_answered(visit, photos):
    from io import BytesIO

    from PIL import Image

    visitor, data = visit(permissions=["clipboard-read", "clipboard-write"]), BytesIO()
    Image.open(photos[2]).save(data, "PNG")
    visitor.page.context.set_extra_http_headers({})
    visitor.page.evaluate(PASTE.replace("await (await fetch(`data:image/png;base64,${data}`)).blob()",
                                        "new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], { type: 'image/png' })"),
                          base64.b64encode(data.getvalue()).decode())
    visitor.page.keyboard.press("Control+v")
    fix = localized(visitor.answered(), photos[2])
    assert visitor.position == pytest.approx((fix["lat"], fix["lon"]), abs=2e-3)


def test_an_example_tells_its_true_place_when_asked(visit, town):
    visitor = visit()
    expect(visitor["#example-list button"]).to_have_count(6)
    visitor["[data-example='1']"].click()
    visitor.answered()
    expect(visitor["#truth"]).to_have_count(0)
    visitor["#show-truth"].click()
    expect(visitor["#truth"]).to_have_text(re.compile(r"The true place is [\d.]+ (m|km) from the pin"))
    shown = visitor.page.evaluate("""() => ol.proj.toLonLat(
        justzoomin.map.layers.truth.getSource().getFeatures()[0].getGeometry().getCoordinates())""")
    val = town.split("val")
    assert shown == pytest.approx((val.lon[0], val.lat[0]), abs=1e-6)


LEVELS = """() => {
  window.seen = [];
  const note = () => {
    const zoom = justzoomin.map.view.getZoom();
    const level = Number(document.querySelector("#strip [aria-pressed=true]")?.dataset.level ?? -1);
    if (level >= 0 && window.seen.at(-1)?.[0] !== level) window.seen.push([level, zoom]);
  };
  new MutationObserver(note).observe(document.getElementById("strip"), { subtree: true, childList: true, attributes: true });
}"""


def test_the_map_flies_through_every_level_and_the_flight_can_be_skipped(visit, photos):
    visitor = visit(reduced_motion="no-preference")
    visitor.page.evaluate(LEVELS)
    visitor.pick(photos[0])
    expect(visitor["#replay"]).to_have_attribute("aria-label", "Skip the flight")
    expect(visitor["#replay"]).to_have_attribute("aria-label", "Fly there again")
    (_, first), (_, second) = [(level, zoom) for level, zoom in visitor.page.evaluate("seen") if level in (1, 2)][:2]
    assert [level for level, _ in visitor.page.evaluate("seen") if level][:2] == [1, 2]
    assert second > first + 0.5, "the map has not come nearer between two levels"
    lat, lon = visitor.position
    assert visitor.page.evaluate("([lat, lon]) => justzoomin.map.sees(lat, lon)", [lat, lon])
    visitor["#replay"].click()
    expect(visitor["#replay"]).to_have_attribute("aria-label", "Skip the flight")
    visitor.page.keyboard.press("Escape")
    expect(visitor["#replay"]).to_have_attribute("aria-label", "Fly there again")
    visitor["#strip [data-level='0']"].click()
    expect(visitor["#strip [data-level='0']"]).to_have_attribute("aria-pressed", "true")


def test_without_motion_the_answer_is_there_at_once(visit, photos):
    visitor = visit(reduced_motion="reduce")
    visitor.page.evaluate(LEVELS)
    visitor.pick(photos[0]).answered()
    expect(visitor["#replay"]).to_have_attribute("aria-label", "Fly there again")
    assert [level for level, _ in visitor.page.evaluate("seen") if level] == [2]
    assert visitor.page.evaluate("justzoomin.map.view.getAnimating()") is False
