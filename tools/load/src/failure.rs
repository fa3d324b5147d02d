//! Why a run could not be measured. Faults of the server that were measured are in
//! [`Faults`](crate::check::Faults).

use std::io;

use fulmar_protocol::Code;

/// Why a run ended without a result. Each says what to do where that is known.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Options that don't fit together.
    #[error("{0}")]
    Options(String),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted; nothing was measured")]
    Interrupted,
    /// A connection could not be opened.
    #[error("user {user}: no connection to {address}: {source}{}", connect_advice(source))]
    Connect {
        /// Who wanted it.
        user: u64,
        /// The server.
        address: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server refused a login.
    #[error("user {user}: the server refused the login: {code}: {detail}{}", code_advice(*code))]
    Refused {
        /// Whose login.
        user: u64,
        /// The server's reason.
        code: Code,
        /// The server's words.
        detail: String,
    },
    /// The server ended a connection.
    #[error("user {user}: the server said goodbye: {code}: {detail}{}", code_advice(*code))]
    Goodbye {
        /// Whose connection.
        user: u64,
        /// The server's reason.
        code: Code,
        /// The server's words.
        detail: String,
    },
    /// A connection broke without a goodbye.
    #[error("user {user}: the connection broke without a goodbye: {source}; see the server's log")]
    Lost {
        /// Whose connection.
        user: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The server did not take a send.
    #[error("user {user}: the server rejected a message: {code}{}", code_advice(*code))]
    Rejected {
        /// Whose message.
        user: u64,
        /// The server's reason.
        code: Code,
    },
    /// Bytes that are not the protocol, or frames that this moment doesn't allow.
    #[error("user {user}: the server broke the protocol: {what}")]
    Protocol {
        /// On whose connection.
        user: u64,
        /// What was wrong.
        what: String,
    },
    /// The measured server did not start, or died.
    #[error("{0}")]
    Server(String),
    /// The system refused something.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Failure {
    /// Wraps what the system said with what was being done.
    pub fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
        let doing = doing.into();
        move |source| Failure::System { doing, source }
    }
}

fn connect_advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::ConnectionRefused => "; is a server running there?",
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => {
            "; no local port is free: sysctl -w net.ipv4.ip_local_port_range='1024 65535', \
             or wait a minute for the ports of an earlier run"
        }
        _ => "",
    }
}

fn code_advice(code: Code) -> &'static str {
    match code {
        Code::TokenRequired | Code::TokenInvalid => {
            "; the load logs in without tokens: start the server with --insecure-dev, on loopback"
        }
        Code::StaleNumber => {
            "; an earlier run numbered its sends higher: pass another --first-user"
        }
        Code::QuotaExceeded => "; raise the server's offline quota or send fewer messages",
        Code::GroupFull => "; raise the server's --group-members-max or ask for fewer members",
        Code::TooManyConnections => "; raise the server's connection limit or open fewer",
        Code::Overloaded => "; lower the rate or the number of connections",
        Code::Replaced => {
            "; another load is running with the same users: pass another --first-user"
        }
        _ => "",
    }
}
