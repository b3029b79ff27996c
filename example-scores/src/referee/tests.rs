//! A whole match by requests, and what a referee cannot do.

use actix_web::{App, http::StatusCode, test as web};
use courtside::{
    ApiKey, ApiScope,
    testing::{TestServer, run},
};
use serde_json::{Value, json};

use super::*;
use crate::{passes::Passes, publisher, scoreboard::Scoreboard, server};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A real minute of football lasts a minute.
const SPEED: f64 = 1.0 / 60.0;

fn begin() -> Begin {
    Begin {
        teams: ["Reds", "Blues"].map(str::to_owned),
        round: None,
        ground: None,
    }
}

fn goal(team: &str, minute: Option<&str>) -> Scored {
    Scored {
        team: team.to_owned(),
        scorer: "Ann".to_owned(),
        minute: minute.map(str::to_owned),
        penalty: false,
        own_goal: false,
    }
}

#[test]
fn the_clock_gives_a_goal_its_minute_unless_the_referee_does() {
    let (mut game, _) = Game::begin(1, begin(), 0).unwrap();
    let mut minute = |at: u64, given: Option<&str>| match game.goal(goal("Reds", given), at, SPEED)
    {
        Ok(Event::Goal(goal)) => Ok((goal.minute, goal.stoppage)),
        Ok(event) => panic!("{event:?}"),
        Err(refusal) => Err(refusal.code().to_owned()),
    };
    assert_eq!(minute(0, None), Ok((1, 0)));
    assert_eq!(minute(22 * 60_000 + 30_000, None), Ok((23, 0)));
    assert_eq!(minute(46 * 60_000 + 30_000, None), Ok((45, 2)));
    assert_eq!(minute(0, Some("45+3")), Ok((45, 3)));
    for wrong in ["46", "0", "44+1", "soon"] {
        assert_eq!(
            minute(0, Some(wrong)),
            Err("bad_minute".to_owned()),
            "{wrong}"
        );
    }
}

#[test]
fn a_referee_runs_a_match_by_requests_and_visitors_see_it() {
    run(async {
        let scoreboard = Scoreboard::default();
        let (pushed, accepted) = PushedFeed::new(SPEED);
        let opening = pushed.opening();
        let builder = server::builder(scoreboard.clone(), Passes::default(), Some(pushed));
        let server = TestServer::start(builder, 1).await.unwrap();
        open(server.server(), &opening).await.unwrap();
        let outlet = server.server().clone();
        let board = scoreboard.clone();
        actix_web::rt::spawn(async move {
            let _ended = publisher::relay(&outlet, &board, SPEED, accepted).await;
        });
        let api = server::api(server.server(), KEY).unwrap();
        let app = web::init_service(App::new().service(api.at("/api"))).await;
        let say = async |what: &str, data: Value| {
            let body = json!({ "room": PITCH, "type": what, "data": data });
            let request = web::TestRequest::post()
                .uri("/api/rooms/ask")
                .insert_header(("authorization", format!("Bearer {KEY}")))
                .set_json(body);
            let response = web::call_service(&app, request.to_request()).await;
            let status = response.status();
            let body: Value = web::read_body_json(response).await;
            match status {
                StatusCode::OK => body["reply"].clone(),
                _ => body["error"]["code"].clone(),
            }
        };
        let none = || json!(null);
        assert_eq!(
            say("goal", json!({ "team": "Reds", "scorer": "Ann" })).await,
            "no_match"
        );
        let teams = json!({ "teams": ["Reds", "Blues"] });
        for wrong in [
            json!({ "teams": ["Reds"] }),
            json!({ "team": "Reds" }),
            json!(7),
        ] {
            assert_eq!(say("kick_off", wrong).await, "bad_payload");
        }
        assert_eq!(
            say("kick_off", json!({ "teams": ["Reds", "Reds"] })).await,
            "same_teams"
        );
        assert_eq!(
            say("kick_off", json!({ "teams": ["Reds", ""] })).await,
            "bad_name"
        );
        let begun = say("kick_off", teams.clone()).await;
        assert_eq!(
            (&begun["match"], &begun["phase"]),
            (&json!("live-1"), &json!("first_half"))
        );
        assert_eq!(say("kick_off", teams.clone()).await, "match_on");
        assert_eq!(
            say("goal", json!({ "team": "Greens", "scorer": "Ann" })).await,
            "unknown_team"
        );
        assert_eq!(say("second_half", none()).await, "wrong_phase");
        let goal = json!({ "team": "Reds", "scorer": "Ann", "minute": "23" });
        assert_eq!(say("goal", goal.clone()).await["score"], json!([1, 0]));
        assert_eq!(say("half_time", none()).await["phase"], "half_time");
        assert_eq!(say("goal", goal).await, "not_playing");
        assert_eq!(say("second_half", none()).await["phase"], "second_half");
        let own = json!({ "team": "Blues", "scorer": "Bob", "minute": "90+4", "own_goal": true });
        assert_eq!(say("goal", own).await["score"], json!([1, 1]));
        assert_eq!(say("full_time", none()).await["phase"], "full_time");
        assert_eq!(say("full_time", none()).await, "wrong_phase");
        assert_eq!(say("kick_off", teams).await["match"], "live-2");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;

        let board = scoreboard.snapshot();
        let [first, second] = &board.matches[..] else {
            panic!("{board:?}");
        };
        assert_eq!((first.phase, first.score), (Phase::FullTime, Score(1, 1)));
        assert_eq!(
            (second.phase, second.score),
            (Phase::FirstHalf, Score::default())
        );
        let state = server
            .server()
            .history("match/live-1", Default::default())
            .await;
        let state: Value = state.unwrap().publications.last().unwrap().data().unwrap();
        assert_eq!(
            (&state["score"], &state["phase"]),
            (&json!([1, 1]), &json!("full_time"))
        );
    });
}

#[test]
fn clients_have_no_pitch_of_their_own_and_the_key_can_do_nothing_else() {
    run(async {
        let (pushed, _accepted) = PushedFeed::new(SPEED);
        let opening = pushed.opening();
        let builder = server::builder(Scoreboard::default(), Passes::default(), Some(pushed));
        let server = TestServer::start(builder, 1).await.unwrap();
        open(server.server(), &opening).await.unwrap();
        let client = server.client(Default::default()).await.unwrap();
        let refused = client.join("pitch", &json!({ "word": "guessed" })).await;
        assert!(refused.unwrap_err().to_string().contains("closed"));
        assert!(
            server.server().rooms(None).await.is_empty(),
            "it is private"
        );
        let key = ApiKey::new("feed", KEY).scopes(server::FEED_SCOPES);
        let allowed = ApiScope::ALL.into_iter().filter(|scope| key.allows(*scope));
        assert_eq!(allowed.collect::<Vec<_>>(), [ApiScope::RoomsTell]);
    });
}
