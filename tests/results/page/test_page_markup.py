from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusetrain.results.page.markup import escaped


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("\" onload='x'", "&quot; onload=&#x27;x&#x27;"),
        ("a\x1b[31m\n", "a\\x1b[31m\\n"),
        ("evil\u202egpj.exe", "evil\\u202egpj.exe"),
        ("caf\udce9", "caf\\udce9"),
        ("größe 尺寸", "größe 尺寸"),
        (12, "12"),
    ],
)
def test_text_cannot_become_markup(text: object, shown: str) -> None:
    assert escaped(text) == shown


@given(st.text(alphabet=st.characters()))
def test_any_text_is_encodable_and_holds_no_markup(text: str) -> None:
    shown = escaped(text)
    shown.encode("utf-8")
    assert not set("<>\"'\n\r\x00") & set(shown)
    assert html.escape(html.unescape(shown), quote=True) == shown
