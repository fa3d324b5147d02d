//! What the server counts, read from its control port.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::limits::CONTROL_ANSWER;

/// A connection to the control port, to ask once.
#[derive(Debug)]
pub struct Watch(TcpStream);

impl Watch {
    /// Connects.
    pub fn open(control: SocketAddr) -> io::Result<Watch> {
        let socket = TcpStream::connect_timeout(&control, CONTROL_ANSWER)?;
        socket.set_read_timeout(Some(CONTROL_ANSWER))?;
        socket.set_write_timeout(Some(CONTROL_ANSWER))?;
        Ok(Watch(socket))
    }

    /// Asks.
    pub fn read(mut self) -> io::Result<Metrics> {
        let request = "GET /metrics HTTP/1.1\r\nHost: torture\r\nConnection: close\r\n\r\n";
        self.0.write_all(request.as_bytes())?;
        let mut page = String::new();
        self.0.read_to_string(&mut page)?;
        Ok(Metrics(page))
    }
}

/// The page of metrics as it was when it was asked for.
#[derive(Debug)]
pub struct Metrics(String);

impl Metrics {
    /// Connects and asks.
    pub fn read(control: SocketAddr) -> io::Result<Metrics> {
        Watch::open(control)?.read()
    }

    /// The sum of a counter over all its labels; 0 if there is none of this name.
    pub fn sum(&self, name: &str) -> u64 {
        let values = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let value =
                rest.strip_prefix('{').map_or(Some(rest), |rest| Some(rest.split_once('}')?.1));
            value?.strip_prefix(' ')?.trim().parse::<f64>().ok()
        });
        values.sum::<f64>() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_their_labels() {
        let page =
            "HTTP/1.1 200 OK\r\n\r\n# HELP a Help.\na{core=\"0\"} 3\na{core=\"1\"} 4\nab 9\nc 5\n";
        let metrics = Metrics(page.to_owned());
        assert_eq!(["a", "ab", "c", "d"].map(|name| metrics.sum(name)), [7, 9, 5, 0]);
    }
}
