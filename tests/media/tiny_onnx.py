"""
A network of two operations, written as an ONNX file by hand: the mean, and its sigmoid.

Field numbers are those of ``onnx.proto``; the package that knows them is not needed for
three messages.
"""

from collections.abc import Sequence


def network(shape: Sequence[int], *, num_inputs: int = 1) -> bytes:
    """Return a file that takes float32 of a shape and gives sigmoid(mean), float32 [1]."""
    inputs = [f"input_{number}" for number in range(num_inputs)]
    nodes = [
        _node("ReduceMean", "input_0", "mean", keepdims=0),
        _node("Sigmoid", "mean", "probability"),
    ]
    graph = b"".join(_bytes(1, node) for node in nodes)
    graph += _bytes(2, b"graph")
    graph += b"".join(_bytes(11, _value(name, shape)) for name in inputs)
    graph += _bytes(12, _value("probability", ()))
    opset = _bytes(8, _number(2, 13))
    return _number(1, 8) + _bytes(7, graph) + opset


def _node(kind: str, source: str, target: str, **attributes: int) -> bytes:
    node = (
        _bytes(1, source.encode()) + _bytes(2, target.encode()) + _bytes(4, kind.encode())
    )
    for name, value in attributes.items():
        node += _bytes(5, _bytes(1, name.encode()) + _number(3, value) + _number(20, 2))
    return node


def _value(name: str, shape: Sequence[int]) -> bytes:
    dimensions = b"".join(_bytes(1, _number(1, size)) for size in shape)
    tensor = _number(1, 1) + _bytes(2, dimensions)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
