//! Rooms as seen from outside: create them, tell and ask them, end them.

mod broadcast;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytestring::ByteString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};

pub use self::broadcast::{BroadcastAck, BroadcastReport};
use crate::caller::Caller;
use crate::handler::Message;
use crate::ids::RoomId;
use crate::lobby::fields::Fields;
use crate::lobby::info::RoomInfo;
use crate::origin::Sender;
use crate::presence::who::Who;
use crate::room::Room;
use crate::room::create::CreateError;
use crate::room::kept_out::KeepOut;
use crate::room::server_context::read_reply;
use crate::room::tell::{AskError, PATIENCE, RoomGone, TellError, Told, encode};
use crate::runtime::messages::{CreateRequest, LobbyMessage};
use crate::runtime::server_inner::ServerInner;
use crate::server_handle::ServerHandle;
use crate::session::accounts::Accounts;
use crate::wire::codec::{CodecError, Format, RawData};

impl ServerHandle {
    /// Creates a room of the kind `R`, with these options. Await it for the room.
    ///
    /// The options are encoded, and decoded as the room's [`Options`](Room::Options), as those of a client are. The room has no
    /// members yet: it ends after [`RoomConfig::empty_grace`](crate::RoomConfig::empty_grace), or after 10 s if that is less,
    /// unless a client joins it. It counts towards [`Limits::rooms_in_all`](crate::Limits::rooms_in_all), and towards a
    /// client's limits if it is [charged](CreateRoom::charge_to) to one.
    ///
    /// ```
    /// use courtside::prelude::*;
    /// # use courtside::{CreateError, ServerHandle};
    /// # #[derive(serde::Serialize, serde::Deserialize, Default)] struct Settings { map: String }
    /// # struct Arena;
    /// # #[courtside::room]
    /// # impl Arena { fn create(settings: Settings) -> Self { Arena } }
    ///
    /// # async fn new_match(server: &ServerHandle) -> Result<(), CreateError> {
    /// let settings = Settings { map: "moon".into() };
    /// let room = server.create::<Arena>(&settings).await?;
    /// println!("join {}", room.id());
    ///
    /// // With a code that friends can type. With a code that exists, it fails: `CreateError::Taken`.
    /// let private = server.create::<Arena>(&settings).id(RoomId::code()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create<R: Room>(&self, options: &impl Serialize) -> CreateRoom {
        let options = RawData::of(Format::Json, options)
            .map_err(|CodecError(error)| CreateError::NotEncodable(error));
        self.create_with(R::KIND, options)
    }

    /// Creates a room of a kind that is known by its name only.
    pub(crate) fn create_with(
        &self,
        kind: &str,
        options: Result<RawData, CreateError>,
    ) -> CreateRoom {
        CreateRoom {
            shared: self.shared.clone(),
            kind: kind.to_owned(),
            options,
            id: RoomId::random(),
            accounts: None,
        }
    }

    /// A handle to the room with this id. It looks for no room yet: whatever the handle is used for reports a room that is gone.
    ///
    /// ```
    /// use courtside::prelude::*;
    /// # use courtside::{AskError, ServerHandle};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize, Message)]
    /// struct Notice { text: String }
    ///
    /// #[derive(Serialize, Deserialize, Message)]
    /// #[message(reply = u32)]
    /// struct Score { team: String }
    ///
    /// # async fn round_up(server: &ServerHandle) -> Result<(), AskError> {
    /// let room = server.room("KRTWDB");
    /// room.tell(&Notice { text: "five minutes left".into() }).await?;
    /// let home = room.ask(&Score { team: "home".into() }).await?;
    /// # let _ = home;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn room(&self, id: impl Into<RoomId>) -> RoomHandle {
        RoomHandle {
            shared: self.shared.clone(),
            id: id.into(),
            sender: Sender::Application,
        }
    }
}

/// A room that is about to be created: [`ServerHandle::create`] returns it. Nothing happens before it is awaited.
#[derive(Debug)]
#[must_use = "await it: the room is not created yet"]
pub struct CreateRoom {
    shared: Arc<ServerInner>,
    kind: String,
    options: Result<RawData, CreateError>,
    id: RoomId,
    accounts: Option<Accounts>,
}

impl CreateRoom {
    /// Gives the room this id: 1 to 64 letters and digits of ASCII, `_` or `-`. [`RoomId::code`] makes one that people can type.
    /// Default: a random id of 12 letters and digits, which nobody can guess.
    pub fn id(mut self, id: impl Into<RoomId>) -> Self {
        self.id = id.into();
        self
    }

    /// Charges the room to a client that has asked for it by a call: to its subject and its address, as far as they are known. If they
    /// have too many rooms, or create them too fast ([`Limits::subject_creations`](crate::Limits::subject_creations),
    /// [`Limits::address_creations`](crate::Limits::address_creations)), it is refused with `too_many_rooms` or `too_fast`.
    /// Default: it is charged to nobody.
    pub fn charge_to(mut self, caller: &Caller) -> Self {
        let subject = caller.claims.subject_key();
        self.accounts = Some(self.shared.open_accounts(subject, caller.address));
        self
    }

    async fn begin(self) -> Result<RoomHandle, CreateError> {
        let (options, kind) = (self.options?, self.kind);
        if !self.id.is_good() {
            return Err(CreateError::BadId);
        }
        if self.shared.has_ended() {
            return Err(CreateError::Ended);
        }
        let Some(match_on) = self.shared.match_on.get(&kind) else {
            return Err(CreateError::UnknownKind(kind));
        };
        let founded_on = Fields::wished(&options, match_on).map_err(CreateError::Refused)?;
        let (answer, begun) = oneshot::channel();
        let request = CreateRequest {
            kind,
            id: self.id.clone(),
            options,
            founded_on,
            accounts: self.accounts,
            answer,
        };
        self.shared
            .send_to_lobby(LobbyMessage::Create(Box::new(request)));
        begun.await.unwrap_or(Err(CreateError::Ended))?;
        Ok(RoomHandle {
            shared: self.shared,
            id: self.id,
            sender: Sender::Application,
        })
    }
}

impl IntoFuture for CreateRoom {
    type Output = Result<RoomHandle, CreateError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.begin())
    }
}

/// A room as seen from outside, by its id: [`ServerHandle::room`] and [`ServerHandle::create`] return it.
///
/// It keeps neither the room nor the server alive. A clone is another handle to the same room.
#[derive(Clone)]
pub struct RoomHandle {
    shared: Arc<ServerInner>,
    id: RoomId,
    /// In whose name it sends.
    sender: Sender,
}

impl fmt::Debug for RoomHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomHandle({})", self.id)
    }
}

impl RoomHandle {
    /// The room's id.
    #[must_use]
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    /// Sends the room a message, which its [`Receive`](crate::Receive) handler handles. It never waits, and can be called on any
    /// thread.
    ///
    /// The message is sent at once, or refused at once. Await the returned [`TellAck`] to know that the room has handled it, or check
    /// it with [`sent`](TellAck::sent). The messages of one thread to one room are handled in the order in which they were sent, also
    /// if none is awaited. A message is handled once, or its sender has an error.
    ///
    /// # Errors
    ///
    /// If the room or the server has ended, the message cannot be encoded, or too much is on its way to the room or to all rooms:
    /// [`TellError::Busy`]. Also if the room refuses the message or crashes, which is known when the ack would be.
    pub fn tell<M: Message + Serialize>(&self, message: &M) -> TellAck {
        let name = ByteString::from_static(M::NAME);
        let sent = encode(message).and_then(|data| self.send(name, data, false));
        TellAck(self.answer(sent))
    }

    /// The same for a message of a type that is known by its name only.
    #[cfg(feature = "api")]
    pub(crate) fn tell_encoded(&self, name: &str, data: RawData) -> TellAck {
        TellAck(self.answer(self.send(name.into(), data, false)))
    }

    /// Asks the room a question: sends a message as [`tell`](Self::tell) does, and returns what the handler replies. Await it within
    /// a tokio runtime; the question is on its way whether or not it is awaited.
    ///
    /// # Errors
    ///
    /// As for `tell`, and if there is no reply within 5 s or [another time](Ask::timeout): [`AskError::TimedOut`].
    pub fn ask<M>(&self, question: &M) -> Ask<M::Reply>
    where
        M: Message + Serialize,
        M::Reply: DeserializeOwned,
    {
        let name = ByteString::from_static(M::NAME);
        let sent = encode(question).and_then(|data| self.send(name, data, true));
        Ask::new(self.answer(sent))
    }

    /// The same for a question of a type that is known by its name only.
    #[cfg(feature = "api")]
    pub(crate) fn ask_encoded<T>(&self, name: &str, data: RawData) -> Ask<T> {
        Ask::new(self.answer(self.send(name.into(), data, true)))
    }

    /// A handle that sends in another name.
    #[cfg(feature = "api")]
    pub(crate) fn sent_by(self, sender: Sender) -> Self {
        Self { sender, ..self }
    }

    /// Ends the room: its hook [`disposed`](Room::disposed) is called with
    /// [`DisposeReason::Requested`](crate::DisposeReason::Requested), and its members receive `left`. Returns when it has ended.
    /// What the application has told the room before, the room handles first.
    ///
    /// # Errors
    ///
    /// If the room has ended already, or there never was one.
    pub async fn dispose(&self) -> Result<(), RoomGone> {
        let entry = self.shared.rooms.find(&self.id)?;
        entry.dispose().await
    }

    /// What a list shows of the room, also if it is private: its kind, its members and its metadata.
    ///
    /// # Errors
    ///
    /// If the room has ended, or there never was one.
    pub async fn info(&self) -> Result<RoomInfo, RoomGone> {
        let (reply, info) = oneshot::channel();
        let room = self.id.clone();
        self.shared
            .send_to_lobby(LobbyMessage::Info { room, reply });
        let info = info.await.ok().flatten().ok_or(RoomGone)?;
        Ok(info.into())
    }

    /// Keeps a user out of the room for a time, as [`UserHandle::keep_out`](crate::UserHandle::keep_out) says.
    pub(crate) fn keep_out(&self, who: Who, time: Duration, why: &str) -> TellAck {
        let keep_out = KeepOut {
            sender: self.sender.clone(),
            who,
            time,
            why: why.to_owned(),
        };
        let (answer, outcome) = oneshot::channel();
        let entry = self.shared.rooms.find(&self.id).map_err(TellError::from);
        let sent = entry.and_then(|entry| entry.keep_out(keep_out, answer));
        TellAck(self.answer(sent.map(|()| outcome)))
    }

    /// Sends an encoded message. The answer goes to what it returns.
    fn send(
        &self,
        name: ByteString,
        data: RawData,
        wants_reply: bool,
    ) -> Result<oneshot::Receiver<Outcome>, TellError> {
        let entry = self.shared.rooms.find(&self.id)?;
        let told = Told {
            origin: self.shared.next_tell(self.sender.clone()),
            name,
            data,
            wants_reply,
        };
        let admitted = entry.admit(told)?;
        let (answer, outcome) = oneshot::channel();
        entry.send(admitted, Some(answer));
        Ok(outcome)
    }

    fn answer(&self, sent: Result<oneshot::Receiver<Outcome>, TellError>) -> Answer {
        let shared = self.shared.clone();
        match sent {
            Ok(outcome) => Answer::Sent(outcome, shared),
            Err(TellError::RoomGone) => Answer::Refused(gone(&shared)),
            Err(error) => Answer::Refused(error),
        }
    }
}

/// What a room makes of a message: the encoded reply, or an error.
type Outcome = Result<RawData, TellError>;

/// Why there is no room.
fn gone(shared: &ServerInner) -> TellError {
    match shared.has_ended() {
        true => TellError::Ended,
        false => TellError::RoomGone,
    }
}

/// The outcome of a message to a room, as soon as there is one.
enum Answer {
    Sent(oneshot::Receiver<Outcome>, Arc<ServerInner>),
    Refused(TellError),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(..) => f.write_str("Sent"),
            Self::Refused(error) => write!(f, "Refused({error:?})"),
        }
    }
}

impl Answer {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self {
            // A room that drops the message has not handled it.
            Self::Sent(outcome, shared) => Pin::new(outcome)
                .poll(cx)
                .map(|answer| answer.unwrap_or_else(|_| Err(gone(shared)))),
            Self::Refused(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

/// A message that was sent to a room, or the reason why it was not: [`RoomHandle::tell`] returns it.
///
/// The message is on its way whether or not anything waits for this. Awaiting it returns when the room has handled the message.
#[derive(Debug)]
#[must_use = "the message may have been refused: check `sent()`, or await it"]
pub struct TellAck(Answer);

impl TellAck {
    /// Whether the message was sent, for those who do not need to know that it was handled. It does not wait.
    ///
    /// # Errors
    ///
    /// If it was not sent: [`TellError::Busy`], say.
    pub fn sent(self) -> Result<(), TellError> {
        match self.0 {
            Answer::Sent(..) => Ok(()),
            Answer::Refused(error) => Err(error),
        }
    }
}

impl Future for TellAck {
    type Output = Result<(), TellError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx).map_ok(drop)
    }
}

/// A question to a room: [`RoomHandle::ask`] returns it. Awaiting it returns the reply.
#[must_use = "the question may have been refused: await the reply"]
pub struct Ask<T> {
    answer: Answer,
    asked: Instant,
    timeout: Duration,
    /// Set when it is first polled.
    late: Option<Pin<Box<Sleep>>>,
    reply: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Ask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ask").field(&self.answer).finish()
    }
}

impl<T> Ask<T> {
    fn new(answer: Answer) -> Self {
        Self {
            answer,
            asked: Instant::now(),
            timeout: PATIENCE,
            late: None,
            reply: PhantomData,
        }
    }

    /// How long to wait for the reply, from the question on. Default: 5 s. `Duration::MAX`: as long as the room lives.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl<T: DeserializeOwned> Future for Ask<T> {
    type Output = Result<T, AskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(outcome) = self.answer.poll(cx) {
            return Poll::Ready(read_reply(&outcome?));
        }
        // A time that cannot be expressed never comes.
        let Some(end) = self.asked.checked_add(self.timeout) else {
            return Poll::Pending;
        };
        let late = self.late.get_or_insert_with(|| Box::pin(sleep_until(end)));
        late.as_mut().poll(cx).map(|()| Err(AskError::TimedOut))
    }
}
