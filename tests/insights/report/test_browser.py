"""The page in a real browser: no errors, no requests, nothing cut, text that can be read.

Skipped where there is no Chromium.
"""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the path"),
]
MAX_BYTES = 3_000_000
MIN_CONTRAST = 4.5
"""Of normal text, by WCAG 2.2, level AA."""

TEXTS = """
() => {
  const rgb = (text) => text.match(/[0-9.]+/g).map(Number);
  const back = rgb(getComputedStyle(document.body).backgroundColor);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) =>
      v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim() || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const colour = rgb(element instanceof SVGElement ? style.fill : style.color);
    const panel = element.closest(".missing");
    const paper = panel ? rgb(getComputedStyle(panel).backgroundColor) : back;
    const [a, b] = [light(colour), light(paper)].sort((p, q) => q - p);
    const scale = element.ownerSVGElement ? element.getScreenCTM().a : 1;
    found.push({text: node.data.trim(), contrast: (a + 0.05) / (b + 0.05),
                size: parseFloat(style.fontSize) * scale});
  }
  return found;
}
"""
CUT = """
() => [...document.querySelectorAll("svg text")].filter((text) => {
  const box = text.getBoundingClientRect(), own = text.ownerSVGElement.getBoundingClientRect();
  return own.width && (box.left < own.left - 1 || box.right > own.right + 1
                       || box.top < own.top - 1 || box.bottom > own.bottom + 1);
}).map((text) => text.textContent)
"""
LARGER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(full_report, hostile, tmp_path_factory):
    from rankloom.insights import build_report

    folder = tmp_path_factory.mktemp("pages")
    full_report.save(folder / "full.html")
    build_report(hostile, n_jobs=1, title="<script>alert(1)</script>").save(folder / "hostile.html")
    return folder


def opened(browser, path, width, scheme):
    """Return the page, what its console said, and what it asked the network for."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return page, said, asked


@pytest.mark.parametrize("name", ["full.html", "hostile.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_a_page_can_be_read_without_errors_or_requests(browser, pages, name, width, scheme):
    path = pages / name
    assert path.stat().st_size < MAX_BYTES
    page, said, asked = opened(browser, path, width, scheme)
    assert (said, asked) == ([], [path.as_uri()])
    assert page.evaluate(LARGER) <= 0
    assert page.evaluate(CUT) == []
    texts = page.evaluate(TEXTS)
    assert len(texts) > 100
    assert [each for each in texts if each["contrast"] < MIN_CONTRAST] == []
    assert [each for each in texts if each["size"] < 10.5] == []
    page.context.close()


def test_paper_shows_every_section_in_dark_on_white(browser, pages):
    page, *_ = opened(browser, pages / "full.html", 700, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    assert [each for each in page.evaluate(TEXTS) if each["contrast"] < MIN_CONTRAST] == []
    assert page.evaluate(LARGER) <= 0
    page.context.close()
