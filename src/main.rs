//! The binary `twinread`.

// Links it in place of the system's `malloc`.
use mimalloc as _;

fn main() -> std::process::ExitCode {
    twinread::main()
}
