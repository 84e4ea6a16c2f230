from tests.formats.coordinates.tables import read


def test_cryoppp_keeps_the_diameter(tmp_path):
    back = read(tmp_path / "m.csv", "X-Coordinate,Y-Coordinate,Diameter\n718,131,108\n")
    assert back.iloc[0].drop("score").to_dict() == {"micrograph": "m", "x": 718, "y": 131, "diameter_px": 108}
