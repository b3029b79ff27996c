//! `#[derive(Message)]`: gives a struct its name on the wire and the type of its reply.
//!
//! Documented where users meet it: on `courtside::Message`.
#![forbid(unsafe_code)]

use proc_macro::TokenStream;
use proc_macro2::TokenStream as TokenStream2;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Type, parse_macro_input};

/// See `courtside::Message`.
#[proc_macro_derive(Message, attributes(message))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// What `#[message(...)]` says.
#[derive(Default)]
struct Attributes {
    name: Option<LitStr>,
    reply: Option<Type>,
}

fn expand(input: &DeriveInput) -> syn::Result<TokenStream2> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            "a message is a struct: write one struct for each variant, each has a name and a handler of its own",
        ));
    };
    let attributes = attributes(input)?;
    let name = match attributes.name {
        Some(name) if name.value().is_empty() => {
            return Err(Error::new_spanned(
                name,
                "a message's name must not be empty",
            ));
        }
        Some(name) => name.value(),
        None => snake_case(&input.ident.to_string()),
    };
    let reply = match attributes.reply {
        Some(reply) => quote!(#reply),
        None => quote!(()),
    };
    let is_empty = matches!(data.fields, Fields::Unit);
    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        impl #impl_generics ::courtside::Message for #ident #type_generics #where_clause {
            const NAME: &'static str = #name;
            const HAS_DATA: bool = !#is_empty;
            type Reply = #reply;
        }
    })
}

fn attributes(input: &DeriveInput) -> syn::Result<Attributes> {
    let mut attributes = Attributes::default();
    for attribute in &input.attrs {
        if !attribute.path().is_ident("message") {
            continue;
        }
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                attributes.name = Some(meta.value()?.parse()?);
                Ok(())
            } else if meta.path.is_ident("reply") {
                attributes.reply = Some(meta.value()?.parse()?);
                Ok(())
            } else {
                Err(meta.error("expected `name = \"…\"` or `reply = Type`"))
            }
        })?;
    }
    Ok(attributes)
}

/// `PlayerJoined` becomes `player_joined`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut previous_is_lower = false;
    for c in name.trim_start_matches("r#").chars() {
        if c.is_uppercase() && previous_is_lower {
            snake.push('_');
        }
        previous_is_lower = c.is_lowercase() || c.is_ascii_digit();
        snake.extend(c.to_lowercase());
    }
    snake
}
