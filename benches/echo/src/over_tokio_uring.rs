//! The echo server on tokio-uring, in the way of its own examples: a task per connection.

use std::error::Error;
use std::rc::Rc;

use tokio_uring::net::{TcpListener, TcpStream};

use crate::server;

/// As large as a buffer of the ring.
const BUFFER_BYTES: usize = 4_096;

pub(crate) fn serve(cpu: usize) -> Result<(), Box<dyn Error>> {
    server::pin(cpu)?;
    tokio_uring::builder().entries(4_096).start(async {
        let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio_uring::spawn(echo(Rc::new(stream)));
        }
    })
}

async fn echo(stream: Rc<TcpStream>) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let (read, filled) = stream.read(buffer).await;
        let Ok(len @ 1..) = read else { return };
        buffer = filled;
        buffer.truncate(len);
        let (written, sent) = stream.write_all(buffer).await;
        if written.is_err() {
            return;
        }
        buffer = sent;
        buffer.resize(BUFFER_BYTES, 0);
    }
}
