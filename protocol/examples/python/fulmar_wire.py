"""Frames of the Fulmar protocol, version 1: bytes to fields and back.

Written from SPEC.md and vectors/ alone. It does no I/O and keeps no state but that of a stream. A frame is a
dict: "kind" is its name, the other keys are its fields under the names of the specification. "token", "body",
"value", "name", "info", "key", "status" and "avatar" are bytes; "total_bytes" is None where the parts flag isn't set; "own" is the own flag.
"""

FRAME_BYTES_MAX = 16_383
HELLO_BYTES_MAX = 2_048
BODY_BYTES_MAX = 416_384
PART_BYTES_MAX = 16_300
LOGS_MAX = 64
RESUME_MAX = 1_024
USERS_MAX = 256
WHO_MAX = 256
GROUP_VALUE_BYTES_MAX = 4_096
HISTORY_MAX = 256
REACTION_BYTES_MAX = 64
DISAPPEAR_SECONDS_MAX = 31_536_000
KEY_BYTES_MAX = 64
VALUE_BYTES_MAX = 1_024
NAME_BYTES_MAX = 32
ACTION_MAX = 11
CONTENT_CHANGE = 2
EDIT, DELETE, REACTION, MENTION, DISAPPEARING, TIMER = range(3, 9)
NUMBER_MAX = 2**64 - 1
CODE_MAX = 65_535

PARTS, OWN = 0x40, 0x80
MAGIC = b"FLMR"

NUMBER, BYTE, CODE, BYTES, TEXT, PAIRS, TOTAL, BODY, USERS, FLAG, ACTION, OWN_CONTENT, LIMIT = range(13)

CHANGE = [("action", ACTION, 0), ("users", USERS, USERS_MAX), ("value", BYTES, GROUP_VALUE_BYTES_MAX)]

# kind number: name, flags it may have, fields as (name, type, limit). The limit is the most bytes or pairs; of
# a number or a body it is the least
KINDS = {
    1: ("hello", 0, [("version_min", NUMBER, 0), ("version_max", NUMBER, 0), ("capabilities", NUMBER, 0),
                     ("user", NUMBER, 0), ("device", NUMBER, 0), ("token", BYTES, 1_024), ("agent", TEXT, 64),
                     ("cursors", PAIRS, LOGS_MAX)]),
    2: ("welcome", 0, [("version", NUMBER, 0), ("capabilities", NUMBER, 0), ("session", NUMBER, 0),
                       ("time_ms", NUMBER, 0), ("body_bytes_max", NUMBER, 0), ("window_messages", NUMBER, 0),
                       ("window_bytes", NUMBER, 0), ("sends_max", NUMBER, 0), ("idle_s", NUMBER, 0),
                       ("presence_s", NUMBER, 0), ("heads", PAIRS, LOGS_MAX)]),
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
    17: ("group_send", PARTS, [("group", NUMBER, 0), ("number", NUMBER, 1), ("content", OWN_CONTENT, 0),
                               ("total_bytes", TOTAL, 0), ("body", BODY, 0)]),
    18: ("group_sent", 0, [("group", NUMBER, 0), ("number", NUMBER, 0), ("position", NUMBER, 0),
                           ("time_ms", NUMBER, 0)]),
    19: ("group_rejected", 0, [("group", NUMBER, 0), ("number", NUMBER, 0), ("code", CODE, 0),
                               ("retry_after_ms", NUMBER, 0)]),
    20: ("group_deliver", PARTS | OWN, [("group", NUMBER, 0), ("position", NUMBER, 0), ("author", NUMBER, 0),
                                        ("time_ms", NUMBER, 0), ("content", BYTE, 0), ("total_bytes", TOTAL, 0),
                                        ("body", BODY, 0)]),
    21: ("group_skip", 0, [("group", NUMBER, 0), ("position", NUMBER, 0)]),
    22: ("group_ack", 0, [("group", NUMBER, 0), ("position", NUMBER, 0)]),
    23: ("group_read", 0, [("group", NUMBER, 0), ("position", NUMBER, 0)]),
    24: ("group_receipt", 0, [("group", NUMBER, 0), ("position", NUMBER, 0), ("members", NUMBER, 0),
                              ("delivered", NUMBER, 0), ("read", NUMBER, 0), ("delivered_all", NUMBER, 0),
                              ("read_all", NUMBER, 0), ("who", PAIRS, WHO_MAX)]),
    25: ("group_ask", 0, [("group", NUMBER, 0), ("position", NUMBER, 0), ("after", NUMBER, 0)]),
    26: ("group_change", 0, [("group", NUMBER, 0), ("number", NUMBER, 1)] + CHANGE),
    27: ("group_resume", 0, [("cursors", PAIRS, RESUME_MAX)]),
    28: ("group_look", 0, [("group", NUMBER, 0), ("after", NUMBER, 0)]),
    29: ("group_state", 0, [("group", NUMBER, 0), ("head", NUMBER, 0), ("members", NUMBER, 0),
                            ("shows_history", FLAG, 0), ("name", BYTES, GROUP_VALUE_BYTES_MAX),
                            ("info", BYTES, GROUP_VALUE_BYTES_MAX), ("roles", PAIRS, WHO_MAX)]),
    30: ("group_notice", 0, [("position", NUMBER, 0), ("group", NUMBER, 0), ("by", NUMBER, 0),
                             ("time_ms", NUMBER, 0)]),
    31: ("group_gone", 0, [("group", NUMBER, 0), ("position", NUMBER, 0)]),
    32: ("activity", 0, [("is_here", FLAG, 0)]),
    33: ("watch", 0, [("users", USERS, USERS_MAX)]),
    34: ("unwatch", 0, [("users", USERS, USERS_MAX)]),
    35: ("presence", 0, [("user", NUMBER, 0), ("is_online", FLAG, 0), ("last_seen_ms", NUMBER, 0)]),
    36: ("typing", 0, [("group", NUMBER, 0), ("user", NUMBER, 0), ("is_typing", FLAG, 0)]),
    37: ("history", 0, [("group", NUMBER, 0), ("from", NUMBER, 0), ("through", NUMBER, 0),
                        ("limit", LIMIT, HISTORY_MAX), ("newest_first", FLAG, 0)]),
    38: ("past", PARTS | OWN, [("group", NUMBER, 0), ("position", NUMBER, 0), ("peer", NUMBER, 0),
                               ("ordinal", NUMBER, 0), ("time_ms", NUMBER, 0), ("content", BYTE, 0),
                               ("total_bytes", TOTAL, 0), ("body", BODY, 0)]),
    39: ("history_end", 0, [("group", NUMBER, 0), ("from", NUMBER, 0), ("through", NUMBER, 0),
                            ("has_more", FLAG, 0)]),
    40: ("put", 0, [("item", BYTE, 0), ("key", BYTES, KEY_BYTES_MAX), ("value", BYTES, VALUE_BYTES_MAX)]),
    41: ("item", 0, [("version", NUMBER, 0), ("item", BYTE, 0), ("key", BYTES, KEY_BYTES_MAX),
                     ("value", BYTES, VALUE_BYTES_MAX)]),
    42: ("put_rejected", 0, [("item", BYTE, 0), ("key", BYTES, KEY_BYTES_MAX), ("code", CODE, 0),
                             ("retry_after_ms", NUMBER, 0)]),
    43: ("book_resume", 0, [("version", NUMBER, 0)]),
    44: ("book", 0, [("version", NUMBER, 0), ("head", NUMBER, 0), ("reset", FLAG, 0)]),
    45: ("profile_look", 0, [("user", NUMBER, 0), ("version", NUMBER, 0)]),
    46: ("profile", 0, [("user", NUMBER, 0), ("version", NUMBER, 0), ("name", BYTES, 128), ("status", BYTES, 512),
                        ("avatar", BYTES, 256)]),
    47: ("profile_news", 0, [("user", NUMBER, 0), ("version", NUMBER, 0)]),
    48: ("find", 0, [("name", BYTES, NAME_BYTES_MAX)]),
    49: ("found", 0, [("name", BYTES, NAME_BYTES_MAX), ("user", NUMBER, 0), ("code", CODE, 0),
                      ("retry_after_ms", NUMBER, 0)]),
}
KIND_OF = {name: (kind, flags, fields) for kind, (name, flags, fields) in KINDS.items()}

CODES = {
    0: "none", 100: "malformed_frame", 101: "frame_too_large", 102: "unexpected_frame", 103: "unknown_kind",
    104: "not_fulmar", 105: "unsupported_version", 106: "hello_timeout", 107: "frame_timeout",
    108: "idle_timeout", 109: "cursor_ahead", 110: "unexpected_part", 200: "token_invalid",
    201: "token_expired", 202: "token_unknown_key", 203: "token_mismatch", 204: "token_required",
    205: "bad_identity", 206: "too_many_devices", 207: "replaced", 300: "body_too_large",
    301: "quota_exceeded", 302: "stale_number", 303: "bad_peer", 304: "not_a_member", 305: "not_allowed",
    306: "group_full", 307: "bad_change", 308: "bad_content", 309: "no_such_message", 310: "not_yours",
    311: "too_old", 312: "book_full", 313: "bad_item", 314: "bad_name",
    315: "name_taken", 316: "too_many_lookups", 400: "overloaded", 401: "shutting_down",
    402: "too_many_connections", 403: "moved", 500: "internal",
}
NUMBER_OF_CODE = {name: number for number, name in CODES.items()}


def retryable(code):
    """Whether the same request can succeed later without being changed."""
    return code in (NUMBER_OF_CODE["quota_exceeded"], NUMBER_OF_CODE["too_many_lookups"]) or code >= 400


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

    def users(self, field, limit):
        count = self.number(field)
        if count > limit:
            self.fail("too_long", field)
        users = []
        for _ in range(count):
            users.append(self.number(field, least=users[-1] + 1 if users else 1))
        return users

    def flag(self, field):
        value = self.number(field)
        if value > 1:
            self.fail("value", field)
        return value == 1

    def limit(self, field, most):
        value = self.number(field, least=1)
        if value > most:
            self.fail("value", field)
        return value

    def action(self, field):
        value = self.byte(field)
        if not 1 <= value <= ACTION_MAX:
            self.fail("value", field)
        return value

    def own_content(self, field):
        """Content of what a member sends: not that of the entries that the server makes."""
        value = self.byte(field)
        if value == CONTENT_CHANGE:
            self.fail("value", field)
        return value

    def fields(self, fields, parts=False):
        """All of these, by name."""
        readers = {NUMBER: self.number, BYTE: lambda field, _: self.byte(field),
                   CODE: lambda field, _: self.code(field), BYTES: self.bytes, TEXT: self.text,
                   PAIRS: self.pairs, BODY: self.body, USERS: self.users,
                   FLAG: lambda field, _: self.flag(field), ACTION: lambda field, _: self.action(field),
                   LIMIT: self.limit,
                   OWN_CONTENT: lambda field, _: self.own_content(field),
                   TOTAL: lambda field, _: self.number(field) if parts else None}
        found = {field: readers[kind](field, limit) for field, kind, limit in fields}
        if self.at != len(self.data):
            raise WireError("trailing")
        return found

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
    frame |= reader.fields(fields, parts=bool(flags & PARTS))
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
    out += encode_fields(fields, frame)
    return write_varint(len(out)) + bytes(out)


def encode_fields(fields, values):
    out = bytearray()
    for field, kind, _ in fields:
        value = values.get(field)
        if kind in (NUMBER, CODE, FLAG, LIMIT) or (kind == TOTAL and value is not None):
            out += write_varint(int(value))
        elif kind in (BYTE, ACTION, OWN_CONTENT):
            out.append(value)
        elif kind in (BYTES, TEXT):
            raw = value.encode("utf-8") if kind == TEXT else value
            out += write_varint(len(raw)) + raw
        elif kind == PAIRS:
            out += write_varint(len(value))
            for first, second in value:
                out += write_varint(first) + write_varint(second)
        elif kind == USERS:
            out += write_varint(len(value)) + b"".join(map(write_varint, value))
        elif kind == BODY:
            out += value
    return bytes(out)


def decode_content(content, body, in_group):
    """The head and the rest of a body whose content has a head; of any other, all of it is the rest."""
    reader = Reader(body, 0, {EDIT: "edit", DELETE: "delete", REACTION: "reaction", MENTION: "mention",
                              DISAPPEARING: "disappearing", TIMER: "timer"}.get(content))
    found = {}
    if content in (EDIT, DELETE):
        found["target"] = reader.number("target", least=1)
    elif content == REACTION:
        whose = reader.byte("whose")
        if whose > (0 if in_group else 1):
            reader.fail("value", "whose")
        found = {"of_peer": whose == 1, "target": reader.number("target", least=1)}
        if len(body) - reader.at > REACTION_BYTES_MAX:
            reader.fail("too_long", "body")
    elif content == MENTION:
        found = {"users": reader.users("users", USERS_MAX), "inner": reader.byte("content")}
        if CONTENT_CHANGE <= found["inner"] <= TIMER:
            reader.fail("value", "content")
    elif content in (DISAPPEARING, TIMER):
        found["seconds"] = reader.number("seconds", least=1 if content == DISAPPEARING else 0)
        if found["seconds"] > DISAPPEAR_SECONDS_MAX:
            reader.fail("value", "seconds")
        if content == DISAPPEARING:
            found["inner"] = reader.byte("content")
            if found["inner"] in (CONTENT_CHANGE, DISAPPEARING, TIMER):
                reader.fail("value", "content")
            decode_content(found["inner"], body[reader.at:], in_group)
    if content not in (DELETE, TIMER):
        found["body"] = bytes(body[reader.at:])
    elif reader.at != len(body):
        raise WireError("trailing")
    return found


def encode_content(content, found):
    """The body of such a content."""
    out = bytearray()
    if content == REACTION:
        out.append(found["of_peer"])
    if content in (EDIT, DELETE, REACTION):
        out += write_varint(found["target"])
    elif content == MENTION:
        out += write_varint(len(found["users"])) + b"".join(map(write_varint, found["users"]))
    elif content in (DISAPPEARING, TIMER):
        out += write_varint(found["seconds"])
    if content in (MENTION, DISAPPEARING):
        out.append(found["inner"])
    return bytes(out) + found.get("body", b"")


def decode_change(body):
    """The change that an entry of content 2 tells of: its action, users and value."""
    return Reader(body, 0, "group_change").fields(CHANGE)


def encode_change(change):
    """The body of an entry that tells of `change`."""
    return encode_fields(CHANGE, change)


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
    """The frames of a send or deliver whose body may be too long for one, largest pieces first."""
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
        """Takes a send, deliver or PART; gives the frame with its whole body once that is complete."""
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
