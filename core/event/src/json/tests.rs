//! Lines as they are, and hostile ones.

use super::*;
use crate::{Record, sample};

fn event_of(bytes: &[u8], probe: &ProbeInfo, context: &Context<'_>) -> String {
    let record = Record::parse(bytes, &probe.layout).unwrap();
    let mut out = String::new();
    Renderer::new().event(&mut out, &Event { record, probe, context });
    out
}

#[test]
fn the_sample_of_the_design_to_the_byte() {
    let context = Context { symbols: &sample::Names, ..sample::CONTEXT };
    let expected = concat!(
        r#"{"type":"event","time":3443313082998,"#,
        r#""probe":{"type":"kprobe","name":"__nft_trace_packet","way":"fentry"},"#,
        r#""cpu":0,"task":{"comm":"swapper/0","pid":0,"tgid":0},"#,
        r#""stack":[{"symbol":"__nft_trace_packet","offset":1,"address":"0xffffffffc0010001"},"#,
        r#"{"symbol":"nft_do_chain","offset":1007,"address":"0xffffffffc00203ef"}],"#,
        r#""nft":{"table":"firewalld","chain":"filter_IN_FedoraServer","table_handle":1,"chain_handle":202,"#,
        r#""rule":215,"verdict":"drop","policy":0},"ns":{"inum":4026531840},"#,
        r#""dev":{"name":"eth0","ifindex":2,"rx_ifindex":2},"#,
        r#""skb":{"orig_len":74,"link":1,"protocol":2048,"data":{"#,
        r#""ethernet":{"saddr":"02:42:ac:10:2a:01","daddr":"02:42:ac:10:2a:02","type":"0x0800"},"#,
        r#""ipv4":{"saddr":"172.16.42.1","daddr":"172.16.42.2","ttl":64,"tos":0,"id":37968,"offset":0,"#,
        r#""df":true,"mf":false,"length":60,"protocol":6},"#,
        r#""tcp":{"sport":52294,"dport":8080,"seq":1971640626,"flags":["syn"],"window":64240,"options":["#,
        r#"{"kind":"maxseg","size":1460},{"kind":"sack-perm"},{"kind":"timestamp","tsval":1,"tsecr":0},"#,
        r#"{"kind":"window","count":7}]},"raw":""#,
        "0242ac102a020242ac102a0108004500003c945040004006",
        "0000ac102a01ac102a02cc461f907584d93200000000a002faf000000000020405b40402080a000000010000000001030307",
        r#""}}}"#,
        "\n"
    );
    assert_eq!(event_of(&sample::record(), &sample::probe(), &context), expected);
}
