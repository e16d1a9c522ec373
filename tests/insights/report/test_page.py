"""The page: hostile texts are harmless, drawings are small, and its packages are optional."""

import re
import sys
from html.parser import HTMLParser

import pytest

from rankloom.errors import InvalidInputError
from rankloom.insights import build_report

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Elements(HTMLParser):
    """Count the elements of a page, and check that they are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.names, self.ids, self.attributes = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(html):
    elements = Elements()
    elements.feed(html)
    assert elements.open == []
    return elements


@pytest.fixture(scope="module")
def hostile_page(hostile):
    return build_report(hostile, n_jobs=1, title='<b>"T"&').to_html()


@pytest.mark.slow
def test_texts_of_the_log_cannot_become_markup(hostile_page):
    elements = parsed(hostile_page)
    assert not {"script", "img", "b", "iframe", "object"} & set(elements.names)
    assert not [name for name in elements.attributes if name.startswith("on")]
    assert "&lt;script&gt;alert" in hostile_page
    assert "search&#34;&gt;&lt;img" in hostile_page  # a retriever's name


def test_every_id_is_unique_and_every_reference_has_one(hostile_page):
    ids = parsed(hostile_page).ids
    assert len(ids) == len(set(ids))
    referred = set(re.findall(r'(?:href="|url\()#([^")]+)', hostile_page))
    referred |= set(re.findall(r'aria-labelledby="([^"]+)"', hostile_page))
    assert referred <= set(ids)


def test_the_page_refers_to_nothing_outside(hostile_page):
    assert re.findall(r'(?:src|href)="(?!#|data:,)[^"]*"', hostile_page) == []
    assert "@import" not in hostile_page
    assert re.findall(r"url\((?!#)", hostile_page) == []


def test_every_colour_of_a_drawing_is_a_variable_of_both_schemes(hostile_page):
    drawings = "".join(re.findall(r"<svg.*?</svg>", hostile_page, flags=re.DOTALL))
    assert re.findall(r"#[0-9a-f]{6}\b", drawings) == []
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", drawings))
    light, dark = hostile_page.split("prefers-color-scheme: dark")[:2]
    for name in used:
        assert f"{name}:" in light
        assert f"{name}:" in dark


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_without_its_packages_the_page_says_what_to_install(package, log, monkeypatch):
    report = build_report(log, sections=["load"])
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InvalidInputError, match=rf"{package} is not installed.*rankloom\[report\]"):
        report.to_html()
    assert report.to_dict()["sections"]["load"]["headline"]


def test_a_page_is_written_whole_and_replaces_the_old_one(log, tmp_path):
    report, path = build_report(log, sections=["load"]), tmp_path / "report.html"
    path.write_text("old")
    report.save(path)
    assert path.read_text(encoding="utf-8") == report.to_html()
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
