//! No process of a plugin's outlives tracer, however that ends; and one that is alive has little in its hands.

use std::{fs, process::Command, time::Duration};

use crate::{
    runs::Run,
    support::{PATIENCE, Plugin, can_trace, each, mode, of_plugins, printed, soon, tracer},
};

#[test]
fn nothing_outlives_a_tracer_that_is_killed() {
    if !can_trace() {
        return;
    }
    let all =
        [mode("LOOP", "ENRICH"), mode("SLEEP", "ENRICH"), mode("FORK", "START"), mode("SIGNALS", "START")];
    each(&all, |one| {
        let plugin = Plugin::new(*one);
        let mut run = Run::start(&plugin, &["-c", "skb,hostile"]);
        assert!(run.is_ready());
        let pid = run.child.id();
        run.send(50);
        let processes = if one.mode == "FORK" { 2 } else { 1 };
        assert!(soon(PATIENCE, || of_plugins(pid).len() == processes), "{one:?}: {:?}", of_plugins(pid));
        // Within the call that does not return.
        std::thread::sleep(Duration::from_millis(300));
        run.child.kill();
        assert!(
            soon(Duration::from_secs(2), || of_plugins(pid).is_empty()),
            "{one:?}: {:?} are left",
            of_plugins(pid)
        );
    });
}

/// Nor one that is stopped, and so does not see that.
#[test]
fn nothing_outlives_it_though_it_is_stopped() {
    if !can_trace() {
        return;
    }
    let plugin = Plugin::new(mode("GOOD", "ENRICH"));
    let mut run = Run::start(&plugin, &["-c", "skb,hostile"]);
    assert!(run.is_ready());
    let pid = run.child.id();
    let process = of_plugins(pid).remove(0);
    assert!(Command::new("kill").args(["-STOP", &process]).status().unwrap().success());
    run.child.kill();
    assert!(soon(Duration::from_secs(2), || of_plugins(pid).is_empty()), "{process} is left");
}

/// One that has ended is no more, while tracer goes on.
#[test]
fn the_dead_are_buried() {
    if !can_trace() {
        return;
    }
    let all = [mode("CRASH", "ENRICH"), mode("FAIL", "ENRICH"), mode("FORK_CRASH", "ENRICH")];
    each(&all, |one| {
        let plugin = Plugin::new(*one);
        let mut run = Run::start(&plugin, &["-c", "skb,hostile"]);
        assert!(run.is_ready());
        let pid = run.child.id();
        assert_eq!(children(pid).len(), 1);
        run.send(50);
        assert!(soon(Duration::from_secs(4), || children(pid).is_empty()), "{one:?}: {:?}", children(pid));
        assert!(of_plugins(pid).is_empty() && !run.child.has_ended());
        run.child.kill();
    });
}

/// All children of a process, those that have ended and were not asked after included.
fn children(parent: u32) -> Vec<String> {
    let stat = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("stat")).ok();
    let is_child = |stat: &String| {
        let mut behind_name = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        behind_name.nth(1) == Some(&parent.to_string())
    };
    fs::read_dir("/proc").unwrap().flatten().filter_map(stat).filter(is_child).collect()
}

/// What a plugin's process has: standard input and output that lead nowhere, its library, and the connection; few rights; a session
/// of its own.
#[test]
fn a_process_has_little() {
    if !can_trace() {
        return;
    }
    let plugin = Plugin::new(mode("GOOD", "ENRICH"));
    let mut run = Run::start(&plugin, &["-c", "skb,hostile", "--sink", "hostile"]);
    assert!(run.is_ready());
    let processes = of_plugins(run.child.id());
    assert_eq!(processes.len(), 2);
    for process in &processes {
        let link = |fd: fs::DirEntry| fs::read_link(fd.path()).unwrap().to_string_lossy().into_owned();
        let mut open: Vec<String> =
            fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten().map(link).collect();
        // Standard error, twice.
        let sockets = open.iter().filter(|path| path.starts_with("socket:")).count();
        let pipes = open.iter().filter(|path| path.starts_with("pipe:")).count();
        let libraries = open.iter().filter(|path| path.ends_with("/hostile.so")).count();
        open.retain(|path| {
            let known = ["socket:", "pipe:", "/dev/null"];
            !known.iter().any(|known| path.starts_with(known)) && !path.ends_with("/hostile.so")
        });
        assert!(open.is_empty(), "{open:?}");
        assert!(sockets == 2 && pipes == 2 && (1..=2).contains(&libraries), "{sockets} {pipes} {libraries}");
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
        // CAP_DAC_READ_SEARCH, CAP_SYSLOG; CAP_SYS_PTRACE has who asks for it.
        assert_eq!(line("CapEff:"), format!("{:016x}", 1u64 << 2 | 1 << 34));
        assert_eq!(line("NoNewPrivs:"), "1");
        assert_eq!(line("NSsid:"), *process);
    }
    run.child.kill();
}

#[test]
fn whoever_starts_such_a_process_otherwise_is_told() {
    let output = tracer(&["native-host", "hostile", "1", "-"]).output().unwrap();
    let (out, err) = printed(&output);
    assert_eq!((output.status.code(), out.as_str()), (Some(1), ""));
    assert!(err.contains("this is how tracer starts a plugin's process, and no command: "), "{err}");
}
