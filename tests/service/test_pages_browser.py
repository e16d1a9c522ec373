"""The pages in a real browser: a login, no errors, nothing cut or overlapping, readable in grey.

Skipped where there is no Chromium.
"""

import datetime as dt
import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the path"),
]
BASE = "/v1/retrievers/products%2Fsearch/learned-fusion"
BATCH = "/v1/retrievers/interactions/batch"
CHANNELS = ["mixpeek://text_extractor@v1/embedding", "bm25", '<script>alert("x")</script>']

# Least contrasts are those of WCAG 2.2, level AA: of text 4.5, of marks in pictures 3.
TEXTS = """
() => {
  const rgb = (text) => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) =>
      v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (one, other) => {
    const [a, b] = [light(rgb(one)), light(rgb(other))].sort((p, q) => q - p);
    return (a + 0.05) / (b + 0.05);
  };
  const paper = getComputedStyle(document.body).backgroundColor;
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim() || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const scale = element.ownerSVGElement ? element.getScreenCTM().a : 1;
    const back = getComputedStyle(element.closest("button, pre") || document.body).backgroundColor;
    const colour = element.ownerSVGElement ? style.fill : style.color;
    found.push({text: node.data.trim(), size: parseFloat(style.fontSize) * scale,
                least: 4.5, contrast: contrast(colour, back)});
  }
  for (const mark of document.querySelectorAll(".mark, .line, .tick")) {
    const style = getComputedStyle(mark);
    const colour = mark.matches(".mark") ? style.fill : style.stroke;
    found.push({text: mark.outerHTML, size: 99, least: 3, contrast: contrast(colour, paper)});
  }
  return found;
}
"""
COLLISIONS = """
() => {
  const cut = [], crossing = [];
  for (const svg of document.querySelectorAll("svg")) {
    const own = svg.getBoundingClientRect();
    const boxes = [...svg.querySelectorAll("text")].map((t) => [t, t.getBoundingClientRect()]);
    for (const [text, box] of boxes) {
      if (own.width && (box.left < own.left - 1 || box.right > own.right + 1
          || box.top < own.top - 1 || box.bottom > own.bottom + 1)) cut.push(text.textContent);
      for (const [other, there] of boxes) {
        if (other !== text && box.left < there.right && there.left < box.right
            && box.top < there.bottom - 2 && there.top < box.bottom - 2) {
          crossing.push(text.textContent);
        }
      }
    }
  }
  const cells = [...document.querySelectorAll("td, th, figcaption, p, h1, h2")].filter((cell) =>
    cell.scrollWidth > cell.clientWidth + 1 && getComputedStyle(cell).display !== "inline");
  return [cut, crossing, cells.map((cell) => cell.textContent)];
}
"""
LARGER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def rows(start, number):
    moment = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    return [
        {
            "feature_id": f"d{n}",
            "execution_id": f"e{n}",
            "user_id": f"u{n % 50}",
            "retriever_id": "products/search",
            "interaction_type": ["impression", "click"] if n % (3 + n % 2) == 0 else ["impression"],
            "position": 0,
            "feature_uri": CHANNELS[n % 3],
            "metadata": {"fusion": {"policy": ("learned", "control", "explore")[n // 3 % 3]}},
            "occurred_at": (moment + dt.timedelta(seconds=n)).isoformat(),
        }
        for n in range(start, start + number)
    ]


def kept(client):
    return client.get(f"{BASE}/history").json()["snapshots"]


@pytest.fixture
def learnt(serve_with, wait_until):
    """A service with two snapshots and some changes."""
    client = serve_with(publish_every=0.01)
    client.post({"feature_uris": CHANNELS}, f"{BASE}/enable")
    for start in (0, 300):
        client.post({"interactions": rows(start, 300)}, BATCH)
        wait_until(
            lambda n=start // 300: len(client.get(f"{BASE}/history").json()["snapshots"]) > n
        )
    client.post({"control_pct": 10, "explore_pct": 5}, f"{BASE}/rollout")
    client.send("POST", f"{BASE}/opt-out/u1")
    return client


def check(page):
    page.wait_for_load_state("load")  # with the style sheet
    assert page.evaluate(LARGER) <= 0
    assert page.evaluate(COLLISIONS) == [[], [], []]
    texts = page.evaluate(TEXTS)
    assert [each for each in texts if each["contrast"] < each["least"]] == []
    assert [each for each in texts if each["size"] < 10.5] == []
    return texts


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1440, "light")])
def test_people_log_in_look_and_log_out(browser, learnt, width, scheme):
    with browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme
    ) as context:
        page, said, asked = context.new_page(), [], set()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: asked.add(request.url.split("/")[2]))
        page.goto(f"{learnt.url}/ui")
        assert page.url == f"{learnt.url}/ui/login"
        check(page)
        page.get_by_label("Token").fill(learnt.tokens.of["read"])
        page.get_by_role("button", name="Log in").click()
        assert page.url == f"{learnt.url}/ui"
        check(page)
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/ui")
        assert page.evaluate("() => document.cookie") == ""
        page.get_by_role("link", name="products/search").click()
        assert page.get_by_role("heading", level=1).text_content() == "products/search"
        texts = {each["text"] for each in check(page)}
        assert set(CHANNELS) <= texts
        assert {"0 %", "Weights over time", "Reward by policy", "opt-out"} <= texts
        assert page.locator("svg.chart").count() == len(CHANNELS)
        page.get_by_role("link", name="Interface").click()
        check(page)
        page.evaluate("() => document.querySelectorAll('details').forEach((d) => d.open = true)")
        check(page)
        page.get_by_role("link", name="Retrievers").click()
        page.get_by_role("button", name="Log out").click()
        assert page.url == f"{learnt.url}/ui/login"
        assert context.cookies() == []
        assert said == []
        assert asked == {learnt.url.removeprefix("http://")}


def test_a_link_to_a_type_opens_it(browser, learnt):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{learnt.url}/docs#type-ErrorEnvelope")
        assert page.locator("#type-ErrorEnvelope").is_visible()


def test_a_form_of_another_site_logs_nobody_in_or_out(browser, learnt):
    with browser.new_context() as context:
        page = context.new_page()
        other = learnt.url.replace("127.0.0.1", "localhost")
        page.route(
            f"{other}/evil",
            lambda route: route.fulfill(
                content_type="text/html",
                body=f"<form method=post action={learnt.url}/ui/login>"
                f"<input name=token value={learnt.tokens.of['read']}><button>Go</button></form>",
            ),
        )
        page.goto(f"{other}/evil")
        page.get_by_role("button").click()
        assert "Forbidden" in page.content()
        assert context.cookies() == []
