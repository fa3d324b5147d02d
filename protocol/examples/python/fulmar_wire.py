"""Frames of the Fulmar protocol, version 1: bytes to fields and back.

Written from SPEC.md and vectors/ alone. It does no I/O and keeps no state but that of a stream. A frame is a
dict: "kind" is its name, the other keys are its fields under the names of the specification. "token" and
"body" are bytes; "total_bytes" is None where the parts flag isn't set; "own" is the own flag.
"""

FRAME_BYTES_MAX = 16_383
HELLO_BYTES_MAX = 2_048
BODY_BYTES_MAX = 416_384
PART_BYTES_MAX = 16_300
LOGS_MAX = 64
NUMBER_MAX = 2**64 - 1
CODE_MAX = 65_535

PARTS, OWN = 0x40, 0x80
MAGIC = b"FLMR"

NUMBER, BYTE, CODE, BYTES, TEXT, PAIRS, TOTAL, BODY = range(8)

# kind number: name, flags it may have, fields as (name, type, limit). The limit is the most bytes or pairs; of
# a number or a body it is the least
KINDS = {
    1: ("hello", 0, [("version_min", NUMBER, 0), ("version_max", NUMBER, 0), ("capabilities", NUMBER, 0),
                     ("user", NUMBER, 0), ("device", NUMBER, 0), ("token", BYTES, 1_024), ("agent", TEXT, 64),
                     ("cursors", PAIRS, LOGS_MAX)]),
    2: ("welcome", 0, [("version", NUMBER, 0), ("capabilities", NUMBER, 0), ("session", NUMBER, 0),
                       ("time_ms", NUMBER, 0), ("body_bytes_max", NUMBER, 0), ("window_messages", NUMBER, 0),
                       ("window_bytes", NUMBER, 0), ("sends_max", NUMBER, 0), ("idle_s", NUMBER, 0),
                       ("heads", PAIRS, LOGS_MAX)]),
    3: ("refuse", 0, [("code", CODE, 0), ("retry_after_ms", NUMBER, 0), ("detail", TEXT, 256)]),
    4: ("send", PARTS, [("peer", NUMBER, 0), ("number", NUMBER, 1), ("content", BYTE, 0),
                        ("total_bytes", TOTAL, 0), ("body", BODY, 0)]),
    5: ("part", 0, [("body", BODY, 1)]),
    6: ("sent", 0, [("peer", NUMBER, 0), ("number", NUMBER, 0), ("ordinal", NUMBER, 0), ("time_ms", NUMBER, 0)]),
    7: ("rejected", 0, [("peer", NUMBER, 0), ("number", NUMBER, 0), ("code", CODE, 0),
                        ("retry_after_ms", NUMBER, 0)]),
    8: ("deliver", PARTS | OWN, [("position", NUMBER, 0), ("peer", NUMBER, 0), ("ordinal", NUMBER, 0),
                                 ("time_ms", NUMBER, 0), ("content", BYTE, 0), ("total_bytes", TOTAL, 0),
                                 ("body", BODY, 0)]),
    9: ("skip", 0, [("position", NUMBER, 0)]),
    10: ("ack", 0, [("position", NUMBER, 0)]),
    11: ("read", 0, [("peer", NUMBER, 0), ("ordinal", NUMBER, 0)]),
    12: ("receipt", OWN, [("peer", NUMBER, 0), ("delivered", NUMBER, 0), ("read", NUMBER, 0)]),
    13: ("ask", 0, [("peer", NUMBER, 0)]),
    14: ("ping", 0, []),
    15: ("pong", 0, [("heads", PAIRS, LOGS_MAX)]),
    16: ("goodbye", 0, [("code", CODE, 0), ("retry_after_ms", NUMBER, 0), ("address", TEXT, 256),
                        ("detail", TEXT, 256)]),
}
KIND_OF = {name: (kind, flags, fields) for kind, (name, flags, fields) in KINDS.items()}

CODES = {
    0: "none", 100: "malformed_frame", 101: "frame_too_large", 102: "unexpected_frame", 103: "unknown_kind",
    104: "not_fulmar", 105: "unsupported_version", 106: "hello_timeout", 107: "frame_timeout",
    108: "idle_timeout", 109: "cursor_ahead", 110: "unexpected_part", 200: "token_invalid",
    201: "token_expired", 202: "token_unknown_key", 203: "token_mismatch", 204: "token_required",
    205: "bad_identity", 206: "too_many_devices", 207: "replaced", 300: "body_too_large",
    301: "quota_exceeded", 302: "stale_number", 303: "bad_peer", 400: "overloaded", 401: "shutting_down",
    402: "too_many_connections", 403: "moved", 500: "internal",
}
NUMBER_OF_CODE = {name: number for number, name in CODES.items()}


def retryable(code):
    """Whether the same request can succeed later without being changed."""
    return code == NUMBER_OF_CODE["quota_exceeded"] or code >= 400


class WireError(Exception):
    """Bytes that break the protocol; the connection can't go on. `code` is what the peer is told."""

    def __init__(self, error, code="malformed_frame", field=None):
        super().__init__(f"{error} in {field}" if field else error)
        self.error, self.code, self.field = error, code, field


class Truncated(Exception):
    """The bytes end before the number does."""


class Invalid(Exception):
    """A number of more than 64 bits, or not in its shortest form."""


def write_varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data, at):
    """The number at `at`, and where the bytes after it begin."""
    value = 0
    for index in range(10):
        if at + index >= len(data):
            raise Truncated
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if value > NUMBER_MAX or (byte == 0 and index > 0):
                raise Invalid
            return value, at + index + 1
    raise Invalid


class Reader:
    """Takes the fields of one frame off its bytes, in their order."""

    def __init__(self, data, at, kind):
        self.data, self.at, self.kind = data, at, kind

    def fail(self, error, field):
        raise WireError(error, field=f"{self.kind}.{field}")

    def number(self, field, least=0):
        try:
            value, self.at = read_varint(self.data, self.at)
        except Truncated:
            self.fail("truncated", field)
        except Invalid:
            self.fail("number", field)
        if value < least:
            self.fail("value", field)
        return value

    def byte(self, field):
        return self.take(1, field)[0]

    def code(self, field):
        value = self.number(field)
        if value > CODE_MAX:
            self.fail("value", field)
        return value

    def bytes(self, field, limit):
        length = self.number(field)
        if length > limit:
            self.fail("too_long", field)
        return self.take(length, field)

    def text(self, field, limit):
        raw = self.bytes(field, limit)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            self.fail("text", field)
        if any(ord(character) < 0x20 or 0x7F <= ord(character) <= 0x9F for character in text):
            self.fail("text", field)
        return text

    def pairs(self, field, limit):
        count = self.number(field)
        if count > limit:
            self.fail("too_long", field)
        pairs = []
        for _ in range(count):
            log = self.number(field)
            if pairs and log <= pairs[-1][0]:
                self.fail("value", field)
            pairs.append([log, self.number(field)])
        return pairs

    def body(self, field, least):
        body = self.take(len(self.data) - self.at, field)
        if len(body) < least:
            self.fail("truncated", field)
        if len(body) > PART_BYTES_MAX:
            self.fail("too_long", field)
        return body

    def take(self, count, field):
        if len(self.data) - self.at < count:
            self.fail("truncated", field)
        self.at += count
        return bytes(self.data[self.at - count:self.at])


def decode(data):
    """The frame in `data`, which has no length prefix."""
    if not data:
        raise WireError("empty")
    number, flags = data[0] & 0x3F, data[0] & (PARTS | OWN)
    if number not in KINDS:
        if number < 32:
            raise WireError("unknown_kind", code="unknown_kind")
        return {"kind": "unknown", "kind_byte": data[0], "fields": bytes(data[1:])}
    name, allowed, fields = KINDS[number]
    if flags & ~allowed:
        raise WireError("unknown_flag")
    frame, reader = {"kind": name}, Reader(data, 1, name)
    if name == "hello":
        if bytes(data[1:5]) != MAGIC:
            raise WireError("not_fulmar", code="not_fulmar")
        reader.at = 5
    readers = {NUMBER: reader.number, BYTE: lambda field, _: reader.byte(field),
               CODE: lambda field, _: reader.code(field), BYTES: reader.bytes, TEXT: reader.text,
               PAIRS: reader.pairs, BODY: reader.body,
               TOTAL: lambda field, _: reader.number(field) if flags & PARTS else None}
    for field, kind, limit in fields:
        frame[field] = readers[kind](field, limit)
    if reader.at != len(data):
        raise WireError("trailing")
    if frame.get("total_bytes") is not None and frame["total_bytes"] <= len(frame["body"]):
        reader.fail("value", "total_bytes")
    if allowed & OWN:
        frame["own"] = bool(flags & OWN)
    return frame


def encode(frame):
    """The bytes of `frame`, length prefix included."""
    kind, _, fields = KIND_OF[frame["kind"]]
    kind |= PARTS if frame.get("total_bytes") is not None else 0
    kind |= OWN if frame.get("own") else 0
    out = bytearray([kind])
    if frame["kind"] == "hello":
        out += MAGIC
    for field, kind, _ in fields:
        value = frame.get(field)
        if kind in (NUMBER, CODE) or (kind == TOTAL and value is not None):
            out += write_varint(value)
        elif kind == BYTE:
            out.append(value)
        elif kind in (BYTES, TEXT):
            raw = value.encode("utf-8") if kind == TEXT else value
            out += write_varint(len(raw)) + raw
        elif kind == PAIRS:
            out += write_varint(len(value))
            for log, position in value:
                out += write_varint(log) + write_varint(position)
        elif kind == BODY:
            out += value
    return write_varint(len(out)) + bytes(out)


class Stream:
    """Cuts frames out of bytes as they come. `rest` is what no frame covers yet."""

    def __init__(self, bytes_max=FRAME_BYTES_MAX):
        self.bytes_max, self.rest = bytes_max, b""

    def frames(self, data):
        """The frames that `data` completes, without their length prefixes."""
        self.rest += data
        at = 0
        try:
            while True:
                length, start = self.length(at)
                if length is None or len(self.rest) - start < length:
                    return
                yield self.rest[start:start + length]
                at = start + length
        finally:
            self.rest = self.rest[at:]

    def length(self, at):
        try:
            length, start = read_varint(self.rest, at)
        except Truncated:
            return None, at
        except Invalid:
            raise WireError("length") from None
        if length == 0:
            raise WireError("empty")
        if length > self.bytes_max:
            raise WireError("too_large", code="frame_too_large")
        return length, start


def cut(first):
    """The frames of a SEND or DELIVER whose body may be too long for one, largest pieces first."""
    body = first["body"]
    if len(body) <= PART_BYTES_MAX:
        return [encode(first | {"total_bytes": None})]
    pieces = [body[at:at + PART_BYTES_MAX] for at in range(0, len(body), PART_BYTES_MAX)]
    frames = [encode(first | {"total_bytes": len(body), "body": pieces[0]})]
    return frames + [encode({"kind": "part", "body": piece}) for piece in pieces[1:]]


class Assembly:
    """The large body in progress in one direction; memory grows with the bytes that came."""

    def __init__(self):
        self.first, self.body = None, bytearray()

    def take(self, frame):
        """Takes a SEND, DELIVER or PART; gives the frame with its whole body once that is complete."""
        if frame["kind"] == "part":
            if self.first is None:
                raise WireError("no_body", code="unexpected_part")
        elif frame["total_bytes"] is None:
            return frame
        elif self.first is not None:
            raise WireError("second_body", code="unexpected_part")
        else:
            self.first = frame
        self.body += frame["body"]
        total = self.first["total_bytes"]
        if len(self.body) > total:
            raise WireError("too_many", code="unexpected_part")
        if len(self.body) < total:
            return None
        whole = self.first | {"body": bytes(self.body), "total_bytes": None}
        self.first, self.body = None, bytearray()
        return whole
