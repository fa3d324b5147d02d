//! What a client reads.

use std::io::Write as _;

use fulmar_client::Target;
use fulmar_protocol::{Code, Deliver, Frame, Pairs, Welcome};

use super::digest::Digest;
use super::group::Body;
use super::link::{Answered, DeliverHeader, Large, Link, Stage};
use super::user::Entry;
use super::{Complaint, Oracle};
use crate::coverage::Happening;
use crate::network::ConnNo;
use crate::trace::in_words;

impl Oracle {
    /// A client read bytes.
    pub(crate) fn read(&mut self, conn: ConnNo, bytes: &[u8]) {
        let Some(mut link) = self.links.remove(&conn) else { return };
        let outcome = link.frames(bytes, |link, frame| self.frame(conn, link, frame));
        self.links.insert(conn, link);
        self.judge(outcome);
    }

    fn frame(&mut self, conn: ConnNo, link: &mut Link, frame: &Frame<'_>) -> Result<(), Complaint> {
        if self.is_printing {
            let (seconds, words) = (self.now as f64 / 1e6, in_words(frame));
            let _ = writeln!(std::io::stdout(), "{seconds:>12.6} told on {conn}: {words}");
        }
        match (link.stage, frame) {
            (Stage::Told, _) => {
                let detail = format!("{frame:?}");
                Err(Complaint("nothing follows a refuse or goodbye", detail))
            }
            (_, Frame::Refuse { code, .. }) if link.stage != Stage::Open => {
                link.stage = Stage::Told;
                blamed(link, *code)
            }
            (Stage::Greeted { .. }, Frame::Welcome(welcome)) => self.welcomed(conn, link, welcome),
            (Stage::Open, Frame::Goodbye(goodbye)) => {
                link.stage = Stage::Told;
                if goodbye.code == Code::Replaced {
                    self.hit(Happening::Takeover);
                }
                blamed(link, goodbye.code)
            }
            (Stage::Open, _) => self.frame_of_session(link, frame),
            _ => {
                let detail = format!("{frame:?}");
                Err(Complaint("nothing comes before the welcome", detail))
            }
        }
    }

    fn frame_of_session(&mut self, link: &mut Link, frame: &Frame<'_>) -> Result<(), Complaint> {
        match *frame {
            Frame::Sent { peer, number, ordinal, time_ms } => {
                let answered = link.answered(peer, number, true)?;
                self.heard(link, answered.written);
                self.took(link, answered.settled, 0);
                self.sent(link, peer, number, ordinal, time_ms)
            }
            Frame::Rejected { peer, number, code, .. } => {
                let answered = link.answered(peer, number, false)?;
                self.took(link, answered.settled, 0);
                self.rejected(link, peer, number, code, answered)
            }
            Frame::Deliver(ref deliver) => self.delivers(link, deliver),
            Frame::Part { body } => self.delivers_part(link, body),
            Frame::Skip { position } => self.skips(link, position),
            Frame::Receipt { peer, delivered, read, own } => {
                self.receipt(link, peer, delivered, read, own)
            }
            Frame::Pong { ref heads } => {
                let (ping, taken, durable) = link.ponged()?;
                self.took(link, taken, durable);
                self.heard(link, ping);
                let floor = link.delivered_max.max(link.head_told);
                link.head_told = inbox_head(heads);
                self.head(link, heads, floor)
            }
            Frame::Unknown { .. } => Ok(()),
            ref other => {
                let told = self.told_of_group(link, other);
                let told = told.or_else(|| self.told_of_book(link, other));
                let told = told.or_else(|| self.told_of_people(link, other));
                told.or_else(|| self.told_of_past(link, other)).unwrap_or_else(|| {
                    let detail = format!("{other:?}");
                    Err(Complaint("a server sends what servers send", detail))
                })
            }
        }
    }

    fn welcomed(
        &mut self,
        conn: ConnNo,
        link: &mut Link,
        welcome: &Welcome<'_>,
    ) -> Result<(), Complaint> {
        let head = inbox_head(&welcome.heads);
        link.welcomed(welcome, head);
        let floor = link.floor;
        self.head(link, &welcome.heads, floor)?;
        link.head_told = head;
        self.people.welcomed(link);
        let now = self.now;
        let (user, device) = (link.user, link.device);
        if let Some(device) = self.users[user as usize].device(device) {
            device.welcomed_at.get_or_insert(now);
        }
        let sessions = self.sessions.entry((user, device)).or_default();
        for &other in sessions.iter() {
            let Some(other) = self.links.get_mut(&other).filter(|other| other.run == link.run)
            else {
                continue;
            };
            let (older, newer_head) =
                if other.session < link.session { (other, head) } else { (&mut *link, other.head) };
            older.is_superseded_at = Some(newer_head);
            if older.delivered_max > newer_head {
                let detail = format!("{} was delivered, head {newer_head}", older.delivered_max);
                return Err(Complaint("a replaced session gets nothing more", detail));
            }
        }
        sessions.push(conn);
        Ok(())
    }

    /// The server named the head of the inbox.
    fn head(&mut self, link: &Link, heads: &Pairs<'_>, floor: u64) -> Result<(), Complaint> {
        let head = inbox_head(heads);
        if head < floor {
            let detail = format!("head {head}, where {floor} was told before");
            return Err(Complaint("a head never goes back", detail));
        }
        self.users[link.user as usize].tell(head)
    }

    fn sent(
        &mut self,
        link: &Link,
        peer: u64,
        number: u64,
        ordinal: u64,
        time_ms: u64,
    ) -> Result<(), Complaint> {
        let to = self.user(peer);
        let now = self.now;
        let direction = self.direction(link.user, to);
        if direction.ticked((link.device, number), ordinal, (time_ms, now))? {
            self.messages += 1;
            self.hit(Happening::Tick);
        } else {
            self.hit(Happening::RepeatTick);
        }
        Ok(())
    }

    fn rejected(
        &mut self,
        link: &Link,
        peer: u64,
        number: u64,
        code: Code,
        answered: Answered,
    ) -> Result<(), Complaint> {
        self.hit(Happening::Rejection);
        let to = self.user(peer);
        match code {
            // A rogue may repeat an accepted number with a body that nobody would take.
            Code::BodyTooLarge | Code::BadPeer if !link.is_good => return Ok(()),
            Code::QuotaExceeded => self.judge_quota(link, to, number, answered)?,
            Code::StaleNumber | Code::BodyTooLarge | Code::BadPeer => {}
            Code::BadContent | Code::NoSuchMessage | Code::TooOld => {
                self.judge_refusal((link.user, to), (link.device, number), code)?;
            }
            _ => {
                let detail = format!("{code}");
                return Err(Complaint("a send is rejected for a reason of its own", detail));
            }
        }
        let (device, is_good) = (link.device, link.is_good);
        let is_stale = code == Code::StaleNumber;
        if is_good {
            // It counts once the device has stored it; before that a crash makes it try again.
            self.rejections.insert((link.user, device, number), Target::Peer(peer));
        }
        self.direction(link.user, to).rejected(device, number, is_stale)
    }

    fn delivers(&mut self, link: &mut Link, deliver: &Deliver<'_>) -> Result<(), Complaint> {
        let body_bytes = deliver.total_bytes.unwrap_or(deliver.body.len() as u64);
        self.begins(link, deliver.position);
        if deliver.position <= link.hello_cursor {
            self.hit(Happening::RepeatedDelivery);
        }
        link.delivers(deliver.position, body_bytes)?;
        let header = DeliverHeader {
            group: 0,
            position: deliver.position,
            peer: deliver.peer,
            ordinal: deliver.ordinal,
            time_ms: deliver.time_ms,
            own: deliver.own,
            is_past: false,
            since: link.told_since,
        };
        match deliver.total_bytes {
            None => {
                let digest = Digest::of(deliver.content, deliver.body);
                self.delivered(link, &header, digest)
            }
            Some(total_bytes) => {
                if link.delivering.is_some() {
                    let detail = format!("position {}", deliver.position);
                    return Err(Complaint("one large body at a time", detail));
                }
                let mut large = Large::new(header, deliver.content, total_bytes);
                large.push(deliver.body)?;
                link.delivering = Some(large);
                Ok(())
            }
        }
    }

    fn delivers_part(&mut self, link: &mut Link, body: &[u8]) -> Result<(), Complaint> {
        let Some(large) = &mut link.delivering else {
            return Err(Complaint("a part continues a body", String::new()));
        };
        if !large.push(body)? {
            return Ok(());
        }
        let Some(large) = link.delivering.take() else { return Ok(()) };
        self.hit(Happening::LargeDelivery);
        let (header, digest) = (large.header, large.digester.finish());
        if header.is_past {
            return self.past_told(link, &header, &Body { digest, change: None });
        }
        if header.group > 0 {
            return self.group_delivered(link, &header, &Body { digest, change: None });
        }
        self.delivered(link, &header, digest)
    }

    /// The first thing that a device hears of its inbox tells where it was put.
    pub(super) fn begins(&mut self, link: &Link, position: u64) {
        if link.frontier().is_none() {
            self.starts_at(link, position.saturating_sub(1));
        }
    }

    fn starts_at(&mut self, link: &Link, start: u64) {
        let now = self.now;
        let user = &mut self.users[link.user as usize];
        let others = user.devices.iter().filter(|device| device.number != link.device);
        let slowest = others
            .filter(|device| device.welcomed_at.is_some_and(|at| at < now))
            .filter_map(|device| Some(device.acked.max(device.start?)))
            .min();
        if let Some(device) = user.device(link.device)
            && device.start.is_none()
        {
            (device.start, device.start_floor) = (Some(start), slowest.unwrap_or(0));
        }
    }

    fn delivered(
        &mut self,
        link: &Link,
        header: &DeliverHeader,
        digest: Digest,
    ) -> Result<(), Complaint> {
        let &DeliverHeader { position, peer, ordinal, time_ms, own, since, .. } = header;
        self.judge_in_time(digest, time_ms, since)?;
        let peer = self.user(peer);
        let user = link.user;
        let entry = Entry { peer, ordinal, own, is_notice: false, digest, time_ms };
        self.users[user as usize].place(position, entry)?;
        self.judge_size(user, position)?;
        if own {
            self.hit(Happening::CopyDelivery);
            let is_checked = self.users[user as usize].is_good;
            self.direction(user, peer).copied(ordinal, digest, position, is_checked)
        } else {
            self.hit(Happening::Delivery);
            self.direction(peer, user).delivered(ordinal, digest, time_ms, position)
        }
    }

    /// An inbox holds no more than its quota for the slowest device.
    fn judge_size(&self, user: u32, position: u64) -> Result<(), Complaint> {
        let user = &self.users[user as usize];
        if !user.is_good || self.is_expiring() || self.has_fading {
            return Ok(());
        }
        // Where a device begins is known from the first thing that it is told.
        let begun = user.devices.iter().filter_map(|device| Some(device.acked.max(device.start?)));
        let Some(slowest) = begun.min() else { return Ok(()) };
        let messages_max = self.quota_messages_max();
        if position
            > slowest
                .saturating_add(messages_max)
                .saturating_add(user.overshoot_max(self.keeping_runs > 0))
        {
            let detail = format!(
                "position {position}, where a device of user {} has {slowest} and {messages_max} may wait",
                user.id
            );
            return Err(Complaint("an inbox is bounded", detail));
        }
        Ok(())
    }

    fn skips(&mut self, link: &mut Link, position: u64) -> Result<(), Complaint> {
        self.hit(Happening::Skip);
        if let Some(head) = link.is_superseded_at
            && position > head
        {
            let detail = format!("skip of {position}; the newer session began at {head}");
            return Err(Complaint("a replaced session gets nothing more", detail));
        }
        if link.frontier().is_none() {
            self.starts_at(link, position);
        }
        link.skips(position)?;
        self.users[link.user as usize].tell(position)
    }

    fn receipt(
        &mut self,
        link: &Link,
        peer: u64,
        delivered: u64,
        read: u64,
        own: bool,
    ) -> Result<(), Complaint> {
        self.hit(if own { Happening::OwnReceipt } else { Happening::Receipt });
        if peer == 0 {
            return Ok(());
        }
        let other = self.user(peer);
        let direction =
            if own { self.direction(other, link.user) } else { self.direction(link.user, other) };
        let count = direction.attempts.len() as u64;
        let reader = if own { link.user } else { other };
        let (stored, seen) = (direction.stored.min(count), direction.seen.min(count));
        if !own {
            self.judge_shown(link.user, other, (delivered, read))?;
        }
        if self.users[reader as usize].is_liar && delivered <= count {
            return Ok(());
        }
        if delivered > stored || read > seen || read > delivered {
            let detail = format!(
                "delivered {delivered} and read {read} of user {peer} (own {own}); \
                 true are {stored} and {seen}"
            );
            return Err(Complaint("a receipt tells the truth", detail));
        }
        if own { Ok(()) } else { self.judge_read_shown(link.user, other, read) }
    }
}

fn inbox_head(heads: &Pairs<'_>) -> u64 {
    heads.iter().find(|&(log, _)| log == 0).map_or(0, |(_, head)| head)
}

/// Whether a client that keeps the rules is blamed for breaking them.
fn blamed(link: &Link, code: Code) -> Result<(), Complaint> {
    let is_blame = matches!(
        code,
        Code::MalformedFrame
            | Code::FrameTooLarge
            | Code::UnexpectedFrame
            | Code::UnknownKind
            | Code::NotFulmar
            | Code::UnsupportedVersion
            | Code::CursorAhead
            | Code::UnexpectedPart
            | Code::Internal
    );
    if link.is_good && is_blame {
        let detail = format!("{} ends a connection of device {}", code.name(), link.device);
        return Err(Complaint("who keeps the rules isn't blamed", detail));
    }
    Ok(())
}
