//! What a function returns, as a section: its schema follows from the function's type.

use std::sync::Arc;

use tracer_bpf::{Btf, btf::Kind as BtfKind};
use tracer_compose::Arguments;
use tracer_event::{Field, Kind, Schema, Show, Text};

use crate::types::Place;

/// The section of a returned value; `None` for functions that return nothing, or something that no register holds.
pub(super) fn schema(place: &Place) -> Option<Arc<Schema>> {
    // Behind parameters that take two places it is not where it seems to be.
    if !Arguments::are_in_order(&place.btf, place.prototype) {
        return None;
    }
    let (kind, show) = field(&place.btf, place.returns()?)?;
    let value = Field { name: "value".to_owned(), offset: 0, kind, show };
    let text = Text { template: "ret {value}".parse().ok()?, place: tracer_event::Place::Head };
    // The program stores the whole register.
    Schema::new("ret", 8, None, vec![value], Some(text)).ok().map(Arc::new)
}

fn field(btf: &Btf, id: u32) -> Option<(Kind, Show)> {
    let ty = btf.ty(btf.resolve(id)).ok()?;
    let width = u8::try_from(ty.size().unwrap_or(0)).ok().filter(|width| matches!(width, 1 | 2 | 4 | 8));
    match ty.kind() {
        BtfKind::Ptr => Some((Kind::Uint(8), Show::Hex)),
        BtfKind::Int if ty.is_signed() => Some((Kind::Int(width?), Show::Plain)),
        BtfKind::Int => Some((Kind::Uint(width?), Show::Plain)),
        BtfKind::Enum | BtfKind::Enum64 => {
            let names = ty.enumerators().map(|e| (e.value, e.name.to_owned())).collect();
            Some((Kind::Enum { width: width?, signed: ty.is_signed(), names }, Show::Plain))
        }
        _ => None,
    }
}
