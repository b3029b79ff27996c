//! `#[derive(Message)]`: gives a struct its name on the wire and the type of its reply.

use heck::ToSnakeCase;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Type};

/// What `#[message(...)]` says.
#[derive(Default)]
struct Attributes {
    name: Option<LitStr>,
    reply: Option<Type>,
}

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
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
        None => input
            .ident
            .to_string()
            .trim_start_matches("r#")
            .to_snake_case(),
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
