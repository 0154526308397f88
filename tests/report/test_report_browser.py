"""The pages in a real browser: they load nothing, fit the window, and react to mouse and keys."""

import browser
import filled
import pytest

from ganvas.report import Extras, compare, comparison_page, report
from tiny import images

pytestmark = pytest.mark.skipif(
    browser.find_browser() is None,
    reason="needs Chromium: 'apt-get install chromium', or another of " + ", ".join(browser.NAMES),
)
WINDOWS = [(380, False), (1100, False), (1100, True)]
LONG = "an_extremely_long_name_without_any_space_" * 6


@pytest.fixture(scope="module")
def window():
    with browser.Browser() as opened:
        yield opened


@pytest.fixture
def page(full):
    real, *fakes = images(4)
    return report(full, extras=Extras([(real, fakes, [1.0, 2.0, 3.0])], "Usual: 3.1."))


@pytest.fixture
def comparison(copy, tmp_path):
    runs = [filled.fill(copy(f"seed-{seed}", seed=seed)) for seed in range(3)]
    for run, fid in zip(runs, (9.0, 8.0, 101.5), strict=True):
        filled.evaluate(run, fid=fid)
    return comparison_page(compare([*runs, copy("unscored", seed=9)]), tmp_path / "page.html")


def is_well(window, path):
    assert window.addresses() == [path.resolve().as_uri()]
    assert window.complaints() == []
    assert window.run("document.scrollingElement.scrollWidth <= innerWidth")
    assert window.run("[...document.images].every(image => image.complete && image.naturalWidth > 0)")


@pytest.mark.parametrize(("width", "dark"), WINDOWS)
def test_a_run_fits_its_window_and_needs_nothing(window, page, width, dark):
    window.open(page, width, dark=dark)
    is_well(window, page)
    shade = window.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(shade) < 200) == dark


@pytest.mark.parametrize(("width", "dark"), WINDOWS)
def test_a_comparison_fits_its_window_and_needs_nothing(window, comparison, width, dark):
    window.open(comparison, width, dark=dark)
    is_well(window, comparison)


@pytest.mark.parametrize("width", [320, 380, 1100])
def test_a_bare_run_and_long_names_fit_their_window(window, copy, width):
    path = report(copy("bare"))
    window.open(path, width)
    is_well(window, path)
    run = copy(LONG[:200], command=LONG, notes=(LONG,))
    filled.fill(run)
    fractions = {LONG: 0.5, "dog": 0.5}
    filled.evaluate(run, modes_histogram=fractions, modes_expected=fractions, modes_missing=[LONG])
    path = report(run)
    window.open(path, width)
    is_well(window, path)
    path = comparison_page(compare([run]), path.parent / "page.html")
    window.open(path, width)
    is_well(window, path)


def test_hostile_names_run_no_script(window, copy):
    attack = "</script><script>document.title='hit'</script><img src=x onerror=\"document.title='hit'\">"
    run = filled.fill(copy("<img src=x onerror=document.title=1>", command=attack, notes=(attack,)))
    filled.evaluate(run, modes_histogram={attack: 1.0}, protocol={"text": attack})
    path = report(run)
    window.open(path)
    is_well(window, path)
    assert window.run("document.title") == "<img src=x onerror=document.title=1>: a ganvas run"
    assert window.run("document.querySelectorAll('img[onerror]').length") == 0


def test_a_script_put_into_the_page_by_force_does_not_run(window, page):
    forced = page.read_text("utf-8").replace("</main>", "<script>document.title = 'hit'</script></main>")
    page.write_text(forced, "utf-8")
    window.open(page)
    assert window.run("document.title") == "full: a ganvas run"
    assert any("Content Security Policy" in str(complaint) for complaint in window.complaints())


DISPLAYED = "[document.querySelector('.screen img').src, document.querySelector('output').textContent]"


def test_moving_the_slider_shows_another_grid_and_its_label(window, page):
    window.open(page)
    last = window.run(DISPLAYED)
    assert last[1] == "step 200, epoch 50"
    window.click(".controls input", across=0.001)
    first = window.run(DISPLAYED)
    assert first[1] == "before training"
    assert first[0] != last[0]
    window.press("ArrowRight")  # the slider has the focus and moves itself
    assert window.run(DISPLAYED)[1] == "step 10, epoch 2"
    window.run("document.activeElement.blur()")
    window.press("ArrowRight")
    window.press("ArrowRight")
    window.press("ArrowLeft")
    assert window.run(DISPLAYED)[1] == "step 20, epoch 5"
    window.press("ArrowLeft")
    window.press("ArrowLeft")
    window.press("ArrowLeft")
    assert window.run(DISPLAYED) == first
    window.click(".controls input", across=0.999)
    assert window.run(DISPLAYED) == last


def test_the_play_button_runs_through_the_grids_and_stops_at_the_end(window, full):
    filled.grids(full, range(0, 40, 10))
    window.open(report(full))
    last = window.run(DISPLAYED)
    window.run(
        "window.labels = []; new MutationObserver(() => window.labels.push(document.querySelector('output')"
        ".textContent)).observe(document.querySelector('output'), {childList: true})"
    )
    window.click(".play")
    assert window.run("document.querySelector('.play').textContent") == "Pause"
    window.wait("document.querySelector('.play').textContent === 'Play'")
    labels = ["before training", "step 10, epoch 2", "step 20, epoch 5", "step 30, epoch 7"]
    assert window.run("window.labels") == labels
    assert window.run(DISPLAYED) == last


def test_the_play_button_can_pause(window, page):
    window.open(page)
    window.click(".play")
    window.wait(f"{DISPLAYED}[1] === 'step 20, epoch 5'")
    window.click(".play")
    assert window.run("document.querySelector('.play').textContent") == "Play"
    paused = window.run(DISPLAYED)
    window.run("new Promise(done => setTimeout(done, 500))")
    assert window.run(DISPLAYED) == paused


READOUT = "document.querySelector('#scores .readout')"


def test_a_chart_is_read_under_the_pointer_and_by_keys(window, page):
    window.open(page)
    visible = f"getComputedStyle({READOUT}).visibility"
    assert window.run(visible) == "hidden"
    window.point("#scores .area", across=0.999)
    assert window.run(visible) == "visible"
    assert window.run(f"{READOUT}.innerText").split() == ["step", "200,", "epoch", "50", "FID", "9.5"]
    window.point("#scores .area", across=0.45)
    assert "step 120" in window.run(f"{READOUT}.innerText")
    assert "12" in window.run(f"{READOUT}.innerText")
    window.run("document.querySelector('#scores .plot').focus()")
    window.press("ArrowLeft")
    assert "step 80" in window.run(f"{READOUT}.innerText")
    window.press("Escape")
    assert window.run(visible) == "hidden"
    window.point("h1")
    assert window.run(visible) == "hidden"


@pytest.mark.parametrize("across", [0.001, 0.3, 0.6, 0.999])
def test_a_readout_stays_inside_its_chart(window, page, across):
    window.open(page, 380)
    for i in range(window.run("document.querySelectorAll('.chart').length")):
        window.run(f"document.querySelectorAll('.area')[{i}].id = 'area-{i}'")
        window.point(f"#area-{i}", across)
        inside = f"""(() => {{
            const area = document.querySelector('#area-{i}'), plot = area.parentElement;
            const a = plot.getBoundingClientRect();
            const b = plot.querySelector('.readout').getBoundingClientRect();
            return b.width > 50 && b.left >= a.left - 1 && b.right <= a.right + 1;
        }})()"""
        assert window.run(inside)


def test_the_curves_meet_the_numbers_on_the_axis(window, page):
    """The SVG and the words over it have one scale: the last point of FID lies at the mark."""
    window.open(page)
    window.point("#scores .area", across=0.999)
    distance = window.run("""(() => {
        const area = document.querySelector('#scores .area');
        const path = area.querySelector('.stroke'), dot = area.querySelector('.dot').getBoundingClientRect();
        const end = path.getPointAtLength(path.getTotalLength()).matrixTransform(path.getScreenCTM());
        return Math.hypot(dot.left + dot.width / 2 - end.x, dot.top + dot.height / 2 - end.y);
    })()""")
    assert distance < 1


def test_a_click_on_a_heading_sorts_the_table_and_another_reverses_it(window, comparison):
    window.open(comparison)
    names = "[...document.querySelectorAll('#scores tbody th')].map(cell => cell.textContent)"
    assert window.run(names) == ["seed-0", "seed-1", "seed-2", "unscored"]
    fid = "#scores thead th:nth-child(6) button"
    assert window.run(f"document.querySelector('{fid}').textContent") == "FID"
    window.click(fid)
    assert window.run(names) == ["seed-1", "seed-0", "seed-2", "unscored"]
    assert window.run("document.querySelector('#scores [aria-sort]').ariaSort") == "ascending"
    window.click(fid)
    assert window.run(names) == ["seed-2", "seed-0", "seed-1", "unscored"]
    window.click("#scores thead th:nth-child(1) button")
    assert window.run(names) == ["seed-0", "seed-1", "seed-2", "unscored"]
    assert window.run("document.querySelectorAll('#scores [aria-sort]').length") == 1


def test_the_command_is_copied(window, page):
    window.open(page)
    window.run(
        "window.taken = []; document.execCommand = () => {"
        "window.taken.push(String(getSelection())); return true; };"
        "navigator.clipboard && (navigator.clipboard.writeText = async text => { window.taken.push(text); })"
    )
    window.click("#repeat .copy")
    window.wait("document.querySelector('#repeat .copy').textContent === 'Copied'")
    (taken,) = window.run("window.taken")
    assert taken.startswith("ganvas train recipe.json --data ")


def test_without_scripts_the_last_grid_and_the_curves_are_there(window, page):
    window.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        window.open(page)
    finally:
        window.ask("Emulation.setScriptExecutionDisabled", value=False)
    assert window.run("document.querySelector('.screen img').naturalWidth") == 24
    assert window.run("document.querySelector('#scores .stroke').getBoundingClientRect().width > 100")
    assert window.run("document.querySelector('.readout')") is None
