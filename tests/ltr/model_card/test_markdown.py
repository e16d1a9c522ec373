"""Markdown of a card: whatever a text holds, a parser of Markdown shows that text."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rankloom.ltr.model_card.document import Bullets, Paragraph, Section, Table
from rankloom.ltr.model_card.html_page import to_html
from rankloom.ltr.model_card.markdown import to_markdown

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
MARKS = "`*_{}[]()<>#+-.!|&~$\\=:@/ \n\t1a\u202e\x00'\""
TEXTS = st.text(st.sampled_from(MARKS) | st.characters(codec="utf-8"), max_size=20)


def shown(text):
    """Return a text as one line of printable characters."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def texts_of(page, tag):
    """Return the texts of elements, which hold no other elements."""
    found = re.findall(rf"<{tag}(?: [^>]*)?>(.*?)</{tag}>", page, re.DOTALL)
    assert [each for each in found if "<" in each] == []
    return [html.unescape(each).strip() for each in found]


@given(TEXTS)
def test_a_parser_shows_the_texts_and_nothing_else(text):
    table = Table(["name", "number"], [[text, "1"], ["next", "2"]])
    sections = [Section(f"S {text}", [Paragraph(text), Bullets([text, "last"]), table])]
    page = PARSER.render(to_markdown("Card", sections))
    assert texts_of(page, "h1") == ["Card"]
    assert texts_of(page, "h2") == [shown(f"S {text}")]
    assert texts_of(page, "p") == ([shown(text)] if shown(text) else [])
    assert texts_of(page, "li") == [shown(text), "last"]
    assert texts_of(page, "td") == [shown(text), "1", "next", "2"]


@given(TEXTS)
def test_html_shows_the_texts_and_nothing_else(text):
    table = Table(["name", "number"], [[text, "1"]])
    page = to_html("Card", [Section(text, [Paragraph(text), Bullets([text]), table])])
    for tag in ("h2", "p", "li"):
        assert texts_of(page, tag) == [html.unescape(html.escape(text)).strip()]
    assert texts_of(page, "td") == [text.strip(), "1"]


@pytest.mark.parametrize(
    "text", ["http://a.example", "www.a.example", "a@b.example", "<script>", "![x](y)"]
)
def test_nothing_becomes_a_link(text):
    linking = MarkdownIt("commonmark", {"linkify": False}).enable("table")
    written = to_markdown("Card", [Section("s", [Paragraph(text)])])
    assert "<a " not in linking.render(written)
    assert "<img" not in linking.render(written)
    assert text not in written
