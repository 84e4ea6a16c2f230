import pytest
from pydantic import Field, ValidationError, create_model

from crisp_core.mistakes import one_line
from crisp_core.sections import Matching, Names, PixelSize, Section, UserPath, descriptions


class Inner(Section):
    """Section in a section."""

    share: float = Field(default=0.5, ge=0, le=1)
    """Share of the area."""


class Outer(Section):
    """Section for these tests."""

    pixel_size: PixelSize
    """Pixel size in Å/px. More about it."""

    names: Names = Field(default=["a"])
    inner: Inner = Inner()
    threshold: float | bool | None = None
    path: UserPath | None = None


def mistake_of(given):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(given)
    return one_line(caught.value, given, Outer, place="config, here/it")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pixel_size": "1.5"}, "/pixel_size: '1.5' is text, not a number; write it without quotes and with a decimal"),
        ({"pixel_size": 0.01}, "/pixel_size: 0.01 is less than the minimum; give at least 0.05 (Pixel size in Å/px)"),
        ({}, ": pixel_size is missing; give it (Pixel size in Å/px)"),
        ({"pixel_size": True}, "/pixel_size: True is not allowed; give a number (Pixel size in Å/px)"),
        ({"pixel_size": 1, "names": ["a", "a"]}, "/names: 'a' is listed twice; remove one"),
        ({"pixel_size": 1, "inner": {"part": 1}}, "/inner: unknown key 'part'; known are share"),
        ({"pixel_sise": 1}, ": unknown key 'pixel_sise'; known are inner, names, path, pixel_size, threshold"),
        ({"pixel_size": 1, "threshold": "x"}, "/threshold: 'x' is not allowed; give a number or true or false"),
        ({"pixel_size": 1, "inner": [1]}, "/inner: [1] is not allowed; give a mapping of keys"),
    ],
)
def test_a_mistake_is_one_line_with_place_problem_and_cure(given, message):
    line = mistake_of(given)
    assert line.startswith(f"config, here/it{message}") and "\n" not in line


def test_a_section_does_not_change_and_a_changed_copy_is_validated():
    section = Outer(pixel_size=1)
    with pytest.raises(ValidationError):
        section.pixel_size = 2.0
    assert section.changed(pixel_size=2).pixel_size == 2.0 and section.pixel_size == 1.0
    with pytest.raises(ValidationError):
        section.changed(pixel_size=0.01)


def test_plain_values_make_the_section_again(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    section = Outer(pixel_size=1, path="~/a.mrc")
    assert section.plain("names", "path") == {"names": ["a"], "path": "/home/me/a.mrc"}
    assert "inner" not in section.plain(without=("inner",))
    assert Outer.of(section.plain()) == section


def test_a_pattern_is_that_of_the_whole_text():
    assert Matching("[a-z]+", "is not a name").check("ab") == "ab"
    for text in ("ab\n", "a b", ""):
        with pytest.raises(ValueError, match="is not a name"):
            Matching("[a-z]+", "is not a name").check(text)


def test_a_key_has_its_own_text_or_that_of_a_base():
    class Local(Inner):
        """Section in a function,
        with a line that is not indented."""

        width: float = Field(default=1.0, description="Of the field.")
        """Not read."""
        other: int = 1

    assert descriptions(Local) == {"share": "Share of the area.", "width": "Of the field."}
    assert descriptions(create_model("Made", __base__=Local, more=(int, 1))) == descriptions(Local)
    exec("class Unknown(Section):\n    key: int = 1\n    'Text.'", names := {"Section": Section, "__name__": "none"})
    assert descriptions(names["Unknown"]) == {}


def test_the_json_schema_of_what_is_written_has_the_texts_too():
    schema = Outer.model_json_schema(mode="serialization")
    assert schema["properties"]["pixel_size"]["description"].startswith("Pixel size in Å/px.")
    assert schema["$defs"]["Inner"]["properties"]["share"]["description"] == "Share of the area."
