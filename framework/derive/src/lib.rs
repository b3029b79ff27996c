//! The macros of `courtside`, documented where users meet them: `#[derive(Message)]` on `courtside::Message`, and
//! `#[courtside::room]` in that crate.
#![forbid(unsafe_code)]

mod message;
mod room;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, ItemImpl, parse_macro_input};

/// See `courtside::Message`.
#[proc_macro_derive(Message, attributes(message))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    message::expand(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// Turns the methods of a struct into a room: writes its `impl Room`, its `impl Create`, and one `impl Handle` or `impl Receive` for
/// each of its messages.
///
/// A method with `#[on]` is the handler of the message that it takes by value. A method with `#[receive]` is the handler of such a
/// message from outside: from the application, another room or the HTTP API, see `Receive`. A method with the name of a hook of `Room`
/// (`create`, `config`, `state`, `view`, `joined`, `dropped`, `resumed`, `left`, `tick`, `disposed`) is that hook. All other
/// methods stay what they are.
///
/// A handler or hook takes what it needs of what the trait's method is given: the member (`&Member`; of a message from outside the
/// sender, `&Sender`), one value (the message, the
/// options, the reason, the tick) and a context (`&mut RoomContext<Self>`), told apart by these forms. One that never refuses
/// need not return a `Result`, and `state` may return the value itself in place of a `State`.
///
/// The room's options are of the type that `create` or `joined` takes as its value, or that `#[courtside::room(options = Type)]`
/// names; otherwise they are `()`.
/// Without `create`, `Default` makes the room. A room that has neither is registered with a closure that makes it, by
/// `ServerBuilder::room_with`.
/// The kind is the type's name in snake case, or what `#[courtside::room(kind = "…")]` says.
#[proc_macro_attribute]
pub fn room(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let attributes = parse_macro_input!(attributes as room::Attributes);
    let item = parse_macro_input!(item as ItemImpl);
    room::expand(attributes, item).into()
}
