//! Certificates that change while requests pass.

use super::{World, admin, listen, until_metric};
use crate::support::{Caller, Front, Pki, SecureCaller, until, within};
use std::{
    fs,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_and_no_connection_is_dropped() {
    let world = World::new().await;
    let app = world.start("listen_tls: {cert: own.pem, key: own.key}\n");
    let addr = listen(&app);
    let trusting = world.pki.caller(None);
    let mut kept = SecureCaller::connect(addr, &trusting).await.unwrap();
    assert_eq!(kept.shown(), world.own.chain()[0]);

    let (ends, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (ending, counted) = (ends.clone(), answered.clone());
    let traffic = tokio::spawn(async move {
        while !ending.load(Ordering::SeqCst) {
            let answer = kept.get("/a").await.expect("no request fails");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });

    let next = world.pki.issue("127.0.0.1");
    next.write(world.path(), "own");
    within("the new certificate", async {
        loop {
            let caller = SecureCaller::connect(addr, &trusting).await.unwrap();
            if caller.shown() == next.chain()[0] {
                return;
            }
        }
    })
    .await;

    fs::write(world.path().join("own.pem"), "broken").unwrap();
    until_metric(&app, "twinread_reload_failures_total");
    let mut caller = SecureCaller::connect(addr, &trusting).await.unwrap();
    assert_eq!(caller.shown(), next.chain()[0], "the last good one stays");
    assert!(caller.get("/b").await.is_some());
    let ready = admin(&app, "/readyz");
    assert!(ready.contains("own.pem holds no certificate"), "{ready}");

    let before = answered.load(Ordering::SeqCst);
    until("requests on the first connection", || {
        answered.load(Ordering::SeqCst) > before
    })
    .await;
    ends.store(true, Ordering::SeqCst);
    traffic.await.unwrap();
    app.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_trusted_by_the_authority_that_was_read_last() {
    let world = World::new().await;
    let later = Pki::new();
    let issued = later.issue("127.0.0.1");
    let old = Front::start(issued.server(), world.stacks[0].addr).await;
    let app = world.between(old.addr, world.fronts[1].addr, "");
    let mut caller = Caller::connect(listen(&app));
    assert_eq!(caller.get("/a").status, 502);
    later.write(world.path());
    until("the stack is trusted", || caller.get("/a").status == 200).await;
    app.stop();
}
