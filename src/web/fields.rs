//! Pairs of names and values, as forms and queries carry them, into structs.
//!
//! Strict where a form is meant: a name that the struct doesn't have, a second value where one is expected, text that is
//! not UTF-8 or holds a NUL are all refused, so that two readers of one form can never see two things in it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// More pairs than any of our forms has.
const MOST_PAIRS: usize = 500;

/// Pairs in the order in which they came.
#[derive(Debug, Default)]
pub struct Pairs(Vec<(String, String)>);

/// Why bytes are no pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("It holds text that is not UTF-8.")]
    NotUtf8,
    #[error("It holds a NUL character.")]
    Nul,
    #[error("It holds a percent sign that two hexadecimal digits don't follow.")]
    Escape,
    #[error("It holds more than {MOST_PAIRS} fields.")]
    TooMany,
}

/// Why pairs don't fit a struct. Each list holds names of fields.
#[derive(Debug, PartialEq, Eq)]
pub enum Misfit {
    Unknown(Vec<String>),
    Twice(Vec<String>),
    Missing(&'static str),
    Bad { field: String, why: String },
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(names) => write!(f, "The page has no field named {}.", names.join(", ")),
            Self::Twice(names) => write!(f, "It holds more than one answer to {}.", names.join(", ")),
            Self::Missing(name) => write!(f, "It holds no answer to {name}."),
            Self::Bad { field, why } if field.is_empty() => f.write_str(why),
            Self::Bad { field, why } => write!(f, "The answer to {field} can’t be read: {why}."),
        }
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::Bad { field: String::new(), why: why.to_string() }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

impl Pairs {
    /// Reads `application/x-www-form-urlencoded` bytes. Line ends become `\n`.
    ///
    /// # Errors
    /// When the bytes are not such pairs.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut pairs = Self::default();
        for part in bytes.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
            let at = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
            let value = part.get(at + 1..).unwrap_or_default();
            pairs.push(decoded(&part[..at])?, &decoded(value)?)?;
        }
        Ok(pairs)
    }

    /// Adds one pair.
    ///
    /// # Errors
    /// When there are too many, or a NUL is in it.
    pub fn push(&mut self, name: String, value: &str) -> Result<(), Unreadable> {
        if self.0.len() == MOST_PAIRS {
            return Err(Unreadable::TooMany);
        }
        if name.contains('\0') || value.contains('\0') {
            return Err(Unreadable::Nul);
        }
        self.0.push((name, value.replace("\r\n", "\n")));
        Ok(())
    }

    /// Takes all values of one name out.
    pub fn take(&mut self, name: &str) -> Vec<String> {
        self.0.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// Fits the pairs to a struct that has exactly these fields. An absent or empty answer is an absent `Option`;
    /// `Vec` takes any number of answers, and wants `#[serde(default)]` for none, as do tick boxes.
    ///
    /// # Errors
    /// When they don't fit.
    pub fn fit<'de, T: Deserialize<'de>>(&'de self) -> Result<T, Misfit> {
        self.read(true)
    }

    /// As [`fit`](Self::fit), but names that the struct doesn't have are passed over.
    ///
    /// # Errors
    /// When they don't fit.
    pub fn fit_loosely<'de, T: Deserialize<'de>>(&'de self) -> Result<T, Misfit> {
        self.read(false)
    }

    fn read<'de, T: Deserialize<'de>>(&'de self, strict: bool) -> Result<T, Misfit> {
        let mut values: BTreeMap<&'de str, Vec<&'de str>> = BTreeMap::new();
        for (name, value) in &self.0 {
            values.entry(name).or_default().push(value);
        }
        let twice = RefCell::default();
        let read = T::deserialize(Whole { values, strict, twice: &twice })?;
        let twice = twice.into_inner();
        if twice.is_empty() { Ok(read) } else { Err(Misfit::Twice(twice)) }
    }
}

fn decoded(part: &[u8]) -> Result<String, Unreadable> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit =
                    || rest.next().and_then(|d| char::from(*d).to_digit(16)).ok_or(Unreadable::Escape);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).unwrap_or(0)
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8)
}

type Twice<'a> = &'a RefCell<Vec<String>>;

struct Whole<'de, 'a> {
    values: BTreeMap<&'de str, Vec<&'de str>>,
    strict: bool,
    twice: Twice<'a>,
}

impl<'de> Deserializer<'de> for Whole<'de, '_> {
    type Error = Misfit;

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let is_unknown = |name: &str| !fields.contains(&name);
        if self.strict && self.values.keys().any(|name| is_unknown(name)) {
            let unknown = self.values.into_keys().filter(|name| is_unknown(name));
            return Err(Misfit::Unknown(unknown.map(str::to_owned).collect()));
        }
        self.values.retain(|name, _| !is_unknown(name));
        self.deserialize_any(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_map(Each { rest: self.values.into_iter(), value: None, twice: self.twice })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Each<'de, 'a> {
    rest: std::collections::btree_map::IntoIter<&'de str, Vec<&'de str>>,
    value: Option<(&'de str, Vec<&'de str>)>,
    twice: Twice<'a>,
}

impl<'de> MapAccess<'de> for Each<'de, '_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        self.value = self.rest.next();
        let name = self.value.as_ref().map(|(name, _)| *name);
        name.map(|name| seed.deserialize(BorrowedStrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let (name, values) = self.value.take().unwrap_or_default();
        seed.deserialize(Answer { name, values: &values, twice: self.twice }).map_err(|misfit| match misfit {
            Misfit::Bad { field, why } if field.is_empty() => Misfit::Bad { field: name.to_owned(), why },
            other => other,
        })
    }
}

/// All values of one name.
struct Answer<'de, 'a> {
    name: &'de str,
    values: &'a [&'de str],
    twice: Twice<'a>,
}

impl<'de> Answer<'de, '_> {
    /// The only value. A second one is noted, and refused when everything has been seen.
    fn one(&self) -> &'de str {
        if self.values.len() > 1 {
            self.twice.borrow_mut().push(self.name.to_owned());
        }
        self.values.first().copied().unwrap_or_default()
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident),+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            let number = self.one().parse().map_err(|_| <Misfit as de::Error>::custom("it is not such a number"))?;
            visitor.$visit(number)
        }
    )+};
}

impl<'de> Deserializer<'de> for Answer<'de, '_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_borrowed_str(self.one())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.values.iter().all(|value| value.is_empty()) {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.one() {
            "true" | "on" | "1" => visitor.visit_bool(true),
            "false" | "" | "0" => visitor.visit_bool(false),
            _ => Err(de::Error::custom("it is neither true nor false")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_seq(Several(self.values.iter()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let value: StrDeserializer<'_, Misfit> = self.one().into_deserializer();
        visitor.visit_enum(value)
    }

    numbers! {
        deserialize_i32 visit_i32, deserialize_i64 visit_i64, deserialize_u8 visit_u8, deserialize_u16 visit_u16,
        deserialize_u32 visit_u32, deserialize_u64 visit_u64
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
        ignored_any
    }
}

struct Several<'de, 'a>(std::slice::Iter<'a, &'de str>);

impl<'de> SeqAccess<'de> for Several<'de, '_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        self.0.next().map(|value| seed.deserialize(BorrowedStrDeserializer::new(value))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::TicketNumber;
    use crate::domain::user::Role;

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    struct Sent {
        name: String,
        note: Option<String>,
        #[serde(default)]
        role: Vec<Role>,
        #[serde(default)]
        seen: bool,
        #[serde(default)]
        days: u32,
        ticket: Option<TicketNumber>,
    }

    fn fit(text: &str) -> Result<Sent, Misfit> {
        Pairs::parse(text.as_bytes()).unwrap().fit()
    }

    fn named(name: &str) -> Sent {
        Sent { name: name.to_owned(), note: None, role: vec![], seen: false, days: 0, ticket: None }
    }

    #[test]
    fn answers_fit_their_fields() {
        assert_eq!(fit("name=Ada+L%C3%B6we&note=").unwrap(), named("Ada Löwe"));
        let full = Sent {
            note: Some("a\nb".to_owned()),
            role: vec![Role::Engineer, Role::Board],
            seen: true,
            days: 90,
            ticket: Some(TicketNumber(42)),
            ..named("")
        };
        let text = "name=&note=a%0D%0Ab&role=engineer&days=90&seen=on&role=board&ticket=CHG-42";
        assert_eq!(fit(text).unwrap(), full);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (text, expected) in [
            ("name=a&x=1&admin=true", Misfit::Unknown(vec!["admin".into(), "x".into()])),
            ("name=a&name=b&days=1&days=1", Misfit::Twice(vec!["days".into(), "name".into()])),
            ("name=a&name=a", Misfit::Twice(vec!["name".into()])),
            ("note=a", Misfit::Missing("name")),
        ] {
            assert_eq!(fit(text), Err(expected), "{text}");
        }
        for (text, field) in [
            ("name=a&role=king", "role"),
            ("name=a&days=-1", "days"),
            ("name=a&seen=x", "seen"),
            ("name=a&ticket=7", "ticket"),
        ] {
            assert!(matches!(fit(text), Err(Misfit::Bad { field: f, .. }) if f == field), "{text}");
        }
        assert_eq!(Pairs::parse(b"name=a&x=1").unwrap().fit_loosely::<Sent>(), Ok(named("a")));
        assert!(Pairs::parse(b"name=a&name=b").unwrap().fit_loosely::<Sent>().is_err());
    }

    #[test]
    fn bytes_that_two_readers_could_read_differently_are_refused() {
        for (bytes, expected) in [
            (&b"a=%FF"[..], Unreadable::NotUtf8),
            (b"a=\xC3\x28", Unreadable::NotUtf8),
            (b"a=%ED%A0%80", Unreadable::NotUtf8),
            (b"a=%00", Unreadable::Nul),
            (b"a\0=b", Unreadable::Nul),
            (b"a=%", Unreadable::Escape),
            (b"a=%G0", Unreadable::Escape),
            (b"a=%+1", Unreadable::Escape),
        ] {
            assert_eq!(Pairs::parse(bytes).unwrap_err(), expected, "{bytes:?}");
        }
        assert_eq!(Pairs::parse("a=1&".repeat(501).as_bytes()).unwrap_err(), Unreadable::TooMany);
    }
}
