"""Files of arrays: what is written is read, what is damaged or lies is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors.numpy import load as load_outside
from safetensors.numpy import save as save_outside

from minigrad.serialize import load_arrays, load_metadata, pack, parse_header, save_arrays, unpack

DTYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]


def file_of(header, data=b"", length=None):
    """The bytes of a safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


@st.composite
def named_arrays(draw):
    names = draw(st.lists(st.text(min_size=1, max_size=5).filter(lambda n: n != "__metadata__"), unique=True))
    shapes = npst.array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=4)
    return {n: draw(npst.arrays(draw(st.sampled_from(DTYPES)), draw(shapes))) for n in names}


@given(named_arrays())
def test_arrays_survive_and_others_read_the_same(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("files") / "x.safetensors"
    save_arrays(path, arrays)
    for found in (load_arrays(path), load_outside(path.read_bytes())):
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
            np.testing.assert_array_equal(found[name], array)


def test_arrays_that_are_read_can_be_written_to(tmp_path):
    save_arrays(tmp_path / "x", {"a": np.ones((2, 3)).T}, {"made by": "a test"})
    array = load_arrays(tmp_path / "x")["a"]
    array += 1
    assert array.shape == (3, 2)
    assert load_metadata(tmp_path / "x") == {"made by": "a test"}


def test_bfloat16_is_widened(tmp_path):
    data = np.array([0x3F80, 0xC000, 0x7F80], "<u2").tobytes()  # 1, -2, infinity
    (tmp_path / "x").write_bytes(file_of({"w": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}, data))
    array = load_arrays(tmp_path / "x")["w"]
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [1, -2, np.inf])


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it has 0 bytes"),
        (b"1234567", "it has 7 bytes"),
        (file_of({}, length=10), "the header claims 10 bytes, 2 follow"),
        (file_of({}, length=2**63), "the header claims 9223372036854775808 bytes"),
        (file_of(b"not json"), "the header is not JSON"),
        (file_of(b"\xff\xff"), "the header is not JSON"),
        (file_of(b"[" * 5000), "the header is not JSON"),
        (file_of([1]), "not a JSON object"),
        (file_of({"__metadata__": {"a": 1}}), "__metadata__ must map names to texts"),
        (file_of({"w": {"dtype": "F32"}}), "'w' needs dtype, shape and data_offsets"),
        (file_of({"w": entry(dtype="F31")}, bytes(8)), "'w' has dtype 'F31'"),
        (file_of({"w": entry(shape=(3,))}, bytes(8)), "takes 12 bytes, data_offsets [0, 8]"),
        (file_of({"w": entry(shape=(2**40, 2**40))}, bytes(8)), "data_offsets [0, 8]"),
        (file_of({"w": entry(shape=(-2,))}, bytes(8)), "not lists of whole numbers"),
        (file_of({"w": entry(shape=(True, 2))}, bytes(8)), "not lists of whole numbers"),
        (file_of({"w": entry(offsets=(8, 0))}, bytes(8)), "takes 8 bytes"),
        (file_of({"w": entry(offsets=(8, 16))}, bytes(16)), "'w' begins at byte 8, the array before it ends at 0"),
        (file_of({"v": entry(), "w": entry()}, bytes(8)), "'w' begins at byte 0, the array before it ends at 8"),
        (file_of({"w": entry()}, bytes(7)), "describes 8 bytes of data, 7 follow"),
        (file_of({"w": entry()}, bytes(9)), "describes 8 bytes of data, 9 follow"),
        (file_of(b'{"w": 1, "w": 2}'), "a name stands in it twice"),
    ],
)
def test_headers_that_lie(tmp_path, content, sentence):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a whole safetensors file") as refusal:
        load_arrays(path)
    assert sentence in str(refusal.value)


WHOLE = save_outside({"a": np.arange(6.0), "b": np.ones((2, 2), np.int32)})


@given(st.integers(0, len(WHOLE) - 1))
def test_every_truncation_is_refused(length):
    with pytest.raises(ValueError):
        parse_header(WHOLE[:length])


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_harmless(place, change):
    """Of whatever is in the file, nothing but a ValueError comes out, or arrays of the right number of bytes."""
    content = bytearray(WHOLE)
    content[place] ^= change
    try:
        entries, _, begin = parse_header(bytes(content))
    except ValueError:
        return
    assert sum(entry.stop - entry.start for entry in entries) == len(content) - begin


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.lists(inside, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(["a", "array", "tuple", "dict"]), inside, max_size=3)
    ),
    max_leaves=8,
)


@given(trees)
def test_a_tree_survives_json(tree):
    packed, arrays = pack(tree)
    assert unpack(json.loads(json.dumps(packed)), arrays) == tree


def test_arrays_in_a_tree_and_what_cannot_be_saved():
    tree = {"state": [{"m": np.arange(3)}, {}], "lr": np.float64(0.5)}
    packed, arrays = pack(tree)
    assert list(arrays) == ["state.0.m"]
    back = unpack(json.loads(json.dumps(packed)), arrays)
    np.testing.assert_array_equal(back["state"][0]["m"], np.arange(3))
    assert back["lr"] == 0.5
    with pytest.raises(ValueError, match=r"array 'state.0.m' is missing"):
        unpack(packed, {})
    with pytest.raises(TypeError, match=r"cannot save a set \(at a.0\)"):
        pack({"a": [{1}]})
    with pytest.raises(TypeError, match="cannot save a dict"):
        pack({1: 2})
