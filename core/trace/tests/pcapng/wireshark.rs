use crate::events::*;
#[test]
fn dump() {
    let mut capture = Capture::begun(Words { event: 65_531, session: 1 << 18 });
    capture.hit(&Hit::default());
    capture.lose(7);
    capture.hit(&Hit {
        tag: Some((0x8100, 0x6064)),
        id: 0x12a,
        netns: OTHER,
        time: 1_000_000_123,
        ..Hit::default()
    });
    capture.hit(&Hit::raw());
    let data = vec![0x5a; 1 << 20];
    let tag = Some((0x8100, 7));
    capture.lose(1);
    capture.hit(&Hit { data, tag, original: 1 << 20, id: 9, note: vec![1; 19_999], ..Hit::default() });
    capture.hit(&Hit { device: vec![], netns: 0, ..Hit::raw() });
    capture.clock = Default::default();
    capture.hit(&Hit::default());
    capture.lose(4);
    std::fs::write("/tmp/x.pcapng", capture.finish()).unwrap();
}
