"""The watch over the browser sees what it is there for: without it the other tests could not fail."""

import pytest

from browser.visitor import Visitor, Watch


@pytest.mark.parametrize(("does", "told"), [
    ("open('https://elsewhere.example/')", "requests to other hosts.*elsewhere.example"),
    ("fetch('https://elsewhere.example/').catch(() => {})", "Content Security Policy"),
    ("document.head.append(Object.assign(document.createElement('script'), { textContent: '1' }))", "Content Security Policy"),
    ("setTimeout(() => { throw new Error('a mistake'); })", "a mistake"),
    ("console.error('not well')", "not well"),
])
def test_what_must_not_happen_is_seen(does, told, browser, server):
    with browser.new_context() as context:
        watch = Watch(context)
        visitor = Visitor(context.new_page(), server.address)
        visitor.page.goto(server.address + "healthz")
        watch.check()
        visitor.page.evaluate(f"() => {{ {does}; }}")
        for _ in range(500):  # what the browser does reaches the watch a little later, most of all a new window
            if watch.outside or watch.errors:
                break
            visitor.page.wait_for_timeout(20)
        with pytest.raises(AssertionError, match=told):
            watch.check()


def test_an_expected_error_must_happen(browser, server):
    with browser.new_context() as context:
        watch = Watch(context)
        watch.allow("status of 404")
        page = context.new_page()
        page.goto(server.address + "healthz")
        with pytest.raises(AssertionError, match="expected"):
            watch.check()
        page.goto(server.address + "nothing")
        watch.check()
