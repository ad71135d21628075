"""The page of an explanation, in a browser: it plays, steps, and boxes open."""

import time

import numpy as np
import pytest

import tensorgrad as tg

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing")


class Page:
    """A page in the browser, by what a reader sees of it."""

    def __init__(self, browser, path):
        self.browser = browser
        browser.get(path.as_uri())
        wait_until(lambda: self.run("return document.body.dataset.ready") == "yes")

    def run(self, code, *arguments):
        return self.browser.execute_script(code, *arguments)

    def press(self, button):
        self.browser.find_element("id", button).click()

    def key(self, key):
        webdriver.ActionChains(self.browser).send_keys(key).perform()

    def box(self, title):
        """Return the box whose title starts so."""
        boxes = self.browser.find_elements("css selector", ".box")
        return next(b for b in boxes if self.title(b).startswith(title))

    def title(self, box):
        return box.find_element("css selector", ".title").text

    def told(self, title):
        """Return what the pass has written into a box."""
        return self.box(title).find_element("css selector", ".told").text

    def marked(self):
        found = self.browser.find_elements("css selector", ".box.now")
        return [self.title(b) for b in found]

    @property
    def panel(self):
        return self.browser.find_element("id", "panel").text

    @property
    def where(self):
        return self.browser.find_element("id", "where").text

    @property
    def path(self):
        return self.browser.find_element("id", "path").text

    def heads(self):
        """Return at which ends arrows have heads: at the start, at the end."""
        ends = self.run("""
            return [...document.querySelectorAll("path[data-to]")].map((path) => {
              const style = getComputedStyle(path);
              return [style.markerStart, style.markerEnd];
            });""")
        return {tuple(end.split("(")[0] for end in both) for both in ends}

    def flows(self):
        """Return what is written beside the arrows."""
        found = self.browser.find_elements("css selector", ".flow")
        return [text.text for text in found]

    def room(self, what):
        """Return where an element stands."""
        code = "return document.querySelector(arguments[0]).getBoundingClientRect()"
        return self.run(f"{code}.toJSON()", what)

    def errors(self):
        return [e for e in self.browser.get_log("browser") if e["level"] == "SEVERE"]


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def small(browser, tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "page.html"
    x = tg.Tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    b = tg.Tensor([0.1, 0.2], requires_grad=True)
    with tg.watching():
        h = tg.relu(x + b)
        loss = (h * b).sum() + b.sum()
    tg.explain(loss).save(path)
    return path


@pytest.fixture
def page(browser, small):
    page = Page(browser, small)
    yield page
    assert page.errors() == []


@pytest.fixture
def phone(browser):
    """The browser in the size of a phone."""
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_steps_through_both_passes(page):
    assert page.where == "before the first operation"
    titles = []
    for _ in range(12):
        page.press("next")
        titles += page.marked()
    assert titles[:2] == ["t1 = x + b", "h = relu(t1)"]
    assert titles[6:] == titles[:6][::-1]
    assert page.where == "backward, 6 of 6"
    page.press("next")
    assert page.where == "backward, 6 of 6"
    page.press("back")
    assert page.where == "backward, 5 of 6"
    page.press("start")
    assert page.where == "before the first operation"


def test_values_and_gradients_appear_in_the_drawing(page):
    assert page.told("h = relu") == ""
    page.press("next")
    page.press("next")
    assert page.told("h = relu") == "[[1.1, 0], [0.6, 3.2]]"
    assert page.told("t3 =") == ""
    page.press("turn")
    assert page.where == "backward, 1 of 6"
    assert page.told("loss =") == "g 1"
    assert page.told("h = relu") == "[[1.1, 0], [0.6, 3.2]]"
    for _ in range(5):
        page.press("next")
    assert page.told("h = relu") == "g [[0.1, 0.2], [0.1, 0.2]]"
    assert page.told("x") == "grad [[0.1, 0], [0.1, 0.2]]"


def test_the_pass_plays_and_pauses(page):
    page.press("play")
    wait_until(lambda: page.where == "forward, 2 of 6")
    assert page.browser.find_element("id", "play").text == "Pause"
    page.press("play")
    here = page.where
    time.sleep(1.2)
    assert page.where == here
    assert page.browser.find_element("id", "play").text == "Play"


def test_a_box_opens_to_its_arrays(page):
    page.box("h = relu").click()
    assert page.marked() == ["h = relu(t1)"]
    assert "g * (h > 0)" in page.panel
    assert "h = tg.relu(x + b)" in page.panel
    cells = page.browser.find_elements("css selector", "#panel td")
    assert "3.2" in [cell.text for cell in cells]
    page.box("b").click()
    assert "Gradient" in page.panel
    page.box("t1 =").click()
    assert "summed over axis 0 of (2, 2)" in page.panel


def test_keys(page):
    keys = webdriver.Keys
    page.key(keys.ARROW_RIGHT)
    page.key(keys.ARROW_RIGHT)
    assert page.where == "forward, 2 of 6"
    page.key(keys.ARROW_LEFT)
    assert page.where == "forward, 1 of 6"
    page.key(keys.HOME)
    assert page.where == "before the first operation"
    page.run("document.querySelectorAll('.box')[0].focus()")
    page.key(keys.ENTER)
    assert len(page.marked()) == 1
    page.key(keys.SPACE)
    wait_until(lambda: page.where.startswith("forward"))


def test_space_after_a_click_plays(page):
    page.press("turn")
    page.key(webdriver.Keys.SPACE)
    wait_until(lambda: page.where == "backward, 2 of 6")


def test_space_presses_a_button_that_the_keys_have_reached(page):
    page.key(webdriver.Keys.TAB)
    assert page.run("return document.activeElement.id") == "start"
    page.key(webdriver.Keys.SPACE)
    time.sleep(1.2)
    assert page.where == "before the first operation"


def test_end_is_the_last_step_and_arrows_have_turned(page):
    assert page.heads() == {("none", "url")}
    page.press("turn")
    assert page.heads() == {("none", "url"), ("url", "none")}
    page.key(webdriver.Keys.END)
    assert page.where == "backward, 6 of 6"
    assert page.heads() == {("url", "none")}


def test_the_gradient_stands_at_the_head_of_its_arrow(page):
    assert page.flows() == []
    page.press("turn")
    assert page.flows() == ["1", "1"]
    page.key(webdriver.Keys.END)
    assert page.flows() == ["[[0.1, 0], [0.1, 0.2]]", "[0.2, 0.2]"]
    page.press("start")
    assert page.flows() == []


def test_a_phone_shows_the_drawing_above_the_panel(phone, small):
    page = Page(phone, small)
    drawing, panel = (page.room(what) for what in ("main", "aside"))
    assert drawing["width"] == panel["width"] == 390
    assert drawing["bottom"] <= panel["top"]
    assert page.run("return document.documentElement.scrollWidth") == 390


def test_a_wide_drawing_is_fitted_enlarged_and_follows_the_pass(phone, small):
    page = Page(phone, small)
    page.press("fit")
    width = page.room("main svg")["width"]
    assert width <= 390
    for _ in range(8):
        page.press("larger")
    assert page.room("main svg")["width"] > 4 * width
    for _ in range(12):
        page.press("next")
        box, room = page.room(".box.now rect"), page.room("main")
        assert box["right"] > room["left"]
        assert box["left"] < room["right"]
    page.key("0")
    assert page.room("main svg")["width"] == width


def test_the_page_asks_for_nothing_else(page):
    assert page.run("return performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_can_be_read(page, scheme):
    """The contrast of every text with what it stands on is that of WCAG's level AA."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    page.press("turn")
    assert page.run("return getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 24, 28)"
    )
    assert page.run(CONTRASTS) >= 4.5
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


CONTRASTS = """
const light = (css) => {
  const parts = css.match(/[\\d.]+/g).slice(0, 3).map(
    (v) => css.startsWith("color(") ? Number(v) : v / 255).map(
    (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
const found = [];
const page = light(getComputedStyle(document.body).backgroundColor);
for (const box of document.querySelectorAll(".box")) {
  const paper = light(getComputedStyle(box.querySelector("rect")).fill);
  for (const text of box.querySelectorAll("text"))
    found.push(contrast(light(getComputedStyle(text).fill), paper));
}
for (const text of document.querySelectorAll("header *, aside p, aside h2, aside h3"))
  found.push(contrast(light(getComputedStyle(text).color), page));
for (const text of document.querySelectorAll(".flow"))
  found.push(contrast(light(getComputedStyle(text).fill), page));
for (const cell of document.querySelectorAll("td"))
  found.push(contrast(light(getComputedStyle(cell).color),
                      light(getComputedStyle(cell).backgroundColor)));
return Math.min(...found);
"""


def test_groups_open_into_drawings_of_their_own(browser, tmp_path):
    w = tg.Tensor(np.eye(2) * 0.5, requires_grad=True)
    state = tg.Tensor(np.ones((1, 2)))
    for _ in range(300):
        state = tg.tanh(state @ w)
    tg.explain(state.sum()).save(tmp_path / "long.html")
    page = Page(browser, tmp_path / "long.html")
    group = page.box("turns 9 to 16 of 300")
    group.click()
    assert page.path.replace("\n", " ") == "Whole graph > turns 9 to 16 of 300"
    page.box("turn 12 of 300").click()
    assert page.title(page.box("t24")) == "t24 = tanh(t23)"
    page.press("next")
    assert "t23 = t22 @ w" in page.panel
    assert page.where == "forward, 1 of 2"
    page.key(webdriver.Keys.ESCAPE)
    assert page.box("turn 9 of 300")
    page.press("next")
    page.press("open")
    assert page.path.endswith("turn 9 of 300")
    page.browser.find_elements("css selector", "#path button")[0].click()
    assert page.path == ""
    page.press("next")
    page.press("next")
    assert "16 operations" in page.panel
    assert page.errors() == []
