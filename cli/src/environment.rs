//! `--env`: what a command has found, as lines `KEY='value'` for a shell's `.` or `eval`. They are made from the
//! fields of the JSON object, by the one table of keys; paths are their own bytes.

use std::collections::BTreeMap;

use serde::de::value::Error;
use serde::ser::{Impossible, SerializeMap, SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};

use crate::escape::printed;
use crate::options::Action;

const FORMAT: &[Action] = &[Action::Format];
const PLAN: &[Action] = &[Action::Plan];
const STATUS: &[Action] = &[Action::Status];
const FORMAT_OR_DUMP: &[Action] = &[Action::Format, Action::Dump];
const FORMAT_OR_PLAN: &[Action] = &[Action::Format, Action::Plan];
const LAYOUT: &[Action] = &[Action::Format, Action::Plan, Action::Dump];
const ALL: &[Action] = &[Action::Format, Action::Plan, Action::Dump, Action::Status];

/// Each key, the JSON field whose value it has, and the actions that print it: always, and empty if there is no value,
/// so that none is left over from an earlier command.
pub(crate) const KEYS: &[(&str, &str, &[Action])] = &[
    ("VERITY_DRY_RUN", "dry_run", FORMAT),
    ("VERITY_NAME", "name", STATUS),
    ("VERITY_ACTIVE", "active", STATUS),
    ("VERITY_IN_USE", "in_use", STATUS),
    ("VERITY_READ_ONLY", "read_only", STATUS),
    ("VERITY_TYPE", "type", STATUS),
    ("VERITY_CORRUPTED", "corrupted", STATUS),
    ("VERITY_SIGNED", "signed", STATUS),
    ("VERITY_ROOT_HASH", "root_hash", &[Action::Format, Action::Dump, Action::Status]),
    ("VERITY_UUID", "uuid", FORMAT_OR_DUMP),
    ("VERITY_HASH_TYPE", "hash_type", ALL),
    ("VERITY_HASH_ALGORITHM", "hash_algorithm", ALL),
    ("VERITY_SALT", "salt", &[Action::Format, Action::Dump, Action::Status]),
    ("VERITY_SEED", "seed", FORMAT),
    ("VERITY_DATA_BLOCK_SIZE", "data_block_size", ALL),
    ("VERITY_DATA_BLOCKS", "data_blocks", ALL),
    ("VERITY_DATA_BYTES", "data_bytes", PLAN),
    ("VERITY_DATA_BYTES", "size", STATUS),
    ("VERITY_HASH_BLOCK_SIZE", "hash_block_size", ALL),
    ("VERITY_HASH_BLOCKS", "hash_blocks", LAYOUT),
    ("VERITY_HASH_OFFSET", "hash_offset", ALL),
    ("VERITY_HASH_AREA_OFFSET", "hash_area.offset", LAYOUT),
    ("VERITY_HASH_AREA_BYTES", "hash_area.bytes", LAYOUT),
    ("VERITY_FEC_ROOTS", "fec.roots", ALL),
    ("VERITY_FEC_BLOCKS", "fec.blocks", LAYOUT),
    ("VERITY_FEC_COVERED_BLOCKS", "fec.covered_blocks", LAYOUT),
    ("VERITY_FEC_OFFSET", "fec.offset", ALL),
    ("VERITY_FEC_BYTES", "fec.bytes", LAYOUT),
    ("VERITY_FEC_ON_HASH_DEVICE", "fec.on_hash_device", LAYOUT),
    ("VERITY_FEC_REPAIRED", "fec.repaired", STATUS),
    ("VERITY_DATA_DEVICE", "data_device", FORMAT_OR_PLAN),
    ("VERITY_DATA_DEVICE", "data_device.device", STATUS),
    ("VERITY_DATA_FILE", "data_device.file", STATUS),
    ("VERITY_HASH_DEVICE", "hash_device", FORMAT_OR_DUMP),
    ("VERITY_HASH_DEVICE", "hash_device.device", STATUS),
    ("VERITY_HASH_FILE", "hash_device.file", STATUS),
    ("VERITY_FEC_DEVICE", "fec_device", FORMAT_OR_DUMP),
    ("VERITY_FEC_DEVICE", "fec.device.device", STATUS),
    ("VERITY_FEC_FILE", "fec.device.file", STATUS),
    ("VERITY_UNCOVERED_BYTES", "uncovered_bytes", FORMAT_OR_PLAN),
    ("VERITY_FILLED_BYTES", "filled_bytes", FORMAT),
    ("VERITY_PADDING_BYTES", "appended.padding_bytes", FORMAT),
    ("VERITY_PADDING_BYTES", "padding_bytes", PLAN),
    ("VERITY_REPLACED_OFFSET", "appended.replaced", FORMAT),
    ("VERITY_IMAGE_BYTES", "appended.image_bytes", FORMAT),
    ("VERITY_ONE_IMAGE", "one_image", PLAN),
    ("VERITY_HASH_DEVICE_BYTES", "hash_device_bytes", PLAN),
    ("VERITY_FEC_DEVICE_BYTES", "fec_device_bytes", PLAN),
    ("VERITY_TOTAL_BYTES", "total_bytes", PLAN),
    ("VERITY_DATA_PARTITION_UUID", "partition_uuids.data", FORMAT),
    ("VERITY_HASH_PARTITION_UUID", "partition_uuids.hash", FORMAT),
    ("VERITY_FLAGS", "flags", STATUS),
];

/// The lines of what an action has found.
pub(crate) fn lines(action: Action, fields: &dyn erased_serde::Serialize) -> Vec<u8> {
    let mut found = Found::new();
    fields.serialize(Flat { path: String::new(), found: &mut found }).expect("structs of texts and numbers");
    let keys = KEYS.iter().filter(|(_, _, actions)| actions.contains(&action));
    keys.flat_map(|(key, path, _)| [key.as_bytes(), b"=", &quoted(found.get(*path)), b"\n"].concat()).collect()
}

/// A value as a shell reads it back.
fn quoted(value: Option<&Value>) -> Vec<u8> {
    match value {
        None => b"''".to_vec(),
        Some(Value::Plain(text)) => text.clone().into_bytes(),
        Some(Value::Text(bytes)) => {
            let pieces: Vec<&[u8]> = bytes.split(|&byte| byte == b'\'').collect();
            [b"'", pieces.join(&br"'\''"[..]).as_slice(), b"'"].concat()
        }
    }
}

/// An existing value.
enum Value {
    /// A number, or a boolean as `1` or `0`.
    Plain(String),
    Text(Vec<u8>),
}

/// Values by their path in the object, with dots.
type Found = BTreeMap<String, Value>;

/// Stores a value, or all its parts, by its path.
struct Flat<'a> {
    path: String,
    found: &'a mut Found,
}

impl Flat<'_> {
    fn put(self, value: Value) {
        self.found.insert(self.path, value);
    }
}

macro_rules! plain {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method(self, value: $type) -> Result<(), Error> {
            self.put(Value::Plain(value.to_string()));
            Ok(())
        }
    )*};
}

impl<'a> Serializer for Flat<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Impossible<(), Error>;

    plain! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_f32: f32, serialize_f64: f64,
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.serialize_u8(value.into())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        // A path has its own bytes again.
        self.serialize_bytes(&printed(value))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.put(Value::Text(value.to_owned()));
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'a>, Error> {
        Ok(Elements { list: self, words: Vec::new() })
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Err(unknown())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        Err(unknown())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(unknown())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'a>, Error> {
        Ok(Members { path: self.path, found: self.found, key: String::new() })
    }

    fn serialize_struct(self, _: &'static str, size: usize) -> Result<Members<'a>, Error> {
        self.serialize_map(Some(size))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(unknown())
    }
}

fn unknown() -> Error {
    serde::ser::Error::custom("no field is of this kind")
}

/// The fields of a struct.
struct Members<'a> {
    path: String,
    found: &'a mut Found,
    key: String,
}

impl SerializeMap for Members<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = String::from_utf8(word(key)?.ok_or_else(unknown)?).map_err(|_| unknown())?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let dot = if self.path.is_empty() { "" } else { "." };
        value.serialize(Flat { path: format!("{}{dot}{}", self.path, self.key), found: self.found })
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl SerializeStruct for Members<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.serialize_entry(key, value)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

/// The words of a list, which become one text with blanks between them; what is not a word is left out.
struct Elements<'a> {
    list: Flat<'a>,
    words: Vec<Vec<u8>>,
}

impl SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.words.extend(word(value)?);
        Ok(())
    }

    fn end(self) -> Result<(), Error> {
        self.list.put(Value::Text(self.words.join(&b' ')));
        Ok(())
    }
}

/// A value that is one word.
fn word<T: Serialize + ?Sized>(value: &T) -> Result<Option<Vec<u8>>, Error> {
    let mut found = Found::new();
    value.serialize(Flat { path: String::new(), found: &mut found })?;
    Ok(found.remove("").map(|value| match value {
        Value::Plain(text) => text.into_bytes(),
        Value::Text(bytes) => bytes,
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;
    use crate::escape::text_of;

    #[derive(Serialize)]
    struct Fields {
        root_hash: &'static str,
        data_blocks: u64,
        hash_area: Area,
        fec: Option<Area>,
        data_device: String,
        uuid: Option<&'static str>,
        #[serde(flatten)]
        more: More,
    }

    #[derive(Serialize)]
    struct Area {
        offset: u128,
        on_hash_device: bool,
    }

    #[derive(Serialize)]
    struct More {
        uncovered_bytes: u64,
        levels: Vec<Area>,
    }

    #[test]
    fn values_are_found_by_their_fields_and_quoted() {
        let device = text_of(OsStr::from_bytes(b"it's $HOME\xff\n\\"));
        let fields = Fields {
            root_hash: "00ff",
            data_blocks: 7,
            hash_area: Area { offset: 4096, on_hash_device: true },
            fec: Some(Area { offset: 1 << 70, on_hash_device: true }),
            data_device: device,
            uuid: None,
            more: More { uncovered_bytes: 3, levels: vec![Area { offset: 1, on_hash_device: false }] },
        };
        let lines = lines(Action::Format, &fields);
        let has = |line: &[u8]| lines.windows(line.len()).any(|found| found == line);
        for line in [
            &b"VERITY_ROOT_HASH='00ff'\n"[..],
            b"\nVERITY_DATA_BLOCKS=7\n",
            b"\nVERITY_HASH_AREA_OFFSET=4096\n",
            b"\nVERITY_FEC_OFFSET=1180591620717411303424\n",
            b"\nVERITY_FEC_ON_HASH_DEVICE=1\n",
            b"\nVERITY_FEC_ROOTS=''\n",
            b"\nVERITY_UUID=''\n",
            b"\nVERITY_UNCOVERED_BYTES=3\n",
            b"\nVERITY_DATA_DEVICE='it'\\''s $HOME\xff\n\\'\n",
        ] {
            assert!(has(line), "{}", line.escape_ascii());
        }
        assert!(!has(b"VERITY_ACTIVE"));
    }

    #[test]
    fn a_list_is_its_words() {
        let mut found = Found::new();
        BTreeMap::from([("flags", ["a", "b"].to_vec())])
            .serialize(Flat { path: String::new(), found: &mut found })
            .unwrap();
        assert_eq!(quoted(found.get("flags")), b"'a b'");
    }

    #[test]
    fn every_key_is_there_once_for_an_action_and_in_the_manual() {
        for action in ALL {
            let keys: Vec<&str> = KEYS.iter().filter(|(.., of)| of.contains(action)).map(|(key, ..)| *key).collect();
            assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{action:?}");
        }
        let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../man/veritysetup.8")).unwrap();
        let said: Vec<&str> = manual.lines().filter_map(|line| line.strip_prefix(".It Ev VERITY_")).collect();
        let known: BTreeSet<&str> = KEYS.iter().map(|(key, ..)| &key["VERITY_".len()..]).collect();
        assert_eq!(said.iter().copied().collect::<BTreeSet<_>>(), known);
        assert_eq!(said.len(), known.len());
    }
}
