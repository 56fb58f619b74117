//! Our text of a packet, word by word, said again in tcpdump's words.

/// What must be in tcpdump's text.
#[derive(Debug)]
pub enum Statement {
    /// In one of these forms.
    Of(Vec<String>),
    /// The addresses with ports; or without.
    Parties([String; 2]),
    /// The ports, if they were not said with the addresses.
    Ports([String; 2]),
}

/// The statements of our text, in tcpdump's words.
pub fn in_their_words(ours: &str) -> Vec<Statement> {
    let mut wanted = Vec::new();
    for level in ours.split(" | ") {
        let words: Vec<&str> = level.split(' ').collect();
        Level { words: &words, wanted: &mut wanted, parties: None, ports: None, length: 0 }.read();
    }
    wanted
}

struct Level<'a, 'b> {
    words: &'a [&'a str],
    wanted: &'b mut Vec<Statement>,
    /// Source and destination, with ports if there are.
    parties: Option<(&'a str, &'a str)>,
    /// The ports, until they are said.
    ports: Option<[String; 2]>,
    length: u32,
}

impl<'a> Level<'a, '_> {
    fn read(mut self) {
        while let Some((&word, rest)) = self.words.split_first() {
            self.words = rest;
            match word {
                "vlan" => self.vlan(),
                "mpls" => self.mpls(),
                "ethertype" => self.ethertype(),
                "request" => self.request(),
                "reply" => self.reply(),
                "ttl" => self.network(),
                "flags" => self.tcp(),
                "type" => self.icmp(),
                "vxlan" => self.vxlan(),
                "geneve" => self.geneve(),
                "tag" => self.sctp(),
                "key" => {
                    let key: u32 = self.number();
                    self.want([format!("key={key:#x},")]);
                }
                "seq" => {
                    let seq: u32 = self.number();
                    self.want([format!("seq {seq},")]);
                }
                "spi" => self.spi(),
                "proto" => self.protocol(),
                _ if rest.first() == Some(&">") => {
                    self.words = &rest[2..];
                    self.parties = Some((word, rest[1]));
                    if word.split(':').count() == 6 && !word.contains('.') && word.len() == 17 {
                        self.want([format!("{word} > {}, ", rest[1])]);
                    }
                }
                // How long a UDP datagram is, where tcpdump does not go on to what it carries.
                "len" => {
                    let length: u32 = self.number();
                    if self.words.is_empty() {
                        self.want([
                            format!("UDP, length {}", length - 8),
                            "Geneve".into(),
                            "VXLAN".into(),
                            "[|".into(),
                        ]);
                    }
                }
                "[truncated]" | "[short]" => {}
                _ => panic!("what is `{word}` before {rest:?}?"),
            }
        }
    }

    fn next(&mut self) -> &'a str {
        let (first, rest) = self.words.split_first().unwrap();
        self.words = rest;
        first
    }

    fn number<T: std::str::FromStr>(&mut self) -> T {
        let word = self.next();
        word.parse().unwrap_or_else(|_| panic!("`{word}` is no number"))
    }

    /// The word after this one, if it is this one.
    fn after(&mut self, name: &str) -> Option<&'a str> {
        if self.words.first() != Some(&name) {
            return None;
        }
        self.next();
        Some(self.next())
    }

    fn want<const N: usize>(&mut self, forms: [String; N]) {
        self.wanted.push(Statement::Of(forms.into()));
    }

    fn ethertype(&mut self) {
        let mut word = self.next();
        while !word.contains("0x") {
            word = self.next();
        }
        self.want([format!("({})", word.trim_matches(['(', ')']))]);
    }

    fn vlan(&mut self) {
        let (id, _p, priority) = (self.next(), self.next(), self.next());
        let eligible = if self.words.first() == Some(&"DEI") { ", DEI" } else { "" };
        if !eligible.is_empty() {
            self.next();
        }
        self.want([format!("vlan {id}, p {priority}{eligible}, ethertype")]);
    }

    fn mpls(&mut self) {
        let (label, _tc, class, _ttl, ttl) =
            (self.next(), self.next(), self.next(), self.next(), self.next());
        let start = format!("(label {label}, tc {class},");
        self.want([format!("{start} ttl {ttl})"), format!("{start} [S], ttl {ttl})")]);
    }

    fn request(&mut self) {
        let (_who, target, _tell, sender) = (self.next(), self.next(), self.next(), self.next());
        self.want([format!("Request who-has {target}")]);
        self.want([format!("tell {sender}")]);
    }

    fn reply(&mut self) {
        let (sender, _at, mac) = (self.next(), self.next(), self.next());
        self.want([format!("Reply {sender} is-at {mac}")]);
    }

    fn network(&mut self) {
        let ttl = self.next();
        match self.after("tos") {
            Some(tos) => self.ipv4(ttl, tos),
            None => self.ipv6(ttl),
        }
    }

    fn ipv4(&mut self, ttl: &str, tos: &str) {
        let (_id, id, _off, offset) = (self.next(), self.next(), self.next(), self.next());
        let flags = match self.words[0] {
            "[DF]" => "[DF]",
            "[MF]" => "[+]",
            "[DF,MF]" => "[+, DF]",
            _ => "[none]",
        };
        if flags != "[none]" {
            self.next();
        }
        self.next();
        self.length = self.number();
        self.want([format!("(tos {tos},"), format!("(tos {tos} ")]);
        self.want([format!("ttl {ttl}, id {id}, offset {offset}, flags {flags}, proto ")]);
        let number = self.protocol_number();
        self.want([format!("({number}), length {}", self.length)]);
        self.parties();
        self.ports();
    }

    fn ipv6(&mut self, hops: &str) {
        let (_tc, class, _label, label) = (self.next(), self.next(), self.next(), self.next());
        let fragment = self.after("id").map(|id| {
            let (_off, offset) = (self.next(), self.next());
            if self.words[0] == "[MF]" {
                self.next();
            }
            (id, offset)
        });
        self.next();
        self.length = self.number();
        let class = u8::from_str_radix(&class[2..], 16).unwrap();
        let label = u32::from_str_radix(&label[2..], 16).unwrap();
        if class != 0 {
            self.want([format!("(class {class:#04x},")]);
        }
        if label != 0 {
            self.want([format!("flowlabel {label:#07x},")]);
        }
        self.want([format!("hlim {hops}, next-header ")]);
        self.want([format!("payload length: {})", self.length)]);
        self.protocol_number();
        self.parties();
        if let Some((id, offset)) = fragment {
            let id: u32 = id.parse().unwrap();
            self.want([format!("frag ({id:#010x}:{offset}|")]);
        }
        self.ports();
    }

    fn parties(&mut self) {
        let (source, destination) = self.parties.unwrap();
        // A port follows the fourth dot of an IPv4 address, and the only one of an IPv6 address.
        let bare = |party: &'a str| match party.rsplit_once('.') {
            Some((address, port)) if matches!(party.matches('.').count(), 1 | 4) => (address, Some(port)),
            _ => (party, None),
        };
        let (source_address, source_port) = bare(source);
        let (destination_address, destination_port) = bare(destination);
        self.wanted.push(Statement::Parties([
            format!(" {source} > {destination}: "),
            format!(" {source_address} > {destination_address}: "),
        ]));
        if let (Some(a), Some(b)) = (source_port, destination_port) {
            self.ports = Some([format!(" {a} > {b}: "), format!(" {source} > {destination}: ")]);
        }
    }

    /// tcpdump says the ports behind what stands between them and the addresses.
    fn ports(&mut self) {
        if self.words.first() != Some(&"spi") {
            self.wanted.extend(self.ports.take().map(Statement::Ports));
        }
    }

    fn protocol_number(&mut self) -> &'a str {
        self.next();
        let mut word = self.next();
        if !word.starts_with(|c: char| c.is_ascii_digit()) {
            word = self.next();
        }
        word.trim_matches(['(', ')'])
    }

    /// What follows an authentication header: tcpdump has no word for it.
    fn protocol(&mut self) {
        let mut word = self.next();
        if !word.starts_with(|c: char| c.is_ascii_digit()) {
            word = self.next();
        }
        assert!(word.trim_matches(['(', ')']).parse::<u8>().is_ok(), "{word}");
    }

    fn tcp(&mut self) {
        let flags = self.next();
        self.want([format!("Flags {flags}")]);
        self.next();
        let seq: u32 = self.number();
        // Without data, only of those that count as one.
        if flags.contains(['S', 'F', 'R']) {
            self.want([format!("seq {seq}")]);
        }
        if let Some(ack) = self.after("ack") {
            self.want([format!("ack {ack}, ")]);
        }
        self.next();
        let window: u16 = self.number();
        self.want([format!("win {window}")]);
    }

    fn icmp(&mut self) {
        let kind: u8 = self.number();
        let (_code, _) = (self.next(), self.next());
        let name = match kind {
            0 | 129 => "echo reply",
            8 | 128 => "echo request",
            17 => "address mask request",
            other => panic!("type {other} was not generated"),
        };
        self.want([format!("ICMP {name}"), format!("ICMP6, {name}")]);
        if let Some(id) = self.after("id") {
            self.next();
            let seq: u16 = self.number();
            self.want([format!(", id {id}, seq {seq}")]);
        }
    }

    fn sctp(&mut self) {
        // tcpdump does not say the tag.
        self.next();
        self.want(["sctp".to_owned()]);
        if let Some(first) = self.after("chunk") {
            let mut name = vec![first];
            while let Some((word, rest)) = self.words.split_first() {
                self.words = rest;
                if word.starts_with('(') {
                    break;
                }
                name.push(word);
            }
            self.want([format!("[{}]", name.join(" "))]);
        }
    }

    fn spi(&mut self) {
        let (spi, _seq) = (self.next(), self.next());
        let seq: u32 = self.number();
        self.want([format!("spi={spi},seq={seq:#x}")]);
        self.ports();
    }

    fn vxlan(&mut self) {
        self.next();
        let vni: u32 = self.number();
        self.want([format!("VXLAN, flags [I] (0x08), vni {vni}")]);
    }

    fn geneve(&mut self) {
        self.next();
        let vni: u32 = self.number();
        self.want([format!("Geneve, Flags [none], vni {vni:#x},")]);
    }
}
