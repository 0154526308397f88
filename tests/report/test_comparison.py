"""Runs side by side: the values, the means over seeds, the refusal to mix protocols, the page."""

import csv
import io
import math
import re
import statistics

import filled
import pytest
from reading import Page

from ganvas import cli
from ganvas.errors import UserError
from ganvas.evaluation import history
from ganvas.evaluation.metric_info import CUSTOM_METRICS, METRICS
from ganvas.report import compare, comparison_page
from ganvas.report.comparison_views import short_names
from ganvas.report.numbers import format_number


@pytest.fixture
def seeds(copy):
    """Three runs that differ in their seed, scored."""
    runs = [filled.fill(copy(f"seed-{seed}", seed=seed)) for seed in range(3)]
    for run, fid in zip(runs, (8.0, 9.0, 11.5), strict=True):
        filled.evaluate(run, fid=fid)
    return runs


def refusal(runs):
    with pytest.raises(UserError) as caught:
        compare(runs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_row_holds_what_the_run_is_and_what_it_scored(seeds):
    row = compare(seeds).rows[1]
    assert (row.path, row.recipe, row.data, row.seed, row.steps) == (seeds[1].path, "mlp", "discs", 1, 6)
    assert (row.seconds, row.images_seen) == (20.0, 64 * 200)
    assert row.scores["fid"] == 9.0
    assert row.protocol == filled.EVALUATION["protocol"]["text"]


def test_runs_that_differ_in_their_seed_alone_have_a_mean_and_a_deviation(seeds):
    (group,) = compare(seeds).groups
    fid = group.means["fid"]
    assert math.isclose(fid.mean, statistics.fmean([8.0, 9.0, 11.5]))
    assert math.isclose(fid.deviation, statistics.stdev([8.0, 9.0, 11.5]))
    assert fid.count == 3


def test_runs_that_differ_in_more_are_not_averaged(copy, seeds):
    record = seeds[0].record
    others = [
        copy("recipe", seed=5, recipe=record.recipe.with_overrides({"latent.size": 7})),
        copy("data", seed=6, data=record.data.model_copy(update={"fingerprint": "0" * 64})),
        copy("length", seed=7, recipe=record.recipe.with_overrides({"length": 9})),
    ]
    assert [len(group.rows) for group in compare([*others, *seeds]).groups] == [1, 1, 1, 3]


def test_words_and_schedule_of_a_recipe_do_not_separate_runs(copy, seeds):
    recipe = seeds[0].record.recipe.with_overrides({"name": "other", "log_interval": 3})
    other = copy("schedule", seed=9, recipe=recipe)
    assert [len(group.rows) for group in compare([*seeds, other]).groups] == [4]


def test_the_same_seed_twice_is_no_second_measurement(copy, seeds):
    again = filled.fill(copy("again", seed=1))
    groups = compare([*seeds, again]).groups
    assert [len(group.rows) for group in groups] == [3, 1]
    assert groups[1].means["fid"].deviation is None


def test_different_protocols_are_refused_by_name_with_the_way_out(seeds):
    filled.evaluate(seeds[2], protocol={"features": "gv1", "images": 500, "text": "gv1, 500 images"})
    line = refusal(seeds)
    for words in (
        "gv1 (1a2b3c4d), 10,000 images against mnist", "gv1, 500 images",
        "evaluate each of them again with the same count",
        str(seeds[0].path), str(seeds[2].path),
    ):  # fmt: skip
        assert words in line


def test_protocols_that_differ_in_words_alone_are_equal(seeds):
    known = filled.EVALUATION["protocol"]
    filled.evaluate(seeds[2], protocol={**known, "text": "in other words"})
    assert len(compare(seeds).rows) == 3


def test_a_protocol_and_none_are_different(seeds):
    filled.evaluate(seeds[2], protocol=None)
    assert "an unnamed protocol" in refusal(seeds)


def test_no_runs_and_one_run_twice_are_refused(seeds):
    assert "no runs to compare" in refusal([])
    assert "named twice" in refusal([seeds[0], seeds[1], seeds[0]])


def test_a_run_without_scores_has_dashes_and_a_command(copy, seeds):
    comparison = compare([*seeds, copy("un scored", seed=8)])
    assert [row.path.name for row in comparison.unscored] == ["un scored"]
    lines = comparison.lines()
    line = next(line for line in lines if "un scored" in line)
    assert line.split()[-8:-2] == ["–"] * 6
    assert f"no scores yet: ganvas evaluate '{comparison.unscored[0].path}'" in lines
    assert any("mean of 4 (3 scored)" in line for line in lines)


def test_the_lines_are_an_aligned_table(seeds):
    lines = compare(seeds).lines()
    head, *rows = lines[:6]
    assert re.split(r" {2,}", head) == [
        "run", "recipe", "data", "seed", "steps", "FID (real data)", "KID", "Precision", "Recall", "Density",
        "Coverage", "Modes", "time",
    ]  # fmt: skip
    assert "8.00 (1.84)" in rows[0]
    assert "2 of 3" in rows[0]
    assert "9.50 (1.84)" in rows[3]
    assert "± 1.80" in rows[4]
    end = head.index("KID") + 3
    for row in rows:
        assert row[end - 1] != " "
        assert row[end : end + 2] == "  "


def test_names_that_would_break_a_terminal_are_shown_escaped(copy):
    run = copy("a\x1b[31mb\nc")
    lines = compare([run]).lines()
    assert all(line.isprintable() for line in lines)
    assert r"a\x1b[31mb\nc" in lines[1]


def test_scores_are_placed_at_the_time_and_images_of_their_step(seeds):
    row = compare(seeds).rows[0]
    assert list(row.by_images.x) == [64 * 40 * i for i in range(1, 6)]
    assert list(row.by_seconds.x) == pytest.approx([4.0 * i for i in range(1, 6)])
    assert list(row.by_seconds.y) == [90.0, 30.0, 12.0, 8.0, 9.5]


def test_the_page_shows_tables_curves_and_grids(copy, seeds, tmp_path):
    other = copy("unscored", seed=8)
    out = comparison_page(compare([*seeds, other]), tmp_path / "new" / "page.html")
    page = Page(out)
    assert (page.open, page.unmatched) == ([], [])
    assert out == tmp_path / "new" / "page.html"
    assert len([a for a in page.all("table") if a["class"] == "sortable"]) == 2
    assert page.source.count('class="chart"') == 2
    assert len(page.all("img")) == 4
    assert "unscored has no scores yet." in page.text
    assert "9.50 ± 1.80" in page.text
    for _, attributes in page.elements:
        for key in ("src", "href"):
            assert attributes.get(key, "data:").startswith("data:")


def test_curves_of_different_protocols_are_not_laid_over_each_other(seeds, tmp_path):
    filled.log(seeds[1], [filled.reading(9), filled.score(5, 8.0, protocol="gv1-other")])
    page = Page(comparison_page(compare(seeds), tmp_path / "page.html"))
    assert 'class="chart"' not in page.source
    assert f"{filled.PROTOCOL}; gv1-other" in page.text


def test_runs_with_nothing_in_them_still_give_a_page(copy, tmp_path):
    run = copy()
    run.directory.metrics.unlink()
    for path in run.directory.sample_files():
        path.unlink()
    page = Page(comparison_page(compare([run]), tmp_path / "page.html"))
    assert "None of these runs was scored while it trained." in page.text
    assert "No whole grid here." in page.text


def test_names_are_as_short_as_they_can_be(tmp_path):
    paths = [tmp_path / "runs" / name for name in ("a", "b/c")]
    assert short_names(paths) == ["a", "b/c"]
    assert short_names(paths[:1]) == ["a"]
    assert short_names([tmp_path / "x", tmp_path]) == ["x", tmp_path.name]


PLUGIN = """
import ganvas

@ganvas.register.metric("sharpness", title="Sharpness", better="higher", meaning="how sharp edges are")
def sharpness(fake, real):
    return float(fake.std() / real.std())
"""


@pytest.fixture
def plugin(tmp_path):
    """A plugin with a metric of its own, which is forgotten after the test."""
    path = tmp_path / "sharp.py"
    path.write_text(PLUGIN)
    yield str(path)
    CUSTOM_METRICS.remove("sharpness")


def table_heads(page):
    """The heads of the tables of a comparison's page, in order."""
    return re.findall(r"<th scope=\"col\"[^>]*><button[^>]*>([^<]*)</button></th>", page.source)


def test_a_metric_of_a_plugin_is_evaluated_reported_and_compared_by_the_commands(
    copy, tmp_path, plugin, capsys
):
    runs = [copy("a", seed=0), copy("b", seed=1)]
    scores = []
    for run in runs:
        assert cli.main(["evaluate", str(run.path), "--count", "30", "--plugin", plugin]) == 0
        (evaluation,) = history.read_evaluations(run.directory.evaluation)
        scores.append(evaluation["sharpness"])
        assert re.search(r"Sharpness +[\d.]+ +[\d.]+ +higher is better", capsys.readouterr().out)
        assert evaluation["sharpness_baseline"] > 0
    assert scores[0] > 0

    assert cli.main(["report", str(runs[0].path), "--plugin", plugin]) == 0
    assert f"Sharpness {format_number(scores[0])}" in Page(runs[0].directory.report).text
    capsys.readouterr()

    paths = [str(run.path) for run in runs]
    page, table = tmp_path / "page.html", tmp_path / "table.csv"
    assert cli.main(["compare", *paths, "--out", str(page), "--plugin", plugin]) == 0
    head, first, _, mean, *_ = capsys.readouterr().out.splitlines()
    assert re.split(r" {2,}", head)[-2:] == ["Sharpness", "time"]
    assert first.split()[-3] == format_number(scores[0])
    assert format_number(statistics.fmean(scores)) in mean
    assert table_heads(Page(page)).count("Sharpness") == 2  # of the runs, and of the means over seeds
    assert format_number(scores[1]) in Page(page).text
    assert cli.main(["compare", *paths, "--out", str(table), "--plugin", plugin]) == 0
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [float(row["sharpness"]) for row in rows] == scores


def test_the_page_compares_by_every_metric_and_the_terminal_by_the_main_ones(seeds, tmp_path):
    comparison = compare(seeds)
    titles = [metric.title for metric in METRICS if metric.key != "cas"]  # of conditional runs
    heads = table_heads(Page(comparison_page(comparison, tmp_path / "page.html")))
    assert heads[5 : 5 + len(titles)] == titles
    assert not {"Vendi score", "Copies"} & set(re.split(r" {2,}", comparison.lines()[0]))


def test_the_csv_has_a_column_for_each_score_in_the_order_of_the_metrics_and_each_name_once(seeds, tmp_path):
    filled.evaluate(seeds[1], seconds=12.5, an_older_score=3.5)
    text = compare(seeds).save(tmp_path / "table.csv").read_text()
    head, *rows = csv.reader(io.StringIO(text))
    assert len(set(head)) == len(head)
    assert head[:10] == [
        "path", "recipe", "data", "seed", "steps", "seconds", "images_seen", "fid", "fid_stderr",
        "fid_baseline",
    ]  # fmt: skip
    assert [row[head.index("seconds")] for row in rows] == ["20.0"] * 3  # of training, not of evaluating
    assert [row[head.index("an_older_score")] for row in rows] == ["", "3.5", ""]
    assert {metric.key for metric in METRICS} - {"cas"} <= set(head)


@pytest.mark.parametrize(
    "name", ["=HYPERLINK(A1)", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "discs"]
)
def test_a_name_from_a_run_is_no_formula_in_a_spreadsheet(copy, tmp_path, name):
    run = copy()
    run.directory.write(
        run.record.model_copy(update={"data": run.record.data.model_copy(update={"name": name})})
    )
    text = compare([type(run).open(run.path)]).save(tmp_path / "table.csv").read_text()
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["data"] == (name if name == "discs" else f"'{name}")
