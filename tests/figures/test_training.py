from crisp_core.figures.registry import BY_NAME


def test_best_epoch_is_marked():
    iou = BY_NAME["training"].example().axes[1]
    assert [text.get_text() for text in iou.texts] == ["best 0.900, epoch 4"]
    assert any(
        line.get_xdata()[0] == 4 and line.get_markersize() == 8 for line in iou.lines if len(line.get_xdata()) == 1
    )
