//! Connects that come twice: to the server it looks as if a device dialed twice at the same time, with the same store.
//! The second connection says the same hello, takes what comes, and says nothing more; after a while it is gone.

use fulmar_protocol::limits::FRAME_BYTES_MAX;
use fulmar_protocol::{Frame, Frames};

use super::World;
use crate::clock::{MS, SECOND};
use crate::coverage::Happening;
use crate::network::{ClientEnd, ConnNo, Party};
use crate::schedule::Event;

/// The second connection of a device that dialed.
#[derive(Debug)]
pub(crate) struct Echo {
    conn: ConnNo,
    /// What the device said first; nothing yet, or no more.
    hello: Vec<u8>,
    has_spoken: bool,
}

impl World {
    /// A device dials; now and then the network makes two connections of that.
    pub(super) fn dial(&mut self, device: u32) -> ConnNo {
        let conn = self.network.dial(Party::Device(device), &mut self.schedule);
        if !self.is_calm() && self.network_is_lossy() && self.faults.once_in(30) {
            self.hush(device);
            let conn = self.network.dial(Party::Echo(device), &mut self.schedule);
            let pause = self.faults.magnitude(10 * MS..=20 * SECOND);
            self.schedule.after(pause, Event::EchoEnds { device, conn });
            self.devices[device as usize].echo =
                Some(Echo { conn, hello: Vec::new(), has_spoken: false });
        }
        conn
    }

    /// A device writes; what it says first is said on its second connection too.
    pub(super) fn repeat_hello(&mut self, device: u32, bytes: &[u8]) {
        let Some(echo) = &mut self.devices[device as usize].echo else { return };
        if echo.has_spoken {
            return;
        }
        let Some(Ok(first)) = Frames::new(bytes, FRAME_BYTES_MAX).next() else { return };
        if !matches!(Frame::decode(first), Ok(Frame::Hello(_))) {
            return;
        }
        let (conn, length) = (echo.conn, bytes.len() - rest_of(bytes));
        echo.hello = bytes[..length].to_vec();
        if self.network.get(conn).client == ClientEnd::Open {
            self.say_hello(device);
        }
    }

    /// The second connection is open.
    pub(super) fn echo_opened(&mut self, device: u32, conn: ConnNo) {
        self.oracle.opened(conn, true);
        if self.devices[device as usize].echo.as_ref().is_some_and(|echo| echo.conn == conn) {
            self.say_hello(device);
        }
    }

    fn say_hello(&mut self, device: u32) {
        let Some(echo) = &mut self.devices[device as usize].echo else { return };
        let (conn, hello) = (echo.conn, std::mem::take(&mut echo.hello));
        let Some(Ok(frame)) = Frames::new(&hello, FRAME_BYTES_MAX).next() else { return };
        let Ok(frame) = Frame::decode(frame) else { return };
        echo.has_spoken = true;
        self.coverage.hit(Happening::ConnectTwice);
        self.oracle.wrote(conn, &frame);
        self.client_writes(conn, hello);
    }

    /// The second connection ends.
    pub(super) fn echo_ends(&mut self, device: u32, conn: ConnNo) {
        if self.devices[device as usize].echo.as_ref().is_some_and(|echo| echo.conn == conn) {
            self.hush(device);
        }
    }

    /// Ends the second connection of a device, if it has one.
    pub(super) fn hush(&mut self, device: u32) {
        if let Some(echo) = self.devices[device as usize].echo.take() {
            self.client_closes(echo.conn);
        }
    }
}

/// Bytes behind the first frame.
fn rest_of(bytes: &[u8]) -> usize {
    let first = fulmar_protocol::split_frame(bytes, FRAME_BYTES_MAX);
    first.ok().flatten().map_or(bytes.len(), |(_, rest)| rest.len())
}
