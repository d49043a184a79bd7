//! Bytes on a socket, for requests that no client library would send. Blocking, and every wait is bounded.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use crate::ca::Authority;
use crate::error::{Context, Error, Result};
use crate::tls;

/// Longest wait for bytes; a server under test answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection.
pub struct Raw {
    stream: Box<dyn Stream>,
    socket: TcpStream,
    /// Read and not yet used.
    buffer: Vec<u8>,
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Raw").field("socket", &self.socket).field("unread", &self.buffer.len()).finish()
    }
}

/// Header lines: names in lower case with their values, in order.
pub type Lines = Vec<(String, Vec<u8>)>;

/// One response as it came.
#[derive(Debug, Clone)]
pub struct RawResponse {
    /// Status code.
    pub status: u16,
    /// Head, the empty line included.
    pub head: Vec<u8>,
    /// Its header lines.
    pub headers: Lines,
    /// The body, chunked framing taken off.
    pub body: Vec<u8>,
    /// Trailer lines of a chunked body.
    pub trailers: Lines,
}

impl RawResponse {
    /// The first value of a header, name in lower case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Raw {
    /// Connects in the clear.
    ///
    /// # Errors
    /// When nothing listens there.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let socket = dial(address)?;
        let stream = Box::new(socket.try_clone().context("socket")?);
        Ok(Self { stream, socket, buffer: Vec::new() })
    }

    /// Connects over TLS with HTTP/1.1 as the only protocol offered; `name` is sent (SNI) and verified.
    ///
    /// # Errors
    /// When nothing listens there or its certificate does not verify.
    pub fn connect_tls(address: SocketAddr, name: &str, authority: &Authority) -> Result<Self> {
        let socket = dial(address)?;
        let config = tls::client(authority, &[tls::HTTP_1_1], None)?;
        let server = ServerName::try_from(name.to_owned()).context(name)?;
        let mut connection = ClientConnection::new(Arc::clone(&config), server).context("TLS")?;
        let mut stream = socket.try_clone().context("socket")?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).context("TLS handshake")?;
        }
        Ok(Self { stream: Box::new(StreamOwned::new(connection, stream)), socket, buffer: Vec::new() })
    }

    /// Sets the longest wait for bytes; default 10 s.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn patience(&self, patience: Duration) -> Result<()> {
        self.socket.set_read_timeout(Some(patience)).context("read timeout")
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the other end has closed.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.stream.write_all(bytes.as_ref()).context("send")?;
        self.stream.flush().context("send")
    }

    /// Sends pieces, each in a packet of its own, `pause` apart.
    ///
    /// # Errors
    /// When the other end has closed.
    pub fn send_split<B: AsRef<[u8]>>(&mut self, pieces: impl IntoIterator<Item = B>, pause: Duration) -> Result<()> {
        for (index, piece) in pieces.into_iter().enumerate() {
            if index > 0 {
                std::thread::sleep(pause);
            }
            self.send(piece)?;
        }
        Ok(())
    }

    /// Says that nothing more will be sent, and still reads.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn finish(&self) -> Result<()> {
        self.socket.shutdown(Shutdown::Write).context("shutdown")
    }

    /// Reads one response to a request that was not HEAD; 1xx heads are responses of their own.
    ///
    /// # Errors
    /// When it does not come, is cut short or is no HTTP/1 response.
    pub fn response(&mut self) -> Result<RawResponse> {
        self.response_to("GET")
    }

    /// Reads one response to a request of this method.
    ///
    /// # Errors
    /// When it does not come, is cut short or is no HTTP/1 response.
    pub fn response_to(&mut self, method: &str) -> Result<RawResponse> {
        let head = self.until(b"\r\n\r\n")?;
        let (status, headers) = parse_head(&head)?;
        let mut response = RawResponse { status, head, headers, body: Vec::new(), trailers: Vec::new() };
        // RFC 9112 section 6.3.
        if method == "HEAD" || (100..200).contains(&status) || status == 204 || status == 304 {
            return Ok(response);
        }
        let chunked = response.header("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().ends_with(b"chunked"));
        if chunked {
            (response.body, response.trailers) = self.chunks()?;
        } else if let Some(length) = response.header("content-length") {
            let length = std::str::from_utf8(length).context("content-length")?.trim().parse().context("content-length")?;
            response.body = self.exactly(length)?;
        } else {
            response.body = self.to_end()?;
        }
        Ok(response)
    }

    /// Reads until the other end closes. A reset counts as closing: it is how a server drops unread input.
    ///
    /// # Errors
    /// When it stays open longer than the wait allows.
    pub fn to_end(&mut self) -> Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Whether the other end closes without sending anything more.
    ///
    /// # Errors
    /// When it stays open longer than the wait allows.
    pub fn closes(&mut self) -> Result<bool> {
        Ok(self.to_end()?.is_empty())
    }

    fn chunks(&mut self) -> Result<(Vec<u8>, Lines)> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n")?;
            let size = String::from_utf8_lossy(&line).split(';').next().unwrap_or_default().trim().to_owned();
            let size = usize::from_str_radix(&size, 16).context(format!("chunk size {size:?}"))?;
            if size == 0 {
                break;
            }
            body.extend(self.exactly(size)?);
            if self.exactly(2)? != b"\r\n" {
                return Err(Error::new("a chunk does not end with CRLF"));
            }
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.until(b"\r\n")?;
            if line == b"\r\n" {
                return Ok((body, trailers));
            }
            trailers.push(parse_line(&line)?);
        }
    }

    fn until(&mut self, end: &[u8]) -> Result<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return Ok(self.take(at + end.len()));
            }
            if self.fill()? == 0 {
                return Err(Error::new(format!("closed after {:?}", String::from_utf8_lossy(&self.buffer))));
            }
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            if self.fill()? == 0 {
                return Err(Error::new(format!("closed after {} of {length} bytes", self.buffer.len())));
            }
        }
        Ok(self.take(length))
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length.min(self.buffer.len()));
        std::mem::replace(&mut self.buffer, rest)
    }

    fn fill(&mut self) -> Result<usize> {
        let mut block = [0; 16 * 1024];
        let read = match self.stream.read(&mut block) {
            Ok(read) => read,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe) =>
            {
                0
            }
            Err(error) => return Err(error).context(format!("waiting for bytes after {:?}", String::from_utf8_lossy(&self.buffer))),
        };
        self.buffer.extend_from_slice(block.get(..read).unwrap_or_default());
        Ok(read)
    }
}

fn dial(address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, PATIENCE).context(address)?;
    socket.set_nodelay(true).context("socket")?;
    socket.set_read_timeout(Some(PATIENCE)).context("socket")?;
    socket.set_write_timeout(Some(PATIENCE)).context("socket")?;
    Ok(socket)
}

fn parse_head(head: &[u8]) -> Result<(u16, Lines)> {
    let mut lines = head.split_inclusive(|&byte| byte == b'\n').filter(|line| *line != b"\r\n");
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).trim_end().to_owned();
    let mut words = first.splitn(3, ' ');
    let version = words.next().unwrap_or_default();
    if version != "HTTP/1.1" && version != "HTTP/1.0" {
        return Err(Error::new(format!("{first:?} is no status line")));
    }
    let status = words.next().unwrap_or_default().parse().context(format!("status in {first:?}"))?;
    Ok((status, lines.map(parse_line).collect::<Result<_>>()?))
}

fn parse_line(line: &[u8]) -> Result<(String, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':').context(format!("{:?} has no colon", String::from_utf8_lossy(line)))?;
    let (name, value) = line.split_at(colon);
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    Ok((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()))
}
