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


def test_a_link_restores_the_state_and_tabs_do_not_disturb_each_other(visit, photos, server):
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    visitor.watch.allow("status of 404")
    corrected_once(visitor, photos[0])
    seen = visitor.position, visitor["#corrections li"].all_inner_texts()
    visitor["#strip [data-level='1']"].click()
    visitor.page.wait_for_function("() => !justzoomin.map.view.getAnimating()")
    visitor["#save summary"].click()
    visitor["#copy-link"].click()
    expect(visitor["#toast"]).to_contain_text("Link copied")
    link = visitor.page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(server.address + "#map=") and "level=1" in link and photos[0].name not in link

    other = Visitor(visitor.page.context.new_page(), link).open().answered()
    assert (other.position, other["#corrections li"].all_inner_texts()) == seen
    expect(other["#strip [data-level='1']"]).to_have_attribute("aria-pressed", "true")
    assert all(abs(a - b) < 1 for a, b in zip(view(visitor), view(other), strict=True))
    assert other["#photo-image"].evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    other.address = server.address

    other.another()
    other.pick(photos[1]).answered()
    own = other.position
    assert own != seen[0]
    other["#strip [data-level='0']"].click()
    other["#radius"].fill("40")
    other["#around-not"].click()
    other.corrected(1)
    visitor["#undo"].click()
    visitor.corrected(0)
    assert len(other.state["corrections"]) == 1 and visitor.state["corrections"] == []
    visitor.another()
    other["#undo"].click()
    assert other.corrected(0).position == own

    session = link.split("photo=")[1].split("&")[0]
    assert visitor.page.request.delete(f"{server.address}v1/sessions/{session}").ok
    later = Visitor(visitor.page.context.new_page(), link).open()
    expect(later["#intake .lead"]).to_contain_text("Drop the photo again")
    later.drop(photos[0]).answered()
    assert (later.position, later["#corrections li"].all_inner_texts()) == seen
