//! Detects addresses that lead to the same endpoint, among the stacks and our own listeners.

use super::tree;
use crate::{
    http_client::{HostPolicy, Target, Via, usual_port},
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Node},
    transport::{Address, is_same_socket},
};
use http::{HeaderValue, Uri, uri::Scheme};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// The addresses of named hosts, as the system resolved them.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(HashMap<String, Vec<IpAddr>>);

/// The listeners' addresses and the stacks' targets.
#[derive(Debug)]
pub(super) struct Addresses<'c> {
    /// By the paths of their settings.
    pub(super) listeners: Vec<(&'static [&'static str], Address)>,
    pub(super) old: &'c Target,
    pub(super) new: &'c Target,
    pub(super) control: Option<&'c Target>,
    pub(super) allows_same_stack: bool,
}

/// Result of a check without faults.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) is_same_stack: bool,
    pub(super) warnings: Vec<ConfigError>,
}

/// Time limit for resolving all names. Names that are unresolved by then are compared as text.
const PATIENCE: Duration = Duration::from_secs(2);

/// The settings that name our own addresses.
pub(super) const LISTENERS: [&[&str]; 4] = [
    &["listen"],
    &["mirror", "listen"],
    &["ext_proc", "listen"],
    &["admin"],
];

const URLS: [[&str; 2]; 3] = [["old", "url"], ["new", "url"], ["control", "url"]];

const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

// === impl Hosts ===

impl Hosts {
    /// Resolves the host names that matter: those of a port that occurs twice. Blocks on the system's resolver; do not
    /// call it from a thread that serves requests.
    pub(super) fn of(tree: &Node) -> Self {
        let urls: Vec<_> = URLS.iter().filter_map(|path| url(tree, path)).collect();
        let listeners = LISTENERS.iter();
        let listeners = listeners.filter_map(|path| tree::find(tree, path)?.text()?.parse().ok());
        let ports: Vec<u16> = listeners
            .map(|listener: SocketAddr| listener.port())
            .chain(urls.iter().map(|(_, port)| *port))
            .collect();
        let is_shared = |port: u16| ports.iter().filter(|other| **other == port).count() > 1;
        let (sender, resolved) = mpsc::channel();
        for (host, _) in urls.into_iter().filter(|(_, port)| is_shared(*port)) {
            let sender = sender.clone();
            // A send after the time limit fails and is ignored.
            thread::spawn(move || sender.send((resolve(&host), host)));
        }
        drop(sender);
        let end = Instant::now() + PATIENCE;
        let next = || {
            let left = end.saturating_duration_since(Instant::now());
            resolved.recv_timeout(left).ok()
        };
        let found = std::iter::from_fn(next);
        Self(found.map(|(addresses, host)| (host, addresses)).collect())
    }

    /// Adds the names of `other`.
    pub(super) fn with(mut self, other: &Self) -> Self {
        let others = other.0.iter();
        self.0
            .extend(others.map(|(host, addresses)| (host.clone(), addresses.clone())));
        self
    }

    fn addresses(&self, target: &Target) -> Vec<IpAddr> {
        let host = host(target.authority.host());
        match (self.0.get(&host), host.as_str()) {
            (_, "localhost") => LOOPBACK.to_vec(),
            (Some(addresses), _) => addresses.clone(),
            (None, host) => host.parse().map(reached_by).into_iter().collect(),
        }
    }

    fn are_same_address(&self, one: &Target, other: &Target) -> bool {
        match (&one.via, &other.via) {
            (Via::Unix(one), Via::Unix(other)) => return is_same_socket(one, other),
            (Via::Unix(_), _) | (_, Via::Unix(_)) => return false,
            _ => {}
        }
        let is_same_name = host(one.authority.host()) == host(other.authority.host());
        let others = self.addresses(other);
        one.port() == other.port()
            && (is_same_name || self.addresses(one).iter().any(|ip| others.contains(ip)))
    }

    fn leads_to(&self, target: &Target, listener: &Address) -> bool {
        let listener = match (listener, &target.via) {
            (Address::Tcp(listener), Via::Tcp | Via::Tls(_)) => listener,
            (Address::Unix(own), Via::Unix(path)) => return is_same_socket(own, path),
            _ => return false,
        };
        let is_reached = |ip: &IpAddr| match listener.ip().to_canonical() {
            IpAddr::V4(own) if own.is_unspecified() => ip.is_loopback() && ip.is_ipv4(),
            // An unspecified IPv6 listener accepts IPv4 connections as well.
            IpAddr::V6(own) if own.is_unspecified() => ip.is_loopback(),
            own => *ip == own,
        };
        target.port() == listener.port() && self.addresses(target).iter().any(is_reached)
    }
}

// === impl Addresses ===

impl Addresses<'_> {
    /// Compares all of them; `root` is the whole configuration.
    pub(super) fn check(&self, root: &Cursor<'_>, hosts: &Hosts) -> Result<Checked, ConfigErrors> {
        let mut faults = self.check_listeners(root, hosts);
        if self.is_control_new(hosts) {
            // Otherwise every defect would count as noise.
            let message = "the address of new.url, expected another instance of the old stack";
            faults.push(at(root, &URLS[2]).fault(message));
        }
        let checked = faults.collect(self.check_stacks(root, hosts));
        faults.into_result(checked.unwrap_or_default())
    }

    fn check_listeners(&self, root: &Cursor<'_>, hosts: &Hosts) -> ConfigErrors {
        let mut faults = ConfigErrors::default();
        for (path, listener) in &self.listeners {
            for (stack, target) in self.stacks() {
                if hosts.leads_to(target, listener) {
                    let message = format!("the address of {stack}.url: requests would come back");
                    faults.push(at(root, path).fault(message));
                }
            }
        }
        faults
    }

    fn check_stacks(&self, root: &Cursor<'_>, hosts: &Hosts) -> Result<Checked, ConfigErrors> {
        if !hosts.are_same_address(self.old, self.new) {
            return Ok(Checked::default());
        }
        let at = at(root, &URLS[1]);
        let is_same_stack = is_same_place(self.old, self.new);
        if is_same_stack && !self.allows_same_stack {
            let message = "the same place as old.url: same address, host, server name, base path and headers.set; \
                           `allow_same_stack: true` permits it";
            return Err(at.fault(message).into());
        }
        let warning = if is_same_stack {
            "the same place as old.url, which allow_same_stack permits: the verdict is never safe"
        } else {
            "the same address as old.url; they differ only in host, server name, base path or headers.set"
        };
        Ok(Checked {
            is_same_stack,
            warnings: vec![at.fault(warning)],
        })
    }

    fn is_control_new(&self, hosts: &Hosts) -> bool {
        self.control.is_some_and(|control| {
            hosts.are_same_address(control, self.new) && control.base_path == self.new.base_path
        })
    }

    fn stacks(&self) -> impl Iterator<Item = (&'static str, &Target)> {
        let control = self.control.map(|control| ("control", control));
        [("old", self.old), ("new", self.new)]
            .into_iter()
            .chain(control)
    }
}

/// Whether requests to two stacks at one address are equal in everything that selects a stack.
fn is_same_place(one: &Target, other: &Target) -> bool {
    let headers = |target: &Target| {
        let mut headers = target.set.clone();
        headers.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        headers
    };
    host_sent(one) == host_sent(other)
        && server_name(one) == server_name(other)
        && one.base_path == other.base_path
        && headers(one) == headers(other)
}

/// The name that TLS asks for; `None` without TLS.
fn server_name(target: &Target) -> Option<String> {
    match &target.via {
        Via::Tls(tls) => Some(
            tls.server_name()
                .unwrap_or_else(|| host(target.host_name())),
        ),
        _ => None,
    }
}

/// The `Host` of forwarded requests; `None`: the caller's.
fn host_sent(target: &Target) -> Option<HeaderValue> {
    match &target.host {
        HostPolicy::Preserve => None,
        HostPolicy::Literal(host) => Some(host.clone()),
        HostPolicy::Stack => HeaderValue::from_str(target.authority.as_str()).ok(),
    }
}

fn resolve(host: &str) -> Vec<IpAddr> {
    let found = (host, 0).to_socket_addrs();
    let found = found.into_iter().flatten();
    found.map(|address| reached_by(address.ip())).collect()
}

/// The address at which a connection to `ip` arrives.
fn reached_by(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => LOOPBACK[0],
        IpAddr::V6(ip) if ip.is_unspecified() => LOOPBACK[1],
        ip => ip,
    }
}

/// Normalizes a host name: without the brackets of an IPv6 address and the root's dot, in lower case.
fn host(host: &str) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn url(tree: &Node, path: &[&str]) -> Option<(String, u16)> {
    let uri: Uri = tree::find(tree, path)?.text()?.parse().ok()?;
    let usual = usual_port(uri.scheme() == Some(&Scheme::HTTPS));
    Some((host(uri.host()?), uri.port_u16().unwrap_or(usual)))
}

/// The node at `path`; if there is none, the nearest one around it stands for it.
pub(super) fn at<'n>(root: &Cursor<'n>, path: &[&str]) -> Cursor<'n> {
    path.iter().fold(root.clone(), |at, name| {
        at.member(name, at.node.get(name).unwrap_or(at.node))
    })
}
