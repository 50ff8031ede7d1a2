//! Where a live view listens.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Foxglove's usual port.
const USUAL_PORT: u16 = 8765;

/// Address and port; without another wish only this machine can look, at Foxglove's usual port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveAddress(SocketAddr);

/// What was given is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no address; expected PORT, ADDRESS or ADDRESS:PORT, such as 8765, 0.0.0.0 or 127.0.0.1:8765")]
pub struct WrongAddress(String);

impl LiveAddress {
    /// The address.
    pub fn ip(self) -> IpAddr {
        self.0.ip()
    }

    /// The port; 0 for any that is free.
    pub fn port(self) -> u16 {
        self.0.port()
    }

    /// The same at another port.
    pub(super) fn with_port(self, port: u16) -> Self {
        Self(SocketAddr::new(self.ip(), port))
    }

    pub(super) fn next_port(self) -> Self {
        self.with_port(self.port().checked_add(1).unwrap_or(USUAL_PORT))
    }
}

impl Default for LiveAddress {
    fn default() -> Self {
        Self(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), USUAL_PORT))
    }
}

impl fmt::Display for LiveAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LiveAddress {
    type Err = WrongAddress;

    fn from_str(text: &str) -> Result<Self, WrongAddress> {
        let at = |ip: IpAddr, port| Self(SocketAddr::new(ip, port));
        let port = || text.parse().ok().map(|port| Self::default().with_port(port));
        let ip = || text.parse().ok().map(|ip| at(ip, USUAL_PORT));
        let both = || text.parse().ok().map(Self);
        let localhost = || {
            let port = text.strip_prefix("localhost")?;
            let port = if port.is_empty() { USUAL_PORT } else { port.strip_prefix(':')?.parse().ok()? };
            Some(at(Ipv4Addr::LOCALHOST.into(), port))
        };
        port().or_else(ip).or_else(both).or_else(localhost).ok_or_else(|| WrongAddress(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_out_what_is_usual() {
        let read = |text: &str| text.parse::<LiveAddress>().map(|address| address.to_string());
        for (text, address) in [
            ("9000", "127.0.0.1:9000"),
            ("0.0.0.0", "0.0.0.0:8765"),
            ("10.0.0.2:80", "10.0.0.2:80"),
            ("localhost", "127.0.0.1:8765"),
            ("localhost:0", "127.0.0.1:0"),
            ("[::1]:8765", "[::1]:8765"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(address));
        }
        for wrong in ["", "robot", "70000", "1.2.3", "localhost9"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
