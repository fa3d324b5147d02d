//! Messages there and back, across reconnects and restarts.

use fulmar_client::{State, content};
use fulmar_protocol::limits::PART_BYTES_MAX;
use fulmar_protocol::{Frame, Pairs};

use crate::Home;
use crate::frames::{deliver, deliver_large, large_body, own_copy, receipt, tick};
use crate::server::Server;

#[tokio::test]
async fn a_message_gets_its_ticks_and_an_answer_gets_read() {
    let (server, home) = (Server::start().await, Home::new());
    let (client, mut events) = home.open(&server.address).await;
    let mut peer = server.login().await;
    events.expect("connected 5").await;

    let id = client.send(8, content::TEXT, *b"hello").await.unwrap();
    peer.expect("send 8 #0 hello").await;
    peer.say(&[tick(8, peer.base(), 1)]).await;
    events.expect("ticked 1 8 #1").await;
    peer.say(&[receipt(8, 1, 0)]).await;
    events.expect("delivered 8 #1").await;
    peer.say(&[receipt(8, 1, 1), deliver(1, 8, 1, "hi")]).await;
    events.expect("read 8 #1").await;
    events.expect("message @1 8 #1 hi").await;
    peer.expect("ack 1").await;
    client.mark_read(8, 1).await;
    peer.expect("read 8 1").await;

    let history = client.history(8, None, 10).await.unwrap();
    let states: Vec<_> = history.iter().map(|message| (message.id, message.state)).collect();
    assert_eq!(states[0], (id, State::Sent));
    assert_eq!(states[1].1, State::Received);
    let conversation = &client.conversations().await.unwrap()[0];
    assert_eq!((conversation.delivered, conversation.read, conversation.seen), (1, 1, 1));
}

#[tokio::test]
async fn an_unanswered_send_goes_out_again_with_its_number() {
    let (server, home) = (Server::start().await, Home::new());
    let (client, mut events) = home.open(&server.address).await;
    let mut peer = server.login().await;
    client.send(8, content::TEXT, *b"one").await.unwrap();
    client.send(8, content::TEXT, *b"two").await.unwrap();
    peer.expect("send 8 #0 one").await;
    drop(peer);
    events.until("disconnected").await;
    let mut peer = server.login().await;
    peer.expect("send 8 #0 one").await;
    peer.expect("send 8 #1 two").await;
    peer.say(&[tick(8, peer.base(), 1), tick(8, peer.base() + 1, 2)]).await;
    events.until("ticked 1 8 #1").await;
    events.expect("ticked 2 8 #2").await;
}

#[tokio::test]
async fn what_was_written_offline_goes_out_after_a_restart() {
    let (server, home) = (Server::start().await, Home::new());
    let (client, mut events) = home.open("127.0.0.1:1").await;
    events.until("disconnected: can't connect").await;
    client.send(8, content::TEXT, *b"offline").await.unwrap();
    client.close().await;
    events.end().await;

    let (client, mut events) = home.open(&server.address).await;
    let mut peer = server.login().await;
    peer.expect("send 8 #0 offline").await;
    peer.say(&[tick(8, peer.base(), 1)]).await;
    events.until("ticked 1 8 #1").await;
    drop(client);
    peer.expect("goodbye none").await;
    assert_eq!(peer.next().await, None);
    events.end().await;
}

#[tokio::test]
async fn large_bodies_pass_whole_with_other_frames_between() {
    let (server, home) = (Server::start().await, Home::new());
    let (client, mut events) = home.open(&server.address).await;
    let mut peer = server.login().await;
    events.expect("connected 5").await;
    let body = large_body(400_000);

    client.send(8, content::TEXT, body.clone()).await.unwrap();
    peer.expect("send 8 #0 [16300 bytes] of 400000").await;
    let parts = 400_000usize.div_ceil(PART_BYTES_MAX) - 1;
    for part in 1..=parts {
        let bytes = PART_BYTES_MAX.min(400_000 - part * PART_BYTES_MAX);
        peer.expect(&format!("part {bytes}")).await;
    }

    let frames = deliver_large(1, 9, 1, &body);
    let (last, rest) = frames.split_last().unwrap();
    for frame in rest {
        peer.say(&[*frame, Frame::Pong { heads: Pairs::Slice(&[]) }]).await;
    }
    peer.say(&[deliver(2, 9, 2, "behind"), *last]).await;
    events.expect("message @1 9 #1 [400000 bytes]").await;
    events.expect("message @2 9 #2 behind").await;
    peer.expect("ack 2").await;
    let history = client.history(9, None, 10).await.unwrap();
    assert_eq!(*history[0].body, *body);
}

#[tokio::test]
async fn a_break_in_the_middle_of_a_large_body_begins_it_anew_on_both_sides() {
    let (server, home) = (Server::start().await, Home::new());
    let (client, mut events) = home.open(&server.address).await;
    let mut peer = server.login().await;
    let body = large_body(100_000);
    client.send(8, content::TEXT, body.clone()).await.unwrap();
    peer.expect("send 8 #0 [16300 bytes] of 100000").await;
    peer.expect("part 16300").await;
    let frames = deliver_large(1, 9, 1, &body);
    peer.say(&frames[..3]).await;
    drop(peer);
    events.until("disconnected").await;

    let mut peer = server.login().await;
    peer.expect("send 8 #0 [16300 bytes] of 100000").await;
    for bytes in [16_300, 16_300, 16_300, 16_300, 16_300, 2_200] {
        peer.expect(&format!("part {bytes}")).await;
    }
    peer.say(&frames).await;
    events.until("message @1 9 #1 [100000 bytes]").await;
    peer.expect("ack 1").await;
}

#[tokio::test]
async fn nothing_is_told_twice_across_restarts() {
    let (server, home) = (Server::start().await, Home::new());
    let mut first = 1;
    for round in 0..3 {
        let (client, mut events) = home.open(&server.address).await;
        let mut peer = server.login().await;
        events.expect("connected 5").await;
        // Everything from the first position again, as if every acknowledgement had been lost.
        for position in 1..first + 20 {
            peer.say(&[deliver(position, 8, position, "x")]).await;
        }
        for position in first..first + 20 {
            events.expect(&format!("message @{position} 8 #{position} x")).await;
        }
        first += 20;
        let history = client.history(8, None, 1_000).await.unwrap();
        assert_eq!(history.len(), 20 * (round + 1));
        client.close().await;
    }
}

#[tokio::test]
async fn another_device_of_the_same_user_is_seen() {
    let (server, home) = (Server::start().await, Home::new());
    let (client, mut events) = home.open(&server.address).await;
    let mut peer = server.login().await;
    events.expect("connected 5").await;
    let seen = Frame::Receipt { peer: 8, delivered: 1, read: 1, own: true };
    peer.say(&[deliver(1, 8, 1, "hi"), own_copy(2, 8, 1, "answered there"), seen]).await;
    let mut told = [events.next().await, events.next().await, events.next().await];
    // A receipt has no place in the order of the inbox.
    told.sort();
    assert_eq!(told, ["message @1 8 #1 hi", "own @2 8 #1 answered there", "seen 8 #1"]);
    let mut lines = [peer.next().await, peer.next().await].map(Option::unwrap);
    lines.sort();
    assert_eq!(lines, ["ack 2", "ask 8"]);
    assert_eq!(client.conversations().await.unwrap()[0].unread, 0);
}
