//! The live path over real sockets: what a caller sends and receives, byte for byte.

mod bodies;
mod capture;
mod control;
mod declared;
mod draining;
mod failures;
mod forwarding;
mod http2;
mod http2_stacks;
mod informational;
mod limits;
mod names;
mod proxies;
mod serving;
mod smuggling;
mod targets;
mod tunnels;
mod writes;
