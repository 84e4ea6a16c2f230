"""Corrections in a real browser: every action by mouse and by keys, and what the saved file says."""

import io
import json
import threading

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crisp_core.formats.arrays import Array
from crisp_core.formats.corrections import read_corrections
from crisp_core.preparation.normalization import fourier_resample
from crisp_core.report.page import render_page
from crisp_core.report.picked import match_candidates
from crisp_core.report.server import start_server
from crisp_core.report.view import micrograph_view
from tests.browser import drawn, made_run, on_canvas, out

pytestmark = pytest.mark.slow

SHAPE, DIAMETER = (600, 480), 40.0
PICKS = np.array([[100.25, 80.5], [300.125, 200.75], [200.0, 450.5], [401.5, 501.25]])


def spots(places):
    """Dark Gaussian spots on a micrograph."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.zeros(SHAPE, np.float32)
    for px, py in places:
        image -= np.exp(-((x - px) ** 2 + (y - py) ** 2) / 200).astype(np.float32)
    return image


def view(name, places, picks):
    """Data of the viewer of a micrograph with particles at `places`, and picks with scores of at least 0.5."""
    image = Array(fourier_resample(spots(places), (400, 320)), 3.0, SHAPE)
    scores = np.append(np.linspace(0.9, 0.6, len(picks)), 0.2)
    table = pd.DataFrame([*picks, (440.0, 40.0)], columns=["x", "y"]).assign(score=scores)
    one = match_candidates(table, None, diameter_px=DIAMETER)
    return {"name": name, "part": None} | micrograph_view(
        one, image, None, None, diameter_angstrom=DIAMETER * 2, side_px=300
    )


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """Page of a run with two micrographs of 600 rows and 480 columns; one particle of the first was missed."""
    run = made_run("d/e", labelled=False) | {"n_micrographs": 2, "extra_tables": {}}
    views = [view("mic0", [*PICKS, (120.0, 300.0)], PICKS), view("mic1", PICKS[:1], PICKS[:1])]
    pooled = {"all": {"n_micrographs": 2, "n_picks": [7, 5, 0]}}
    run["viewer"] |= {"thresholds": [0.0, 0.5, 1.0], "chosen": 0.5, "micrographs": views, "pooled": pooled}
    path = tmp_path_factory.mktemp("run") / "report.html"
    path.write_text(render_page(run, made="now"))
    return path


@pytest.fixture
def page(page_file, opened):
    """The page, with its storage empty, and corrections started."""
    page = opened(page_file)
    page.wait_for_selector("[data-corrections=ready]")
    page.keyboard.press("c")
    page.locator("canvas").scroll_into_view_if_needed()
    return page


def on_screen(page, x, y):
    """Place of a position on the micrograph, in px of the window, while the whole micrograph is shown."""
    # the centre of the first pixel on the working grid (1.5 px of the micrograph each) is that of the micrograph
    return on_canvas(page, SHAPE, x + 0.75, y + 0.75)


def drag(page, *places):
    page.mouse.move(*on_screen(page, *places[0]))
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*on_screen(page, *place), steps=4)
    page.mouse.up()


def saved(page, key="Control+s"):
    """Content of the file that a key or a button saves."""
    with page.expect_download() as download:
        page.keyboard.press(key)
    assert download.value.suggested_filename == "corrections.json"
    with open(download.value.path()) as file:
        return json.load(file)


def only(file):
    (entry,) = file["micrographs"]
    return entry


def test_a_click_on_a_particle_is_its_position_within_half_a_pixel(page):
    # where the screen is darkest around the missed particle
    box, (x, y) = page.locator("canvas").bounding_box(), on_screen(page, 120, 300)
    clip = {"x": round(x) - 20, "y": round(y) - 20, "width": 41, "height": 41}
    assert clip["x"] > box["x"]
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("L"), float)
    weight = np.clip(np.median(picture[0]) - picture, 0, None)
    rows, columns = np.mgrid[:41, :41] + 0.5
    center = [float((weight * grid).sum() / weight.sum()) for grid in (columns, rows)]
    page.mouse.click(clip["x"] + center[0], clip["y"] + center[1])
    (added,) = only(saved(page))["added"]
    np.testing.assert_allclose(added, [120, 300], atol=0.5)


def picks_of(entry):
    return {key: entry[key] for key in ("kept", "added", "removed", "moved")}


def changes(page):
    return page.locator('[data-correct-out="changes"]').inner_text()


def test_every_action_by_mouse(page, tmp_path):
    assert changes(page) == "0 changes on 0 micrographs, nothing to save"
    page.mouse.click(*on_screen(page, 120, 300))
    page.mouse.click(*on_screen(page, *PICKS[1]))
    # within the circle of the pick, and not at its centre: it moves by the distance that the mouse moves
    drag(page, PICKS[2] + (6, -5), PICKS[2] + (20, 10), PICKS[2] + (36, -25))
    for tool, start, end in (("junk", (60, 520), (90, 520)), ("unsure", (300, 60), (300, 90))):
        page.locator(f'[data-correct="{tool}"]').click()
        drag(page, start, end)
    for action in ("bad", "reviewed"):
        page.locator(f'[data-correct="{action}"]').click()
    page.locator('[data-correct-in="author"]').fill("A. Person")
    page.locator('[data-correct-in="author"]').press("Enter")
    assert changes(page) == "7 changes on 1 micrograph, not saved"
    with page.expect_download() as download:
        page.locator('[data-correct="save"]').click()
    download.value.save_as(tmp_path / "corrections.json")
    assert changes(page) == "7 changes on 1 micrograph, saved"
    file = read_corrections(tmp_path / "corrections.json")
    (one,) = file.micrographs
    assert (file.dataset, file.experiment, file.author) == ("d", "e", "A. Person")
    assert (one.micrograph, one.pixel_size_angstrom, one.shape_px) == ("mic0", 2.0, [600, 480])
    assert (one.reviewed, one.verdict) == (True, "bad")
    # the run's own picks have the coordinates of the run; the candidate below its threshold is no pick
    assert one.kept == PICKS[[0, 3]].tolist() and one.removed == [PICKS[1].tolist()]
    ((x, y, *moved),) = one.moved
    assert [x, y] == PICKS[2].tolist()
    np.testing.assert_allclose(moved, PICKS[2] + (30, -20), atol=0.5)
    np.testing.assert_allclose(one.added, [[120, 300]], atol=0.5)
    for strokes, ends in ((one.junk, [(60, 520), (90, 520)]), (one.unsure, [(300, 60), (300, 90)])):
        (stroke,) = strokes
        assert stroke.radius_px == DIAMETER / 2
        np.testing.assert_allclose([stroke.points[0], stroke.points[-1]], ends, atol=3)


def move_cross(page, dx, dy):
    """Move the cross of the keyboard by px of the micrograph: arrows are a quarter of a diameter, with Shift one px."""
    for distance, keys in ((dx, ("ArrowRight", "ArrowLeft")), (dy, ("ArrowDown", "ArrowUp"))):
        quarters, rest = divmod(abs(distance), DIAMETER // 4)
        key = keys[int(distance < 0)]
        for name, n in ((key, quarters), (f"Shift+{key}", rest)):
            for _ in range(int(n)):
                page.keyboard.press(name)


def test_every_action_by_keys(page):
    # the first press puts the cross in the middle of the micrograph
    page.keyboard.press("Enter")
    page.keyboard.press("Control+z")
    middle = np.array([239, 299])
    move_cross(page, *(np.array([120, 300]) - middle))
    page.keyboard.press("Enter")
    move_cross(page, 180, -100)
    page.keyboard.press("Space")
    move_cross(page, -100, 250)
    page.keyboard.press("d")
    # the pick comes from its own position
    move_cross(page, 30, -21)
    page.keyboard.press("d")
    for key in "2[[":
        page.keyboard.press(key)
    move_cross(page, 0, 60)
    page.keyboard.press("Enter")
    move_cross(page, 40, 0)
    page.keyboard.press("Enter")
    for key in ("3", "]", "Enter", "Enter", "b", "g", "v"):
        page.keyboard.press(key)
    one = only(saved(page))
    assert one["kept"] == PICKS[[0, 3]].tolist() and one["removed"] == [PICKS[1].tolist()]
    assert one["added"] == [[120, 300]] and one["moved"] == [[*PICKS[2], 230, 429.5]]
    (junk,), (unsure,) = one["junk"], one["unsure"]
    assert 0 < junk["radius_px"] < unsure["radius_px"] < DIAMETER / 2
    assert (junk["points"][0], junk["points"][-1]) == ([230, 489.5], [270, 489.5])
    assert unsure["points"] == [[270, 489.5]]
    assert (one["verdict"], one["reviewed"]) == ("good", True)
    # eraser, over the end of the line of junk and the disc above it
    for key in ("4", "Enter", "Enter", "g", "v"):
        page.keyboard.press(key)
    one = only(saved(page))
    assert one["unsure"] == [] and one["junk"][0]["points"][0] == [230, 489.5]
    cut = one["junk"][0]["points"][-1][0]
    assert 230 < cut < 270 - junk["radius_px"] - unsure["radius_px"]
    assert (one["verdict"], one["reviewed"]) == (None, False)
    # help, other micrographs, zoom
    page.keyboard.press("?")
    assert page.locator("dialog.help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog.help").is_visible()
    page.keyboard.press("PageDown")
    drawn(page)
    assert out(page, "name") == "mic1"
    before = canvas(page)
    page.keyboard.press("+")
    assert canvas(page) != before
    page.keyboard.press("c")
    assert page.locator('[data-correct="save"]').is_hidden()


def canvas(page):
    return page.evaluate("document.querySelector('article canvas').toDataURL()")


def test_undo_and_redo_of_everything(page):
    empty, pictures = canvas(page), []
    page.mouse.click(*on_screen(page, *PICKS[0]))
    drag(page, PICKS[1], PICKS[1] + (15, 15))
    page.keyboard.press("2")
    drag(page, (50, 400), (90, 400))
    page.keyboard.press("g")
    page.keyboard.press("PageDown")
    drawn(page)
    page.keyboard.press("v")
    full = saved(page)
    assert [one["micrograph"] for one in full["micrographs"]] == ["mic0", "mic1"]
    assert changes(page).startswith("5 changes on 2 micrographs")
    for left in (4, 3, 2, 1, 0):
        page.keyboard.press("Control+z")
        drawn(page)
        assert changes(page).startswith(f"{left} change")
        pictures.append(canvas(page))
    assert out(page, "name") == "mic0" and page.locator('[data-correct="undo"]').is_disabled()
    page.mouse.move(1, 1)
    assert canvas(page) == empty and len(set(pictures)) > 3
    assert saved(page)["micrographs"] == []
    for key in ("Control+y", "Control+Shift+Z", "Control+y", "Control+y"):
        page.keyboard.press(key)
    page.locator('[data-correct="redo"]').click()
    drawn(page)
    assert saved(page)["micrographs"] == full["micrographs"]
    # Reset is one change, too
    page.locator('[data-correct="reset"]').click()
    assert only(saved(page))["micrograph"] == "mic0"
    page.keyboard.press("Control+z")
    assert saved(page)["micrographs"] == full["micrographs"]


def test_a_click_restores_a_removed_pick_and_forgets_an_added_one(page):
    for place in (PICKS[0], (120, 300)):
        page.mouse.click(*on_screen(page, *place))
        assert changes(page).startswith("1 change ")
        page.mouse.click(*on_screen(page, *place))
        assert changes(page).startswith("0 changes")
    # beside the micrograph there is nothing to add; Escape and an empty drag change nothing
    page.mouse.click(*on_screen(page, -20, 300))
    page.mouse.move(*on_screen(page, *PICKS[0]))
    page.mouse.down()
    page.mouse.move(*on_screen(page, 150, 150), steps=3)
    page.keyboard.press("Escape")
    page.mouse.up()
    drag(page, (240, 300), (260, 330))
    # what goes on when another micrograph is shown is not done on that one
    page.mouse.move(*on_screen(page, *PICKS[0]))
    page.mouse.down()
    page.mouse.move(*on_screen(page, 150, 150), steps=3)
    page.keyboard.press("PageDown")
    page.mouse.up()
    drawn(page)
    assert changes(page).startswith("0 changes")


def leave(page):
    """Whether the page warns before it is left; the warning is answered with yes."""
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()
    page.wait_for_selector("[data-corrections=ready]")
    drawn(page)
    return asked == ["beforeunload"]


def test_work_is_kept_until_it_is_saved_and_the_page_warns_before_it_is_left(page, page_file, tmp_path):
    page.mouse.click(*on_screen(page, 120, 300))
    page.keyboard.press("v")
    assert leave(page)
    # correction goes on where it stopped
    assert changes(page) == "2 changes on 1 micrograph, not saved"
    file = saved(page)
    assert not leave(page) and changes(page) == "2 changes on 1 micrograph, saved"
    assert saved(page)["micrographs"] == file["micrographs"]
    # another run has other work
    other = tmp_path / "report.html"
    other.write_text(page_file.read_text().replace('"experiment":"e"', '"experiment":"f"'))
    page.goto(other.as_uri())
    page.wait_for_selector("[data-corrections=ready]")
    assert page.locator('[data-correct="toggle"]').get_attribute("aria-pressed") == "false"
    # refused: of another run, no file of corrections
    page.keyboard.press("c")
    given = tmp_path / "given.json"
    for content, message in ((json.dumps(file), "of d/e, not of"), ("{}", "not a file"), ("{", "not a JSON")):
        given.write_text(content)
        page.locator('[data-correct-in="file"]').set_input_files(given)
        page.locator(".told.wrong", has_text=message).wait_for()
    assert changes(page).startswith("0 changes")


def test_corrections_outlive_a_run_with_other_picks_and_fewer_micrographs(page, tmp_path):
    entry = {"micrograph": "mic0", "pixel_size_angstrom": 2, "shape_px": [600, 480], "reviewed": True, "verdict": None}
    entry |= {"kept": [[11.5, 12.5]], "added": [], "removed": [[50, 60]], "moved": [], "junk": [], "unsure": []}
    file = {"format": "CRISP corrections", "version": 1, "dataset": "d", "experiment": "e", "author": "B. Person"}
    file |= {"saved": "2026-11-28T20:15:00Z", "micrographs": [entry, entry | {"micrograph": "not here"}]}
    (tmp_path / "other.json").write_text(json.dumps(file))
    page.locator('[data-correct-in="file"]').set_input_files(tmp_path / "other.json")
    page.locator(".told", has_text="Opened other.json").wait_for()
    page.mouse.click(*on_screen(page, 300, 300))
    assert "picks of an earlier run" in page.locator(".told").inner_text()
    again = saved(page)
    assert again["author"] == "B. Person" and [one["micrograph"] for one in again["micrographs"]] == [
        "mic0",
        "not here",
    ]
    assert picks_of(again["micrographs"][0]) == picks_of(entry) | {"added": again["micrographs"][0]["added"]}
    assert again["micrographs"][1] == file["micrographs"][1]
    page.locator('[data-correct="reset"]').click()
    page.keyboard.press("v")
    assert saved(page)["micrographs"][0]["kept"] == PICKS.tolist()


def test_a_finger_has_targets_large_enough(page_file, opened):
    page = opened(page_file, width=420, height=800, has_touch=True)
    page.wait_for_selector("[data-corrections=ready]")
    page.locator('[data-correct="toggle"]').tap()
    small = """[...document.querySelectorAll(".correct button, .where button, .correct input:not([type=file])")].filter(
        e => e.offsetParent && (e.offsetWidth < 44 || e.offsetHeight < 44)).map(e => e.outerHTML)"""
    assert page.evaluate(small) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 420
    page.locator("canvas").scroll_into_view_if_needed()
    page.touchscreen.tap(*on_screen(page, 120, 300))
    # beside the small circle of the pick, where a click would add one
    page.touchscreen.tap(*on_screen(page, *PICKS[0] + (26, 0)))
    one = only(saved(page))
    assert one["removed"] == [PICKS[0].tolist()]
    np.testing.assert_allclose(one["added"], [[120, 300]], atol=0.5)


@pytest.fixture
def served(page_file, tmp_path):
    """Server of a folder with the page of the run d/e, and this folder."""
    folder = tmp_path / "results/d/e"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text(page_file.read_text())
    with start_server(tmp_path / "results", 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"{server.address}d/e/report.html", folder / "corrections.json"
        server.shutdown()


def is_told(page, text):
    page.locator('[data-correct-out="told"]', has_text=text).wait_for()


def wait_saved(page):
    page.wait_for_selector("article [data-unsaved=false]", state="attached")


def start_correcting(page):
    page.wait_for_selector("[data-corrections=ready]")
    if page.locator('[data-correct="toggle"]').get_attribute("aria-pressed") == "false":
        page.keyboard.press("c")
    page.locator("canvas").scroll_into_view_if_needed()
    return page


def test_a_browser_that_keeps_no_more_work_says_so(page):
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    page.mouse.click(*on_screen(page, 120, 300))
    is_told(page, "This browser does not keep the work")


def test_a_served_page_saves_by_itself_and_overwrites_nothing_unseen(served, opened):
    address, path = served
    first = start_correcting(opened(address))
    first.mouse.click(*on_screen(first, *PICKS[0]))
    wait_saved(first)
    assert read_corrections(path).micrographs[0].removed == [PICKS[0].tolist()]
    # another browser goes on with the file, and saves it
    second = start_correcting(opened(address))
    assert changes(second) == "1 change on 1 micrograph, saved"
    second.mouse.click(*on_screen(second, *PICKS[1]))
    wait_saved(second)
    assert len(read_corrections(path).micrographs[0].removed) == 2
    # the first has not seen this: it asks, and takes the file
    first.keyboard.press("b")
    is_told(first, "saved by somebody else meanwhile")
    first.locator('[data-correct="theirs"]').click()
    wait_saved(first)
    assert changes(first) == "2 changes on 1 micrograph, saved"
    first.keyboard.press("g")
    wait_saved(first)
    # the second replaces it
    second.keyboard.press("v")
    is_told(second, "saved by somebody else meanwhile")
    assert read_corrections(path).micrographs[0].verdict == "good"
    second.locator('[data-correct="mine"]').click()
    wait_saved(second)
    (one,) = read_corrections(path).micrographs
    assert (len(one.removed), one.verdict, one.reviewed) == (2, None, True)
    assert opened.wrong and all("412" in message for message in opened.wrong)
    opened.wrong.clear()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"format": "CRISP corrections", ', "This is not a file of corrections"),
        ("null", "This is not a file of corrections"),
        (
            '{"format": "CRISP corrections", "version": 1, "dataset": "other", "experiment": "e", "micrographs": []}',
            "These are corrections of other/e",
        ),
    ],
)
def test_a_file_that_the_page_cannot_read_is_not_replaced_unasked(served, opened, content, reason):
    address, path = served
    path.write_text(content)
    page = start_correcting(opened(address))
    is_told(page, reason)
    page.keyboard.press("g")
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1200)
    assert path.read_text() == content and changes(page).endswith("not saved")
    page.locator('[data-correct="theirs"]').click()
    is_told(page, reason)
    assert path.read_text() == content
    page.locator('[data-correct="mine"]').click()
    wait_saved(page)
    assert read_corrections(path).micrographs[0].verdict == "good"
    assert all("412" in message for message in opened.wrong)
    opened.wrong.clear()


def test_a_server_that_ended_leaves_the_work_in_the_browser(served, opened, page_file):
    address, path = served
    page = start_correcting(opened(address))
    page.context.set_offline(True)
    page.keyboard.press("g")
    is_told(page, "The local server does not answer. The work is kept in this browser.")
    assert not path.exists() and changes(page).endswith("not saved")
    page.context.set_offline(False)
    page.keyboard.press("Control+s")
    wait_saved(page)
    assert read_corrections(path).micrographs[0].verdict == "good"
    assert opened.wrong and all("INTERNET_DISCONNECTED" in message for message in opened.wrong)
    opened.wrong.clear()


def test_unsaved_work_of_another_folder_with_a_run_of_the_same_name_stays_there(opened, page_file, tmp_path):
    page, port = None, 0
    for name in ("one", "other"):
        run = tmp_path / name / "d/e"
        run.mkdir(parents=True)
        (run / "report.html").write_text(page_file.read_text())
        with start_server(tmp_path / name, port) as server:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            address, port = f"{server.address}d/e/report.html", server.server_port
            if page is None:
                page = start_correcting(opened(address))
                page.context.set_offline(True)
                page.keyboard.press("g")
                is_told(page, "The work is kept in this browser.")
                page.context.set_offline(False)
            else:
                other = page.context.new_page()
                other.goto(address)
                assert changes(start_correcting(other)).startswith("0 changes")
            server.shutdown()
    assert not (tmp_path / "other/d/e/corrections.json").exists()
    opened.wrong.clear()


def test_another_page_of_a_web_server_does_not_open_the_work_of_a_run_of_the_same_name(served, opened):
    address, path = served
    # beside these copies of the page, the server saves nothing, as any other server
    one, other = (address.replace("e/report", name) for name in ("one", "other"))
    for name in ("one", "other"):
        (path.parents[1] / f"{name}.html").write_text((path.parent / "report.html").read_text())
    page = start_correcting(opened(one))
    page.keyboard.press("g")
    assert changes(page).startswith("1 change")
    page.goto(other)
    assert changes(start_correcting(page)).startswith("0 changes")
    page.goto(one)
    assert changes(start_correcting(page)).startswith("1 change")
    opened.wrong.clear()


def test_a_save_into_a_folder_writes_to_the_chosen_file_from_then_on(served, opened):
    address, path = served
    # beside this copy of the page, the server saves nothing
    copy = path.parents[1] / "copy.html"
    copy.write_text((path.parent / "report.html").read_text())
    page = start_correcting(opened(address.replace("e/report", "copy")))
    # the dialog cannot be answered here; a file in the browser's own storage is written in the same way
    page.evaluate("""() => { window.showSaveFilePicker = async ({ suggestedName }) =>
        (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true }) }""")
    read = """async () => {
        const handle = await (await navigator.storage.getDirectory()).getFileHandle("corrections.json");
        return (await handle.getFile()).text();
    }"""
    page.keyboard.press("g")
    page.locator('[data-correct="saveTo"]').click()
    wait_saved(page)
    assert only(json.loads(page.evaluate(read)))["verdict"] == "good"
    page.keyboard.press("b")
    page.keyboard.press("Control+s")
    wait_saved(page)
    assert only(json.loads(page.evaluate(read)))["verdict"] == "bad"
    assert len(opened.wrong) == 1 and "404" in opened.wrong.pop()
