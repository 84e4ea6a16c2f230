import pytest

from crisp_core.formats.stems import micrograph_stem


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a/b/May08_04.33.57.mrc", "May08_04.33.57"),
        ("May08_04.33.57", "May08_04.33.57"),
        ("C:\\data\\m.TIFF", "m"),
        ("m.mrc.bz2", "m"),
        ("7", "7"),
    ],
)
def test_stem_keeps_dots_that_are_no_suffix(name, stem):
    assert micrograph_stem(name) == stem
