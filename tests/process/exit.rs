//! How a process ends that receives a signal.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use courtside::{CloseCode, Format};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use super::child::{PATIENCE, Served, Setting, Way};
use super::{SECOND, event, next, raw};

/// A mounted server says goodbye whether or not its application sees to that, and nothing waits for clients that do not go.
#[actix_web::test]
async fn twenty_live_clients_hear_goodbye_and_the_process_ends_soon() {
    for way in Way::ALL {
        let mut served = Served::start(Setting {
            way,
            ..Setting::default()
        })
        .await;
        let mut raws = Vec::new();
        for format in Format::ALL.into_iter().cycle().take(20) {
            raws.push(raw(&served, format, None).await.0);
        }
        let began = Instant::now();
        served.signal("TERM");
        for raw in &mut raws {
            let goodbye = event(raw).await;
            assert_eq!(
                (&goodbye["event"], &goodbye["code"]),
                (&json!("goodbye"), &json!(4002)),
                "{way:?}"
            );
            assert_eq!(
                next(raw).await.close_code(),
                Some(CloseCode::DRAIN),
                "{way:?}"
            );
            raw.send_close(CloseCode::DRAIN, "").await.unwrap();
        }
        assert_eq!(served.ended().await.code(), Some(0), "{way:?}");
        let took = began.elapsed();
        println!("{way:?}: it took {took:?}");
        // The HTTP server of actix looks once a second whether somebody is left.
        assert!(took < 5 * SECOND, "{way:?}: {took:?}");
    }
}

/// As in a deploy: the new process is there before the old one goes, and nobody is turned away meanwhile.
#[actix_web::test]
async fn a_second_process_takes_the_port_over() {
    let setting = Setting {
        drain: 3 * SECOND,
        ..Setting::default()
    };
    let mut old = Served::start(setting).await;
    // It does not go, so that the old process takes its time.
    let (mut silent, _) = raw(&old, Format::Json, None).await;
    let new = old.beside(setting).await;
    old.signal("TERM");
    assert_eq!(event(&mut silent).await["event"], "goodbye");
    for format in Format::ALL.into_iter().cycle().take(50) {
        drop(raw(&new, format, None).await);
    }
    assert_eq!(old.ended().await.code(), Some(0));
    drop(raw(&new, Format::Json, None).await);
}

/// A connection that was accepted and has sent nothing is no reason to stay.
#[actix_web::test]
async fn a_connection_without_a_request_holds_nothing_up() {
    let mut served = Served::start(Setting::default()).await;
    let mut mute = tokio::net::TcpStream::connect(&served.address)
        .await
        .unwrap();
    drop(raw(&served, Format::Json, None).await);
    served.signal("TERM");
    let ended = timeout(PATIENCE, served.ended()).await.unwrap();
    assert_eq!(ended.code(), Some(0));
    let _reset = timeout(Duration::from_secs(1), mute.read_u8()).await;
}

/// As somebody who does not want to wait presses Ctrl-C again.
#[actix_web::test]
async fn a_second_signal_ends_the_process_as_if_nobody_listened() {
    for way in [Way::Lean, Way::Served] {
        let mut served = Served::start(Setting {
            way,
            drain: 2 * PATIENCE,
            ..Setting::default()
        })
        .await;
        // It does not go, so that the process stays.
        let (mut silent, _) = raw(&served, Format::Json, None).await;
        served.signal("INT");
        assert_eq!(event(&mut silent).await["event"], "goodbye");
        served.logged("a second signal ends the process").await;
        served.signal("TERM");
        assert_eq!(served.ended().await.signal(), Some(15), "{way:?}");
    }
}

/// What the application still does after it has served can be ended, too, although its thread is blocked.
#[actix_web::test]
async fn the_signals_are_given_back_when_the_server_has_gone() {
    let mut served = Served::start(Setting {
        lingers: true,
        ..Setting::default()
    })
    .await;
    served.signal("TERM");
    served.logged("it has served").await;
    served.logged("a second signal ends the process").await;
    served.signal("TERM");
    assert_eq!(served.ended().await.signal(), Some(15));
}

#[actix_web::test]
async fn an_application_that_decides_when_to_end_has_its_signals_to_itself() {
    let mut served = Served::start(Setting {
        way: Way::Until,
        ..Setting::default()
    })
    .await;
    drop(raw(&served, Format::Json, None).await);
    // It listens to SIGTERM only.
    served.signal("INT");
    assert_eq!(served.ended().await.signal(), Some(2));
    assert_eq!(served.lines("shutting down"), 0);
}
