//! Reading recordings, from the good bags of `../shared/data`, and from small ones that the tests write themselves.
#![allow(clippy::unwrap_used)]

mod support;

#[test]
fn placeholder_until_written() {
    support::shared_data("bags");
}
