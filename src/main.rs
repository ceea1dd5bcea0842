//! The binary `twinread`.

fn main() {}
