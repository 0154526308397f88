"""Checkpoints: the same bits back, every damage refused in one line, the newest whole one chosen."""

import errno
import hashlib
import json
import shutil
from typing import Literal

import pytest
from small import CPU, NAMES, SHAPE, all_bits, bits, random_of, real_images, recipe_of, state_of, trained
from torch import nn

from ganvas.errors import RunError, StorageError
from ganvas.networks import GeneratorSpec
from ganvas.networks.conditioning import Batch
from ganvas.training import checkpoint, updates

FILES = [
    "discriminator.safetensors",
    "discriminator_optimizer.safetensors",
    "generator.safetensors",
    "generator_ema.safetensors",
    "generator_optimizer.safetensors",
    "state.json",
]


@pytest.fixture(scope="module")
def recipe():
    return recipe_of("tutorial-dcgan", ema=0.9)


@pytest.fixture(scope="module")
def state(recipe):
    return trained(recipe)


@pytest.fixture
def folder(tmp_path, state, recipe):
    return checkpoint.save(tmp_path / "checkpoints", state, recipe)


def refusal(call):
    with pytest.raises(RunError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def load(folder):
    return checkpoint.load(folder, SHAPE, CPU)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("steps", [0, 2])
def test_a_state_goes_to_disk_and_back_bit_by_bit(tmp_path, name, ema, steps):
    recipe = recipe_of(name, ema=ema)
    state = trained(recipe, steps=steps)
    back = load(checkpoint.save(tmp_path, state, recipe))
    assert all_bits(back) == all_bits(state)


@pytest.mark.parametrize("name", NAMES)
def test_training_goes_on_from_a_checkpoint_to_the_same_bits(tmp_path, name):
    recipe = recipe_of(name)
    state = trained(recipe)
    back = load(checkpoint.save(tmp_path, state, recipe))
    for each in (state, back):
        for step in (3, 4):
            updates.make_update(recipe)(each, Batch(real_images(recipe, seed=step)), random_of(recipe, step))
    assert all_bits(back) == all_bits(state)


def test_a_checkpoint_is_safetensors_and_json_and_nothing_else(folder):
    assert sorted(p.name for p in folder.iterdir()) == FILES
    assert [p.name for p in folder.parent.iterdir()] == ["00000003"]
    assert json.loads((folder / "state.json").read_bytes())["step"] == 3
    for path in folder.glob("*.safetensors"):
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        header.pop("__metadata__", None)
        assert {entry["dtype"] for entry in header.values()} == {"F32"}
        assert max(entry["data_offsets"][1] for entry in header.values()) == len(content) - 8 - size


def test_one_network_can_be_read_alone(folder, state, recipe):
    for name, expected in [
        ("generator", state.generator),
        ("generator_ema", state.ema.module),
        ("discriminator", state.discriminator),
    ]:
        empty = state_of(recipe, seed=9)
        network = empty.discriminator if name == "discriminator" else empty.generator
        checkpoint.load_network(folder, name, network)
        assert bits(network) == bits(expected)


def truncated(path):
    path.write_bytes(path.read_bytes()[:-7])


def emptied(path):
    path.write_bytes(b"")


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def removed(path):
    path.unlink()


def a_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = [truncated, emptied, flipped, removed, a_folder]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_every_damage_to_every_file_is_refused_by_its_name(folder, file, damage):
    damage(folder / file)
    line = refusal(lambda: load(folder))
    assert str(folder) in line
    assert file in line


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_the_newest_valid_checkpoint_is_the_one_before_a_damaged_one(tmp_path, recipe, state, file, damage):
    older, newer = trained(recipe, steps=1), trained(recipe, steps=2)
    for each in (older, newer, state):
        checkpoint.save(tmp_path, each, recipe)
    assert checkpoint.latest_valid(tmp_path) == (tmp_path / "00000003", [])
    damage(tmp_path / "00000003" / file)
    path, (note,) = checkpoint.latest_valid(tmp_path)
    assert path == tmp_path / "00000002"
    assert "\n" not in note
    assert file in note
    assert note.endswith("falling back to the one before it")
    shutil.rmtree(tmp_path / "00000002")
    (tmp_path / "00000002").mkdir()  # nothing in it
    path, notes = checkpoint.latest_valid(tmp_path)
    assert (path, len(notes)) == (tmp_path / "00000001", 2)


def test_no_whole_checkpoint_is_one_line_that_says_why(tmp_path, folder):
    assert "yet" in refusal(lambda: checkpoint.latest_valid(tmp_path / "nowhere"))
    removed(folder / "generator.safetensors")
    assert "generator.safetensors" in refusal(lambda: checkpoint.latest_valid(folder.parent))


@pytest.mark.parametrize(
    "edit",
    [
        lambda v: v.update(step=4),
        lambda v: v.update(images_seen=0),
        lambda v: v["recipe"].update(batch_size=9),
        lambda v: v["optimizer_steps"].update(generator=1),
        lambda v: v["files"].pop("generator.safetensors"),
        lambda v: v.pop("recipe"),
        lambda v: v.pop("checksum"),
        lambda v: v.update(more=1),
    ],
)
def test_an_edited_state_is_refused(folder, edit):
    path = folder / "state.json"
    values = json.loads(path.read_bytes())
    edit(values)
    path.write_text(json.dumps(values))
    assert "state.json was edited" in refusal(lambda: load(folder))


@pytest.mark.parametrize("content", [b"[]", b"3", b'"format"', b"{}", b"\xff\xfe\x00", b"{", b"null"])
def test_a_state_that_is_none_is_refused(folder, content):
    (folder / "state.json").write_bytes(content)
    assert "state.json" in refusal(lambda: load(folder))


@pytest.mark.parametrize("version", [2, 99, 10**400])
def test_a_newer_format_is_refused_with_what_to_do(folder, version):
    path = folder / "state.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"format": version}))
    assert "update ganvas" in refusal(lambda: load(folder))


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 16, 16)])
def test_a_checkpoint_for_images_of_another_shape_is_refused(folder, shape):
    line = refusal(lambda: checkpoint.load(folder, shape, CPU))
    assert "does not fit" in line


def sealed(folder, change):
    """Change what `state.json` says, with a checksum that fits: no damage, but a wrong writer."""
    path = folder / "state.json"
    values = json.loads(path.read_bytes())
    values.pop("checksum")
    change(values)
    checksum = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(values | {"checksum": checksum}))


def replaced(folder, name, content):
    """Replace a file's content, with a hash and a checksum that fit."""
    (folder / name).write_bytes(content)
    digest = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    sealed(folder, lambda values: values["files"].update({name: digest}))


@pytest.mark.parametrize("name", [name for name in FILES if name != "state.json"])
def test_a_file_that_is_no_safetensors_is_refused_though_its_hash_fits(folder, name):
    replaced(folder, name, b"not a tensor in sight")
    assert name in refusal(lambda: load(folder))


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_moments_of_other_weights_are_refused(folder, player):
    other = "generator" if player == "discriminator" else "discriminator"
    name = f"{player}_optimizer.safetensors"
    replaced(folder, name, (folder / f"{other}_optimizer.safetensors").read_bytes())
    assert name in refusal(lambda: load(folder))


def test_saving_a_step_again_replaces_a_damaged_checkpoint(folder, state, recipe):
    flipped(folder / "generator.safetensors")
    checkpoint.save(folder.parent, state, recipe)
    assert all_bits(load(folder)) == all_bits(state)
    assert [p.name for p in folder.parent.iterdir()] == ["00000003"]


@pytest.mark.parametrize("writes", range(len(FILES)))
def test_a_failed_save_leaves_older_checkpoints_and_nothing_aside(tmp_path, monkeypatch, recipe, writes):
    older = checkpoint.save(tmp_path, trained(recipe, steps=1), recipe)
    newer, done = trained(recipe, steps=2), []
    keep = checkpoint.write_and_sync

    def write_and_sync(path, content, *, durable):
        if len(done) == writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        done.append(path)
        keep(path, content, durable=durable)

    monkeypatch.setattr(checkpoint, "write_and_sync", write_and_sync)
    with pytest.raises(StorageError, match="disk is full"):
        checkpoint.save(tmp_path, newer, recipe)
    assert list(tmp_path.iterdir()) == [older]
    assert checkpoint.latest_valid(tmp_path) == (older, [])


@pytest.mark.parametrize(
    ("newest", "keep_every", "left"),
    [
        (1, None, [90]),
        (3, None, [70, 80, 90]),
        (20, None, [10, 20, 30, 40, 50, 60, 70, 80, 90]),
        (2, 30, [30, 60, 80, 90]),
        (1, 40, [40, 80, 90]),
        (1, 7, [70, 90]),
    ],
)
def test_pruning_keeps_the_newest_and_each_nth(tmp_path, newest, keep_every, left):
    for step in range(10, 100, 10):
        checkpoint.checkpoint_path(tmp_path, step).mkdir()
    checkpoint.prune(tmp_path, newest, keep_every)
    assert checkpoint.saved_steps(tmp_path) == left
    assert len(list(tmp_path.iterdir())) == len(left)


def test_what_killed_processes_left_is_no_checkpoint_and_is_removed(tmp_path):
    left = [tmp_path / ".partial-00000007-123", tmp_path / ".partial-00000005-old"]
    for path in [*left, tmp_path / "00000006", tmp_path / "notes"]:
        path.mkdir()
        (path / "file").write_bytes(b"")
    assert checkpoint.saved_steps(tmp_path) == [6]
    checkpoint.remove_partial(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00000006", "notes"]
    checkpoint.remove_partial(tmp_path / "nowhere")  # nothing to do


def test_steps_are_sorted_as_numbers(tmp_path):
    for step in (9, 123456789, 10, 100):
        checkpoint.checkpoint_path(tmp_path, step).mkdir()
    assert checkpoint.saved_steps(tmp_path) == [9, 10, 100, 123456789]
    assert checkpoint.saved_steps(tmp_path / "nowhere") == []


class TiedGenerator(GeneratorSpec):
    kind: Literal["tied-test"] = "tied-test"

    def build(self, image_shape, latent_size, pixel_range):
        first, last = nn.Linear(latent_size, 64), nn.Linear(64, 64)
        twice = nn.Sequential(first, nn.Linear(64, 64), nn.Tanh(), last, nn.Tanh(), nn.Unflatten(1, SHAPE))
        last.weight = twice[1].weight
        return twice


def test_weights_that_two_layers_share_are_saved_and_shared_again(tmp_path):
    recipe = recipe_of("mlp", generator={"kind": "tied-test"}, ema=0.9)
    state = trained(recipe)
    back = load(checkpoint.save(tmp_path, state, recipe))
    assert all_bits(back) == all_bits(state)
    assert back.generator[1].weight is back.generator[3].weight
