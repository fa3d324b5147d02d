"""A small client for Fulmar, written from SPEC.md alone: one device, one SQLite file, one connection.

It shows what a client must keep and in which order it must do things; section numbers are those of SPEC.md.
It isn't fast, and leaves to its caller when to come back (`delay_s` says how long to wait).
"""

import random
import select
import socket
import sqlite3
import time

from fulmar_wire import (BODY_BYTES_MAX, CODES, HELLO_BYTES_MAX, NUMBER_OF_CODE, Assembly, Stream, WireError, cut,
                         decode, encode)

AGENT = "python-example/1"
CONNECT_S = 5
WELCOME_S = 30
RECEIVE_BYTES = 65_536
INBOX = 0

SCHEMA = """
CREATE TABLE IF NOT EXISTS device (cursor INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS received (id INTEGER PRIMARY KEY, position INTEGER UNIQUE, peer INTEGER, ordinal INTEGER,
    time_ms INTEGER, content INTEGER, body BLOB, own INTEGER);
CREATE TABLE IF NOT EXISTS sent (id INTEGER PRIMARY KEY, peer INTEGER, number INTEGER, content INTEGER, body BLOB,
    state TEXT, ordinal INTEGER, time_ms INTEGER, UNIQUE (peer, number));
CREATE TABLE IF NOT EXISTS conversation (peer INTEGER PRIMARY KEY, number INTEGER DEFAULT 0,
    delivered INTEGER DEFAULT 0, read INTEGER DEFAULT 0, seen INTEGER DEFAULT 0, reported INTEGER DEFAULT 0);
"""


class Refused(Exception):
    """The login failed; `frame` is the REFUSE."""

    def __init__(self, frame):
        super().__init__(f"{CODES.get(frame['code'], frame['code'])}: {frame['detail']}")
        self.frame = frame


class Ended(Exception):
    """The connection is over; `frame` is the GOODBYE, or None if it just ended."""

    def __init__(self, frame=None, why="the connection ended"):
        super().__init__(f"{CODES.get(frame['code'], frame['code'])}: {frame['detail']}" if frame else why)
        self.frame = frame


def delay_s(failed, retry_after_ms=0):
    """How long to wait before coming back after `failed` failed attempts in a row (section 15)."""
    return retry_after_ms / 1000 + random.uniform(0, min(60, 0.5 * 2 ** min(failed, 10)))


def printable(body):
    """A text body without what could steer a terminal (section 19)."""
    text = body.decode("utf-8", errors="replace")
    return "".join("\N{REPLACEMENT CHARACTER}" if ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F else c for c in text)


def signed(number):
    """Numbers of the wire have 64 bits and no sign; SQLite's have one."""
    return number - 2**64 if number >= 2**63 else number


def unsigned(number):
    return number % 2**64


class Client:
    """One device of one user. `path` is the file of its store, which nothing else may have open."""

    def __init__(self, path, user, device, token=b""):
        self.user, self.device, self.token = user, device, token
        self.store = sqlite3.connect(path, isolation_level=None)
        self.store.execute("PRAGMA journal_mode = WAL")
        self.store.execute("PRAGMA synchronous = FULL")
        self.store.executescript(SCHEMA)
        if self.store.execute("SELECT count(*) FROM device").fetchone()[0] == 0:
            self.store.execute("INSERT INTO device VALUES (0)")
        self.socket = None

    # ---------------------------------------------------------------- the connection

    def connect(self, host="127.0.0.1", port=7700):
        """Logs in, and repeats what a break left open. Gives the WELCOME."""
        self.socket = socket.create_connection((host, port), timeout=CONNECT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.stream, self.assembly, self.arrived, self.over = Stream(), Assembly(), [], None
        self.out, self.unanswered = bytearray(), set()
        self.wrote_at = time.monotonic()
        self.pinged, self.pongs, self.reads = False, 0, {}
        self.welcome = None
        cursor = self.cursor()
        self.next, self.passed, self.acked = cursor + 1, 0, 0
        hello = encode({"kind": "hello", "version_min": 1, "version_max": 1, "capabilities": 0, "user": self.user,
                        "device": self.device, "token": self.token, "agent": AGENT, "cursors": [[INBOX, cursor]]})
        assert len(hello) <= HELLO_BYTES_MAX
        self.write(hello)
        until = time.monotonic() + WELCOME_S
        while self.welcome is None:
            if time.monotonic() > until:
                self.close()
                raise Ended(why="no answer to the hello")
            self.arrived = self.receive(until - time.monotonic())
        return self.welcome

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def goodbye(self, code="none"):
        """Says goodbye, as far as the socket takes it at once, and closes."""
        self.write(encode({"kind": "goodbye", "code": NUMBER_OF_CODE[code], "retry_after_ms": 0, "address": "",
                           "detail": ""}))
        try:
            self.socket.send(self.out)
        except OSError:
            pass  # A courtesy: nothing depends on it.
        self.close()

    def write(self, data):
        self.out += data
        self.wrote_at = time.monotonic()

    def receive(self, wait_s):
        """Waits up to `wait_s` for frames; gives the events in them. An event is a frame with its whole body.

        Everything that came is stored before anything is acknowledged."""
        events, self.arrived = self.arrived, []
        if events:
            return events
        if self.over:
            raise self.over
        self.keep_alive()
        readable, writable, _ = select.select([self.socket], [self.socket] if self.out else [], [], max(0, wait_s))
        try:
            if writable:
                del self.out[:self.socket.send(self.out)]
            data = self.socket.recv(RECEIVE_BYTES) if readable else None
        except OSError as error:
            self.close()
            raise Ended(why=str(error)) from error
        if data == b"":
            self.close()
            raise Ended()
        if data:
            self.pinged = False
            events = self.take(data)
        return events

    def take(self, data):
        """The events in `data`. A frame that breaks the protocol ends the connection, with its code (section 6)."""
        events = []
        self.store.execute("BEGIN IMMEDIATE")
        try:
            for frame in self.stream.frames(data):
                event = self.on_frame(decode(frame))
                if event:
                    events.append(event)
        except WireError as error:
            self.goodbye(error.code)
            self.over = Ended(why=f"a defect of the server or of this client: {error}")
        except (Refused, Ended) as over:
            self.over = over
        finally:
            self.store.execute("COMMIT")
        self.acknowledge()
        return events

    def keep_alive(self):
        """Pings after a third of the idle limit, gives up after another third (section 6)."""
        if self.welcome is None:
            return
        now, third = time.monotonic(), self.welcome["idle_s"] / 3
        if now - self.wrote_at >= third:
            self.ping()
        if self.pinged and now - self.pinged_at >= third:
            self.close()
            raise Ended(why="the server is silent")

    def ping(self):
        self.write(encode({"kind": "ping"}))
        if not self.pinged:
            self.pinged, self.pinged_at = True, time.monotonic()

    # ---------------------------------------------------------------- frames from the server

    def on_frame(self, frame):
        kind = frame["kind"]
        if (self.welcome is None) != (kind in ("welcome", "refuse")) and kind not in ("goodbye", "unknown"):
            raise WireError(f"{kind} at this moment", code="unexpected_frame")
        handler = getattr(self, f"on_{kind}", None)
        if handler is None:
            raise WireError(f"{kind} from a server", code="unexpected_frame")
        return handler(frame)

    def on_unknown(self, frame):
        return None  # Skippable: a later version may send it.

    def on_refuse(self, frame):
        self.close()
        raise Refused(frame)

    def on_goodbye(self, frame):
        self.close()
        raise Ended(frame)

    def on_welcome(self, frame):
        """What to do at once, in the order of section 15."""
        if frame["version"] != 1:
            raise WireError("a version that wasn't offered", code="unsupported_version")
        self.welcome = frame
        head = dict(map(tuple, frame["heads"])).get(INBOX, 0)
        if head < self.cursor():
            self.server_lost(head)
        self.flush()
        for peer, seen in self.rows("SELECT peer, seen FROM conversation WHERE seen > reported"):
            self.report(unsigned(peer), unsigned(seen))
        for (peer,) in self.rows("SELECT peer FROM conversation c WHERE read < (SELECT max(ordinal) FROM ("
                                 "SELECT ordinal FROM sent s WHERE s.peer = c.peer AND state = 'sent' UNION ALL "
                                 "SELECT ordinal FROM received r WHERE r.peer = c.peer AND own))"):
            self.ask(peer)
        return None

    def server_lost(self, head):
        """A backup was restored on the server: it goes on from its head (section 9)."""
        self.store.execute("UPDATE device SET cursor = ?", (signed(head),))
        self.store.execute("UPDATE received SET position = NULL WHERE position > ?", (signed(head),))
        self.next = head + 1

    def on_deliver(self, frame):
        if frame["position"] > self.next:
            raise WireError("a hole in the inbox", code="none")
        limit = max(self.welcome["body_bytes_max"], BODY_BYTES_MAX)
        if (frame["total_bytes"] or 0) > limit:
            raise WireError("a body over the limit")
        self.next = max(self.next, frame["position"] + 1)
        # While a large body is in progress nothing from its first frame on may be acknowledged (section 11).
        self.passed = max(self.passed, frame["position"])
        return self.on_whole(self.assembly.take(frame))

    def on_part(self, frame):
        return self.on_whole(self.assembly.take(frame))

    def on_whole(self, frame):
        if frame is None:
            return None
        stored = self.store.execute(
            "INSERT OR IGNORE INTO received (position, peer, ordinal, time_ms, content, body, own) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (signed(frame["position"]), signed(frame["peer"]), signed(frame["ordinal"]), signed(frame["time_ms"]),
             frame["content"], frame["body"], frame["own"])).rowcount
        self.conversation(frame["peer"])
        self.advance()
        return frame if stored else None

    def on_group_notice(self, frame):
        """Somebody added the user to a group. This client uses none, but it is an entry of the inbox (section 9)."""
        if frame["position"] > self.next:
            raise WireError("a hole in the inbox", code="none")
        return self.on_skip(frame)

    def on_presence(self, frame):
        return None  # A hint that this client has no use for, as is the next (section 21).

    def on_typing(self, frame):
        return None

    def on_skip(self, frame):
        self.next = max(self.next, frame["position"] + 1)
        self.passed = max(self.passed, frame["position"])
        self.advance()
        return None

    def safe(self):
        """Up to where everything that came on this connection is in the store."""
        return self.assembly.first["position"] - 1 if self.assembly.first else self.passed

    def advance(self):
        """The cursor moves in the same transaction as the messages up to it (section 16)."""
        self.store.execute("UPDATE device SET cursor = max(cursor, ?)", (signed(self.safe()),))

    def acknowledge(self):
        """Never above what came on this connection, though the store may hold more (section 9)."""
        if self.socket and self.safe() > self.acked:
            self.acked = self.safe()
            self.write(encode({"kind": "ack", "position": self.acked}))

    def on_sent(self, frame):
        self.store.execute("UPDATE sent SET state = 'sent', ordinal = ?, time_ms = ? WHERE peer = ? AND number = ? "
                           "AND state = 'waiting'", (signed(frame["ordinal"]), signed(frame["time_ms"]),
                                                     signed(frame["peer"]), signed(frame["number"])))
        return self.answered(frame)

    def on_rejected(self, frame):
        self.store.execute("UPDATE sent SET state = 'rejected' WHERE peer = ? AND number = ? AND state = 'waiting'",
                           (signed(frame["peer"]), signed(frame["number"])))
        return self.answered(frame)

    def answered(self, frame):
        self.unanswered.discard((frame["peer"], frame["number"]))
        self.flush()
        return frame

    def on_receipt(self, frame):
        """Receipts are cumulative: the larger of what was known and what came counts (section 10)."""
        self.conversation(frame["peer"])
        if frame["own"]:
            self.store.execute("UPDATE conversation SET seen = max(seen, ?), reported = max(reported, ?) WHERE peer = ?",
                               (signed(frame["read"]), signed(frame["read"]), signed(frame["peer"])))
        else:
            self.store.execute("UPDATE conversation SET delivered = max(delivered, ?), read = max(read, ?) "
                               "WHERE peer = ?",
                               (signed(frame["delivered"]), signed(frame["read"]), signed(frame["peer"])))
        return frame

    def on_pong(self, frame):
        """The second PONG after a READ says that the server has it, and had time to store it (section 10)."""
        self.pongs += 1
        for peer, (ordinal, pongs) in list(self.reads.items()):
            if self.pongs >= pongs + 2:
                del self.reads[peer]
                self.store.execute("UPDATE conversation SET reported = max(reported, ?) WHERE peer = ?",
                                   (signed(ordinal), signed(peer)))
        return frame

    # ---------------------------------------------------------------- what a person does

    def send(self, peer, body, content=1):
        """Stores a message under its number, and sends it if there is a connection; gives the number (section 8)."""
        if len(body) > (self.welcome["body_bytes_max"] if self.socket else BODY_BYTES_MAX):
            raise ValueError("the body is longer than the server takes")
        self.conversation(peer)
        last = unsigned(self.rows("SELECT number FROM conversation WHERE peer = ?", signed(peer))[0][0])
        number = last + 1 if last else int(time.time() * 1000)
        self.store.execute("BEGIN IMMEDIATE")
        self.store.execute("UPDATE conversation SET number = ? WHERE peer = ?", (signed(number), signed(peer)))
        self.store.execute("INSERT INTO sent (peer, number, content, body, state) VALUES (?, ?, ?, ?, 'waiting')",
                           (signed(peer), signed(number), content, body))
        self.store.execute("COMMIT")
        if self.socket:
            self.flush()
        return number

    def flush(self):
        """Writes the sends that have no answer and aren't written yet, oldest first, up to sends_max."""
        room = self.welcome["sends_max"] - len(self.unanswered)
        if room <= 0:
            return
        waiting = "SELECT peer, number, content, body FROM sent WHERE state = 'waiting' ORDER BY id LIMIT ?"
        for peer, number, content, body in self.rows(waiting, self.welcome["sends_max"]):
            key = (unsigned(peer), unsigned(number))
            if key in self.unanswered or len(self.unanswered) >= self.welcome["sends_max"]:
                continue
            self.unanswered.add(key)
            # All parts at once: nothing to the same peer can come between them.
            for frame in cut({"kind": "send", "peer": key[0], "number": key[1], "content": content, "body": body}):
                self.write(frame)

    def saw(self, peer, ordinal):
        """The person saw what `peer` wrote up to `ordinal`."""
        self.conversation(peer)
        self.store.execute("UPDATE conversation SET seen = max(seen, ?) WHERE peer = ?",
                           (signed(ordinal), signed(peer)))
        if self.socket:
            self.report(peer, ordinal)

    def report(self, peer, ordinal):
        self.write(encode({"kind": "read", "peer": peer, "ordinal": ordinal}))
        self.reads[peer] = (ordinal, self.pongs)

    def ask(self, peer):
        self.write(encode({"kind": "ask", "peer": unsigned(peer)}))

    # ---------------------------------------------------------------- the store

    def cursor(self):
        return unsigned(self.rows("SELECT cursor FROM device")[0][0])

    def conversation(self, peer):
        self.store.execute("INSERT OR IGNORE INTO conversation (peer) VALUES (?)", (signed(peer),))

    def rows(self, statement, *values):
        return self.store.execute(statement, values).fetchall()
