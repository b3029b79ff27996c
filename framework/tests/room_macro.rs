//! `#[courtside::room]` writes what one would write by hand.
#![cfg(feature = "testing")]
#![allow(missing_docs, missing_debug_implementations, clippy::unwrap_used)]

use courtside::prelude::*;
use courtside::testing::RoomHarness;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Message)]
struct Say {
    text: String,
}

#[derive(Deserialize, Message)]
struct Clear;

#[derive(Deserialize, Message)]
#[message(reply = u32)]
struct Count;

#[derive(Serialize, Deserialize, Message, Debug, PartialEq)]
struct Line {
    from: MemberId,
    text: String,
}

/// The shortest room: no `create`, no options, handlers with all parameters, with some, and with none.
#[derive(Default)]
struct PlainChat {
    lines: u32,
}

#[courtside::room]
impl PlainChat {
    #[on]
    fn say(&mut self, from: &Member, say: Say, ctx: &mut RoomContext<Self>) -> Result<(), Refusal> {
        if say.text.is_empty() {
            return Err(Refusal::new("empty", "say something"));
        }
        self.lines += 1;
        ctx.broadcast(&Line {
            from: from.id(),
            text: say.text,
        });
        Ok(())
    }

    #[on]
    fn clear(&mut self, _: Clear) {
        self.lines = 0;
    }

    #[on]
    fn count(&mut self, _: Count) -> u32 {
        self.lines
    }

    fn state(&self) -> impl Serialize {
        self.lines
    }
}

#[test]
fn a_room_without_a_trait_in_sight() {
    assert_eq!(PlainChat::KIND, "plain_chat");
    let mut chat = RoomHarness::<PlainChat>::new(()).unwrap();
    let ann = chat.join(()).unwrap();
    chat.send(
        ann,
        Say {
            text: "hello".into(),
        },
    )
    .unwrap();
    let said = Line {
        from: ann,
        text: "hello".into(),
    };
    assert_eq!(chat.sent_to::<Line>(ann), [said]);
    let refusal = chat
        .send(
            ann,
            Say {
                text: String::new(),
            },
        )
        .unwrap_err();
    assert_eq!(refusal.code(), "empty");
    assert_eq!(chat.send(ann, Count).unwrap(), 1);
    chat.send(ann, Clear).unwrap();
    assert_eq!(chat.send(ann, Count).unwrap(), 0);
}

#[derive(Deserialize, Default)]
struct Wish {
    limit: u32,
}

/// All hooks, with options that both `create` and `joined` see, and a generic parameter.
struct Game<T> {
    rules: T,
    limit: u32,
    seen: Vec<String>,
}

#[courtside::room(kind = "big-game")]
impl<T: Default + 'static> Game<T> {
    fn config() -> RoomConfig {
        RoomConfig::default().tick_hz(10.0)
    }

    fn create(wish: Wish) -> Self {
        Self {
            rules: T::default(),
            limit: wish.limit,
            seen: Vec::new(),
        }
    }

    fn joined(&mut self, member: &Member, wish: Wish) -> Result<(), Refusal> {
        let _rules = &self.rules;
        if wish.limit > self.limit {
            return Err(Refusal::new("too_much", "this game has a lower limit"));
        }
        self.seen.push(format!("{} joined", member.id()));
        Ok(())
    }

    fn dropped(&mut self, member: &Member) {
        self.seen.push(format!("{} dropped", member.id()));
    }

    fn resumed(&mut self, member: &Member, _: &mut RoomContext<Self>) {
        self.seen.push(format!("{} resumed", member.id()));
    }

    fn left(&mut self, member: &Member, reason: LeaveReason) {
        self.seen.push(format!("{} {reason}", member.id()));
    }

    fn tick(&mut self, tick: Tick) {
        self.seen.push(format!("tick {}", tick.number));
    }

    fn state(&self) -> State<'_> {
        State::of(self.limit)
    }

    fn view(&self, _: &Member) -> View<'_> {
        View::none()
    }

    /// Not a hook, and no handler: it stays a method.
    fn newest(&self) -> Option<&str> {
        self.seen.last().map(String::as_str)
    }
}

#[test]
fn every_hook_is_called_with_what_it_asks_for() {
    assert_eq!(Game::<u8>::KIND, "big-game");
    let mut game = RoomHarness::<Game<u8>>::new(Wish { limit: 3 }).unwrap();
    let refusal = game.join(Wish { limit: 4 }).unwrap_err();
    assert_eq!(refusal.code(), "too_much");
    let ann = game.join(Wish { limit: 2 }).unwrap();
    let newest = |game: &RoomHarness<Game<u8>>| game.room().newest().unwrap().to_owned();
    assert_eq!(newest(&game), format!("{ann} joined"));
    game.lose(ann);
    assert_eq!(newest(&game), format!("{ann} dropped"));
    game.resume(ann);
    assert_eq!(newest(&game), format!("{ann} resumed"));
    game.advance(std::time::Duration::from_millis(150));
    assert_eq!(newest(&game), "tick 1");
    game.leave(ann);
    assert_eq!(newest(&game), format!("{ann} left"));
}

/// No `create`, and no `Default`: a closure makes it.
struct Loan<T> {
    book: T,
}

#[courtside::room(kind = "lending", options = Wish)]
impl<T: Serialize + 'static> Loan<T>
where
    T: Clone,
{
    fn state(&self) -> impl Serialize {
        self.book.clone()
    }
}

#[test]
fn a_room_without_create_and_default_is_made_by_a_closure() {
    let shelf = vec!["Ulysses", "Emma"];
    assert_eq!(Loan::<&str>::KIND, "lending");
    let loan = RoomHarness::<Loan<&str>>::with(Wish { limit: 1 }, |wish, ctx| {
        ctx.set_metadata(&shelf);
        Ok(Loan {
            book: shelf[wish.limit as usize],
        })
    });
    assert_eq!(loan.unwrap().room().book, "Emma");
    let refused =
        RoomHarness::<Loan<&str>>::with(Wish::default(), |_, _| Err(Refusal::new("lent", "sorry")));
    assert_eq!(refused.unwrap_err().code(), "lent");
}
