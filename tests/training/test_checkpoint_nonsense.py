"""Checkpoints whose hashes fit and whose content is nonsense: refused in one line, never loaded."""

import json
import os
import shutil
import struct

import pytest
import safetensors.torch
import torch
from small import CPU, SHAPE, recipe_of, trained
from test_checkpoint import FILES, refusal, replaced, sealed

from ganvas.training import checkpoint

TENSORS = [name for name in FILES if name != "state.json"]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A checkpoint with everything that one can have."""
    recipe = recipe_of("tutorial-dcgan", ema=0.9, augment={"target": 0.6})
    return checkpoint.save(tmp_path_factory.mktemp("checkpoints"), trained(recipe), recipe)


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / original.name)


def refused(folder, word):
    """The line with which loading is refused; it names what is wrong."""
    line = refusal(lambda: checkpoint.load(folder, SHAPE, CPU))
    assert "is damaged: " in line
    assert word in line
    assert len(line) < 500
    assert line.isprintable()
    return line


NUMBERS = [
    -1,
    2**63,
    10**400,
    1.5,
    float("nan"),
    float("inf"),
    "3",
    "x" * 10_000,
    None,
    True,
    [],
    [3],
    {},
    [[[]]],
]
KEYS = [
    ("step",), ("images_seen",), ("averaged",), ("optimizer_steps", "generator"),
    ("optimizer_steps", "discriminator"), ("files", "generator.safetensors", "bytes"),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_a_count_that_is_none_is_refused_by_its_name(folder, key):
    for value in NUMBERS:

        def change(values, value=value):
            for name in key[:-1]:
                values = values[name]
            values[key[-1]] = value

        state = (folder / "state.json").read_bytes()
        sealed(folder, change)
        refused(folder, f"state.json: {'.'.join(key)}")
        (folder / "state.json").write_bytes(state)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("step", [4, 0]),
        ("format", ["2", None, 1.5, 0, -1, True, [1], {}, "x" * 10_000]),
        ("adaptive", [[], [0.5], [2, 0, 0], [float("nan"), 0, 0], [0, 0, -1], ["a", 0, 0], [0] * 999, "x"]),
        ("optimizer_steps", [None, {}, {"generator": 3}, dict.fromkeys(("generator", "third"), 3), [3, 3]]),
        ("files", [None, [], {"a": 1}, {"../../x": {"bytes": 1, "sha256": "0" * 64}}, {FILES[0]: {}}]),
        ("recipe", [None, [], "mlp", {}, {"name": "x"}, {"generator": {"widths": [1] * 10**5}}]),
        ("more", [1]),
    ],
)  # fmt: skip
def test_a_state_that_says_nonsense_is_refused_by_the_key(folder, key, values):
    state = (folder / "state.json").read_bytes()
    for value in values:
        sealed(folder, lambda content, value=value: content.update({key: value}))
        refused(folder, "state.json")
        (folder / "state.json").write_bytes(state)


@pytest.mark.parametrize(
    "key", ["format", "step", "images_seen", "averaged", "optimizer_steps", "recipe", "files"]
)
def test_a_state_without_a_key_is_refused(folder, key):
    sealed(folder, lambda values: values.pop(key))
    refused(folder, "state.json")


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 100_000, '{"a": ' * 100_000, '{"format": ' + "[" * 900 + "]" * 900 + "}"),
        *('{"format": 1e400}', '{"format": NaN}', '{"format": 1, "checksum": [[]]}', "9" * 10_000),
        *("\ud800", "\0", " " * 2_000_000, ""),
    ],
)
def test_a_state_file_of_hostile_text_is_refused(folder, text):
    (folder / "state.json").write_text(text, errors="surrogatepass")
    refused(folder, "state.json")


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_regular_file_or_too_large_is_refused_and_not_opened(folder, name):
    path, elsewhere = folder / name, folder / "elsewhere"
    content = path.read_bytes()
    makers = [
        lambda: os.mkfifo(path),
        lambda: path.symlink_to("/dev/zero"),
        lambda: (elsewhere.write_bytes(content), path.symlink_to(elsewhere)),
        lambda: path.symlink_to("nowhere"),
        lambda: path.symlink_to(path),
        lambda: os.truncate(os.open(path, os.O_RDWR | os.O_CREAT), 2**40),  # a terabyte of holes
    ]
    for make in makers:
        path.unlink()
        make()
        refused(folder, name)
        assert name in refusal(lambda: checkpoint.verify(folder))


def test_a_terabyte_of_holes_that_is_announced_is_not_read(folder):
    name = "generator.safetensors"
    os.truncate(folder / name, 2**40)
    sealed(folder, lambda values: values["files"][name].update(bytes=2**40))
    refused(folder, f"{name}: it has 1,099,511,627,776 bytes")


def tensors_of(path):
    return safetensors.torch.load(path.read_bytes())


def kernel(tensors):
    """The name of one whose shape reads otherwise backwards."""
    return min(name for name, tensor in tensors.items() if tensor.shape != tensor.shape[::-1])


def other_dtype(dtype):
    def change(tensors):
        name = kernel(tensors)
        tensors[name] = tensors[name].to(dtype)

    return change


def all_of(value):
    def change(tensors):
        tensors[kernel(tensors)].view(-1)[-1] = value

    return change


def reshaped(shape_of):
    def change(tensors):
        name = kernel(tensors)
        tensors[name] = torch.zeros(shape_of(tensors[name].shape))

    return change


CHANGES = {
    "none": lambda tensors: tensors.clear(),
    "one missing": lambda tensors: tensors.pop(kernel(tensors)),
    "one too many": lambda tensors: tensors.update(extra=torch.zeros(3)),
    "a hostile name": lambda tensors: tensors.update({"\x1b[2J\nganvas: all is well": torch.zeros(3)}),
    "a long name": lambda tensors: tensors.update({"x" * 3000: torch.zeros(3)}),
    "renamed": lambda tensors: tensors.update({"0": tensors.pop(kernel(tensors))}),
    "BF16": other_dtype(torch.bfloat16),
    "F16": other_dtype(torch.float16),
    "F64": other_dtype(torch.float64),
    "F8": other_dtype(torch.float8_e4m3fn),
    "I64": other_dtype(torch.int64),
    "BOOL": other_dtype(torch.bool),
    "C64": other_dtype(torch.complex64),
    "NaN": all_of(float("nan")),
    "infinite": all_of(float("-inf")),
    "transposed": reshaped(lambda shape: shape[::-1]),
    "flat": reshaped(lambda shape: (shape.numel(),)),
    "one number": reshaped(lambda shape: (1,) * len(shape)),
    "a scalar": reshaped(lambda shape: ()),
    "empty": reshaped(lambda shape: (0, *shape)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("name", TENSORS)
def test_tensors_that_are_not_the_recipes_are_refused_by_the_file(folder, name, change):
    tensors = tensors_of(folder / name)
    change(tensors)
    replaced(folder, name, safetensors.torch.save(tensors))
    line = refused(folder, name)
    assert line.endswith("; remove this folder to take the checkpoint before it") or "bytes" in line


def header(entries, data=b"", length=None):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


HEADERS = {
    "F4": header({"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}, b"\0"),
    "F8_E8M0": header({"a": {"dtype": "F8_E8M0", "shape": [2], "data_offsets": [0, 2]}}, b"\0\0"),
    "unknown dtype": header({"a": {"dtype": "Q7", "shape": [2], "data_offsets": [0, 1]}}, b"\0"),
    "no dtype": header({"a": {"shape": [2], "data_offsets": [0, 1]}}, b"\0"),
    "huge shape": header({"a": {"dtype": "F32", "shape": [2**63, 2**63], "data_offsets": [0, 4]}}, b"\0" * 4),
    "negative shape": header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"\0" * 4),
    "offsets beyond": header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**60]}}, b"\0" * 4),
    "offsets backwards": header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"\0" * 4),
    "overlap": header({n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "ab"}, b"\0" * 4),
    "hole": header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, b"\0" * 8),
    "more data": header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 64),
    "metadata only": header({"__metadata__": {"a": "b"}}),
    "metadata of numbers": header({"__metadata__": {"a": 1}}),
    "list": header(b"[]"),
    "number": header(b"3"),
    "deep": header(b'{"a":' * 20_000),
    "not UTF-8": header(b'{"\xff": 1}'),
    "surrogate": header(b'{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"\0" * 4),
    "length of 2^63": header({}, length=2**63),
    "length of 2^64 - 1": header({}, length=2**64 - 1),
    "length beyond the file": header({}, length=1000),
    "length 0": header(b"", length=0),
    "seven bytes": b"\0" * 7,
    "nothing": b"",
    "text": b"not a tensor in sight",
}


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("name", ["generator.safetensors", "discriminator_optimizer.safetensors"])
def test_a_header_of_nonsense_is_refused_by_the_file(folder, name, content):
    replaced(folder, name, content)
    refused(folder, name)


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_a_saved_generator_of_nonsense_is_refused(tmp_path, content):
    path = tmp_path / "epoch-0001.safetensors"
    path.write_bytes(content)
    line = refusal(lambda: checkpoint.load_weights(path, trained(recipe_of("mlp"), steps=0).generator))
    assert f"{path} is damaged: " in line or f"cannot read {path}: it has 100,008 bytes" in line
    assert len(line) < 500


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_saved_generator_of_other_tensors_is_refused(tmp_path, original, change):
    tensors = tensors_of(original / "generator.safetensors")
    generator = trained(recipe_of("tutorial-dcgan"), steps=0).generator
    path = tmp_path / "epoch-0001.safetensors"
    path.write_bytes(safetensors.torch.save(tensors))
    checkpoint.load_weights(path, generator)
    change(tensors)
    path.write_bytes(safetensors.torch.save(tensors))
    assert f"{path} is damaged: " in refusal(lambda: checkpoint.load_weights(path, generator))
