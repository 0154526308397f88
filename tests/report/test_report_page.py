"""The page of a run: what it says, what it needs, and what it says where there is nothing to say."""

import base64
import hashlib
import json
import re
import shutil

import filled
import numpy as np
import pytest
from reading import Page

from ganvas.evaluation.metric_info import COMPARED, METRICS
from ganvas.report import Extras, report
from ganvas.runs.directory import ForkRecord
from tiny import images


def page_of(run, **how):
    page = Page(report(run, **how))
    assert page.open == []
    assert page.unmatched == []
    return page


def test_the_page_lies_in_the_run_directory_or_where_it_is_wanted(run, tmp_path):
    assert report(run) == run.path / "report.html"
    out = tmp_path / "new" / "folder" / "a.html"
    assert report(run, out) == out
    assert out.read_bytes() == report(run).read_bytes()


def test_the_head_says_what_was_trained_on_what_how_far_and_where(full):
    text, r = page_of(full).text, full.record
    for fact in (
        "mlp: the fully connected GAN", "discs (train): 72 images of 12 × 12 pixels, gray", "step 6 of 6",
        r.data.fingerprint[:16], r.created[:10], f"torch {r.machine['torch']}", "1 thread", r.notes[0],
        f"It was made with ganvas {r.ganvas}",
    ):  # fmt: skip
        assert fact in text


def test_the_command_that_made_the_run_is_there_to_be_copied(copy):
    run = copy(command="ganvas train mlp --data 'my discs.npz' --set latent.size=8")
    page = page_of(run)
    assert "ganvas train mlp --data 'my discs.npz' --set latent.size=8" in page.text
    assert {"type": "button", "class": "copy", "aria-label": "Copy to the clipboard"} in page.all("button")


def test_a_run_made_from_python_is_repeated_by_its_recipe(run):
    text = page_of(run).text
    assert f"ganvas train recipe.json --data {run.record.data.requested} --seed 0" in text
    assert json.loads(text[text.index("{") : text.rindex("}") + 1]) == json.loads(run.recipe.to_json())


def test_a_run_that_was_forked_says_where_and_with_what(copy):
    run = copy(fork=ForkRecord(parent="runs/parent", step=400, overrides={"batch_size": 8, "name": "<b>"}))
    assert 'runs/parent, at step 400, with batch_size = 8, name = "<b>"' in page_of(run).text


def test_the_table_shows_each_score_with_standard_error_baseline_and_meaning(full):
    text = page_of(full).text
    assert "FID 7.93 ± 0.08 1.84 ↓ lower how far the generated images" in text
    assert "KID 0.00413 ± 0.00031 0.000120 ↓ lower" in text
    assert "Modes 2 of 3 – ↑ higher" in text
    for metric in METRICS:
        if metric.key == "cas":  # of conditional runs
            continue
        assert f"{metric.title} " in text
        assert metric.meaning in text
    assert filled.EVALUATION["protocol"]["text"] in text


def test_scores_that_are_missing_or_no_numbers_are_left_out(full):
    filled.evaluate(
        full, kid=None, recall="much", vendi=[1], coverage=True, precision_baseline=None, fid_baseline=[]
    )
    text = page_of(full).text
    for title in ("KID", "Recall", "Vendi score", "Coverage"):
        assert f"{title} " not in text[text.index("What it says") : text.index("Real data:")]
    assert "Precision 0.742 ± 0.004 – ↑ higher" in text


def test_the_last_health_message_of_each_kind_is_shown_in_its_color(full):
    lines = [filled.health(i, "collapse", f"Only {9 - i} classes are left.") for i in range(3)]
    filled.log(full, [*lines, filled.health(9, "discriminator", "D wins."), filled.health(9, "new", "Hm.")])
    page = page_of(full)
    assert "Only 7 classes are left. (during training, at step 2, the last of 3 times)" in page.text
    assert "Only 9 classes" not in page.text
    callouts = [a["class"] for a in page.all("p") if "callout" in a.get("class", "")]
    assert callouts.count("callout warn") == 2  # the collapse, and the missing class
    assert callouts.count("callout advice") == 2 + len(full.record.notes)


def test_the_best_score_is_marked_and_the_curves_are_drawn(full):
    page = page_of(full)
    assert "best: 8.00 at step 160" in page.text
    assert page.source.count('class="chart"') == 5
    strokes = [a for a in page.all("path") if "stroke" in a["class"]]
    assert len(strokes) == 4 + 4 + 1 + 4 + 1 + 8  # noisy lines have a mean, legends a swatch for each line
    assert not [a for a in strokes if re.search("nan|inf", a["d"])]


def test_scores_of_an_earlier_protocol_are_left_out(full):
    old = [filled.score(i, 1.0, protocol="gv1-old, 500 images") for i in (1, 2)]
    filled.log(full, [*old, filled.score(3, 9.0), filled.score(4, 8.5)])
    text = page_of(full).text
    assert "best: 8.50 at step 4" in text
    assert "2 earlier scores" in text


def test_classes_are_shown_beside_their_real_frequencies_and_the_missing_ones_named(full):
    page = page_of(full)
    assert "This class is missing, never or almost never generated: eel" in page.text
    assert "cat 75.0% real 50.0%" in page.text
    bars = [(a["class"], a["style"]) for a in page.all("i") if a.get("class") in ("fraction", "real")]
    assert bars[:2] == [("fraction", "width:100.00%"), ("real", "left:66.67%")]


def test_neighbors_are_shown_with_their_distances(full):
    samples = images(4, (3, 12, 12))
    extras = Extras([(samples[0], list(samples[1:]), [1.25, 2.5, 1e-9])], "Held-out ones lie at 3.1.")
    page = page_of(full, extras=extras)
    for words in ("Held-out ones lie at 3.1.", "generated", "1.25", "2.50", "1.00e-09"):
        assert words in page.text
    assert len([a for a in page.all("img") if a["alt"].startswith("Training image")]) == 3


def test_a_run_without_scores_says_which_command_gives_them(run):
    page = page_of(run)
    commands = page.text.count(f"ganvas evaluate {run.path}")
    assert commands == 3
    assert "nothing is known yet about the quality of its images" in page.text


def test_the_last_training_score_stands_in_for_an_evaluation(run):
    filled.log(run, [filled.score(3, 33.0), filled.score(6, 22.0)])
    text = page_of(run).text
    assert "the last score computed during training, at step 6, without real-data baselines" in text
    assert "FID 22.0 – ↓ lower" in text


def test_an_evaluation_of_another_step_says_so(full):
    filled.evaluate(full, step=4)
    assert f"ganvas evaluate {full.path} --step 6" in page_of(full).text
    filled.evaluate(full, step=6)
    assert "--step 6" not in page_of(full).text


def test_a_run_at_step_0_with_nothing_in_it_still_gives_a_page(run):
    run.directory.metrics.unlink()
    for folder in (run.directory.checkpoints, run.directory.samples):
        shutil.rmtree(folder)
    page = page_of(run)
    assert "step 0 of 6, epoch 0, not finished" in page.text
    assert page.source.count('class="empty"') == 6
    assert page.text.count(f"ganvas resume {run.path}") == 2
    assert page.all("img") == []


@pytest.mark.parametrize(
    "damage",
    [b"\xff\xfe\x00", b"[]", b"{", b"null", b"[" * 100_000, b'{"fid": ' + b"9" * 4000 + b"}"],
)
def test_a_damaged_evaluation_still_gives_a_page(full, damage):
    (full.path / "evaluation.json").write_bytes(damage)
    assert "FID" in page_of(full).text


def test_damaged_lines_and_values_are_passed_over(full):
    lines = [
        '{"step": 5, "discr', "[1]", '{"step": -4, "generator_loss": 1}', '{"step": true}', '{"step": 1e3}',
        '{"step": 7, "generator_loss": NaN, "discriminator_loss": Infinity}', '{"step": 8, "score": 3}',
        '{"step": 8, "generator_loss": "1", "discriminator_loss": [2], "real_probability": 1e300}',
        '{"step": 9, "score": {"fid": null, "kid": "x"}, "protocol": 4}', '{"step": 9, "health": "x"}',
        '{"step": ' + "9" * 4000 + ', "generator_loss": 1}', "\x00\udcff".encode("utf-8", "replace").decode(),
        json.dumps(filled.reading(2)), json.dumps(filled.score(3, 12.5)),
    ]  # fmt: skip
    full.directory.metrics.write_text("\n".join(lines))
    page = page_of(full)
    assert "best: 12.5 at step 3" in page.text
    assert "NaN" not in page.source


def test_nothing_is_loaded_from_anywhere(full):
    samples = images(2)
    page = page_of(full, extras=Extras([(samples[0], [samples[1]], [1.0])]))
    for name, attributes in page.elements:
        for key in ("src", "href", "srcset", "action", "data", "poster", "background"):
            assert attributes.get(key, "data:").startswith("data:"), (name, attributes)
        assert not [key for key in attributes if key.startswith("on")]
    assert {name for name, _ in page.elements}.isdisjoint({"iframe", "object", "embed", "base", "a", "form"})
    assert not re.search(r"@import|url\(|https?:|//[a-z]+\.", page.source)


def test_only_the_pages_own_script_may_run(full):
    page = page_of(full)
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    *data, script = re.findall(r"<script[^>]*>(.*?)</script>", page.source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert all(json.loads(block) for block in data)


def test_a_long_run_gives_a_small_page(full):
    rng = np.random.default_rng(0)
    lines = [filled.reading(i, generator_loss=float(x)) for i, x in enumerate(rng.normal(size=20_000))]
    filled.log(full, lines)
    assert report(full).stat().st_size < 500_000


def test_the_same_run_gives_the_same_page(full):
    assert report(full).read_bytes() == report(full).read_bytes()


def test_metrics_are_named_once_and_the_compared_ones_are_among_them():
    keys = [metric.key for metric in METRICS]
    assert len(set(keys)) == len(keys)
    assert set(COMPARED) <= set(keys)
    assert {metric.better for metric in METRICS} == {"lower", "higher", "nearer 0"}
