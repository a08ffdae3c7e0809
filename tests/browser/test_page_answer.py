"""From a photo to the answer: dropped, picked, pasted, an example; with the flight, and without motion."""

import base64
import re
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import expect

PASTE = """async (data) => {
  const picture = new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], { type: "image/png" });
  await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
}"""
LEVELS = """() => {
  window.seen = [];
  const note = () => {
    const level = Number(document.querySelector("#strip [aria-pressed=true]")?.dataset.level ?? 0);
    if (level && window.seen.at(-1)?.[0] !== level) window.seen.push([level, justzoomin.map.view.getZoom()]);
  };
  new MutationObserver(note).observe(document.getElementById("strip"), { subtree: true, childList: true, attributes: true });
}"""
TRUTH = "ol.proj.toLonLat(justzoomin.map.layers.truth.getSource().getFeatures()[0].getGeometry().getCoordinates())"


def localized(visitor, photo):
    """Return the position that /v1/localize gives a photo."""
    answer = visitor.page.request.post(f"{visitor.address}v1/localize", multipart={
        "photos": {"name": photo.name, "mimeType": "image/jpeg", "buffer": photo.read_bytes()}})
    (fix,) = answer.json()
    return fix["lat"], fix["lon"]


def paste(visitor, photo):
    data = BytesIO()
    Image.open(photo).save(data, "PNG")
    visitor.page.evaluate(PASTE, base64.b64encode(data.getvalue()).decode())
    visitor.page.keyboard.press("Control+v")


def test_every_way_in_leads_to_the_answer_of_the_service(visit, photos, town):
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    visitor.page.evaluate(LEVELS)
    for photo, give in ((photos[0], visitor.drop), (photos[1], visitor.pick), (photos[2], lambda photo: paste(visitor, photo))):
        give(photo)
        visitor.answered()
        assert visitor.position == pytest.approx(localized(visitor, photo), abs=1e-6)
        expect(visitor["#trust"]).to_contain_text("Not calibrated")
        expect(visitor["#trust"]).to_contain_text("photos that were taken elsewhere")
        expect(visitor["#places li"]).not_to_have_count(0)
        expect(visitor["#intake"]).to_be_hidden()
        assert visitor["#photo-image"].evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 160
        expect(visitor["#replay"]).to_have_attribute("aria-label", "Fly there again")
        assert [level for level, _ in visitor.page.evaluate("seen")] == [2], "it flies, although no motion is wanted"
        visitor.another()
        assert "#" not in visitor.page.url

    expect(visitor["#example-list button"]).to_have_count(6)
    visitor["[data-example='1']"].click()
    visitor.answered()
    assert visitor.position == pytest.approx(localized(visitor, photos[0]), abs=1e-6)
    expect(visitor["#truth"]).to_have_count(0)
    visitor["#show-truth"].click()
    expect(visitor["#truth"]).to_have_text(re.compile(r"The true place is [\d.]+ (m|km) from the pin"))
    val = town.split("val")
    assert visitor.page.evaluate(TRUTH) == pytest.approx((val.lon[0], val.lat[0]), abs=1e-6)


def test_the_map_flies_through_every_level_and_the_flight_can_be_skipped(visit, photos):
    visitor = visit(reduced_motion="no-preference")
    visitor.page.evaluate(LEVELS)
    visitor.pick(photos[0])
    expect(visitor["#replay"]).to_have_attribute("aria-label", "Skip the flight")
    expect(visitor["#replay"]).to_have_attribute("aria-label", "Fly there again")
    (one, first), (two, second) = visitor.page.evaluate("seen")[:2]
    assert (one, two) == (1, 2)
    assert second > first + 0.5, "the map has not come nearer between two levels"
    assert visitor.page.evaluate("([lat, lon]) => justzoomin.map.sees(lat, lon)", list(visitor.position))
    visitor["#replay"].click()
    expect(visitor["#replay"]).to_have_attribute("aria-label", "Skip the flight")
    visitor.page.keyboard.press("Escape")
    expect(visitor["#replay"]).to_have_attribute("aria-label", "Fly there again")
    visitor["#strip [data-level='0']"].click()
    expect(visitor["#strip [data-level='0']"]).to_have_attribute("aria-pressed", "true")
