"""Everything that cannot be used is refused in one line that says what was expected and what came."""

import gzip
import io
import os
import stat
import struct
import zipfile

import makers
import numpy as np
import pytest

from ganvas.data import ImageSet, load_dataset
from ganvas.errors import DataError

GRAY = makers.gray()
IDX = makers.image_idx(GRAY)
PNG = makers.encode_png(GRAY[0])


def refused(path, *words, **options):
    with pytest.raises(DataError) as caught:
        load_dataset(path, **options)
    line = str(caught.value)
    assert "\n" not in line
    assert "expected" in line
    for word in words:
        assert word in line, line
    return line


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_a_word_that_is_no_name_and_no_path_gets_the_nearest_name():
    refused("mnits", "'mnits'", "did you mean 'mnist'?")
    refused("", "name")
    refused("zzz", "mnist-5k")


@pytest.mark.parametrize("path", ["./nothing", "no/such/folder", "/nowhere/x.npz", "~/nothing"])
def test_a_path_that_does_not_exist_is_named(path):
    refused(path, "no such file or folder")


def test_an_empty_folder_and_an_empty_file_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "got nothing")
    for name in ("a.npz", "a.npy", "a.zip", "train-images-idx3-ubyte"):
        refused(makers.write(tmp_path / name, b""), "empty")
    refused(makers.write(tmp_path / "pics/a.png", b"").parent, "a.png")


def test_a_folder_without_images_names_what_it_holds(tmp_path):
    refused(makers.write(tmp_path / "set/notes.txt", b"x").parent, "notes.txt", "PNG")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "pipe")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    path = makers.write(tmp_path / "a.npy", makers.npy_bytes(GRAY))
    path.chmod(0)
    refused(path, "ermission")


def test_a_file_of_another_kind_is_recognized_by_its_first_bytes(tmp_path):
    refused(makers.write(tmp_path / "a.pkl", b"\x80\x04\x95abc"), "800495")
    refused(makers.write(tmp_path / "a.npz", b"\x80\x04\x95abc"), "800495")
    refused(makers.write(tmp_path / "a.png", PNG), "single image")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("length", [3, 10, 15, 16, 17, len(IDX) // 2, len(IDX) - 1])
def test_a_cut_off_idx_file_is_refused(tmp_path, packed, length):
    data = gzip.compress(IDX[:length]) if packed else IDX[:length]
    refused(makers.write(tmp_path / "x", data))


@pytest.mark.parametrize("length", [2, 5, 11, 40, -9, -1])
def test_a_cut_off_gzip_is_refused(tmp_path, length):
    refused(makers.write(tmp_path / "x.gz", gzip.compress(IDX)[:length]))


@pytest.mark.parametrize("packed", [False, True])
def test_bytes_after_the_end_of_an_idx_file_are_refused(tmp_path, packed):
    data = IDX + b"\0"
    refused(makers.write(tmp_path / "x", gzip.compress(data) if packed else data), "expected")


def test_a_wrong_magic_number_is_reported(tmp_path):
    makers.write(tmp_path / "train-images-idx3-ubyte", b"\x01\x02" + IDX[2:])
    refused(tmp_path, "01020803", "00000803")


def test_exchanged_images_and_labels_are_reported(tmp_path):
    makers.write(tmp_path / makers.TRAIN[0], makers.label_idx(makers.classes()))
    makers.write(tmp_path / makers.TRAIN[1], IDX)
    refused(tmp_path, "labels", "exchange")
    makers.write(tmp_path / makers.TRAIN[0], IDX)
    refused(tmp_path, "images", "exchange")


def test_labels_of_another_length_are_refused_with_both_numbers(tmp_path):
    labels = np.arange(11) % 3
    refused(makers.write_idx_folder(tmp_path / "idx", GRAY, labels), "12", "11")
    refused(makers.write(tmp_path / "a.npz", npz(images=GRAY, labels=labels)), "12", "11")


@pytest.mark.parametrize("labels", [np.full(12, -1), np.full(12, 10**7), np.full(12, 2**64 - 1, np.uint64),
                                    np.zeros(12), np.array(["a"] * 12), np.zeros((12, 10), int)])  # fmt: skip
def test_labels_that_are_no_class_numbers_are_refused(tmp_path, labels):
    refused(makers.write(tmp_path / "a.npz", npz(images=GRAY, labels=labels)), "label")


def test_labels_without_images_are_refused(tmp_path):
    makers.write(tmp_path / makers.TRAIN[1], makers.label_idx(makers.classes()))
    refused(tmp_path, "images beside")


def test_an_idx_file_that_declares_a_huge_size_is_refused_before_memory_is_allocated(tmp_path):
    huge = struct.pack(">IIII", 0x0803, 2**31, 256, 256)
    refused(makers.write(tmp_path / "x", huge + b"\0" * 100), "header")
    refused(makers.write(tmp_path / "x.gz", gzip.compress(huge + b"\0" * 100)), "header")


def test_a_gzip_that_unpacks_to_more_than_it_declares_is_refused_at_the_first_byte(tmp_path):
    bomb = struct.pack(">IIII", 0x0803, 1, 28, 28) + bytes(200 * 2**20)
    refused(makers.write(tmp_path / "x.gz", gzip.compress(bomb, 1)), "more bytes")


@pytest.mark.parametrize("code", [0x09, 0x0B, 0x0C, 0x0D, 0x0E])
def test_idx_images_of_other_numbers_are_refused(tmp_path, code):
    kind = {0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}[code]
    refused(makers.write(tmp_path / "x", makers.idx_bytes(np.zeros((3, 9, 9), kind), code)), "unsigned")


def test_pickled_objects_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    objects = np.empty(3, object)
    objects[:] = [Trap()] * 3
    for name, data in {
        "a.npz": npz(images=objects),
        "b.npz": npz(images=GRAY[:3], labels=objects),
        "c.npz": npz(x_train=objects, y_train=objects),
        "d.npy": makers.npy_bytes(objects),
    }.items():
        refused(makers.write(tmp_path / name, data), "pickled")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (GRAY.astype(np.float32), "0..255"),
        (GRAY > 3, "* 255"),
        (GRAY.astype(np.int64), "astype"),
        (np.zeros(5, np.uint8), "[5]"),
        (np.zeros((5, 784), np.uint8), "[5, 784]"),
        (np.zeros((5, 9, 9, 4), np.uint8), "[5, 9, 9, 4]"),
        (np.zeros((0, 28, 28), np.uint8), "at least one"),
        (np.zeros((5, 7, 28), np.uint8), "8 to 256"),
        (np.zeros((5, 28, 257), np.uint8), "8 to 256"),
        (np.zeros((), np.uint8), "[]"),
        (np.asfortranarray(GRAY[:, 0]), "Fortran"),
        (np.zeros(3, [("a", np.uint8)]), "uint8"),
        (np.array(["x"]), "uint8"),
    ],
)
def test_arrays_that_are_no_images_are_refused(tmp_path, array, word):
    refused(makers.write(tmp_path / "a.npy", makers.npy_bytes(array)), word)
    refused(makers.write(tmp_path / "a.npz", npz(images=array)), word)


def test_an_npy_header_that_declares_a_huge_size_is_refused(tmp_path):
    data = makers.npy_bytes(GRAY[:, 0]).replace(b"(12, 9, 11)", b"(2**40, 9) ")
    refused(makers.write(tmp_path / "a.npy", data))
    data = makers.npy_bytes(GRAY[:, 0]).replace(b"(12, 9, 11), }    ", b"(99999999, 9, 11), }")[:-2]
    refused(makers.write(tmp_path / "b.npy", data))


def test_an_npz_without_known_keys_names_those_it_has(tmp_path):
    refused(makers.write(tmp_path / "a.npz", npz(photos=GRAY)), "images", "x_train", "photos")
    refused(makers.write(tmp_path / "b.npz", npz()), "none")


@pytest.mark.parametrize("name", ["../a.png", "x/../../a.png", "/a.png", "C:/a.png", "C:\\a.png",
                                  "..\\a.png", "x/..", "c:a.png"])  # fmt: skip
@pytest.mark.parametrize("suffix", ["zip", "npz"])
def test_names_that_climb_out_of_an_archive_are_refused(tmp_path, name, suffix):
    good = makers.png_files(GRAY) if suffix == "zip" else {"images.npy": makers.npy_bytes(GRAY)}
    (tmp_path / "in").mkdir()
    path = makers.write_zip(tmp_path / f"in/a.{suffix}", good | {name: PNG})
    refused(path, "inside the archive")
    assert sorted(p.name for p in tmp_path.rglob("*")) == [f"a.{suffix}", "in"]


def test_links_in_an_archive_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("0.png", PNG)
        link = zipfile.ZipInfo("1.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    refused(tmp_path / "a.zip", "link")


def patched(path, at, change):
    """Change a field in the local header and the directory of a zip's first entry."""
    data = bytearray(path.read_bytes())
    for start, offset in ((data.index(b"PK\3\4"), at), (data.index(b"PK\1\2"), at + 2)):
        data[start + offset : start + offset + len(change)] = change
    path.write_bytes(data)
    return path


def test_an_encrypted_archive_is_refused(tmp_path):
    path = makers.write_zip(tmp_path / "a.zip", {"0.png": PNG})
    refused(patched(path, 6, b"\x01\x00"), "password")


def test_a_rare_compression_is_refused(tmp_path):
    refused(makers.write_zip(tmp_path / "a.zip", {"0.png": PNG}, zipfile.ZIP_LZMA), "plain zip")


def test_an_entry_that_unpacks_to_more_than_it_declares_is_refused(tmp_path):
    bomb = PNG + bytes(50 * 2**20)
    path = makers.write_zip(tmp_path / "a.zip", {"0.png": bomb})
    refused(patched(path, 22, struct.pack("<I", len(PNG))))
    array = makers.npy_bytes(GRAY)
    path = makers.write_zip(tmp_path / "a.npz", {"images.npy": array + bytes(50 * 2**20)})
    refused(patched(path, 22, struct.pack("<I", len(array))))


def test_an_archive_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path):
    path = makers.write_zip(tmp_path / "a.zip", {"0.png": PNG, "1.png": PNG})
    refused(patched(path, 22, struct.pack("<I", 2**31)), "bomb")


def test_a_name_that_occurs_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("0.png", PNG)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("0.png", PNG)
    refused(tmp_path / "a.zip", "twice")


@pytest.mark.parametrize("data", [b"hello", PNG[:60], PNG[:-30], b"GIF89a", PNG[:30] + b"\0" * 40])
def test_an_image_that_is_not_one_is_named(tmp_path, data):
    files = makers.png_files(GRAY) | {"zz.png": data}
    refused(makers.write_folder(tmp_path / "set", files), "zz.png")
    refused(makers.write_zip(tmp_path / "a.zip", files), "zz.png")


def test_images_beside_and_inside_class_folders_are_refused(tmp_path):
    files = makers.png_files(GRAY, makers.classes()) | {"stray.png": PNG}
    refused(makers.write_folder(tmp_path / "set", files), "stray.png", "1 beside", "12 inside")


def test_an_archive_of_nothing_is_refused(tmp_path):
    refused(makers.write_zip(tmp_path / "a.zip", {}), "nothing")
    refused(makers.write_zip(tmp_path / "b.zip", {"readme.txt": b"x"}), "readme.txt")


def test_train_and_test_images_of_two_sizes_do_not_make_one_set(tmp_path):
    makers.write_idx_folder(tmp_path, GRAY, makers.classes())
    makers.write_idx_folder(tmp_path, makers.gray(12, 12, 12), makers.classes(), makers.TEST)
    refused(tmp_path, "one shape", split="all")


@pytest.mark.parametrize(
    "arguments",
    [
        (GRAY.astype(float), None, ()),
        (GRAY[:, 0], None, ()),
        (GRAY, np.arange(11), tuple("abcdefghijk")),
        (GRAY, np.arange(12), ("a",)),
        (GRAY, None, ("a",)),
        (GRAY, np.full(12, 0.5), ("a",)),
    ],
)
def test_an_image_set_validates_its_arrays(arguments):
    with pytest.raises(DataError):
        ImageSet("mine", *arguments, source="")
