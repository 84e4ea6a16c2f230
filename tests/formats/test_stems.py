import pytest

from crisp_core.formats.stems import distinct_stems, micrograph_stem


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


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (["raw/a.mrc", "raw/b.mrc", "raw/a.mrc"], ["a", "b", "a"]),
        (["a", "a.mrc", "./a.tif", "raw/a.mrc", "/data/raw/a.mrc"], ["a"] * 5),
        (["grid1/a.mrc", "grid2/a.mrc", "grid1/b.mrc"], ["grid1/a.mrc", "grid2/a.mrc", "b"]),
        (["grid1\\a.mrc", "/x/grid1/a.mrc", "a"], ["a"] * 3),
        (["raw/a.mrc", "session2/raw/a.mrc"], ["raw/a.mrc", "session2/raw/a.mrc"]),
        (["/grid2/a.mrc", "/data/grid2/a.mrc"], ["/grid2/a.mrc", "/data/grid2/a.mrc"]),
        (["./a.mrc", "././a.tif", "/a.mrc"], ["a"] * 3),
    ],
)
def test_names_of_one_stem_are_told_apart_by_their_folders_alone(names, stems):
    assert distinct_stems(names) == stems
