//! What the log shows of refused clients, and how often.

use courtside::Format;
use courtside_tests::raw_tools::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::child::{Served, Setting, Way};
use super::raw;

/// The status of the answer.
async fn status(served: &Served, request: Request) -> String {
    let mut stream = TcpStream::connect(&served.address).await.unwrap();
    stream.write_all(&request.bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    String::from_utf8_lossy(&head[9..]).into_owned()
}

#[actix_web::test]
async fn a_refused_credential_leaves_a_line_and_many_leave_few() {
    let served = Served::start(Setting::default()).await;
    for _ in 0..200 {
        let request = Request::new("/ws?access_token=guess");
        assert_eq!(status(&served, request).await, "101");
    }
    let line = served.logged("`authenticate` refused a client").await;
    assert!(
        line.contains("WARN") && line.contains("no_ticket"),
        "{line}"
    );
    assert!(!line.contains("guess"), "a credential is a secret: {line}");
    // Whatever was to be logged before this has been.
    served.signal("TERM");
    served.logged("shutting down").await;
    let lines = served.lines("refused a client");
    assert!((1..20).contains(&lines), "{lines}");
}

/// A name may have been pointed at this machine by whoever made the page.
#[actix_web::test]
async fn a_local_server_lets_in_only_pages_of_local_hosts() {
    for way in Way::ALL {
        let served = Served::start(Setting {
            way,
            ..Setting::default()
        })
        .await;
        let page = |host: &str| {
            let origin = format!("http://{host}");
            Request::new("/ws")
                .but("Host", host)
                .with("Origin", &origin)
        };
        for (host, expected) in [
            ("evil.example:5000", "403"),
            ("localhost:5000", "101"),
            ("127.0.0.1:5000", "101"),
        ] {
            assert_eq!(
                status(&served, page(host)).await,
                expected,
                "{way:?}: {host}"
            );
        }
        for _ in 0..200 {
            assert_eq!(status(&served, page("evil.example")).await, "403");
        }
        let line = served.logged("evil.example").await;
        assert!(line.contains(".host("), "it says what to do: {line}");
        drop(raw(&served, Format::Json, None).await);
        let lines = served.lines("evil.example");
        assert!((1..20).contains(&lines), "{way:?}: {lines}");
    }
}
