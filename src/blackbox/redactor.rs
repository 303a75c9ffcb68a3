//! A serialiser that looks at the types of what it writes, and replaces what is secret.

use serde::Serialize;
use serde::ser::{self, Serializer};
use serde_json::value::Serializer as Json;
use serde_json::{Error, Value};

use super::redact::{KEYS, Redaction};

/// Writes JSON.
#[derive(Clone, Copy)]
pub(super) struct Redactor<'a> {
    redaction: &'a Redaction,
    /// The structure or the variant with fields in which the value is; empty in a map.
    owner: &'static str,
    /// The field of the value, or of the list in which it is.
    field: &'a str,
}

/// A list, a map or a structure, whose parts are redacted one by one.
pub(super) struct Parts<'a, S> {
    inner: S,
    redactor: Redactor<'a>,
    /// The newest key of a map.
    key: String,
}

impl<'a> Redactor<'a> {
    pub(super) fn new(redaction: &'a Redaction) -> Self {
        Self { redaction, owner: "", field: "" }
    }

    fn of<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Error> {
        value.serialize(self)
    }

    fn parts<S>(self, inner: Result<S, Error>) -> Result<Parts<'a, S>, Error> {
        Ok(Parts { inner: inner?, redactor: self, key: String::new() })
    }

    fn in_field(self, field: &'a str) -> Self {
        Self { field, ..self }
    }

    fn owned_by(self, owner: &'static str) -> Self {
        Self { owner, ..self }
    }
}

impl<'a> Serializer for Redactor<'a> {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = Parts<'a, <Json as Serializer>::SerializeSeq>;
    type SerializeTuple = Parts<'a, <Json as Serializer>::SerializeTuple>;
    type SerializeTupleStruct = Parts<'a, <Json as Serializer>::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<'a, <Json as Serializer>::SerializeTupleVariant>;
    type SerializeMap = Parts<'a, <Json as Serializer>::SerializeMap>;
    type SerializeStruct = Parts<'a, <Json as Serializer>::SerializeStruct>;
    type SerializeStructVariant = Parts<'a, <Json as Serializer>::SerializeStructVariant>;

    fn serialize_str(self, text: &str) -> Result<Value, Error> {
        Json.serialize_str(&self.redaction.plain(self.owner, self.field, text))
    }

    fn serialize_char(self, character: char) -> Result<Value, Error> {
        Json.serialize_char(character)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<Value, Error> {
        // The text of a secret is read without redaction, and then replaced by the rule of its type.
        match self.redaction.rule(name) {
            Some(rule) => Ok(rule.apply(serde_json::to_value(value)?)),
            None => self.of(value),
        }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Error> {
        self.of(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        let value = self.owned_by(name).in_field(variant).of(value)?;
        Ok(Value::Object([(variant.to_owned(), value)].into_iter().collect()))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        self.parts(Json.serialize_seq(length))
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, Error> {
        self.parts(Json.serialize_tuple(length))
    }

    fn serialize_tuple_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeTupleStruct, Error> {
        self.parts(Json.serialize_tuple_struct(name, length))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        self.owned_by(name).in_field(variant).parts(Json.serialize_tuple_variant(name, index, variant, length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, Error> {
        self.owned_by("").parts(Json.serialize_map(length))
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, Error> {
        self.owned_by(name).parts(Json.serialize_struct(name, length))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        self.owned_by(variant).parts(Json.serialize_struct_variant(name, index, variant, length))
    }

    fn serialize_bool(self, value: bool) -> Result<Value, Error> {
        Json.serialize_bool(value)
    }

    fn serialize_i8(self, value: i8) -> Result<Value, Error> {
        Json.serialize_i8(value)
    }

    fn serialize_i16(self, value: i16) -> Result<Value, Error> {
        Json.serialize_i16(value)
    }

    fn serialize_i32(self, value: i32) -> Result<Value, Error> {
        Json.serialize_i32(value)
    }

    fn serialize_i64(self, value: i64) -> Result<Value, Error> {
        Json.serialize_i64(value)
    }

    fn serialize_u8(self, value: u8) -> Result<Value, Error> {
        Json.serialize_u8(value)
    }

    fn serialize_u16(self, value: u16) -> Result<Value, Error> {
        Json.serialize_u16(value)
    }

    fn serialize_u32(self, value: u32) -> Result<Value, Error> {
        Json.serialize_u32(value)
    }

    fn serialize_u64(self, value: u64) -> Result<Value, Error> {
        Json.serialize_u64(value)
    }

    fn serialize_f32(self, value: f32) -> Result<Value, Error> {
        Json.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<Value, Error> {
        Json.serialize_f64(value)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value, Error> {
        Json.serialize_bytes(bytes)
    }

    fn serialize_none(self) -> Result<Value, Error> {
        Json.serialize_none()
    }

    fn serialize_unit(self) -> Result<Value, Error> {
        Json.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<Value, Error> {
        Json.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<Value, Error> {
        Json.serialize_unit_variant(name, index, variant)
    }
}

impl<S: ser::SerializeSeq<Ok = Value, Error = Error>> ser::SerializeSeq for Parts<'_, S> {
    type Ok = Value;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.inner.serialize_element(&self.redactor.of(value)?)
    }

    fn end(self) -> Result<Value, Error> {
        self.inner.end()
    }
}

impl<S: ser::SerializeTuple<Ok = Value, Error = Error>> ser::SerializeTuple for Parts<'_, S> {
    type Ok = Value;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.inner.serialize_element(&self.redactor.of(value)?)
    }

    fn end(self) -> Result<Value, Error> {
        self.inner.end()
    }
}

impl<S: ser::SerializeTupleStruct<Ok = Value, Error = Error>> ser::SerializeTupleStruct for Parts<'_, S> {
    type Ok = Value;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.inner.serialize_field(&self.redactor.of(value)?)
    }

    fn end(self) -> Result<Value, Error> {
        self.inner.end()
    }
}

impl<S: ser::SerializeTupleVariant<Ok = Value, Error = Error>> ser::SerializeTupleVariant for Parts<'_, S> {
    type Ok = Value;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.inner.serialize_field(&self.redactor.of(value)?)
    }

    fn end(self) -> Result<Value, Error> {
        self.inner.end()
    }
}

impl<S: ser::SerializeMap<Ok = Value, Error = Error>> ser::SerializeMap for Parts<'_, S> {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        // A key that is a secret is replaced like any other one; all other keys are names of fields.
        let key = self.redactor.owned_by(KEYS).of(key)?;
        self.key = key.as_str().unwrap_or_default().to_owned();
        self.inner.serialize_key(&self.key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.inner.serialize_value(&self.redactor.in_field(&self.key).of(value)?)
    }

    fn end(self) -> Result<Value, Error> {
        self.inner.end()
    }
}

impl<S: ser::SerializeStruct<Ok = Value, Error = Error>> ser::SerializeStruct for Parts<'_, S> {
    type Ok = Value;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) -> Result<(), Error> {
        self.inner.serialize_field(field, &self.redactor.in_field(field).of(value)?)
    }

    fn end(self) -> Result<Value, Error> {
        self.inner.end()
    }
}

impl<S: ser::SerializeStructVariant<Ok = Value, Error = Error>> ser::SerializeStructVariant for Parts<'_, S> {
    type Ok = Value;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) -> Result<(), Error> {
        self.inner.serialize_field(field, &self.redactor.in_field(field).of(value)?)
    }

    fn end(self) -> Result<Value, Error> {
        self.inner.end()
    }
}
