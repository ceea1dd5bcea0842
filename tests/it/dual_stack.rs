//! Listeners on `[::]` take callers of IPv6 and of IPv4.

use crate::support::{Conn, Stack, start_app};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use twinread::testing::transport::Address;

const GET: &str = "GET /livez HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n";

async fn ask(listener: &Address, host: IpAddr, request: &str) -> String {
    let port = listener.tcp().unwrap().port();
    let mut caller = Conn::open((host, port).into()).await;
    caller.send(request).await.rest().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_listener_takes_callers_of_both_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::json("1");
    let text = format!(
        "listen: '[::]:0'\nadmin: '[::]:0'\nadmin_token: a-token-of-this-test\nold: {{url: 'http://{}'}}\n\
         new: {{url: 'http://{}'}}\nforwarded: replace\nproxy_protocol: [127.0.0.1/32]\n",
        stack.addr,
        Stack::nobody()
    );
    let app = start_app(folder.path(), &text).unwrap();
    let named = format!("PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n{GET}");
    for (host, request, address) in [
        (Ipv4Addr::LOCALHOST.into(), &*named, "192.0.2.1"),
        (Ipv6Addr::LOCALHOST.into(), GET, "::1"),
    ] {
        let answer = ask(app.listen_addr().unwrap(), host, request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let seen = stack.requests().pop().unwrap();
        let address = format!("x-forwarded-for: {address}\r\n");
        assert!(seen.contains(&address), "{seen}");
        let answer = ask(app.admin_addr(), host, GET).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    app.stop();
}
