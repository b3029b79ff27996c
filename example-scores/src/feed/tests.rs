use super::*;

/// A few matches of 2022 that cover what feeds contain.
const EXCERPT: &str = include_str!("../../fixtures/excerpt-2022.json");

fn excerpt() -> Feed {
    Feed::parse(EXCERPT).unwrap()
}

fn fixture_of(feed: &Feed, id: &str) -> Fixture {
    feed.tournament
        .fixtures
        .iter()
        .find(|fixture| fixture.id == id)
        .unwrap()
        .clone()
}

/// A feed of one match with these fields besides date and teams.
fn one(fields: &str) -> Result<Feed, FeedError> {
    Feed::parse(&format!(
        r#"{{"matches":[{{"date":"2022-12-18","team1":"Reds","team2":"Blues",{fields}}}]}}"#
    ))
}

fn complaint(fields: &str) -> String {
    one(fields).unwrap_err().to_string()
}

#[test]
fn a_real_excerpt_is_read_in_the_order_of_the_kick_offs() {
    let feed = excerpt();
    assert_eq!(feed.tournament.name, "World Cup 2022 (excerpt)");
    assert_eq!(feed.notes, Vec::<String>::new());
    let kickoffs: Vec<i64> = feed
        .tournament
        .fixtures
        .iter()
        .map(|fixture| fixture.kickoff.minutes())
        .collect();
    assert!(kickoffs.is_sorted(), "{kickoffs:?}");
}

#[test]
fn goals_are_put_in_the_order_of_play_across_both_teams() {
    let game = fixture_of(&excerpt(), "2022-11-21-england-iran");
    let minutes: Vec<String> = game
        .goals
        .iter()
        .map(|goal| goal.minute.to_string())
        .collect();
    assert_eq!(
        minutes,
        ["35′", "43′", "45+1′", "62′", "65′", "71′", "90′", "90+13′"]
    );
    assert!(game.goals[7].penalty);
}

#[test]
fn a_final_keeps_its_three_scores_apart() {
    let game = fixture_of(&excerpt(), "2022-12-18-argentina-france");
    assert_eq!(game.result.half_time, Some(Score(2, 0)));
    assert_eq!(game.result.full_time, Score(2, 2));
    assert_eq!(game.result.extra_time, Some(Score(3, 3)));
    assert_eq!(game.result.penalties, Some(Score(4, 2)));
    assert_eq!(game.winner(), Some("Argentina"));
    assert!(game.has_extra_time());
}

#[test]
fn an_own_goal_counts_for_the_team_that_did_not_score_it() {
    let game = fixture_of(&excerpt(), "2022-12-03-argentina-australia");
    let own = game.goals.iter().find(|goal| goal.own_goal).unwrap();
    assert_eq!(
        (own.scorer.as_str(), game.team(own.side)),
        ("Enzo Fernández", "Australia")
    );
}

#[test]
fn the_newer_spelling_with_strings_and_zones_is_read_too() {
    let feed = one(r#""time":"13:00 UTC-6","score":{"ft":[1,0]},
                      "goals1":[{"name":"Ann","minute":"45+5"}]"#)
    .unwrap();
    assert_eq!(
        feed.tournament.fixtures[0].goals[0].minute,
        Minute::new(45, 5).unwrap()
    );
}

#[test]
fn missing_details_are_no_errors() {
    let feed = one(r#""score":{"ft":[0,0],"ht":null}"#).unwrap();
    assert_eq!(feed.tournament.fixtures[0].winner(), None);
    assert!(feed.notes.is_empty());
}

#[test]
fn goals_that_do_not_make_the_score_are_noted_and_do_not_fail() {
    let feed = one(r#""score":{"ft":[2,0],"ht":[1,0]},"goals1":[{"name":"Ann","minute":5}]"#);
    let notes = feed.unwrap().notes;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("Reds – Blues"), "{notes:?}");
    assert!(
        notes[0].contains("2–0") && notes[0].contains("1–0"),
        "{notes:?}"
    );
}

#[test]
fn matches_without_a_result_are_left_out_and_counted() {
    let text = EXCERPT.replace(
        r#""matches": ["#,
        r#""matches": [{"round": "Final", "date": "2026-07-19", "team1": "W101", "team2": "W102"},"#,
    );
    let feed = Feed::parse(&text).unwrap();
    assert_eq!(
        feed.tournament.fixtures.len(),
        excerpt().tournament.fixtures.len()
    );
    assert_eq!(feed.notes, ["One match has no result yet and is left out."]);
}

#[test]
fn an_error_names_the_match_the_field_and_what_to_write() {
    let text = complaint(r#""score":{"ft":[1,0]},"goals1":[{"name":"Ann","minute":"soon"}]"#);
    assert_eq!(
        text,
        "matches[0].goals1[0].minute (Reds – Blues, 2022-12-18): found \"soon\", \
         expected a minute such as 67 or 90+4. Correct the file and start again."
    );
    for (fields, place) in [
        (r#""score":{"ft":[1]}"#, "matches[0].score.ft "),
        (r#""score":{"ft":"1-0"}"#, "matches[0].score.ft "),
        (
            r#""score":{"ft":[1,0],"ht":[-1,0]}"#,
            "matches[0].score.ht ",
        ),
        (r#""time":"noon","score":{"ft":[1,0]}"#, "matches[0].time "),
        (r#""score":{"ft":[1,0]},"goals1":{}"#, "matches[0].goals1 "),
        (
            r#""score":{"ft":[1,0]},"goals1":[{"name":"Ann"}]"#,
            "matches[0].goals1[0].minute ",
        ),
        (
            r#""score":{"ft":[1,0]},"goals1":[{"minute":3}]"#,
            "matches[0].goals1[0].name ",
        ),
        (
            r#""score":{"ft":[1,0]},"goals1":[{"name":"Ann","minute":44,"offset":2}]"#,
            "matches[0].goals1[0].offset ",
        ),
        (
            r#""score":{"ft":[1,0]},"goals1":[{"name":"Ann","minute":130,"offset":2}]"#,
            "matches[0].goals1[0].minute ",
        ),
    ] {
        let text = complaint(fields);
        assert!(text.starts_with(place), "{fields}: {text}");
    }
}

#[test]
fn a_file_that_is_no_feed_is_told_so() {
    let text = |feed: &str| Feed::parse(feed).unwrap_err().to_string();
    assert!(text("<html>").contains("not JSON"));
    assert!(text("[]").contains("a list `matches`"));
    assert!(text(r#"{"rounds":[]}"#).contains("older layout"));
    assert!(text(r#"{"matches":[]}"#).contains("at least one match with a result"));
}

#[test]
fn ids_are_readable_and_never_shared() {
    let entry = r#"{"date":"1938-06-05","team1":"Curaçao & Co","team2":"Côte d’Ivoire",
                    "score":{"ft":[1,1]}}"#;
    let feed = Feed::parse(&format!(r#"{{"matches":[{entry},{entry}]}}"#)).unwrap();
    let ids: Vec<&str> = feed
        .tournament
        .fixtures
        .iter()
        .map(|it| it.id.as_str())
        .collect();
    let id = "1938-06-05-curacao-co-cote-d-ivoire";
    assert_eq!(ids, [id.to_owned(), format!("{id}-2")]);
}
