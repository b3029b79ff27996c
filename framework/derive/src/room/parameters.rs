//! The parameters of a handler or hook, which the macro recognises by their forms.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, FnArg, ImplItemFn, PatType, Type};

use super::Handling;
use super::hooks::Hook;

/// What a method is to the room.
#[derive(Clone, Copy)]
pub(super) enum Role<'a> {
    Hook(&'a Hook),
    Handler(Handling),
}

impl<'a> Role<'a> {
    fn hook(self) -> Option<&'a Hook> {
        match self {
            Self::Hook(hook) => Some(hook),
            Self::Handler(_) => None,
        }
    }

    fn is_receive(self) -> bool {
        matches!(self, Self::Handler(Handling::Receive))
    }
}

/// The parameters of a method, except for the receiver.
#[derive(Default)]
pub(super) struct Parameters {
    has_receiver: bool,
    /// In the method's own order: `member`, `value` or `ctx`.
    names: Vec<&'static str>,
    pub(super) value: Option<Type>,
}

impl Parameters {
    /// The form of a parameter tells what it is: `&Member` or `&Sender`, a value such as a message, `&mut RoomContext<Self>`.
    pub(super) fn of(method: &ImplItemFn, role: Role<'_>) -> syn::Result<Self> {
        let typed: Vec<_> = method
            .sig
            .inputs
            .iter()
            .filter_map(|argument| match argument {
                FnArg::Typed(typed) => Some(typed),
                FnArg::Receiver(_) => None,
            })
            .collect();
        for parameter in &typed {
            if let Some(hint) = wrong_form(parameter, &typed, role) {
                return Err(Error::new_spanned(parameter, hint));
            }
        }
        let mut found = Self {
            has_receiver: method.sig.receiver().is_some(),
            ..Self::default()
        };
        for (at, parameter) in typed.iter().enumerate() {
            let name = form(&parameter.ty);
            if let Some(first) = found.names.iter().position(|known| *known == name) {
                let both = &typed[first..=at];
                let sender = match role.is_receive() {
                    true => "the sender (`&Sender`)",
                    false => "the member (`&Member`)",
                };
                return Err(Error::new_spanned(
                    quote!(#(#both),*),
                    format!(
                        "`{}` has two parameters of one form: it may take {sender}, one value such as a message, and a context (`&mut RoomContext<Self>`), each once",
                        method.sig.ident
                    ),
                ));
            }
            if let Some(hook) = role.hook().filter(|hook| !hook.takes.contains(&name)) {
                return Err(Error::new_spanned(parameter, not_received(hook, name)));
            }
            if name == "value" {
                found.value = Some((*parameter.ty).clone());
            }
            found.names.push(name);
        }
        Ok(found)
    }

    /// Calls the method with what it takes.
    pub(super) fn call(&self, method: &ImplItemFn) -> TokenStream {
        let (span, name) = (method.sig.ident.span(), &method.sig.ident);
        let this = self.has_receiver.then(|| quote_spanned!(span=> self));
        let arguments = self.names.iter().map(|name| {
            let name = Ident::new(name, Span::call_site());
            quote!(#name)
        });
        let arguments = this.into_iter().chain(arguments);
        quote_spanned!(span=> Self::#name(#(#arguments),*))
    }
}

/// Adds a forgotten `mut`, so that a use of the context in the method's body is not a second error.
pub(super) fn make_context_mutable(method: &mut ImplItemFn) {
    for argument in &mut method.sig.inputs {
        if let FnArg::Typed(PatType { ty, .. }) = argument
            && let Type::Reference(reference) = &mut **ty
            && is(&reference.elem, "RoomContext")
        {
            reference.mutability.get_or_insert_default();
        }
    }
}

fn form(of: &Type) -> &'static str {
    match of {
        Type::Reference(reference) if reference.mutability.is_some() => "ctx",
        Type::Reference(_) => "member",
        _ => "value",
    }
}

/// Whether this is a type of Courtside: its bare name, or the name in the crate. Another path is another type.
fn is(of: &Type, name: &str) -> bool {
    let Type::Path(path) = of else {
        return false;
    };
    let segments = &path.path.segments;
    let is_ours = segments.len() == 1 || segments[0].ident == "courtside";
    is_ours && segments.last().is_some_and(|last| last.ident == name)
}

/// What to write in place of the member or the context in a form that is not theirs.
fn wrong_form(parameter: &PatType, all: &[&PatType], role: Role<'_>) -> Option<&'static str> {
    let (of, form) = match &*parameter.ty {
        Type::Reference(reference) => (&*reference.elem, form(&parameter.ty)),
        of => (of, "value"),
    };
    if is(of, "RoomContext") && form != "ctx" {
        return Some("take the context as `&mut RoomContext<Self>`");
    }
    if role.is_receive() && form == "member" && is(of, "Member") {
        return Some(
            "a message from outside comes from no member: take its sender as `&Sender`, or write `#[on]` for messages of clients",
        );
    }
    if !role.is_receive() && form == "member" && is(of, "Sender") {
        return Some(
            "take the member as `&Member`: only `#[receive]` methods, which handle messages from outside, have a `Sender`",
        );
    }
    // A message or options may have either name, so that one such value alone may be meant.
    let values = all.iter().filter(|other| is_value(other)).count();
    let may_be_own = form == "value"
        && values == 1
        && match role.hook() {
            None => true,
            Some(hook) => matches!(hook.name, "create" | "joined") && is(of, "Member"),
        };
    if may_be_own {
        None
    } else if is(of, "MemberId") {
        Some("take the member as `&Member`: `Member::id` returns its id")
    } else if is(of, "Member") && form != "member" {
        Some("take the member as `&Member`")
    } else {
        None
    }
}

fn is_value(parameter: &PatType) -> bool {
    form(&parameter.ty) == "value"
}

/// Refuses a parameter that the hook does not receive.
fn not_received(hook: &Hook, unknown: &str) -> String {
    let form = |name: &str| match name {
        "member" => "the member (`&Member`)",
        "ctx" => "a context (`&mut RoomContext<Self>`)",
        _ => match hook.name {
            "tick" => "the tick (`Tick`)",
            "left" | "disposed" => "the reason",
            _ => "the options",
        },
    };
    let takes: Vec<_> = hook.takes.iter().map(|name| form(name)).collect();
    let takes = match &takes[..] {
        [] if hook.name == "config" => "nothing".to_owned(),
        [] => "nothing but `&self`".to_owned(),
        forms => forms.join(" and "),
    };
    format!(
        "the hook `{}` does not receive {}: it may take {takes}; rename the method if it is no hook",
        hook.name,
        form(unknown)
    )
}
