//! Answers to sends, quotas and receipts.

use fulmar_client::store::{ConversationState, Write};
use fulmar_protocol::{Code, Frame, Pairs, Send};

use super::{History, READER, SENDER};

#[test]
fn a_sender_s_order_is_kept() {
    let mut history = History::with_two_sent();
    history.tick(1, 2);
    history.tick(2, 1);
    history.complains("a sender's order is kept");
}

#[test]
fn a_resend_has_its_first_ordinal() {
    let mut history = History::with_message();
    history.send(1, b"message one");
    history.send(2, b"message two");
    history.tick(1, 2);
    history.complains("a resend is answered with its first ordinal");
}

#[test]
fn only_what_was_sent_is_ticked_and_each_send_is_answered_once() {
    let mut history = History::new();
    history.tick(1, 1);
    history.complains("a send is answered once");

    let mut history = History::with_message();
    history.tick(1, 1);
    history.complains("a send is answered once");

    let mut history = History::new();
    let (peer, number) = (READER, 1);
    let first = Send { peer, number, content: 1, total_bytes: Some(100), body: b"a part" };
    history.wrote(1, &Frame::Send(first));
    history.tick(1, 1);
    history.complains("a tick is for something that was sent");
}

#[test]
fn ticks_keep_the_order_of_the_sends() {
    let mut history = History::with_two_sent();
    history.tick(2, 2);
    history.complains("ticks come in the order of the sends");
}

#[test]
fn what_was_ticked_is_never_rejected() {
    let mut history = History::with_message();
    history.send(1, b"message one");
    history.reject(1, Code::StaleNumber);
    history.complains("what was ticked is never rejected");
}

#[test]
fn a_number_is_stale_only_behind_a_newer_one() {
    let mut history = History::with_two_sent();
    history.reject(1, Code::StaleNumber);
    history.is_quiet();
    history.reject(2, Code::StaleNumber);
    history.complains("a number is stale only behind a newer one");
}

#[test]
fn an_inbox_is_full_only_when_it_is_and_holds_no_more() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.reject(1, Code::QuotaExceeded);
    history.complains("an inbox is full only when it is");

    let mut history = History::new();
    history.0.opened(9, true);
    for number in 1..=2_000 {
        history.send(number, &[b"message ", &number.to_le_bytes()[..]].concat());
    }
    // Slow devices have acknowledged nothing, and one is given a position far beyond the quota.
    history.deliver(2, 1, 1, &[b"message ", &1u64.to_le_bytes()[..]].concat());
    history.skip(2, 1_500);
    history.deliver(2, 1_501, 2, &[b"message ", &2u64.to_le_bytes()[..]].concat());
    history.complains("an inbox is bounded");
}

/// What every device acknowledged waits no more, once the server has surely taken the acknowledgements.
#[test]
fn an_inbox_that_everybody_emptied_is_not_full() {
    let bodies: Vec<String> = (0..=5).map(|number| format!("message {number}")).collect();
    let mut history = History::new();
    for number in 1..=3 {
        history.send(number, bodies[number as usize].as_bytes());
        history.tick(number, number);
    }
    for conn in [2, 3] {
        for number in 1..=2 {
            history.deliver(conn, number, number, bodies[number as usize].as_bytes());
        }
        history.ack(conn, 2);
        history.wrote(conn, &Frame::Ping);
    }
    history.told(2, &Frame::Pong { heads: Pairs::Slice(&[(0, 3)]) });
    // Of the other device that isn't sure.
    history.send(4, bodies[4].as_bytes());
    history.reject(4, Code::QuotaExceeded);
    history.is_quiet();
    history.told(3, &Frame::Pong { heads: Pairs::Slice(&[(0, 3)]) });
    history.send(5, bodies[5].as_bytes());
    history.reject(5, Code::QuotaExceeded);
    history.complains("an inbox is full only when it is");
}

#[test]
fn receipts_never_run_ahead() {
    let mut history = History::new();
    history.send(1, b"message one");
    history.deliver(2, 1, 1, b"message one");
    history.receipt(1, 0);
    history.complains("a receipt tells the truth");

    let mut history = History::with_message();
    history.receipt(1, 1);
    history.complains("a receipt tells the truth");
}

#[test]
fn receipts_end_as_the_truth() {
    let mut history = History::with_message();
    let mut state = ConversationState::new(READER);
    (state.out_last, state.delivered) = (1, 0);
    history.0.stored(SENDER, 1, &[Write::Conversation(state)]);
    assert!(history.0.missing_receipts(false)[0].contains("true are 1 and 0"));
    assert!(history.0.missing_receipts(true)[0].contains("true are 1 and 0"));
    state.delivered = 1;
    history.0.stored(SENDER, 1, &[Write::Conversation(state)]);
    assert_eq!(history.0.missing_receipts(false), [""; 0]);
    assert_eq!(history.0.missing_receipts(true), [""; 0]);
}

/// Another device of the author sent the first message, before this one's time.
#[test]
fn a_receipt_of_a_message_that_a_device_lacks_is_owed_after_it_asked() {
    let mut history = History::with_message();
    history.0.device(SENDER, 2);
    let mut state = ConversationState::new(READER);
    (state.out_last, state.delivered) = (2, 0);
    history.0.stored(SENDER, 2, &[Write::Conversation(state)]);
    assert_eq!(history.0.missing_receipts(false), [""; 0]);
    assert_eq!(history.0.missing_receipts(true).len(), 1);
}
