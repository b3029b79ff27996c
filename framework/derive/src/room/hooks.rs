//! The hooks of `Room`, by which the macro recognises methods.

use proc_macro2::TokenStream;
use quote::quote;

/// What a hook returns in the trait, and so what a method may return instead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Returns {
    /// Nothing, or what the method returns.
    AsIs,
    /// `Result<_, Refusal>`: a method that returns no `Result` never refuses.
    Result,
    /// `State`: a method may return the value that is shown.
    State,
}

/// A hook of the trait: its signature, and how its return value comes about.
pub(super) struct Hook {
    pub(super) name: &'static str,
    /// The parameters that it may take, as `Parameters::names` calls them.
    pub(super) takes: &'static [&'static str],
    /// Behind `fn name`.
    pub(super) signature: TokenStream,
    pub(super) returns: Returns,
}

/// The hooks of `Room`, and `create`. Their parameters are called `member`, `value` and `ctx`.
pub(super) fn hooks() -> [Hook; 10] {
    let hook = |name, takes: &'static [&'static str], signature, returns| Hook {
        name,
        takes,
        signature,
        returns,
    };
    [
        hook(
            "config",
            &[],
            quote!(() -> ::courtside::RoomConfig),
            Returns::AsIs,
        ),
        hook(
            "create",
            &["value", "ctx"],
            quote!((value: Self::Options, ctx: &mut ::courtside::RoomContext<Self>)
                -> ::core::result::Result<Self, ::courtside::Refusal>),
            Returns::Result,
        ),
        hook(
            "state",
            &[],
            quote!((&self) -> ::courtside::State<'_>),
            Returns::State,
        ),
        hook(
            "view",
            &["member"],
            quote!((&self, member: &::courtside::Member) -> ::courtside::View<'_>),
            Returns::AsIs,
        ),
        hook(
            "joined",
            &["member", "value", "ctx"],
            quote!((&mut self, member: &::courtside::Member, value: Self::Options, ctx: &mut ::courtside::RoomContext<Self>)
                -> ::core::result::Result<(), ::courtside::Refusal>),
            Returns::Result,
        ),
        hook(
            "dropped",
            &["member", "ctx"],
            quote!((&mut self, member: &::courtside::Member, ctx: &mut ::courtside::RoomContext<Self>)),
            Returns::AsIs,
        ),
        hook(
            "resumed",
            &["member", "ctx"],
            quote!((&mut self, member: &::courtside::Member, ctx: &mut ::courtside::RoomContext<Self>)),
            Returns::AsIs,
        ),
        hook(
            "left",
            &["member", "value", "ctx"],
            quote!((&mut self, member: &::courtside::Member, value: ::courtside::LeaveReason, ctx: &mut ::courtside::RoomContext<Self>)),
            Returns::AsIs,
        ),
        hook(
            "tick",
            &["value", "ctx"],
            quote!((&mut self, value: ::courtside::Tick, ctx: &mut ::courtside::RoomContext<Self>)),
            Returns::AsIs,
        ),
        hook(
            "disposed",
            &["value", "ctx"],
            quote!((&mut self, value: ::courtside::DisposeReason, ctx: &mut ::courtside::RoomContext<Self>)),
            Returns::AsIs,
        ),
    ]
}
