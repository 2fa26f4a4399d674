"""A page of reports as a tree of elements, and the checks that hold for every page."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from gradcheck.report.html import to_html
from gradcheck.report.report import Report


@dataclass
class Element:
    """An element with all that is in it."""

    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What is written in it."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def classes(self) -> list[str]:
        """The words of its class."""
        return (self.attributes.get("class") or "").split()

    def all(self, tag: str, class_: str | None = None) -> list[Element]:
        """The elements in it, at any depth; "*" for those of every kind."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if tag in ("*", child.tag) and (class_ is None or class_ in child.classes):
                    found.append(child)
                found += child.all(tag, class_)
        return found

    def one(self, tag: str, class_: str | None = None) -> Element:
        """The only one."""
        (found,) = self.all(tag, class_)
        return found


class _Reader(HTMLParser):
    """Builds the tree; an end tag without its start tag is an error."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({key for key, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag != "meta":
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def page(*reports: Report) -> Element:
    """The page as a tree, after the checks that hold for every page."""
    source = to_html(reports)
    assert source.startswith("<!DOCTYPE html>\n<html")
    root = parse(source)
    everything = root.all("*")
    ids = [element.attributes["id"] for element in everything if "id" in element.attributes]
    assert len(ids) == len(set(ids)), "an id is there twice"
    for key in ("aria-labelledby", "href"):
        named = {element.attributes[key] for element in everything if key in element.attributes}
        assert {str(name).removeprefix("#") for name in named} <= set(ids), f"{key} refers to nothing"
    return root


def parse(source: str) -> Element:
    """Markup as a tree; every element is closed."""
    source.encode("utf-8")
    reader = _Reader()
    reader.feed(source)
    reader.close()
    assert reader.open == [reader.root], f"<{reader.open[-1].tag}> is left open"
    return reader.root


def rows(table: Element) -> list[list[str]]:
    """The text of the cells, without the head."""
    return [[cell.text for cell in row.children if isinstance(cell, Element)] for row in table.one("tbody").all("tr")]
