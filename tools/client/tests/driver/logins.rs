//! Logins that fail, move or are replaced; servers that talk nonsense.

use fulmar_client::{Client, OpenError};
use fulmar_protocol::{Code, Frame, Goodbye};

use crate::Home;
use crate::frames::deliver;
use crate::server::Server;

#[tokio::test]
async fn a_refused_login_goes_on_with_another_token() {
    let (server, home) = (Server::start().await, Home::new());
    let (client, mut events) = home.open(&server.address).await;
    let mut peer = server.accept().await;
    peer.expect("hello 7/1 token script [(0, 0)]").await;
    let (code, detail) = (Code::TokenExpired, "it ended yesterday");
    peer.say(&[Frame::Refuse { code, retry_after_ms: 0, detail }]).await;
    events.expect("refused token_expired it ended yesterday; for good").await;
    assert_eq!(peer.next().await, None);
    client.set_token("another".into()).await.unwrap();
    client.reconnect().await;
    let mut peer = server.accept().await;
    peer.expect("hello 7/1 another script [(0, 0)]").await;
}

#[tokio::test]
async fn a_replaced_device_stays_away_until_it_is_asked_back() {
    let (server, home) = (Server::start().await, Home::new());
    let (client, mut events) = home.open(&server.address).await;
    let mut peer = server.login().await;
    events.expect("connected 5").await;
    let (code, detail) = (Code::Replaced, "logged in elsewhere");
    let goodbye = Goodbye { code, retry_after_ms: 0, address: "", detail };
    peer.say(&[Frame::Goodbye(goodbye)]).await;
    assert!(events.until("disconnected").await.ends_with("; for good"));
    client.reconnect().await;
    server.login().await;
    events.expect("connected 5").await;
}

#[tokio::test]
async fn a_server_that_moves_a_client_is_followed() {
    let (old, new, home) = (Server::start().await, Server::start().await, Home::new());
    let (_client, mut events) = home.open(&old.address).await;
    let mut peer = old.login().await;
    let code = Code::Moved;
    let goodbye = Goodbye { code, retry_after_ms: 0, address: &new.address, detail: "" };
    peer.say(&[deliver(1, 8, 1, "hi"), Frame::Goodbye(goodbye)]).await;
    let mut peer = new.accept().await;
    peer.expect("hello 7/1 token script [(0, 1)]").await;
    events.until("message @1 8 #1 hi").await;
}

#[tokio::test]
async fn a_server_that_talks_nonsense_is_left_and_tried_again() {
    let (server, home) = (Server::start().await, Home::new());
    let (client, mut events) = home.open(&server.address).await;
    let mut peer = server.accept().await;
    peer.say_bytes(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n").await;
    peer.say_bytes(&[b'x'; 200]).await;
    let told = events.next().await;
    assert!(told.contains("doesn't follow the protocol"), "{told}");
    client.reconnect().await;
    server.login().await;
    events.expect("connected 5").await;
}

#[tokio::test]
async fn a_configuration_that_can_t_work_is_said_so_at_once() {
    let home = Home::new();
    let good = home.config("127.0.0.1:7700");
    let cases = [
        (crate::Config { address: "127.0.0.1".into(), ..good.clone() }, "host:port"),
        (crate::Config { user: 0, ..good.clone() }, "numbered from 1"),
        (crate::Config { device: 65_536, ..good.clone() }, "from 1 to 65535"),
        (crate::Config { token: "x".repeat(1_025), ..good.clone() }, "at most 1024"),
        (crate::Config { agent: "a\nb".into(), ..good.clone() }, "control characters"),
        (crate::Config { agent: "x".repeat(65), ..good.clone() }, "at most 64"),
    ];
    for (config, part) in cases {
        let error = Client::open(config).await.unwrap_err();
        assert!(
            matches!(error, OpenError::Config(_)) && error.to_string().contains(part),
            "{error}"
        );
    }
    let (_client, _events) = home.open("127.0.0.1:1").await;
    let second = Client::open(good).await.unwrap_err();
    assert!(second.to_string().contains("in use by another program"), "{second}");
}
