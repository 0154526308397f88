"""Files that are no files, and names that would speak to the terminal: one printable line each."""

import gzip
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import makers
import numpy as np
import pytest

from ganvas.cli import main
from ganvas.data import ImageSet, describe_dataset, load_dataset, load_images
from ganvas.data.image_files import MOST_FILE_BYTES
from ganvas.errors import DataError, GanvasError, StorageError, first_few, printable

IMAGES, LABELS = makers.gray(), makers.classes()
posix = pytest.mark.skipif(sys.platform == "win32", reason="a system without named pipes and sockets")


def named_pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def folder(path):
    path.mkdir()


def unix_socket(path, _open=[]):  # noqa: B006 - kept open until the process ends
    _open.append(socket.socket(socket.AF_UNIX))
    here = os.open(path.parent, os.O_RDONLY)
    _open[-1].bind(f"/proc/self/fd/{here}/{path.name}" if sys.platform == "linux" else str(path))
    os.close(here)


def dangling_link(path):
    path.symlink_to(path.parent / "nowhere")


KINDS = [named_pipe, device, folder, unix_socket, dangling_link]


def in_place_of_a_file(tmp_path, place):
    """A data set that is whole but for one file, which is missing; returns the set's path and the file's."""
    root = tmp_path / "set"
    root.mkdir()
    if place == "file":
        return root / "a.npy", root / "a.npy"
    if place in makers.TRAIN:
        makers.write_idx_folder(root, IMAGES, LABELS)
        (root / place).unlink()
        return root, root / place
    makers.write_folder(root, makers.png_files(IMAGES, LABELS))
    return root, root / "c1" / "extra.png"


@posix
@pytest.mark.parametrize("place", ["file", *makers.TRAIN, "image"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_refused_in_one_line_and_never_waited_for(tmp_path, kind, place):
    path, file = in_place_of_a_file(tmp_path, place)
    kind(file)
    if kind is folder and place in ("file", "image"):
        pytest.skip("a folder of images may be there")
    with pytest.raises(DataError, match="expected") as caught:
        load_dataset(path)
    assert str(caught.value).isprintable()


@posix
@pytest.mark.parametrize("name", ["mnist.npz", *makers.TRAIN])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_in_the_place_of_a_published_file_is_refused(
    tmp_path, monkeypatch, kind, name
):
    (tmp_path / "mnist").mkdir()
    if name != "mnist.npz":
        makers.write_idx_folder(tmp_path / "mnist", IMAGES, LABELS)
        (tmp_path / "mnist" / name).unlink()
    kind(tmp_path / "mnist" / name)
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path))
    with pytest.raises(DataError, match="expected") as caught:
        load_dataset("mnist", allow_download=False)
    assert str(caught.value).isprintable()


@posix
@pytest.mark.parametrize("kind", [named_pipe, device, unix_socket, dangling_link])
def test_what_is_no_regular_file_beside_images_is_skipped_and_named(tmp_path, kind):
    root = makers.write_folder(tmp_path / "set", makers.png_files(IMAGES))
    kind(root / "control")
    images = load_dataset(root)
    assert len(images) == 12
    assert "skipped: control" in images.note


def test_what_was_skipped_is_named_by_the_data_command_too(tmp_path, capsys):
    makers.write_folder(tmp_path / "set", makers.png_files(IMAGES) | {"notes\x1b.txt": b"text"})
    assert main(["data", str(tmp_path / "set"), "--out", str(tmp_path / "p.png")]) == 0
    assert "files that are not images were skipped: notes\\x1b.txt" in capsys.readouterr().err


@posix
@pytest.mark.parametrize("kind", KINDS)
def test_an_image_for_the_discriminator_that_is_no_regular_file_is_refused(tmp_path, kind):
    kind(tmp_path / "a.png")
    with pytest.raises(DataError, match="expected"):
        load_images(tmp_path / "a.png", shape=(1, 9, 11))


def test_an_image_file_of_gigabytes_is_refused_before_it_is_read(tmp_path):
    path = makers.write(tmp_path / "set/a.webp", makers.encode_png(makers.color(1)[0], "WEBP"))
    with path.open("r+b") as file:
        file.truncate(MOST_FILE_BYTES + 1)  # sparse: it takes no room
    with pytest.raises(DataError, match=r"at most 67,108,864 bytes, got 67,108,865"):
        load_dataset(path.parent)


@pytest.mark.parametrize("other", ["./000.png", "x/../000.png", ".//000.png", "000.png"])
def test_two_members_that_are_one_file_are_refused(tmp_path, other):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in makers.png_files(IMAGES).items():
            archive.writestr(name, data)
        info = zipfile.ZipInfo(other)
        if other == "000.png":
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr(info, makers.encode_png(IMAGES[1]))
        else:
            archive.writestr(info, makers.encode_png(IMAGES[1]))
    with pytest.raises(DataError, match=r"twice|stay inside"):
        load_dataset(path)


@pytest.mark.parametrize("name", ["", ".", "./.", "a/.."])
@pytest.mark.parametrize("others", [{}, {"0.png": makers.encode_png(IMAGES[0])}])
def test_members_without_a_name_are_refused(tmp_path, name, others):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for other, data in others.items():
            archive.writestr(other, data)
        archive.writestr(zipfile.ZipInfo(name), makers.encode_png(IMAGES[0]))
    with pytest.raises(DataError, match=r"names of files|stay inside"):
        load_dataset(tmp_path / "a.zip")


@pytest.mark.parametrize(
    "path", ["~nobody-of-this-name", "~nobody-of-this-name/x", "x" * 5000, "./" + "x" * 300]
)
def test_paths_that_no_system_can_have_are_one_line(tmp_path, monkeypatch, path):
    for load in (
        lambda: load_dataset(path, allow_download=False),
        lambda: load_dataset(Path(path)),
        lambda: load_images(path, shape=(1, 9, 11)),
    ):
        with pytest.raises(DataError) as caught:
            load()
        assert len(str(caught.value)) < 2100
    packed = makers.write(tmp_path / "x.gz", gzip.compress(makers.image_idx(IMAGES)))
    for variable in ("GANVAS_DATA", "GANVAS_CACHE"):
        monkeypatch.setenv(variable, path)
        with pytest.raises(GanvasError) as caught:
            load_dataset("mnist", allow_download=False)
        assert len(str(caught.value)) < 2100
    if len(path) > 100:  # a folder of the other names can be made
        with pytest.raises(StorageError, match="GANVAS_CACHE"):
            load_dataset(packed, mmap_threshold=0.0)


ESCAPES = [
    "\x1b[2J",
    "\x07",
    "\x9b31m",
    "\x1b]52;c;cm0gLXJm\x07",
    "a\nganvas: all is well",
    "\u202egnp",
    "\r",
]
BROKEN = ["caf\udce9"] if sys.platform == "linux" else []


def assert_printable(images):
    texts = [images.name, images.note, repr(images), *images.class_names, *describe_dataset(images).lines()]
    assert all(text.isprintable() for text in texts)
    "\n".join(texts).encode()  # no half of a UTF-8 sequence


@posix
@pytest.mark.parametrize("name", ESCAPES + BROKEN)
@pytest.mark.parametrize("archived", [False, True])
def test_names_of_classes_files_and_sets_are_printable_wherever_they_appear(tmp_path, name, archived):
    files = makers.png_files(IMAGES, LABELS)
    files = {key.replace("c1/", f"c1{name}/"): data for key, data in files.items()}
    files[f"notes{name}"] = b"text"
    if archived and name in BROKEN:
        pytest.skip("a zip has no such names")
    path = tmp_path / f"set{name}"
    path = makers.write_zip(path, files) if archived else makers.write_folder(path, files)
    images = load_dataset(path)
    assert images.num_classes == 3
    assert_printable(images)


@posix
@pytest.mark.parametrize("name", ESCAPES + BROKEN)
def test_errors_quote_names_printably(tmp_path, name):
    bad = makers.write(tmp_path / f"set{name}" / f"x{name}.png", b"no image").parent
    archive = makers.write_zip(
        tmp_path / "a.zip", {f"y{name.encode(errors='replace').decode()}.png": b"no image"}
    )
    arrays = makers.write_zip(tmp_path / "b.npz", {f"z{name.encode(errors='replace').decode()}.npy": b"?"})
    for load in (
        lambda: load_dataset(bad),
        lambda: load_dataset(archive),
        lambda: load_dataset(arrays),
        lambda: load_dataset(f"./missing{name}"),
        lambda: load_dataset(f"mnist{name}"),
        lambda: load_dataset("mnist-5k", split=f"train{name}"),
        lambda: load_images(bad / f"x{name}.png", shape=(1, 9, 11)),
    ):
        with pytest.raises(GanvasError) as caught:
            load()
        assert str(caught.value).isprintable()


@posix
def test_file_names_of_images_for_the_discriminator_are_printable(tmp_path):
    makers.write(tmp_path / "set/a\x1b[2J.png", makers.encode_png(IMAGES[0]))
    for path in (tmp_path / "set", tmp_path / "set/a\x1b[2J.png"):
        (name,), _ = load_images(path, shape=(1, 9, 11))
        assert name.endswith("a\\x1b[2J.png")


@posix
def test_classes_that_would_print_alike_are_refused(tmp_path):
    for name in ("a\x1b", "a\\x1b"):
        makers.write(tmp_path / name / "0.png", makers.encode_png(IMAGES[0]))
    with pytest.raises(DataError, match="different printed names"):
        load_dataset(tmp_path)


def test_65536_classes_are_described_in_short_lines():
    names = tuple(f"class {index}" for index in range(65_536))
    images = ImageSet("many", np.zeros((2, 1, 8, 8), np.uint8), np.array([0, 65_535]), names, "here")
    lines = describe_dataset(images).lines()
    assert max(map(len, lines)) < 1000
    assert any("65536: class 0 1, class 1 0" in line and "and 65,486 more" in line for line in lines)


def test_a_long_name_is_cut_in_a_list_of_names():
    assert len(first_few(["x" * 10_000, "y"], 5)) < 100


def limited(code, *words):
    """Run Python code in a process of its own, in which `limit(name, value)` sets a resource limit."""
    head = (
        "import os, resource, sys\n"
        "from ganvas.data import load_dataset\n"
        "from PIL import Image, PngImagePlugin\n"
        "def limit(name, value): resource.setrlimit(getattr(resource, name), (value, value))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", head + code, *map(str, words)], capture_output=True, text=True, check=False
    )


@posix
@pytest.mark.parametrize("kind", ["npy", "zip", "folder"])
def test_a_process_without_file_handles_blames_the_machine_and_not_the_file(tmp_path, kind):
    path = {
        "npy": makers.write(tmp_path / "a.npy", makers.npy_bytes(IMAGES)),
        "zip": makers.write_zip(tmp_path / "a.zip", makers.png_files(IMAGES)),
        "folder": makers.write_folder(tmp_path / "a", makers.png_files(IMAGES)),
    }[kind]
    code = (
        "load_dataset(sys.argv[1])\n"  # once, so that all modules are imported
        "free = os.open(os.devnull, os.O_RDONLY); os.close(free)\n"
        "limit('RLIMIT_NOFILE', free)\n"
        "try: load_dataset(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = limited(code, path)
    assert done.stdout.startswith("MachineError ")
    assert "Too many open files" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own measure, and limits memory by it")
def test_an_image_that_memory_has_no_room_for_is_not_called_damaged(tmp_path):
    makers.write(tmp_path / "a.png", makers.encode_png(np.zeros((1, 8000, 8000), np.uint8)))
    code = (
        "load_dataset('mnist-5k')\n"
        "pages = int(open('/proc/self/statm').read().split()[0])\n"
        "limit('RLIMIT_AS', pages * resource.getpagesize() + 20 * 2**20)\n"
        "try: load_dataset(sys.argv[1], size=64, resize='crop')\n"
        "except BaseException as error: print(type(error).__name__, error)"
    )
    done = limited(code, tmp_path)
    assert done.stdout.startswith("MemoryError"), done.stdout + done.stderr


def test_an_error_message_is_of_bounded_length():
    line = str(DataError(f"{'x' * 10_000}: expected {'y' * 10_000}; the end"))
    assert len(line) < 2100
    assert line.startswith("xxx")
    assert line.endswith("yyy; the end")


@pytest.mark.parametrize("text", [*ESCAPES, "\ud800", "\x00", "a'b\"c\x1b"])
def test_what_is_not_printable_is_escaped_and_nothing_else(text):
    assert printable(text).isprintable()
    assert printable("naïve ± 'x' \"y\" 日本\\n") == "naïve ± 'x' \"y\" 日本\\n"
    assert str(GanvasError(f"got {text}")) == f"got {printable(text)}"
