//! `tracer-traffic`: packets for test cases, as many as asked for and no more, where a shell's tools
//! are too slow or cannot choose the CPU they send from; a look at the ids that they were traced by; and a daemon that takes lines.

#![forbid(unsafe_code)]

mod ids;

use std::{
    error::Error,
    io::{self, Write as _},
    net::{Shutdown, SocketAddr, TcpStream, UdpSocket},
    os::unix::net::UnixDatagram,
    path::Path,
    process::ExitCode,
    thread,
    time::Duration,
};

use rustix::thread::{CpuSet, sched_setaffinity};

const USAGE: &str = "usage: tracer-traffic ADDRESS:PORT COUNT [CPU...]
  sends COUNT UDP packets with a number each, from each CPU given (or from any), as fast as it can
       tracer-traffic stream ADDRESS:PORT BYTES
  connects by TCP, sends that many bytes at once, so that packets are large, and waits for the other end
       tracer-traffic ids [parts]
  reads events as JSON from standard input and fails unless each packet has an id of its own, or, with `parts`, that of
  the packet that it is a part of
       tracer-traffic syslog PATH COUNT
  listens at a socket as a syslog daemon does, and prints that many lines; fails if none comes for 30 s";

/// More than any case needs: a mistyped count must not become a flood.
const MOST: u32 = 1_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tracer-traffic: {error}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    if let Some("ids") = arguments.first().map(String::as_str) {
        let parts = arguments.get(1).is_some_and(|word| word == "parts");
        let (report, right) = ids::Ids::read(io::stdin().lock(), parts)?.report();
        print!("{report}");
        return if right { Ok(()) } else { Err("packets and ids do not belong together".into()) };
    }
    if let [word, to, bytes] = arguments
        && word == "stream"
    {
        return Ok(stream(to.parse()?, bytes.parse()?)?);
    }
    if let [word, path, count] = arguments
        && word == "syslog"
    {
        return Ok(syslog(Path::new(path), count.parse()?)?);
    }
    let [to, count, cpus @ ..] = arguments else { return Err("two arguments are needed".into()) };
    let to: SocketAddr = to.parse()?;
    let count: u32 = count.parse()?;
    if count > MOST {
        return Err(format!("{count} packets are too many: at most {MOST}").into());
    }
    let cpus = cpus.iter().map(|cpu| cpu.parse().map(Some)).collect::<Result<Vec<_>, _>>()?;
    let cpus = if cpus.is_empty() { vec![None] } else { cpus };
    let senders: Vec<_> = cpus.into_iter().map(|cpu| thread::spawn(move || send(to, count, cpu))).collect();
    for sender in senders {
        sender.join().map_err(|_| "a sender panicked")??;
    }
    Ok(())
}

fn stream(to: SocketAddr, bytes: u32) -> io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    stream.write_all(&vec![b'x'; bytes.min(MOST) as usize])?;
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

/// Prints lines as they come.
fn syslog(path: &Path, count: u32) -> io::Result<()> {
    let _ = std::fs::remove_file(path);
    let socket = UnixDatagram::bind(path)?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut line = vec![0; 1 << 16];
    for _ in 0..count {
        let len = socket.recv(&mut line)?;
        let mut out = io::stdout().lock();
        out.write_all(&line[..len])?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn send(to: SocketAddr, count: u32, cpu: Option<usize>) -> std::io::Result<()> {
    if let Some(cpu) = cpu {
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set)?;
    }
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    for number in 0..count {
        // A firewall that rejects answers with an ICMP error, which the next call reports.
        let _ = socket.send_to(&number.to_be_bytes(), to);
    }
    Ok(())
}
