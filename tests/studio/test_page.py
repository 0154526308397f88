"""The page of the studio in a real Chromium, on a real server, with runs that really train."""

import base64
import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import psutil
import pytest
from PIL import Image
from studio_process import StudioProcess, wait_for

import ganvas
import tiny
from ganvas.runs.control import read_status, write_command
from ganvas.runs.directory import RunDirectory

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

VIEWS = ("live", "explore", "slow", "draw", "eye")
EVERY_CSP_REPORT = """
    document.addEventListener("securitypolicyviolation", (e) => console.error("CSP", e.violatedDirective));
"""
expect = sync_api.expect
PATIENCE = 60_000  # milliseconds: only what hangs takes so long
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, studio):
    """Open a view, in a browser profile of its own or `beside` another; its console stays empty."""
    contexts, problems = [], []

    def heard(message, allowed):
        if message.type in ("error", "warning") and allowed not in message.text:
            problems.append(message.text)

    def opened(route="/", *, allowed="(nothing)", beside=None, server=studio, **more):
        if beside is None:
            usual = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US"}
            context = chromium.new_context(**{**usual, **more})
            contexts.append(context)
            context.set_default_timeout(PATIENCE)
            context.add_init_script(EVERY_CSP_REPORT)
        page = (context if beside is None else beside.context).new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: heard(message, allowed))
        page.goto(f"{server.url}&{route}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture(scope="module")
def trainer(studio_root, tmp_path_factory):
    """A run that trains for as long as it is asked to."""
    folder, out = tmp_path_factory.mktemp("trainer"), studio_root / "growing"
    often = {"log_interval": 10, "grid.interval": 100, "checkpoint_interval": 1000}
    words = ["--data", str(tiny.data_file(folder)), "--out", str(out), *tiny.words("mlp", often), "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ganvas", "train", "mlp", *words, "--steps", "10000000"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: read_status(out))
    want(out, "pause")
    yield out
    process.kill()
    process.wait()
    shutil.rmtree(out)


@pytest.fixture
def growing(trainer):
    """That run, which trains during the test."""
    want(trainer, "run")
    yield trainer
    want(trainer, "pause")


def want(run, what):
    """Ask a run to train or to pause, and wait until it does."""
    write_command(run, want=what)
    wait_for(lambda: read_status(run).state == {"run": "running", "pause": "paused"}[what])


def pixels(canvas):
    """What a canvas shows, uint8 [H, W, 3]."""
    content = canvas.evaluate("(canvas) => canvas.toDataURL('image/png')").partition(",")[2]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))


def enlarged(image, like):
    """An image uint8 [h, w, 3] with each pixel as many times as `like` is larger."""
    times = like.shape[0] // image.shape[0]
    return image.repeat(times, axis=0).repeat(times, axis=1)


def press_until_focused(page, locator, key="Tab"):
    """Press a key until the element has the focus."""
    for _ in range(150):
        if locator.count() == 1 and locator.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"the keyboard does not reach {locator}")


def logged_count(page):
    """How many logged steps the page has."""
    text = page.locator(".numbers caption").first.inner_text()
    return int(re.search(r"of ([\d,]+) logged", text)[1].replace(",", ""))


def records(run):
    lines = map(json.loads, RunDirectory(run).metrics.read_text().splitlines())
    return [line["step"] for line in lines if "generator_loss" in line]


def test_the_token_leaves_the_address_bar_and_is_in_no_request(chromium, studio):
    context = chromium.new_context()
    page = context.new_page()
    addresses = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(studio.url)
    expect(page.get_by_role("heading", name="discs")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="discs")).to_be_visible()
    page.goto(f"http://{studio.host}/#/run/{studio.run_id('discs')}/live")
    expect(page.get_by_role("heading", name="discs")).to_be_visible()
    assert "token" not in page.url
    assert not [address for address in addresses[1:] if studio.token in address]
    assert studio.token not in page.evaluate("document.documentElement.outerHTML + document.cookie")
    assert studio.token not in page.evaluate("JSON.stringify(localStorage)")
    context.close()


def test_by_keyboard_alone_a_run_is_set_corrected_and_started(open_page, studio, studio_root, tmp_path):
    page = open_page("/", allowed="400 (Bad Request)")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    press_until_focused(page, page.locator("main").get_by_role("link", name="New run"))
    page.keyboard.press("Enter")
    press_until_focused(page, page.get_by_label("Or a path on this computer"))
    page.keyboard.type(str(tiny.data_file(tmp_path)))
    expect(page.locator(".preview-facts")).to_contain_text("72")
    recipes = page.get_by_role("radiogroup", name="Recipe")
    press_until_focused(page, recipes.get_by_role("radio", checked=True))
    press_until_focused(page, recipes.get_by_role("radio", name=re.compile("^mlp")), "ArrowDown")
    press_until_focused(page, page.get_by_role("radio", name="As the recipe"))
    page.keyboard.press("ArrowLeft")  # around, to the last
    press_until_focused(page, page.get_by_role("spinbutton", name="Steps"))
    page.keyboard.type("4")
    wrong = page.locator(".field.wrong")
    expect(wrong.get_by_role("alert")).to_contain_text("batch_size 1024 is larger than the data set")
    press_until_focused(page, page.get_by_role("spinbutton", name="batch_size"))
    page.keyboard.press("Control+a")
    page.keyboard.type("16")
    expect(wrong).to_have_count(0)
    press_until_focused(page, page.get_by_role("textbox", name="Name", exact=True))
    page.keyboard.type("by-keyboard")
    press_until_focused(page, page.get_by_role("button", name="Start training"))
    page.keyboard.press("Enter")
    expect(page.locator(".picture canvas[data-image]")).to_be_visible()
    expect(page).to_have_url(re.compile(f"/run/{studio.run_id('by-keyboard')}/live"))
    status = read_status(studio_root / "by-keyboard")
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(status.pid)
        process.terminate()
        process.wait(120)
    shutil.rmtree(studio_root / "by-keyboard")


def test_a_wrong_path_is_said_beside_its_field(open_page):
    page = open_page("/new", allowed="400 (Bad Request)")
    path = page.get_by_label("Or a path on this computer")
    path.fill("/no/such/folder")
    expect(page.locator(".field.wrong").get_by_role("alert")).to_contain_text("/no/such/folder")
    expect(path).to_have_attribute("aria-invalid", "true")


def test_each_stop_of_the_time_slider_shows_that_saved_grid(open_page, studio, studio_root):
    run = studio.run_id("discs")
    page = open_page(f"/run/{run}/live")
    slider = page.get_by_role("slider", name="Training time")
    slider.focus()
    page.keyboard.press("Home")
    files = RunDirectory(studio_root / "discs").sample_files()
    assert len(files) == 5
    for file in files:
        canvas = page.locator(f'.picture canvas[data-image="/runs/{run}/grids/{int(file.stem)}.png"]')
        expect(canvas).to_be_visible()
        shown = pixels(canvas)
        saved = np.asarray(Image.open(file).convert("RGB"))
        np.testing.assert_array_equal(shown, enlarged(saved, shown))
        page.keyboard.press("ArrowRight")


def test_a_held_slider_stays_while_the_charts_and_grids_grow(open_page, studio, growing):
    page = open_page(f"/run/{studio.run_id('growing')}/live")
    page.locator("summary", has_text="Numbers").click()
    slider = page.get_by_role("slider", name="Training time")
    slider.focus()
    page.keyboard.press("Home")
    held = page.locator('.picture canvas[data-image$="/grids/0.png"]')
    expect(held).to_be_visible()
    before, grids = logged_count(page), int(slider.get_attribute("max"))
    wait_for(lambda: logged_count(page) >= before + 5 and int(slider.get_attribute("max")) > grids)
    expect(held).to_be_visible()
    expect(slider).to_have_value("0")
    page.get_by_role("button", name="Follow").click()
    expect(page.locator('.picture canvas[data-image]:not([data-image$="/grids/0.png"])')).to_be_visible()


def test_pause_and_continue_are_obeyed_and_shown(open_page, studio, growing):
    page = open_page(f"/run/{studio.run_id('growing')}/live")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".run-title .state")).to_have_text("Paused")
    assert read_status(growing).state == "paused"
    step = read_status(growing).step
    assert (growing / "checkpoints" / f"{step:08d}").is_dir()
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".run-title .state")).to_have_text("Running")
    wait_for(lambda: read_status(growing).step > step)


def test_after_a_lost_connection_nothing_is_missing_and_nothing_twice(open_page, studio, growing):
    page = open_page(f"/run/{studio.run_id('growing')}/live", allowed="ERR_INTERNET_DISCONNECTED")
    page.locator("summary", has_text="Numbers").click()
    start = logged_count(page)
    wait_for(lambda: logged_count(page) > start)
    page.context.set_offline(True)
    expect(page.get_by_text("No connection to ganvas studio.")).to_be_visible()
    count = len(records(growing))
    wait_for(lambda: len(records(growing)) > count + 20)
    page.context.set_offline(False)
    want(growing, "pause")
    steps = records(growing)
    assert len(steps) == len(set(steps)) < 3000  # all of them are sent, none is left out for the width
    wait_for(lambda: logged_count(page) == len(steps))
    expect(page.get_by_text("No connection to ganvas studio.")).to_be_hidden()


def test_seven_tabs_agree(open_page, studio, growing):
    route = f"/run/{studio.run_id('growing')}/live"
    first = open_page(route, viewport={"width": 800, "height": 600})
    pages = [first, *(open_page(route, beside=first) for _ in range(6))]
    for page in pages:
        expect(page.locator(".run-title .state")).to_have_text("Running")
    pages[3].get_by_role("button", name="Pause", exact=True).click()
    for page in pages:
        expect(page.locator(".run-title .state")).to_have_text("Paused")
    step = f"{read_status(growing).step:,}"
    for page in pages:
        expect(page.locator(".facts dd").first).to_contain_text(step)


def test_sixty_moves_of_a_drag_never_have_two_requests_in_flight(open_page, studio):
    page = open_page(f"/run/{studio.run_id('discs')}/explore")
    flying, most, count = set(), 0, 0

    def sent(request):
        nonlocal most, count
        if request.url.endswith("/generate"):
            flying.add(request)
            most, count = max(most, len(flying)), count + 1

    def landed(request):
        flying.discard(request)

    page.on("request", sent)
    page.on("requestfinished", landed)
    page.on("requestfailed", landed)
    expect(page.locator(".inspector-image canvas")).to_be_visible()
    box = page.locator(".plane canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    before = count
    for move in range(60):
        page.mouse.move(x - 7 * move, y - 4 * move)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"x=(?!2&)"))
    wait_for(lambda: not page.evaluate("0") and not flying)
    assert count > before
    assert most == 1


def test_what_is_copied_makes_the_same_image(open_page, studio, tmp_path, monkeypatch):
    page = open_page(
        f"/run/{studio.run_id('discs')}/explore?x=3.25&y=1.5&truncation=0.8",
        permissions=["clipboard-read", "clipboard-write"],
    )
    shown = pixels(page.locator(".inspector-image canvas"))
    page.get_by_role("button", name="Copy as command").click()
    command = page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Copy as Python").click()
    python = page.evaluate("navigator.clipboard.readText()")
    words = shlex.split(command)
    assert words[0] == "ganvas"
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-m", "ganvas", *words[1:], "--out", "tile.npy"], check=True, timeout=120)
    for tile in (np.load("tile.npy"), np.asarray(eval(python, {"ganvas": ganvas}))):
        image = np.broadcast_to(tile[0].transpose(1, 2, 0), (12, 12, 3))
        np.testing.assert_array_equal(shown, enlarged(image, shown))


def test_a_direction_at_zero_changes_nothing_and_elsewhere_something(open_page, studio):
    page = open_page(f"/run/{studio.run_id('discs')}/explore")
    canvas = page.locator(".inspector-image canvas")
    expect(canvas).to_be_visible()
    page.get_by_role("button", name="Find directions").click()
    summary = page.locator("summary", has_text="Unnamed principal directions")
    expect(summary).to_be_visible()
    summary.click()
    slider = page.locator("details .slider input").first
    before = pixels(canvas)
    slider.focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    wait_for(lambda: (pixels(canvas) != before).any())
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    expect(slider).to_have_value("0")
    wait_for(lambda: (pixels(canvas) == before).all())


def test_the_plane_is_used_by_keyboard_and_shows_what_sample_makes(open_page, studio, studio_root):
    page = open_page(f"/run/{studio.run_id('discs')}/explore?x=5&y=5&zoom=0")
    press_until_focused(page, page.locator(".plane canvas"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".seeds")).to_have_text("Seed 506")
    expect(page).to_have_url(re.compile("pick=506"))
    sample = np.asarray(ganvas.open_run(studio_root / "discs").sample(1, seed=506))[0].transpose(1, 2, 0)
    canvas = page.get_by_role("img", name="Generated image of 506")
    shown = pixels(canvas)
    np.testing.assert_array_equal(shown, enlarged(np.broadcast_to(sample, (12, 12, 3)), shown))


def every_view(studio):
    run = studio.run_id("discs")
    return ["/", "/new", f"/compare?ids={run}", *(f"/run/{run}/{view}" for view in VIEWS)]


def settled(page, route):
    """Go to a view and wait until all of it is there."""
    page.evaluate("(route) => { location.hash = route }", route)
    expect(page.locator("main h1")).to_be_visible()
    expect(page.locator(".spinner")).to_have_count(0)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


@pytest.mark.parametrize(("language", "scheme"), [("en-US", "light"), ("zh-CN", "dark")])
def test_no_view_has_a_serious_barrier(open_page, studio, language, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page("/", locale=language, color_scheme=scheme, reduced_motion="reduce")
    barriers = []
    for route in every_view(studio):
        settled(page, route)
        assert page.evaluate("document.documentElement.lang") == {"en-US": "en", "zh-CN": "zh-CN"}[language]
        for rule in axe.run(page).response["violations"]:
            if rule["impact"] in ("serious", "critical"):
                barriers += [
                    (route, rule["id"], node["html"], node["failureSummary"]) for node in rule["nodes"]
                ]
    assert barriers == []


def test_no_view_scrolls_sideways_on_a_phone(open_page, studio):
    page = open_page("/", viewport={"width": 360, "height": 740})
    for route in every_view(studio):
        settled(page, route)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, route


def test_a_run_that_is_deleted_while_shown_is_said_to_be_gone(open_page, studio, studio_root):
    copy = shutil.copytree(studio_root / "discs", studio_root / "short-lived")
    page = open_page(f"/run/{studio.run_id('short-lived')}/live", allowed="404 (Not Found)")
    expect(page.locator(".picture canvas[data-image]")).to_be_visible()
    shutil.rmtree(copy)
    expect(page.get_by_role("heading", name="This run is gone")).to_be_visible()


def test_a_killed_studio_stops_no_run_and_the_next_one_shows_it(open_page, studio, studio_root, growing):
    route = f"/run/{studio.run_id('growing')}/live"
    other = StudioProcess(studio_root)
    page = open_page(route, allowed="net::ERR_", server=other)
    expect(page.locator(".run-title .state")).to_have_text("Running")
    other.process.kill()
    expect(page.get_by_text("No connection to ganvas studio.")).to_be_visible()
    step = read_status(growing).step
    other.stop()
    other = StudioProcess(studio_root)
    page = open_page(route, server=other)
    expect(page.locator(".run-title .state")).to_have_text("Running")
    wait_for(lambda: read_status(growing).step > step)
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".run-title .state")).to_have_text("Paused")
    page.context.close()
    assert other.stop() == 0


def test_turns_in_slow_motion_are_taken_and_taken_back(open_page, studio):
    page = open_page(f"/run/{studio.run_id('discs')}/slow")
    losses = page.locator(".slow-losses")
    expect(losses).to_be_visible()
    before = losses.locator("dd").all_inner_texts()[:2]
    page.get_by_role("button", name="Both", exact=True).click()
    expect(page).to_have_url(re.compile("turns=DG"))
    expect(losses.locator("dd").first).to_contain_text("→")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    expect(page).not_to_have_url(re.compile("turns="))
    wait_for(lambda: losses.locator("dd").all_inner_texts()[:2] == before)


def test_a_drawn_stroke_is_answered(open_page, studio):
    page = open_page(f"/run/{studio.run_id('discs')}/draw")
    pad = page.get_by_label("A canvas to draw on with mouse, pen or finger")
    expect(pad).to_be_visible()
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
    page.mouse.up()
    expect(page.get_by_role("img", name="The generated image nearest to the drawing")).to_be_visible()
    assert pixels(pad).max() > 200  # its edges are smooth


def test_the_quiz_is_played_by_keyboard_and_its_score_is_said(open_page, studio):
    page = open_page(f"/run/{studio.run_id('discs')}/eye")
    press_until_focused(page, page.get_by_role("radio", name="What D looks at"))
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Real", exact=True)).to_be_visible()
    press_until_focused(page, page.get_by_role("button", name="Real", exact=True))
    for number in range(1, 13):
        expect(page.get_by_role("img", name=f"Image {number}: real or generated?")).to_be_visible()
        page.keyboard.press("ArrowLeft")
    expect(page.locator(".quiz-score")).to_contain_text(re.compile(r"You: \d+ of 12 right\. D: \d+\."))
