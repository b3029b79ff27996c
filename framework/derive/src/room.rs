//! `#[courtside::room]`: writes `impl Room`, `impl Create`, and one `impl Handle` or `impl Receive` for each message, from the methods
//! of a struct.
//!
//! The methods stay as they are. What is written beside them passes on only what a method asks for, so that a method can leave
//! out the parameters that it does not need.

mod hooks;
mod parameters;

use heck::ToSnakeCase;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, Error, ImplItem, ImplItemFn, ItemImpl, LitStr, ReturnType, Token, Type};

use self::hooks::{Hook, Returns, hooks};
use self::parameters::{Parameters, Role};

/// What stands in `#[room(…)]`.
#[derive(Default)]
pub(crate) struct Attributes {
    kind: Option<LitStr>,
    options: Option<Type>,
}

impl Parse for Attributes {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut attributes = Self::default();
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            if name != "kind" && name != "options" {
                return Err(Error::new(
                    name.span(),
                    "expected `kind = \"…\"` or `options = Type`",
                ));
            }
            input.parse::<Token![=]>()?;
            if name == "options" {
                attributes.options = Some(input.parse()?);
            } else {
                let kind: LitStr = input.parse()?;
                if kind.value().is_empty() {
                    return Err(Error::new(kind.span(), "a kind's name must not be empty"));
                }
                attributes.kind = Some(kind);
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(attributes)
    }
}

/// Whether a method returns a type of this name, by its last segment.
fn returns(method: &ImplItemFn, name: &str) -> bool {
    let ReturnType::Type(_, returned) = &method.sig.output else {
        return false;
    };
    matches!(&**returned, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
}

/// The call, brought to what the trait returns.
fn body(method: &ImplItemFn, call: &TokenStream, wanted: Returns) -> TokenStream {
    match wanted {
        Returns::Result if !returns(method, "Result") => quote!(::core::result::Result::Ok(#call)),
        Returns::State if !returns(method, "State") => quote!(::courtside::State::of(#call)),
        _ => call.clone(),
    }
}

/// Whose messages a method handles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Handling {
    /// Members': `#[on]`.
    On,
    /// Those from outside: `#[receive]`.
    Receive,
}

impl Handling {
    /// What the attribute makes of its method.
    fn of(attribute: &Attribute) -> Option<Self> {
        [Self::On, Self::Receive]
            .into_iter()
            .find(|handling| attribute.path().is_ident(handling.name()))
    }

    /// Takes the attributes off a method that say whose messages it handles.
    fn take(method: &mut ImplItemFn) -> Vec<Self> {
        let found = method.attrs.iter().filter_map(Self::of).collect();
        method
            .attrs
            .retain(|attribute| Self::of(attribute).is_none());
        found
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Receive => "receive",
        }
    }

    /// The trait, its method, and the type of the sender.
    fn implements(self) -> (TokenStream, TokenStream, TokenStream) {
        match self {
            Self::On => (
                quote!(::courtside::Handle),
                quote!(handle),
                quote!(::courtside::Member),
            ),
            Self::Receive => (
                quote!(::courtside::Receive),
                quote!(receive),
                quote!(::courtside::Sender),
            ),
        }
    }
}

/// The attributes of a method that what is written for it needs as well.
fn conditions(method: &ImplItemFn) -> impl Iterator<Item = &Attribute> {
    let is_condition = |attribute: &&Attribute| attribute.path().is_ident("cfg");
    method.attrs.iter().filter(is_condition)
}

/// `impl Create` for a room without `create`: it holds if the room has a `Default`. One that has none is made by a closure.
fn by_default(item: &ItemImpl) -> TokenStream {
    let room = &item.self_ty;
    let (generics, _, clause) = item.generics.split_for_impl();
    let clause = match clause {
        Some(clause) if clause.predicates.trailing_punct() => quote!(#clause),
        Some(clause) if !clause.predicates.is_empty() => quote!(#clause,),
        _ => quote!(where),
    };
    quote! {
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl #generics ::courtside::Create for #room #clause
            for<'by_default> Self: ::courtside::__ByDefault<'by_default>,
        {
            fn create(_: Self::Options, _: &mut ::courtside::RoomContext<Self>) -> ::core::result::Result<Self, ::courtside::Refusal> {
                ::core::result::Result::Ok(<Self as ::courtside::__ByDefault<'_>>::by_default())
            }
        }
    }
}

pub(crate) fn expand(attributes: Attributes, item: ItemImpl) -> TokenStream {
    let (methods, options) = (item.clone(), attributes.options.clone());
    write(attributes, item).unwrap_or_else(|error| stand_in(&error, methods, options))
}

/// What is written where one method is wrong: the error, and a room that has no hooks and no handlers but can be registered.
/// Without it, each mention of the type would be an error of its own, which hides the one that matters.
fn stand_in(error: &Error, mut item: ItemImpl, mut options: Option<Type>) -> TokenStream {
    let error = error.to_compile_error();
    if item.trait_.is_some() {
        return error;
    }
    let known = hooks();
    for entry in &mut item.items {
        if let ImplItem::Fn(method) = entry {
            let is_handler = !Handling::take(method).is_empty();
            let hook = known.iter().find(|hook| method.sig.ident == hook.name);
            if is_handler || hook.is_some() {
                parameters::make_context_mutable(method);
            }
            if let Some(hook) = hook.filter(|hook| gives_options(hook))
                && let Ok(Parameters { value, .. }) = Parameters::of(method, Role::Hook(hook))
            {
                options = options.or(value);
            }
        }
    }
    let options = options.map_or_else(|| quote!(()), |options| quote!(#options));
    let (generics, _, clause) = item.generics.split_for_impl();
    let room = &item.self_ty;
    quote! {
        #error
        #item
        #[automatically_derived]
        impl #generics ::courtside::Room for #room #clause {
            const KIND: &'static str = "";
            type Options = #options;
        }
        #[automatically_derived]
        impl #generics ::courtside::Create for #room #clause {
            fn create(_: Self::Options, _: &mut ::courtside::RoomContext<Self>) -> ::core::result::Result<Self, ::courtside::Refusal> {
                ::core::unreachable!()
            }
        }
    }
}

/// Whether the value that the hook takes is the room's options.
fn gives_options(hook: &Hook) -> bool {
    matches!(hook.name, "create" | "joined")
}

/// Refuses `async`.
fn must_be_synchronous(method: &ImplItemFn, what: &str) -> syn::Result<()> {
    let Some(asyncness) = &method.sig.asyncness else {
        return Ok(());
    };
    Err(Error::new_spanned(
        asyncness,
        format!("{what} are synchronous: begin a job with `ctx.spawn`"),
    ))
}

/// The handlers of a room so far, each with the tokens of its message's type.
#[derive(Default)]
struct Handled(Vec<(Handling, String, Ident)>);

impl Handled {
    /// Refuses a second handler of one type of message. With `cfg`, only the compiler knows whether there are two.
    fn add(&mut self, handling: Handling, method: &ImplItemFn, message: &Type) -> syn::Result<()> {
        if conditions(method).next().is_some() {
            return Ok(());
        }
        let (tokens, name) = (message.to_token_stream().to_string(), &method.sig.ident);
        let is_same = |known: &&(Handling, String, Ident)| known.0 == handling && known.1 == tokens;
        if let Some((_, _, first)) = self.0.iter().find(is_same) {
            return Err(Error::new_spanned(
                message,
                format!(
                    "`{first}` and `{name}` both handle `{}`: a room has one handler for each type of message",
                    tokens.replace(' ', "")
                ),
            ));
        }
        self.0.push((handling, tokens, name.clone()));
        Ok(())
    }
}

/// A handler's registration, and its implementation of the trait.
fn handler(
    item: &ItemImpl,
    handling: Handling,
    method: &ImplItemFn,
    handled: &mut Handled,
) -> syn::Result<(TokenStream, TokenStream)> {
    must_be_synchronous(method, "handlers")?;
    let parameters = Parameters::of(method, Role::Handler(handling))?;
    let Some(message) = &parameters.value else {
        let name = &method.sig.ident;
        let (attribute, sender) = match handling {
            Handling::On => ("an `#[on]`", "Member"),
            Handling::Receive => ("a `#[receive]`", "Sender"),
        };
        return Err(Error::new(
            method.sig.ident.span(),
            format!(
                "`{name}` takes no message: {attribute} method takes one by value, as in `fn say(&mut self, from: &{sender}, say: Say)`"
            ),
        ));
    };
    handled.add(handling, method, message)?;
    let body = body(method, &parameters.call(method), Returns::Result);
    let conditions: Vec<_> = conditions(method).collect();
    let (generics, _, clause) = item.generics.split_for_impl();
    let room = &item.self_ty;
    let (implemented, function, sender) = handling.implements();
    let register = Ident::new(handling.name(), message.span());
    let registered =
        quote_spanned!(message.span()=> #(#conditions)* handlers.#register::<#message>(););
    let written = quote! {
        #(#conditions)*
        #[automatically_derived]
        impl #generics #implemented<#message> for #room #clause {
            #[allow(unused_variables)]
            fn #function(
                &mut self,
                member: &#sender,
                value: #message,
                ctx: &mut ::courtside::RoomContext<Self>,
            ) -> ::core::result::Result<<#message as ::courtside::Message>::Reply, ::courtside::Refusal> {
                #body
            }
        }
    };
    Ok((registered, written))
}

fn write(attributes: Attributes, mut item: ItemImpl) -> syn::Result<TokenStream> {
    if let Some((_, of, _)) = &item.trait_ {
        return Err(Error::new(
            of.span(),
            "`#[room]` stands on the methods of a struct: write `impl Chat { … }`; the macro writes `impl Room for Chat`",
        ));
    }
    let Type::Path(path) = &*item.self_ty else {
        return Err(Error::new(item.self_ty.span(), "a room is a struct"));
    };
    let kind = match (attributes.kind, path.path.segments.last()) {
        (Some(kind), _) => kind.value(),
        (None, Some(last)) => {
            let name = last.ident.to_string();
            name.trim_start_matches("r#").to_snake_case()
        }
        (None, None) => return Err(Error::new(path.span(), "a room is a struct")),
    };

    let known = hooks();
    let mut options = attributes.options;
    let mut create = None;
    let mut written = Vec::new();
    let mut registered = Vec::new();
    let mut handlers = Vec::new();
    let mut handled = Handled::default();
    let mut methods = Vec::new();
    for entry in &mut item.items {
        if let ImplItem::Fn(method) = entry {
            let handlings = Handling::take(method);
            methods.push((method.clone(), handlings));
        }
    }
    let (generics, _, clause) = item.generics.split_for_impl();
    let room = &item.self_ty;
    for (method, handlings) in &methods {
        let name = method.sig.ident.to_string();
        for handling in handlings {
            let (register, implementation) = handler(&item, *handling, method, &mut handled)?;
            registered.push(register);
            handlers.push(implementation);
        }
        if !handlings.is_empty() {
            continue;
        }
        if let Some(hook) = known.iter().find(|hook| hook.name == name) {
            must_be_synchronous(method, "hooks")?;
            let parameters = Parameters::of(method, Role::Hook(hook))?;
            if gives_options(hook) {
                options = options.or_else(|| parameters.value.clone());
            }
            let body = body(method, &parameters.call(method), hook.returns);
            let (name, signature) = (&method.sig.ident, &hook.signature);
            let conditions = conditions(method);
            let function = quote! {
                #[allow(unused_variables)]
                fn #name #signature { #body }
            };
            if hook.name == "create" {
                create = Some(quote! {
                    #(#conditions)*
                    #[automatically_derived]
                    impl #generics ::courtside::Create for #room #clause { #function }
                });
            } else {
                written.push(quote!(#(#conditions)* #function));
            }
        }
    }
    let create = create.unwrap_or_else(|| by_default(&item));
    let options = options.map_or_else(|| quote!(()), |options| quote!(#options));
    Ok(quote! {
        #item

        #[automatically_derived]
        impl #generics ::courtside::Room for #room #clause {
            const KIND: &'static str = #kind;

            type Options = #options;

            fn handlers(handlers: &mut ::courtside::Handlers<Self>) {
                #(#registered)*
                let _ = handlers;
            }

            #(#written)*
        }

        #create

        #(#handlers)*
    })
}
