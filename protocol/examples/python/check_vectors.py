#!/usr/bin/env python3
"""Runs the golden vectors through fulmar_wire.py, in both directions, good and bad."""

import json
import pathlib
import sys

from fulmar_wire import (CODES, Assembly, Invalid, Stream, Truncated, WireError, cut, decode, decode_change,
                         decode_content, encode, encode_change, encode_content, read_varint, retryable, write_varint)

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "vectors"
BYTE_FIELDS = ("token", "body", "fields", "value", "name", "info", "key", "status", "avatar")
TEXT_FIELDS = ("kind", "agent", "detail", "address")
PAIR_FIELDS = ("cursors", "heads", "who", "roles")


def to_bytes(value):
    """Bytes as the vectors write them: hex, or a list of pieces of it."""
    if isinstance(value, str):
        return bytes.fromhex(value)
    return b"".join(bytes.fromhex(piece) if isinstance(piece, str)
                    else bytes.fromhex(piece["repeat"]) * piece["times"] for piece in value)


def to_number(value):
    """A number as the vectors write it: as a string where it is over 2^53 - 1."""
    return int(value) if isinstance(value, str) else value


def to_frame(fields):
    """A frame as the vectors write it, in the form of fulmar_wire."""
    frame = {}
    for name, value in fields.items():
        if name in BYTE_FIELDS:
            value = to_bytes(value)
        elif name in PAIR_FIELDS:
            value = [[to_number(first), to_number(second)] for first, second in value]
        elif name == "users":
            value = [to_number(user) for user in value]
        elif name not in TEXT_FIELDS:
            value = to_number(value)
        frame[name] = value
    return frame


def error_of(action):
    """What `action` raises, as the vectors say it: error, code and field."""
    try:
        action()
    except WireError as error:
        return {"error": error.error, "code": error.code, "field": error.field}
    return None


def check_varint(vector):
    data = to_bytes(vector["hex"])
    if "error" in vector:
        expected = {"truncated": Truncated, "invalid": Invalid}[vector["error"]]
        try:
            read_varint(data, 0)
        except expected:
            return
        raise AssertionError(f"no {vector['error']}")
    value = to_number(vector["value"])
    assert read_varint(data, 0) == (value, len(data))
    assert write_varint(value) == data


def check_frame(vector):
    data, frame = to_bytes(vector["hex"]), to_frame(vector["frame"])
    (body,) = Stream().frames(data)
    assert decode(body) == frame, decode(body)
    if frame["kind"] != "unknown":
        assert encode(frame) == data, encode(frame).hex()


def check_bad_frame(vector):
    found = error_of(lambda: decode(to_bytes(vector["hex"])))
    expected = {name: vector.get(name) for name in ("error", "code", "field")}
    assert found == expected, found


def check_change(vector):
    data = to_bytes(vector["hex"])
    if "error" in vector:
        found = error_of(lambda: decode_change(data))
        assert found == {name: vector.get(name) for name in ("error", "code", "field")}, found
        return
    change = to_frame(vector["change"])
    assert decode_change(data) == change, decode_change(data)
    assert encode_change(change) == data, encode_change(change).hex()


def check_content(vector):
    data, content = to_bytes(vector["hex"]), vector["content"]
    if "error" in vector:
        found = error_of(lambda: decode_content(content, data, vector["in_group"]))
        assert found and found["error"] == vector["error"], found
        assert found["field"] == vector.get("field"), found
        return
    fields = to_frame(vector["fields"])
    assert decode_content(content, data, vector["in_group"]) == fields
    assert encode_content(content, fields) == data, encode_content(content, fields).hex()


def check_stream(vector):
    data = to_bytes(vector["hex"])
    for size in (len(data) or 1, 1, 2, 7):
        stream, frames = Stream(vector["bytes_max"]), []
        pieces = [data[at:at + size] for at in range(0, len(data), size)]

        def run():
            for piece in pieces:
                frames.extend(stream.frames(piece))

        found = error_of(run)
        assert (found or {}).get("error") == vector.get("error"), found
        assert (found or {}).get("code") == vector.get("code"), found
        assert frames == [to_bytes(frame) for frame in vector["frames"]]
        if found is None or size == len(data):
            assert stream.rest == to_bytes(vector["rest"]), stream.rest.hex()
        else:
            assert to_bytes(vector["rest"]).startswith(stream.rest), stream.rest.hex()


def check_body(vector):
    data = b"".join(to_bytes(frame) for frame in vector["frames"])
    assembly, whole = Assembly(), []

    def run():
        for body in Stream().frames(data):
            frame = decode(body)
            if frame["kind"] in ("send", "deliver", "group_send", "group_deliver", "past", "part"):
                whole.append(assembly.take(frame))

    found = error_of(run)
    assert (found or {}).get("error") == vector.get("error"), found
    assert (found or {}).get("code") == vector.get("code"), found
    if found:
        return
    (complete,) = [frame for frame in whole if frame is not None]
    assert complete["body"] == to_bytes(vector["body"])
    if vector["canonical"]:
        own = [to_bytes(frame) for frame in vector["frames"]]
        own = [frame for frame in own if next(Stream().frames(frame))[0] & 0x3F in (4, 5, 8, 17, 20, 38)]
        assert cut(complete) == own


def check_code(vector):
    assert CODES[vector["number"]] == vector["name"]
    assert retryable(vector["number"]) == vector["retryable"]


CHECKS = {"varints": check_varint, "frames": check_frame, "bad_frames": check_bad_frame,
          "changes": check_change, "contents": check_content, "streams": check_stream, "bodies": check_body, "codes": check_code}


def main():
    wrong = 0
    for name, check in CHECKS.items():
        vectors = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))["vectors"]
        for vector in vectors:
            try:
                check(vector)
            except (AssertionError, WireError, ValueError, KeyError) as error:
                wrong += 1
                print(f"{name}/{vector['name']}: {type(error).__name__} {error}", file=sys.stderr)
        print(f"{name}: {len(vectors)} vectors")
        if name == "codes":
            wrong += len(CODES) != len(vectors)
    print(f"{wrong} wrong" if wrong else "all good")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
