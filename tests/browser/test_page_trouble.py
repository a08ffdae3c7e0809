"""When things go wrong: broken and large photos, photos of elsewhere, slow networks, a server that dies, keys."""

import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

KEY = "only for friends"


@pytest.fixture(scope="module")
def strict(serve):
    """A server with a key that takes small photos only."""
    return serve(token=KEY, max_photo_mb=0.03, max_megapixels=0.03)


def noise(path, width, height):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)).save(path, quality=95)
    return path


def test_files_that_are_no_photos_photos_of_elsewhere_and_slow_networks(visit, photos, tmp_path):
    visitor = visit()
    visitor.watch.allow("status of 422")
    (tmp_path / "notes.txt").write_text("no photo")
    visitor.drop(tmp_path / "notes.txt")
    expect(visitor["#toast"]).to_contain_text("notes.txt is not a photo")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photos[0].read_bytes()[:600])
    with visitor.page.expect_response(re.compile("v1/sessions$")) as answer:
        visitor.drop(broken)
    problem = answer.value.json()
    expect(visitor["#trouble"]).to_contain_text("This photo cannot be used")
    expect(visitor["#trouble"]).to_contain_text(problem["what"][1:])
    expect(visitor["#trouble"]).to_contain_text(problem["remedy"])
    expect(visitor["#answer"]).to_be_hidden()
    visitor["#trouble button"].last.click()
    visitor.pick(photos[0]).answered()
    expect(visitor["#trouble"]).to_be_hidden()
    visitor.another()

    photo = {"name": "street.jpg", "mimeType": "image/jpeg", "buffer": photos[0].read_bytes()}
    state = visitor.page.request.post(f"{visitor.address}v1/sessions", multipart={"photo": photo}).json()
    state["fix"]["on_map"] = False
    visitor.page.route(re.compile("v1/sessions$"), lambda route: route.fulfill(status=201, json=state))
    visitor.pick(photos[0]).answered()
    expect(visitor["#headline"]).to_have_text("Probably not on this map")
    expect(visitor["#sure"]).to_contain_text("do not rely on it")
    expect(visitor["#trust"]).not_to_contain_text("taken elsewhere")
    visitor.page.unroute(re.compile("v1/sessions$"))
    visitor.another()
    visitor.pick(photos[0]).answered()
    expect(visitor["#headline"]).not_to_have_text("Probably not on this map")
    visitor.another()

    large = noise(tmp_path / "large.jpg", 900, 600)
    network = visitor.page.context.new_cdp_session(visitor.page)
    network.send("Network.enable")
    slow = {"offline": False, "latency": 50, "downloadThroughput": 1e6, "uploadThroughput": 6e4}
    network.send("Network.emulateNetworkConditions", slow)
    visitor.pick(large)
    expect(visitor["#progress"]).to_contain_text(re.compile(r"Sending the photo: [1-9]\d? %"))
    visitor["#cancel"].click()
    expect(visitor["#intake"]).to_be_visible()
    network.send("Network.emulateNetworkConditions", {**slow, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
    visitor.pick(large).answered()
    expect(visitor["#progress"]).to_be_hidden()


def test_a_key_is_asked_for_and_too_large_photos_are_refused(visit, strict, photos, tmp_path):
    visitor = visit(strict.address, opened=False)
    visitor.watch.allow("status of 401", "status of 4(13|22)")
    visitor.page.goto(strict.address)
    expect(visitor["#key"]).to_be_visible()
    visitor["#key-value"].fill("wrong key")
    with visitor.page.expect_response(re.compile("v1/map$")) as refused:
        visitor["#key-value"].press("Enter")
    assert refused.value.status == 401
    expect(visitor["#key"]).to_be_visible()
    assert visitor["body"].get_attribute("data-state") != "ready"
    visitor["#key-value"].fill(KEY)
    visitor["#key-value"].press("Enter")
    expect(visitor["body"]).to_have_attribute("data-state", "ready")
    expect(visitor["#key"]).to_be_hidden()

    visitor.drop(noise(tmp_path / "heavy.jpg", 170, 170))
    expect(visitor["#toast"]).to_contain_text("heavy.jpg has")
    expect(visitor["#intake"]).to_be_visible()
    Image.new("RGB", (300, 300)).save(tmp_path / "wide.jpg")
    visitor.drop(tmp_path / "wide.jpg")
    expect(visitor["#trouble"]).to_contain_text("This photo cannot be used")
    expect(visitor["#trouble"]).to_contain_text("megapixels")
    visitor["#trouble button"].last.click()
    with visitor.page.expect_response(re.compile(r"/heat/\d")) as tile:
        visitor.pick(photos[0]).answered()
    assert tile.value.ok, "pictures of the map are asked for without the key"


def test_a_server_that_dies_and_comes_back_loses_nothing(visit, serve, photos):
    server = serve(batch_size=2)
    visitor = visit(server.address)
    visitor.watch.allow("ERR_CONNECTION|ERR_EMPTY|status of 503", "status of 404")
    visitor.pick(photos[0]).answered()
    visitor["#radius"].fill("60")
    visitor["#around-not"].click()
    visitor.corrected(1)
    seen = visitor.position, visitor["#corrections li"].all_inner_texts()
    server.stop()
    visitor["#undo"].click()
    expect(visitor["#banner"]).to_contain_text("The server does not answer")
    assert (visitor.position, visitor["#corrections li"].all_inner_texts()) == seen
    server.start()
    expect(visitor["#banner"]).to_be_hidden()
    expect(visitor["#toast"]).to_contain_text("The server is back")
    visitor["#radius"].fill("20")
    visitor["#around-not"].click()
    visitor.corrected(2)
    expect(visitor["#toast"]).to_contain_text("The photo was sent again and your corrections are kept")
    visitor["#undo"].click()
    assert (visitor.corrected(1).position, visitor["#corrections li"].all_inner_texts()) == seen

    visitor.another()
    server.gate.close()
    visitor.pick(photos[1])
    expect(visitor["#progress"]).to_contain_text("Comparing the photo")
    server.stop()
    expect(visitor["#banner"]).to_be_visible()
    server.start()
    visitor.answered()
    expect(visitor["#banner"]).to_be_hidden()
    expect(visitor["#trouble"]).to_be_hidden()

    server.gate.close()
    visitor["#mode-many"].click()
    visitor.pick(*photos[:5], where="#many-input")
    server.gate.let(2)
    expect(visitor["#view-many .progress"]).to_contain_text(re.compile("[1-4] of 5 photos"))
    server.stop()
    expect(visitor["#banner"]).to_be_visible()
    server.start()
    expect(visitor["#many-files"]).to_be_visible()
    expect(visitor["#many-list .result"]).to_have_text([re.compile(r"\d+ %")] * 5)
