//! Packets: UDP from the namespace `peer`, so that each is one hit of the probed function and nothing answers.

use std::{net::UdpSocket, process::Command};

use anyhow::{Context as _, Result, ensure};

/// Where packets go: the guest's end of the wire (`tests/vm/lib.sh`).
const ADDRESS: &str = "10.42.0.2";

/// A place for packets to go to, by what the rules of `kernel.case` do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// The first rule drops them.
    Drop,
    /// The second rule accepts them.
    Accept,
}

impl To {
    fn port(self) -> u16 {
        match self {
            To::Drop => 4009,
            To::Accept => 4010,
        }
    }

    /// Sends so many packets, and returns when the last one has been through the rules: over a veth pair, a packet is
    /// received before the call that sends it returns.
    pub(crate) fn packets(self, count: u64) -> Result<()> {
        let status = Command::new("ip")
            .args(["netns", "exec", "peer", "tracer-traffic"])
            .args([format!("{ADDRESS}:{}", self.port()), count.to_string()])
            .status()
            .context("cannot start `ip`")?;
        ensure!(status.success(), "sending packets failed: {status}");
        Ok(())
    }
}

/// Somebody who takes the accepted packets: else each would be answered with an error message, a packet too.
pub(crate) fn listener() -> Result<UdpSocket> {
    UdpSocket::bind(("0.0.0.0", To::Accept.port())).context("cannot listen for the accepted packets")
}
