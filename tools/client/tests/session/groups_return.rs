//! Groups in which the user is again, or that its device didn't know: who is in them, and what became of what it wrote.

use fulmar_client::{Action, GroupChange};
use fulmar_protocol::Frame;

use crate::device::Device;
use crate::frames::START_MS;
use crate::groups::{GROUP, change, entry, group, member, notice, send, skip, state, tick};

#[test]
fn a_group_of_which_everything_is_passed_over_is_looked_at() {
    let mut device = Device::online();
    device.server(&[skip(4)]);
    assert_eq!(device.sent(), ["look 30 0", "group ack 30 4"]);
    device.server(&[state(4, &[(7, 1), (8, 3)])]);
    assert_eq!(device.events(), ["state 30"]);
    assert_eq!(&*group(&mut device).name, b"walkers");
    device.server(&[skip(5)]);
    assert_eq!(device.sent(), ["group ack 30 5"]);
}

#[test]
fn who_is_in_a_group_again_asks_what_became_of_its_message() {
    let mut device = member();
    send(&mut device, "mine");
    device.server(&[tick(START_MS, 7)]);
    let removed = GroupChange::of_users(Action::Remove, &[7]).body();
    let gone = Frame::GroupGone { group: GROUP, position: 8 };
    device.server(&[skip(7), change(8, 8, &removed), gone]);
    device.sent();
    device.lose();
    device.events();
    device.login();
    assert_eq!(device.sent(), [""; 0], "it isn't in the group");
    device.server(&[notice(2), skip(9), entry(10, 9, "back")]);
    assert_eq!(device.sent(), ["group ask 30 7", "look 30 0", "ack 2", "group ack 30 10"]);
}
