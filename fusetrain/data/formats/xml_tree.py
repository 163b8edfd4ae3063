"""Small XML documents as a tree with places, read so that a hostile file can do no harm.

Document types and entities are refused before anything of them is expanded, so neither a "billion
laughs" nor an external file can come in; size, depth and the number of elements are capped. Label
files need elements and text only: attributes, comments and namespaces are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_DEPTH = 32
MAX_ELEMENTS = 300_000


class XmlFault(ValueError):
    """The document is not XML as label files have it; with line and column, from 1."""

    def __init__(self, message: str, *, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclass
class Element:
    """One element.

    Attributes:
        tag: Its name.
        line: Line, from 1.
        column: Column, from 1, in bytes.
        children: Elements in it, in their order.
        parts: Pieces of the text directly in it.
    """

    tag: str
    line: int
    column: int
    children: list[Element] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return the text directly in the element, without blanks around it."""
        return "".join(self.parts).strip()

    def all(self, tag: str) -> Iterator[Element]:
        """Yield the children with a tag."""
        return (child for child in self.children if child.tag == tag)

    def first(self, tag: str) -> Element | None:
        """Return the first child with a tag."""
        return next(self.all(tag), None)


def parse_xml(data: bytes) -> Element:
    """Return the root of a document.

    Raises:
        XmlFault: It is not well-formed, has a document type, or is deeper or larger than the caps.
    """
    builder = _Builder()
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        message = f"not well-formed XML: {expat.ErrorString(error.code)}"
        raise XmlFault(message, line=error.lineno, column=error.offset + 1) from None
    except (LookupError, UnicodeError) as error:
        raise XmlFault(f"encoding is not supported: {error}", line=1, column=1) from None
    except XmlFault:
        raise
    except ValueError as error:
        # Python's expat raises this for encodings that take several bytes a character.
        raise XmlFault(f"encoding is not supported: {error}", line=1, column=1) from None
    return builder.root


class _Builder:
    """Handlers of one parser; the tree grows below ``document``."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.document = Element("", 0, 0)
        self.stack = [self.document]
        self.num_elements = 0

    @property
    def root(self) -> Element:
        return self.document.children[0]

    def _start(self, tag: str, _: dict[str, str]) -> None:
        self.num_elements += 1
        if len(self.stack) > MAX_DEPTH or self.num_elements > MAX_ELEMENTS:
            raise self._fault("more elements, or deeper ones, than a label file has")
        line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber
        element = Element(tag, line, column + 1)
        self.stack[-1].children.append(element)
        self.stack.append(element)

    def _end(self, _: str) -> None:
        self.stack.pop()

    def _text(self, text: str) -> None:
        self.stack[-1].parts.append(text)

    def _refuse(self, *_: object) -> None:
        raise self._fault("document types and entities are not read from label files")

    def _fault(self, message: str) -> XmlFault:
        line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber
        return XmlFault(message, line=line, column=column + 1)
