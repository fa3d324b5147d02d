//! The whole client against the server that was built beside this test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use fulmar_client::people::{audience, privacy, profile};
use fulmar_client::{
    Action, ChatSettings, Client, Code, Config, Event, Events, GroupChange, Message, MessageId,
    Progress, Put, Receipt, Role, State, Target, content,
};
use tempfile::TempDir;
use tokio::time::timeout;

/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. Killed when dropped.
struct Server {
    child: Child,
    address: String,
    directory: TempDir,
}

/// The server's binary, which a build of the workspace puts above the tests.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(|deps| deps.parent()).unwrap().join("fulmar");
    assert!(path.exists(), "{} isn't built: `cargo build --package fulmar`", path.display());
    path
}

impl Server {
    /// On an address of its own, so that its port is free again after a crash whatever else runs here.
    fn start() -> Self {
        static STARTED: AtomicU8 = AtomicU8::new(1);
        let [.., third, last] = std::process::id().to_be_bytes();
        let ours = [127, STARTED.fetch_add(1, Ordering::Relaxed), third, last];
        Server::start_in(TempDir::new().unwrap(), &format!("{}:0", Ipv4Addr::from(ours)))
    }

    fn start_in(directory: TempDir, listen: &str) -> Self {
        let mut child = Command::new(binary())
            .args(["serve", "--listen", listen, "--control", "off", "--cores", "2"])
            .args(["--log", "warn", "--insecure-dev", "--data-dir"])
            .arg(directory.path().join("data"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| Some(line.unwrap().strip_prefix("fulmar ready on ")?.to_owned()))
            .expect("the server is ready");
        Server { child, address, directory }
    }

    /// Kills the server as a crash would and starts it again on the same data and address.
    fn crash_and_restart(mut self) -> Self {
        self.stop();
        let directory = std::mem::replace(&mut self.directory, TempDir::new().unwrap());
        Server::start_in(directory, &self.address.clone())
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A device of a user.
struct Device {
    client: Client,
    events: Events,
    /// Positions of groups that were told.
    told: BTreeMap<u64, Vec<u64>>,
}

struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        Home { directory: TempDir::new().unwrap() }
    }

    async fn open(&self, server: &Server, user: u64, device: u64) -> Device {
        let config = Config {
            address: server.address.clone(),
            user,
            device,
            token: String::new(),
            store: self.directory.path().join(format!("{user}-{device}.db")),
            agent: "test".into(),
        };
        let (client, events) = Client::open(config).await.unwrap();
        let mut device = Device { client, events, told: BTreeMap::new() };
        device.until(|event| matches!(event, Event::Connected { .. }).then_some(())).await;
        device
    }
}

impl Device {
    /// Waits for the event that `wanted` takes. Entries of groups that pass are checked for their order.
    async fn until<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        loop {
            let event = timeout(PATIENCE, self.events.next()).await.expect("an event in time");
            let event = event.expect("the client lives");
            if let Event::GroupMessage(Message { group: Some(group), ordinal, .. }) = &event {
                let told = self.told.entry(*group).or_default();
                let position = ordinal.expect("a position");
                assert!(told.last().is_none_or(|last| *last < position), "told in order and once");
                told.push(position);
            }
            if let Event::Disconnected {
                reason: fulmar_client::Reason::Violation(detail), ..
            } = &event
            {
                panic!("the server doesn't follow the protocol: {detail}");
            }
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }

    async fn ticked(&mut self, id: MessageId) -> (u64, u64) {
        self.until(|event| match event {
            Event::GroupTicked { id: ticked, group, position, .. } if *ticked == id => {
                Some((*group, *position))
            }
            Event::GroupRejected { id: rejected, code, .. } if *rejected == id => {
                panic!("rejected: {code}")
            }
            _ => None,
        })
        .await
    }

    /// Makes a group; its number.
    async fn make(&mut self, members: &[u64]) -> u64 {
        let id = self.client.create_group("walkers", members).await.unwrap();
        self.ticked(id).await.0
    }

    async fn say(&mut self, group: u64, text: &str) -> u64 {
        let id = self.client.send_to_group(group, content::TEXT, text.as_bytes()).await.unwrap();
        self.ticked(id).await.1
    }

    async fn change(&mut self, group: u64, change: GroupChange) -> u64 {
        let id = self.client.change_group(group, change).await.unwrap();
        self.ticked(id).await.1
    }

    /// Waits for a text in a group; its position.
    async fn hears(&mut self, group: u64, text: &str) -> u64 {
        self.until(|event| match event {
            Event::GroupMessage(message)
                if message.group == Some(group) && *message.body == *text.as_bytes() =>
            {
                message.ordinal
            }
            _ => None,
        })
        .await
    }

    /// Waits until the members of a group are known to be these.
    async fn knows(&mut self, group: u64, members: &[(u64, Role)]) {
        loop {
            let all = self.client.groups().await.unwrap();
            if all.iter().any(|known| known.group == group && known.members == members) {
                return;
            }
            let _ = timeout(PATIENCE, self.events.next()).await.expect("members in time");
        }
    }

    async fn receipt(&mut self, wanted: impl Fn(&Receipt) -> bool) -> Receipt {
        self.until(|event| match event {
            Event::GroupReceipt { receipt, .. } if wanted(receipt) => Some(*receipt),
            _ => None,
        })
        .await
    }
}

#[tokio::test]
async fn a_message_reaches_every_member_and_its_author_hears_how_far_they_are() {
    let (server, home) = (Server::start(), Home::new());
    let mut seven = home.open(&server, 7, 1).await;
    let mut eight = home.open(&server, 8, 1).await;
    let mut nine = home.open(&server, 9, 1).await;
    let group = seven.make(&[8, 9]).await;
    for member in [&mut eight, &mut nine] {
        let by = member
            .until(|event| match event {
                Event::AddedToGroup { group: told, by, .. } if *told == group => Some(*by),
                _ => None,
            })
            .await;
        assert_eq!(by, 7);
    }
    let position = seven.say(group, "hello").await;
    assert_eq!(eight.hears(group, "hello").await, position);
    assert_eq!(nine.hears(group, "hello").await, position);
    let receipt = seven.receipt(|it| it.position == position && it.delivered == 2).await;
    assert_eq!((receipt.members, receipt.read), (2, 0));
    eight.client.mark_group_read(group, position).await;
    seven.receipt(|it| it.position == position && it.read == 1).await;
    seven.client.ask_group(group, position, 0).await;
    let who = seven
        .until(|event| match event {
            Event::GroupWho { who, .. } => Some(who.clone()),
            _ => None,
        })
        .await;
    assert_eq!(who, [(8, Progress::Read), (9, Progress::Delivered)]);
    let members = [(7, Role::Owner), (8, Role::Member), (9, Role::Member)];
    for member in [&mut seven, &mut eight, &mut nine] {
        member.knows(group, &members).await;
    }
    let groups = eight.client.groups().await.unwrap();
    assert_eq!((&*groups[0].name, groups[0].unread), (&b"walkers"[..], 0));
}

#[tokio::test]
async fn a_member_that_was_away_gets_all_of_it_once() {
    let (server, home) = (Server::start(), Home::new());
    let mut seven = home.open(&server, 7, 1).await;
    let mut eight = home.open(&server, 8, 1).await;
    let group = seven.make(&[8, 9]).await;
    seven.say(group, "first").await;
    eight.hears(group, "first").await;
    eight.client.close().await;
    let large: Vec<u8> = (0..100_000).map(|index| (index % 251) as u8).collect();
    let id = seven.client.send_to_group(group, 200, large.clone()).await.unwrap();
    seven.ticked(id).await;
    for number in 0..40 {
        seven.say(group, &format!("n{number}")).await;
    }
    // One that comes back, and one that was never there and learns of the group from its inbox.
    for (user, expected) in [(8, 41), (9, 42)] {
        let mut member = home.open(&server, user, 1).await;
        member.hears(group, "n39").await;
        let history = member.client.group_history(group, None, 100).await.unwrap();
        let texts: Vec<_> = history.iter().filter(|it| it.content == content::TEXT).collect();
        assert_eq!(texts.len(), expected);
        assert!(history.iter().any(|message| *message.body == *large));
        member.client.close().await;
        let mut again = home.open(&server, user, 1).await;
        seven.say(group, "one more").await;
        again.hears(group, "one more").await;
        assert_eq!(again.told[&group].len(), 1, "what it has is not told again");
        again.client.close().await;
    }
}

#[tokio::test]
async fn a_removed_member_hears_nothing_until_it_is_added_again() {
    let (server, home) = (Server::start(), Home::new());
    let mut seven = home.open(&server, 7, 1).await;
    let mut eight = home.open(&server, 8, 1).await;
    let group = seven.make(&[8, 9]).await;
    seven.say(group, "together").await;
    eight.hears(group, "together").await;
    let removed = seven.change(group, GroupChange::of_users(Action::Remove, &[8])).await;
    let gone = |event: &Event| match event {
        Event::GroupGone { group: told, .. } if *told == group => Some(()),
        _ => None,
    };
    eight.until(gone).await;
    assert_eq!(eight.told[&group].last(), Some(&removed), "its end is the last that it hears");
    let id = eight.client.send_to_group(group, content::TEXT, *b"let me in").await.unwrap();
    let refused = |event: &Event| match event {
        Event::GroupRejected { id: told, code, .. } if *told == id => Some(*code),
        _ => None,
    };
    assert_eq!(eight.until(refused).await, fulmar_client::Code::NotAMember);
    seven.say(group, "without you").await;
    let added = seven.change(group, GroupChange::of_users(Action::Add, &[8])).await;
    seven.say(group, "back").await;
    eight.hears(group, "back").await;
    let told = &eight.told[&group];
    assert_eq!(told[told.len() - 2], added, "nothing of what was between");
    let members = [(7, Role::Owner), (8, Role::Member), (9, Role::Member)];
    eight.knows(group, &members).await;
}

#[tokio::test]
async fn another_device_of_a_user_has_the_same_group() {
    let (server, home) = (Server::start(), Home::new());
    let mut phone = home.open(&server, 7, 1).await;
    let mut desk = home.open(&server, 7, 2).await;
    let mut eight = home.open(&server, 8, 1).await;
    let group = phone.make(&[8]).await;
    phone.say(group, "from the phone").await;
    let position = eight.hears(group, "from the phone").await;
    let answer = eight.say(group, "an answer").await;
    for device in [&mut phone, &mut desk] {
        assert_eq!(device.hears(group, "an answer").await, answer);
    }
    let history = desk.client.group_history(group, None, 10).await.unwrap();
    let copy = history.iter().find(|message| message.ordinal == Some(position)).unwrap();
    assert_eq!((copy.state, copy.peer), (State::Sent, 7));
    phone.client.mark_group_read(group, answer).await;
    let seen = desk
        .until(|event| match event {
            Event::GroupSeenElsewhere { position, .. } => Some(*position),
            _ => None,
        })
        .await;
    assert_eq!(seen, answer);
    assert_eq!(desk.client.groups().await.unwrap()[0].unread, 0);
}

#[tokio::test]
async fn what_was_on_its_way_when_the_server_died_arrives_once() {
    let (server, home) = (Server::start(), Home::new());
    let mut seven = home.open(&server, 7, 1).await;
    let mut eight = home.open(&server, 8, 1).await;
    let group = seven.make(&[8]).await;
    let mut sent = Vec::new();
    for number in 0..60_u8 {
        sent.push(seven.client.send_to_group(group, content::TEXT, [b'0' + number]).await.unwrap());
    }
    let server = server.crash_and_restart();
    for device in [&seven, &eight] {
        device.client.reconnect().await;
    }
    seven.ticked(*sent.last().unwrap()).await;
    eight.hears(group, &char::from(b'0' + 59).to_string()).await;
    let history = eight.client.group_history(group, None, 100).await.unwrap();
    let bodies: Vec<_> =
        history.iter().filter(|it| it.content == content::TEXT).map(|it| it.body[0]).collect();
    let expected: Vec<_> = (b'0'..b'0' + 60).collect();
    assert_eq!(bodies, expected);
    let own = seven.client.group_history(group, None, 100).await.unwrap();
    assert!(own.iter().all(|message| message.state == State::Sent));
    assert_eq!(own.iter().map(Message::target).max(), Some(Target::Group(group)));
    drop(server);
}

#[tokio::test]
async fn people_see_who_is_there_and_who_writes() {
    let (server, home) = (Server::start(), Home::new());
    let mut seven = home.open(&server, 7, 1).await;
    let mut eight = home.open(&server, 8, 1).await;
    let group = seven.make(&[8]).await;
    seven.say(group, "hello").await;
    eight.hears(group, "hello").await;
    let presence = |event: &Event| match event {
        Event::Presence { user: 8, is_online, .. } => Some(*is_online),
        _ => None,
    };
    // Who writes is told to people who are there themselves.
    seven.client.set_active(true).await;
    seven.client.watch(&[8]).await;
    assert!(!seven.until(presence).await, "connected, but with nobody before it");
    eight.client.set_active(true).await;
    assert!(seven.until(presence).await);
    eight.client.typing(Target::Peer(7), true).await;
    let writes = |event: &Event| match event {
        Event::Typing { group: None, user: 8, is_typing: true } => Some(()),
        _ => None,
    };
    seven.until(writes).await;
}

#[tokio::test]
async fn of_who_is_watched_no_more_nothing_is_told() {
    let (server, home) = (Server::start(), Home::new());
    let mut seven = home.open(&server, 7, 1).await;
    let mut witness = home.open(&server, 11, 1).await;
    let eight = home.open(&server, 8, 1).await;
    let nine = home.open(&server, 9, 1).await;
    let presence = |event: &Event| match event {
        Event::Presence { user, is_online, .. } => Some((*user, *is_online)),
        _ => None,
    };
    for device in [&mut seven, &mut witness] {
        device.client.watch(&[8, 9]).await;
        let mut told = [device.until(presence).await, device.until(presence).await];
        told.sort_unstable();
        assert_eq!(told, [(8, false), (9, false)]);
    }
    seven.client.unwatch(&[8]).await;
    // What is answered after it was taken after it.
    seven.client.watch(&[10]).await;
    assert_eq!(seven.until(presence).await, (10, false));
    eight.client.set_active(true).await;
    assert_eq!(witness.until(presence).await, (8, true));
    nine.client.set_active(true).await;
    assert_eq!(witness.until(presence).await, (9, true));
    assert_eq!(seven.until(presence).await, (9, true));
}

/// Waits for an item of the book; its value.
fn item(wanted: &Put) -> impl FnMut(&Event) -> Option<()> {
    move |event| match event {
        Event::Item { item, key, value } => {
            (*item == wanted.item && *key == wanted.key && *value == wanted.value).then_some(())
        }
        _ => None,
    }
}

#[tokio::test]
async fn all_devices_have_the_same_book_and_others_see_of_it_what_they_may() {
    let (mut server, home) = (Server::start(), Home::new());
    let mut phone = home.open(&server, 7, 1).await;
    let mut eight = home.open(&server, 8, 1).await;
    let puts = [
        Put::profile(profile::NAME, b"Ann"),
        Put::contact(9, b"Nine"),
        Put::username("ann.7"),
        Put::privacy(privacy::LAST_SEEN, audience::NOBODY),
        Put::chat(Target::Peer(8), ChatSettings { is_pinned: true, ..ChatSettings::default() }),
    ];
    for put in &puts {
        phone.client.put(put.clone()).await;
        phone.until(item(put)).await;
    }
    let mut tablet = home.open(&server, 7, 2).await;
    tablet.client.follow_book().await;
    tablet.until(|event| (*event == Event::BookComplete).then_some(())).await;
    assert_eq!(tablet.client.book().await.unwrap().len(), puts.len());
    phone.client.block(9).await;
    tablet.until(item(&Put::block(9))).await;

    eight.client.find("ann.7").await;
    let found = |event: &Event| match event {
        Event::Found { user, .. } => Some(*user),
        _ => None,
    };
    assert_eq!(eight.until(found).await, Some(7));
    eight.client.watch(&[7]).await;
    let name = |event: &Event| match event {
        Event::Profile(known) if known.user == 7 => Some(known.name.to_vec()),
        _ => None,
    };
    assert_eq!(eight.until(name).await, b"Ann");
    let taken = |event: &Event| match event {
        Event::PutRejected { code, .. } => Some(*code),
        _ => None,
    };
    eight.client.put(Put::username("ann.7")).await;
    assert_eq!(eight.until(taken).await, Code::NameTaken);

    // After a crash everything is as it was.
    server = server.crash_and_restart();
    for device in [&phone, &eight] {
        device.client.reconnect().await;
    }
    let mut nine = home.open(&server, 9, 1).await;
    nine.client.find("ann.7").await;
    assert_eq!(nine.until(found).await, None, "nine is blocked");
    let lost = nine.client.send(7, content::TEXT, &b"hello"[..]).await.unwrap();
    nine.until(|event| matches!(event, Event::Ticked { id, .. } if *id == lost).then_some(()))
        .await;
    eight.client.send(7, content::TEXT, &b"hello"[..]).await.unwrap();
    let from = |event: &Event| match event {
        Event::Message(message) => Some(message.peer),
        _ => None,
    };
    assert_eq!(phone.until(from).await, 8);
    drop(server);
}
