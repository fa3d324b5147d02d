//! Health and metrics by HTTP/1.1, for operators and their machines.
//!
//! There is no authentication and nothing to change here. What a stranger could do is bounded:
//! connections at once, the size of a request, and the time of a connection. Whoever comes when there are
//! as many as may be takes the place of the oldest, which by then has had time to ask.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Handles;
use crate::metrics;

/// Connections at once; the next one ends the oldest.
const CONNECTIONS_MAX: usize = 64;
/// Longest request line and headers, in bytes.
const REQUEST_BYTES_MAX: usize = 16 << 10;
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// Time for a request's headers, and for the next request of a kept connection.
const HEADER_TIME_MAX: Duration = Duration::from_secs(10);
/// Time of a connection. A scraper opens a new one; a reader that stops reading loses its place.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(120);
/// Pause after a failed accept. It fails for want of descriptors, which others may give back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";

/// Serves until the runtime ends; without a listener it only waits.
pub(super) async fn serve(listener: Option<TcpListener>, handles: Rc<Handles>) {
    let Some(listener) = listener else { return std::future::pending().await };
    let mut open = VecDeque::with_capacity(CONNECTIONS_MAX);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                make_room(&mut open);
                open.push_back(tokio_uring::spawn(serve_connection(stream, Rc::clone(&handles))));
                // Each is served as far as it has asked, before the next ones could end it.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::warn!(%error, "can't accept a control connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Forgets connections that are over, and ends the oldest one if there is still no room for another.
fn make_room(open: &mut VecDeque<JoinHandle<()>>) {
    open.retain(|connection| !connection.is_finished());
    if open.len() == CONNECTIONS_MAX
        && let Some(oldest) = open.pop_front()
    {
        tracing::debug!("the oldest control connection gives way to a new one");
        oldest.abort();
    }
}

async fn serve_connection(stream: TcpStream, handles: Rc<Handles>) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(&handles, request.method(), request.uri().path());
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(REQUEST_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIME_MAX, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a control connection ended early"),
        Err(_) => tracing::debug!("a control connection lasted too long"),
    }
}

/// The whole interface.
pub(super) fn respond(handles: &Handles, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let respond: fn(&Handles) -> Response<Full<Bytes>> = match path {
        "/healthz" => |_| text(StatusCode::OK, "ok\n"),
        "/readyz" => ready,
        "/metrics" => |handles| {
            let mut response = text(StatusCode::OK, handles.metrics.render());
            let media_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
            response.headers_mut().insert(CONTENT_TYPE, media_type);
            response
        },
        _ => return text(StatusCode::NOT_FOUND, "here are /healthz, /readyz and /metrics\n"),
    };
    // Hyper leaves the body of an answer to HEAD out.
    if *method == Method::GET || *method == Method::HEAD {
        return respond(handles);
    }
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "allowed: GET, HEAD\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// Alive is who answers; ready is who takes clients. A stopping server is alive and not ready.
fn ready(handles: &Handles) -> Response<Full<Bytes>> {
    if handles.ready.load(Ordering::Acquire) {
        text(StatusCode::OK, "ready\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
