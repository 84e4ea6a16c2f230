from crisp_core.figures.registry import BY_NAME


def test_heat_map_frames_the_chosen_setting_and_writes_every_value():
    panels = BY_NAME["search"].example().axes[:2]
    assert [axes.get_title() for axes in panels] == ["nms", "morphology"]
    (frame,), others = (axes.patches for axes in panels)
    assert frame.get_xy() == (0.5, 0.5) and not others
    assert [text.get_text() for text in panels[1].texts] == ["0.500", "nan", "0.400", "0.200"]
