#!/usr/bin/env python3
"""Two people, three devices and a server in development mode: what a client sees of every promise, once.

Usage: tour.py [HOST:PORT [USER USER]]. The users must be new to the server; without them two are drawn.
"""

import pathlib
import random
import sys
import tempfile
import time

from fulmar_client import Client, Ended, Refused, printable
from fulmar_wire import PART_BYTES_MAX, write_varint

PATIENCE_S = 30
LONG = "\N{SNOWMAN}\N{PENGUIN}ab" * 25_000


class Person:
    """A client, and all that came to it."""

    def __init__(self, folder, server, user, device):
        self.path, self.server, self.user, self.device = folder / f"{user}-{device}.db", server, user, device
        self.events = []
        self.come()

    def come(self):
        self.client = Client(self.path, self.user, self.device)
        self.client.connect(*self.server)

    def leave(self):
        self.client.goodbye()

    def came(self, kind, **fields):
        """The events of a kind with these fields."""
        return [event for event in self.events
                if event["kind"] == kind and all(event[name] == value for name, value in fields.items())]

    def texts(self):
        return [printable(event["body"]) for event in self.came("deliver")]


def serve(people, done):
    """Lets time pass for `people` until `done()` holds."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, "what was waited for didn't come"
        for person in people:
            person.events += person.client.receive(0.01)


def first_message(alice, bob):
    number = alice.client.send(bob.user, b"hello")
    serve([alice, bob], lambda: alice.came("sent", number=number, ordinal=1) and bob.texts() == ["hello"])
    serve([alice, bob], lambda: alice.came("receipt", peer=bob.user, delivered=1))
    bob.client.saw(alice.user, 1)
    serve([alice, bob], lambda: alice.came("receipt", peer=bob.user, read=1))
    print("sent, delivered, read")


def while_away(alice, bob):
    cursor = bob.client.cursor()
    bob.leave()
    bodies = [b"one", b"two", LONG.encode(), b"three"]
    numbers = [alice.client.send(bob.user, body) for body in bodies]
    serve([alice], lambda: all(alice.came("sent", number=number) for number in numbers))
    assert not alice.came("receipt", delivered=2), "nobody can have received it"
    bob.events.clear()
    bob.come()
    serve([alice, bob], lambda: len(bob.texts()) == 4 and alice.came("receipt", delivered=5))
    assert [event["body"] for event in bob.came("deliver")] == bodies
    assert [event["ordinal"] for event in bob.came("deliver")] == [2, 3, 4, 5]
    assert bob.client.cursor() == cursor + 4
    pieces = -(-len(bodies[2]) // PART_BYTES_MAX)
    print(f"four messages waited for who was away, one of {len(LONG)} characters in {pieces} frames")


def lost_answer(alice, bob):
    """The SEND arrives, its SENT is never seen: the repetition gets the same ordinal and is shown once."""
    number = alice.client.send(bob.user, b"only once")
    bob.events.clear()
    alice.client.receive(0)
    serve([bob], lambda: bob.texts() == ["only once"])
    alice.client.close()
    alice.events.clear()
    alice.come()
    serve([alice, bob], lambda: alice.came("sent", number=number, ordinal=6, time_ms=0))
    serve([alice, bob], lambda: alice.came("receipt", peer=bob.user, delivered=6))
    assert bob.texts() == ["only once"]
    print("a repeated send was stored once, and asking brought its receipt")


def second_device(folder, server, alice, bob):
    tablet = Person(folder, server, alice.user, 2)
    alice.events.clear()
    number = alice.client.send(bob.user, b"from the phone")
    serve([alice, bob, tablet], lambda: tablet.came("deliver", own=True, peer=bob.user, ordinal=7))
    serve([alice, bob], lambda: alice.came("sent", number=number, ordinal=7))
    position = tablet.came("deliver", own=True)[-1]["position"]
    serve([alice, bob, tablet], lambda: alice.client.cursor() == position)
    assert not alice.came("deliver"), "no copy for the device that sent it"
    bob.client.send(alice.user, b"to both")
    serve([alice, bob, tablet], lambda: "to both" in alice.texts() and "to both" in tablet.texts())
    alice.client.saw(bob.user, 1)
    serve([alice, bob, tablet], lambda: tablet.came("receipt", own=True, peer=bob.user, read=1))
    tablet.leave()
    print("a second device got its copies, and what was read on the first")


def taken_over(folder, server, alice):
    old = alice.client
    alice.come()
    assert ended(old)["code"] == 207, "replaced"
    print("the same device again: the older connection was told so")


def wrong_bytes(alice):
    alice.client.write(write_varint(1) + b"\x00")
    assert ended(alice.client)["code"] == 103, "unknown_kind"
    alice.come()
    alice.client.write(b"\x02\x0a\x7f")
    assert ended(alice.client)["code"] == 109, "cursor_ahead"
    print("bytes that break the protocol ended the connection with their code")


def refused(folder, server):
    try:
        Person(folder, server, 0, 1)
    except Refused as refusal:
        assert refusal.frame["code"] == 205, "bad_identity"
        print("a login that can't be was refused")
        return
    raise AssertionError("user 0 was let in")


def ended(client):
    """The GOODBYE that ends the connection."""
    end = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < end:
            client.receive(0.1)
    except Ended as over:
        assert over.frame, over
        return over.frame
    raise AssertionError("the connection didn't end")


def main():
    host, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7700").rsplit(":", 1)
    server = (host, int(port))
    users = [int(user) for user in sys.argv[2:4]] or random.sample(range(10**6, 2**63), 2)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        alice, bob = Person(folder, server, users[0], 1), Person(folder, server, users[1], 1)
        first_message(alice, bob)
        while_away(alice, bob)
        lost_answer(alice, bob)
        second_device(folder, server, alice, bob)
        taken_over(folder, server, alice)
        wrong_bytes(alice)
        refused(folder, server)
        bob.leave()
    print("all good")


if __name__ == "__main__":
    main()
