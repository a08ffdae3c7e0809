"""Links restore what was seen; tabs do not disturb each other."""

from playwright.sync_api import expect

from browser.visitor import Visitor


def corrected_once(visitor, photo):
    visitor.pick(photo).answered()
    visitor["#radius"].fill("60")
    visitor["#around-not"].click()
    return visitor.corrected(1)


def view(visitor):
    return visitor.page.evaluate("() => [...justzoomin.map.view.getCenter(), justzoomin.map.view.getZoom()]")


def test_a_link_restores_the_state_and_without_the_session_the_corrections(visit, photos, server):
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    corrected_once(visitor, photos[0])
    visitor["#strip [data-level='1']"].click()
    visitor.page.wait_for_function("() => !justzoomin.map.view.getAnimating()")
    visitor["#save summary"].click()
    visitor["#copy-link"].click()
    expect(visitor["#toast"]).to_contain_text("Link copied")
    link = visitor.page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(server.address + "#map=") and "level=1" in link and photos[0].name not in link

    other = Visitor(visitor.page.context.new_page(), link).open().answered()
    assert other.position == visitor.position
    expect(other["#strip [data-level='1']"]).to_have_attribute("aria-pressed", "true")
    expect(other["#corrections li"]).to_have_text(visitor["#corrections li"].all_inner_texts())
    assert all(abs(a - b) < 1 for a, b in zip(view(visitor), view(other), strict=True))
    assert other["#photo-image"].evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0

    visitor.watch.allow("status of 404")
    session = link.split("photo=")[1].split("&")[0]
    assert visitor.page.request.delete(f"{server.address}v1/sessions/{session}").ok
    later = Visitor(visitor.page.context.new_page(), link).open()
    expect(later["#intake .lead"]).to_contain_text("Drop the photo again")
    later.drop(photos[0]).answered()
    assert later.position == visitor.position
    expect(later["#corrections li"]).to_have_text(visitor["#corrections li"].all_inner_texts())


def test_two_tabs_with_two_photos_do_not_disturb_each_other(visit, photos):
    one = visit()
    two = Visitor(one.page.context.new_page(), one.address).open()
    corrected_once(one, photos[0])
    two.pick(photos[1]).answered()
    seen = one.position, two.position
    assert seen[0] != seen[1]
    two["#strip [data-level='0']"].click()
    two["#radius"].fill("40")
    two["#around-not"].click()
    two.corrected(1)
    one["#undo"].click()
    one.corrected(0)
    assert len(two.state["corrections"]) == 1 and one.state["corrections"] == []
    assert one.state["id"] != two.state["id"]
    one["#other"].click()
    expect(one["#intake"]).to_be_visible()
    two["#undo"].click()
    assert two.corrected(0).position == seen[1]
