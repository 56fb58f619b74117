//! Conditions that options express.

use super::*;
use crate::option::{OptionDef, OptionTable, Origin, Setting, SettingValue, Settings, ValueType};

#[test]
fn an_option_that_selects_becomes_a_condition() {
    let field: FieldPath = "nft.verdict".parse().unwrap();
    let option = OptionDef::new("nft-verdicts", "", ValueType::List).selects(field.clone());
    let merge = option.merge;
    let table = OptionTable::new([option]).unwrap();
    let word = |word: &str| Located {
        value: word.to_owned(),
        source: SourceRef::command_line("nft-verdicts", word),
    };
    let source = Some(SourceRef::command_line("nft-verdicts", "drop,0x2,-1"));
    let setting = Setting {
        value: SettingValue::Words(vec![word("drop"), word("0x2"), word("-1")]),
        merge,
        origin: Origin::CommandLine,
        source: source.clone(),
    };
    let settings: Settings = [("nft-verdicts".to_owned(), setting)].into_iter().collect();

    let conditions = settings.conditions(&table);
    let values = vec![Value::Name("drop".into()), Value::Number(2), Value::Number(-1)];
    assert_eq!(conditions, [Expr::In { field, values, span: source }]);
    assert_eq!(conditions[0].to_string(), "nft.verdict in {drop, 2, -1}");
    assert!(Settings::default().conditions(&table).is_empty());
}

#[test]
fn a_field_has_a_section_and_a_name() {
    let field: FieldPath = "skb_drop.reason".parse().unwrap();
    assert_eq!((field.section.as_str(), field.field.as_str()), ("skb_drop", "reason"));
    assert_eq!(field.to_string(), "skb_drop.reason");
    for text in ["", "nft", "nft.", ".verdict", "a.b.c", "skb-drop.reason", "1a.b"] {
        assert_eq!(text.parse::<FieldPath>(), Err(NotAField(text.into())));
    }
}
