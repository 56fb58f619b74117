//! An engine that answers everything and remembers what it was told.

use std::collections::BTreeMap;

use tracer_plugin_host::{Answer, EventParts, OptionValue, Services, SessionInfo};

#[derive(Debug, Default)]
pub struct Engine {
    pub options: BTreeMap<&'static str, OptionValue>,
    pub values: BTreeMap<u32, Answer>,
    pub logged: Vec<(u32, String)>,
    /// A bug.
    pub log_panics: bool,
}

impl Services for Engine {
    fn log(&mut self, level: u32, text: &str) {
        if self.log_panics {
            panic!("a bug");
        }
        self.logged.push((level, text.to_owned()));
    }

    fn option(&self, name: &str) -> Option<OptionValue> {
        self.options.get(name).cloned()
    }

    fn field(&mut self, section: &str, field: &str) -> Option<u32> {
        ["skb.len", "skb.name"]
            .iter()
            .zip(1..)
            .find_map(|(known, handle)| (*known == format!("{section}.{field}")).then_some(handle))
    }

    fn value(&self, handle: u32) -> Option<Answer> {
        self.values.get(&handle).cloned()
    }

    fn render(&mut self, json: bool) -> Option<String> {
        Some(if json { "{}\n" } else { "an event\n" }.to_owned())
    }

    fn symbol(&mut self, address: u64) -> Option<(String, u64)> {
        (address >= 0x1000).then(|| ("nf_hook_slow".to_owned(), address - 0x1000))
    }

    fn address(&mut self, name: &str) -> Option<u64> {
        (name == "nf_hook_slow").then_some(0x1000)
    }

    fn type_size(&mut self, name: &str) -> Option<u32> {
        (name == "sk_buff").then_some(232)
    }

    fn member(&mut self, name: &str, member: &str) -> Option<(u64, u32, u32)> {
        (name == "sk_buff" && member == "len").then_some((896, 4, 0))
    }

    fn enumerator(&mut self, name: &str, enumerator: &str) -> Option<i64> {
        (name == "nf_verdict" && enumerator == "NF_DROP").then_some(-1)
    }
}

pub fn event<'a>(stack: &'a [u64], record: &'a [u8]) -> EventParts<'a> {
    EventParts {
        probe: 1,
        cpu: 3,
        time: 1_000_000,
        realtime: 0,
        tgid: 41,
        pid: 42,
        comm: *b"swapper/0\0\0\0\0\0\0\0",
        packet_id: 7,
        stack,
        record,
    }
}

pub fn session() -> SessionInfo {
    SessionInfo {
        live: true,
        tracer: "0.1.0".to_owned(),
        host: "here".to_owned(),
        kernel: "6.12.0".to_owned(),
        machine: "x86_64".to_owned(),
        own_netns: Some(4_026_531_840),
        probes: vec![
            ("__nft_trace_packet".to_owned(), "k".to_owned()),
            ("skb:kfree_skb".to_owned(), "tp".to_owned()),
        ],
        sections: Vec::new(),
    }
}
