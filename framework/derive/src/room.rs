//! `#[courtside::room]`: writes `impl Room`, `impl Create`, and one `impl Handle` for each message, from the methods of a struct.
//!
//! The methods stay as they are. What is written beside them passes on only what a method asks for, so that a method can leave
//! out the parameters that it does not need.

use heck::ToSnakeCase;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, FnArg, ImplItem, ImplItemFn, ItemImpl, LitStr, ReturnType, Token, Type,
};

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

/// What a hook returns in the trait, and so what a method may return instead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Returns {
    /// Nothing, or what the method returns.
    AsIs,
    /// `Result<_, Refusal>`: a method that returns no `Result` never refuses.
    Result,
    /// `State`: a method may return the value that is shown.
    State,
}

/// A hook of the trait: its signature, and how its return value comes about.
struct Hook {
    name: &'static str,
    /// The parameters that it may take, as [`Parameters::names`] calls them.
    takes: &'static [&'static str],
    /// Behind `fn name`.
    signature: TokenStream,
    returns: Returns,
}

/// The hooks of `Room`, and `create`. Their parameters are called `member`, `value` and `ctx`.
fn hooks() -> [Hook; 10] {
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

/// What a method takes, beside itself.
#[derive(Default)]
struct Parameters {
    has_receiver: bool,
    /// In the method's own order: `member`, `value` or `ctx`.
    names: Vec<&'static str>,
    value: Option<Type>,
}

impl Parameters {
    /// The form of a parameter tells what it is: `&Member`, a value such as a message, `&mut RoomContext<Self>`.
    fn of(method: &ImplItemFn) -> syn::Result<Self> {
        let mut found = Self::default();
        for argument in &method.sig.inputs {
            let FnArg::Typed(typed) = argument else {
                found.has_receiver = true;
                continue;
            };
            let name = match &*typed.ty {
                Type::Reference(reference) if reference.mutability.is_some() => "ctx",
                Type::Reference(_) => "member",
                value => {
                    found.value.get_or_insert_with(|| value.clone());
                    "value"
                }
            };
            if found.names.contains(&name) {
                return Err(Error::new(
                    typed.span(),
                    format!(
                        "`{}` has two parameters of one form: it may take the member (`&Member`), one value such as a message, and a context (`&mut RoomContext<Self>`), each once",
                        method.sig.ident
                    ),
                ));
            }
            found.names.push(name);
        }
        Ok(found)
    }

    /// Refuses a parameter that the hook does not receive.
    fn check(&self, hook: &Hook, method: &ImplItemFn) -> syn::Result<()> {
        let Some(unknown) = self.names.iter().find(|name| !hook.takes.contains(name)) else {
            return Ok(());
        };
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
        Err(Error::new(
            method.sig.inputs.span(),
            format!(
                "the hook `{}` does not receive {}: it may take {takes}; rename the method if it is no hook",
                hook.name,
                form(unknown)
            ),
        ))
    }

    /// Calls the method with what it takes.
    fn call(&self, method: &ImplItemFn) -> TokenStream {
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

fn is_on(attribute: &Attribute) -> bool {
    attribute.path().is_ident("on")
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

/// What is written where one method is wrong: the error, and a room that has no hooks and no handlers. Without it, each mention of
/// the type would be an error of its own, which hides the one that matters.
fn stand_in(error: &Error, mut item: ItemImpl, options: Option<Type>) -> TokenStream {
    let error = error.to_compile_error();
    if item.trait_.is_some() {
        return error;
    }
    for entry in &mut item.items {
        if let ImplItem::Fn(method) = entry {
            method.attrs.retain(|attribute| !is_on(attribute));
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
    }
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
    let (generics, _, clause) = item.generics.split_for_impl();
    let room = &item.self_ty;
    for entry in &mut item.items {
        let ImplItem::Fn(method) = entry else {
            continue;
        };
        let is_handler = method.attrs.iter().any(is_on);
        method.attrs.retain(|attribute| !is_on(attribute));
        let method = &*method;
        let name = method.sig.ident.to_string();
        if is_handler {
            let parameters = Parameters::of(method)?;
            let Some(message) = &parameters.value else {
                return Err(Error::new(
                    method.sig.ident.span(),
                    format!(
                        "`{name}` takes no message: an `#[on]` method takes one by value, as in `fn say(&mut self, from: &Member, say: Say)`"
                    ),
                ));
            };
            let body = body(method, &parameters.call(method), Returns::Result);
            let conditions: Vec<_> = conditions(method).collect();
            registered
                .push(quote_spanned!(message.span()=> #(#conditions)* handlers.on::<#message>();));
            handlers.push(quote! {
                #(#conditions)*
                #[automatically_derived]
                impl #generics ::courtside::Handle<#message> for #room #clause {
                    #[allow(unused_variables)]
                    fn handle(
                        &mut self,
                        member: &::courtside::Member,
                        value: #message,
                        ctx: &mut ::courtside::RoomContext<Self>,
                    ) -> ::core::result::Result<<#message as ::courtside::Message>::Reply, ::courtside::Refusal> {
                        #body
                    }
                }
            });
        } else if let Some(hook) = known.iter().find(|hook| hook.name == name) {
            let parameters = Parameters::of(method)?;
            parameters.check(hook, method)?;
            if let ("create" | "joined", Some(value)) = (hook.name, &parameters.value) {
                options.get_or_insert_with(|| value.clone());
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
