"""Runs side by side: the values, the means over seeds, the refusal to mix protocols, the page."""

import math
import re
import statistics

import filled
import pytest
from reading import Page

from ganvas.errors import UserError
from ganvas.report import compare, comparison_page
from ganvas.report.comparison_views import short_names


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


def test_words_and_schedule_of_a_recipe_do_not_part_runs(copy, seeds):
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
        "run", "recipe", "data", "seed", "steps", "FID (real data)", "KID", "precision", "recall", "density",
        "coverage", "modes", "time",
    ]  # fmt: skip
    assert "8.00 (1.84)" in rows[0]
    assert "2 of 3" in rows[0]
    assert "9.50 (1.84)" in rows[3]
    assert "± 1.80" in rows[4]
    end = head.index("KID") + 3
    for row in rows:
        assert row[end - 1] != " "
        assert row[end : end + 2] == "  "


def test_names_that_would_break_a_terminal_are_shown_harmless(copy):
    run = copy("a\x1b[31mb\nc")
    lines = compare([run]).lines()
    assert all(line.isprintable() for line in lines)
    assert "a?[31mb?c" in lines[1]


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
