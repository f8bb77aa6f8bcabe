"""What an ONNX file says of itself beyond what onnxruntime tells: the names of its classes, and data that lies elsewhere.

The file is protobuf; its wire format is read here field by field, with the numbers of onnx.proto (ONNX 1.17, IR version 10).
"""

from collections.abc import Iterator
from dataclasses import dataclass

_GRAPH, _FUNCTIONS = 7, 25
_NODES, _INITIALIZERS, _SPARSE = 1, 5, 15
_FUNCTION_NODES = 7
_ATTRIBUTES = 5
_NAME, _TENSOR, _SUBGRAPH, _INTS, _STRINGS, _TENSORS, _SUBGRAPHS, _SPARSE_TENSOR = 1, 5, 6, 8, 9, 10, 11, 22
_INT32_DATA, _STRING_DATA, _INT64_DATA, _TENSOR_NAME, _EXTERNAL, _LOCATION = 5, 6, 7, 8, 13, 14
_SPARSE_PARTS = (1, 2)
_CLASSES = frozenset({"classlabels_strings", "classlabels_int64s", "classlabels_ints"})
_DEEPEST = 50


class NotOnnx(ValueError):
    """Bytes that are no protobuf of an ONNX model."""


@dataclass
class Facts:
    """`classes`: each list of class names that a classifier in the graph keeps. `external`: whether weights lie elsewhere."""

    classes: list[tuple[str | int, ...]]
    external: bool = False


def facts(data: bytes) -> Facts:
    """What the file says. Raises NotOnnx."""
    found = Facts([])
    for number, value in _fields(memoryview(data)):
        if number == _GRAPH:
            _graph(_bytes(value), found, 0)
        elif number == _FUNCTIONS:
            for inner, node in _fields(_bytes(value)):
                if inner == _FUNCTION_NODES:
                    _node(_bytes(node), found, 0)
    return found


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        length = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            length, at = _varint(data, at)
        if length is None or at + length > len(data):
            raise NotOnnx("it is not an ONNX file: its fields do not fit its length")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise NotOnnx("it is not an ONNX file: it ends within a field")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise NotOnnx("it is not an ONNX file: a number in it is too long")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise NotOnnx("it is not an ONNX file: a part of it is a number")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_bytes(value)).decode(errors="replace")


def _graph(data: memoryview, found: Facts, depth: int) -> None:
    if depth > _DEEPEST:
        raise NotOnnx(f"its graphs lie more than {_DEEPEST} deep in each other")
    for number, value in _fields(data):
        if number == _NODES:
            _node(_bytes(value), found, depth)
        elif number == _INITIALIZERS:
            _tensor(_bytes(value), found)
        elif number == _SPARSE:
            _sparse(_bytes(value), found)


def _node(data: memoryview, found: Facts, depth: int) -> None:
    for number, value in _fields(data):
        if number == _ATTRIBUTES:
            _attribute(_bytes(value), found, depth)


def _attribute(data: memoryview, found: Facts, depth: int) -> None:
    name, classes = "", list[str | int]()
    for number, value in _fields(data):
        if number == _NAME:
            name = _text(value)
        elif number == _STRINGS:
            classes.append(_text(value))
        elif number == _INTS:
            classes += [_signed(each) for each in _numbers(value)]
        elif number in (_TENSOR, _TENSORS):
            _tensor(_bytes(value), found)
        elif number == _SPARSE_TENSOR:
            _sparse(_bytes(value), found)
        elif number in (_SUBGRAPH, _SUBGRAPHS):
            _graph(_bytes(value), found, depth + 1)
    if name in _CLASSES and classes:
        found.classes.append(tuple(classes))


def _numbers(value: int | memoryview) -> Iterator[int]:
    """A repeated number, packed or not."""
    if isinstance(value, int):
        yield value
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield number


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _tensor(data: memoryview, found: Facts) -> None:
    """skl2onnx keeps the classes of most other classifiers in a tensor named `classes`."""
    name, classes = "", list[str | int]()
    for number, value in _fields(data):
        if number == _EXTERNAL or (number == _LOCATION and value == 1):
            found.external = True
        elif number == _TENSOR_NAME:
            name = _text(value)
        elif number == _STRING_DATA:
            classes.append(_text(value))
        elif number in (_INT32_DATA, _INT64_DATA):
            classes += [_signed(each) for each in _numbers(value)]
    if name == "classes" and classes:
        found.classes.append(tuple(classes))


def _sparse(data: memoryview, found: Facts) -> None:
    for number, value in _fields(data):
        if number in _SPARSE_PARTS:
            _tensor(_bytes(value), found)
