"""Names, paths and messages that try to be HTML."""

import html
import shutil

import filled
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from reading import Page

from ganvas.report import compare, comparison_page, report
from ganvas.report.templating import environment, escape_text
from ganvas.runs.run import Run

ATTACKS = [
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>',
    "</style><b>", "<!--", "' onmouseover='alert(1)", "&lt;b&gt;", "\u202egnp.exe", "]]>", "\x00\x1b[31m",
]  # fmt: skip


def pages(copy, word):
    """The page of a run, and of it compared, with `word` wherever a word can be."""
    run = copy("run")
    data = run.record.data.model_copy(update={"name": word, "class_names": (word,), "requested": word})
    record = {"data": data, "command": word, "notes": (word,), "created": word, "machine": {"gpu": word}}
    run.directory.write(run.record.model_copy(update=record))
    run = filled.fill(Run.open(run.path))
    fractions = {word: 0.5, "dog": 0.25, "eel": 0.25}
    protocol = {"text": word, word: word}
    filled.evaluate(
        run, modes_histogram=fractions, modes_expected=fractions, modes_missing=[word], protocol=protocol
    )
    lines = [filled.reading(step, generator_loss=1 + step % 7 / 10) for step in range(1, 201)]
    lines += [filled.score(40 * i, 10 / i, protocol=word) for i in range(1, 6)]
    filled.log(run, [*lines, filled.health(9, word, word), filled.health(9, "collapse", word)])
    result = [Page(report(run)), Page(comparison_page(compare([run]), run.path / "comparison.html"))]
    shutil.rmtree(run.path)
    return result


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_words_change_no_element_of_the_pages(copy, attack):
    for harmless, evil in zip(pages(copy, "word"), pages(copy, attack), strict=True):
        assert (evil.open, evil.unmatched) == ([], [])
        assert [name for name, _ in evil.elements] == [name for name, _ in harmless.elements]
        assert [sorted(a) for _, a in evil.elements] == [sorted(a) for _, a in harmless.elements]
        assert escape_text(attack) in evil.source
        assert "alert(1)>" not in evil.source
        assert "\u202e" not in evil.source


@pytest.mark.parametrize("name", ["<b>bold</b>", "a & b", "it's", 'qu"ote', "new\nline", "-rf", "ü 漢"])
def test_hostile_paths_are_displayed_and_typed_as_they_are(copy, name):
    run = filled.fill(copy(name))
    page = Page(report(run))
    assert (page.open, page.unmatched) == ([], [])
    assert name.replace("\n", " ") in page.text.replace("\n", " ")
    assert "<b>bold" not in page.source


def test_a_path_that_is_no_text_still_gives_a_page(copy):
    run = copy("odd\udcff")
    assert b"odd\xef\xbf\xbd" in report(run).read_bytes()


@given(st.text())
def test_text_comes_back_from_the_parser_as_it_went_in(text):
    assert html.unescape(escape_text(text)).replace("\ufffd", "") == "".join(
        character for character in text if escape_text(character) != "\ufffd"
    ).replace("\ufffd", "")
    assert "<" not in escape_text(text)
    assert '"' not in escape_text(text)


@given(st.text() | st.dictionaries(st.text(), st.text()))
def test_data_for_scripts_cannot_end_the_script(value):
    block = str(environment().get_template("macros.html").module.data_block(value)).strip()
    assert block.count("<") == 2
    block.encode("utf-8")


def test_a_misspelled_name_in_a_template_is_an_error():
    with pytest.raises(UndefinedError):
        environment().from_string("{{ nothing }}").render()
