//! `--expect` and `--expect-data-blocks`: what the image has to be, from a source other than its superblock.

use std::fmt;
use std::path::Path;

use dmverity::{BlockSize, Expected, HashAlgorithm, HashType, Params, RootHash, Salt};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::read_bounded;
use crate::arguments::Expect;
use crate::escape::text_of;
use crate::failure::{Exit, Failure, Result};

/// No object of `format` is that long.
const FILE_MAX: u64 = 1 << 20;

/// Fields of `format --json` that no superblock has: devices, results, and values derived from other fields.
const NOT_COMPARED: &[&str] = &[
    "action",
    "dry_run",
    "data_device",
    "hash_device",
    "fec_device",
    "hash_area",
    "levels",
    "fec",
    "partition_uuids",
    "uncovered_bytes",
    "filled_bytes",
    "appended",
    "seed",
    "warnings",
    "error",
];

/// The contents of both options.
pub(super) struct Expectation {
    file: Option<Expected>,
    data_blocks: Option<Expected>,
}

impl Expectation {
    pub(super) fn of(expect: &Expect) -> Result<Self> {
        Ok(Self {
            file: expect.file.as_deref().map(read).transpose()?,
            data_blocks: expect.data_blocks.map(|blocks| Expected::default().data_blocks(blocks)),
        })
    }

    pub(super) fn check(&self, params: &Params) -> Result<()> {
        self.file.iter().chain(&self.data_blocks).try_for_each(|expected| Ok(expected.check(params)?))
    }

    pub(super) fn check_root_hash(&self, root_hash: &RootHash) -> Result<()> {
        self.file.iter().try_for_each(|expected| Ok(expected.check_root_hash(root_hash)?))
    }
}

pub(crate) fn read(path: &Path) -> Result<Expected> {
    let invalid = |hint: String| {
        Failure::new(Exit::Parameters, format!("Invalid file {} for --expect.", text_of(path))).hint(hint)
    };
    let bytes = read_bounded(path, FILE_MAX, "expected values file")?
        .ok_or_else(|| invalid(format!("it has more than {FILE_MAX} bytes.")))?;
    object(&bytes).and_then(|object| parse(&object)).map_err(invalid)
}

/// A JSON object that has each of its fields once.
pub(super) fn object(bytes: &[u8]) -> std::result::Result<Map<String, Value>, String> {
    let object: std::result::Result<Once, serde_json::Error> = serde_json::from_slice(bytes);
    let object = object.map_err(|error| format!("it is not a JSON object as format --json prints it: {error}."))?;
    Ok(object.0)
}

/// The fields of an object. serde's own map keeps the last of several with one name.
struct Once(Map<String, Value>);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Once;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> std::result::Result<Once, A::Error> {
                let mut object = Map::new();
                while let Some((name, value)) = fields.next_entry::<String, Value>()? {
                    if object.insert(name.clone(), value).is_some() {
                        return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
                    }
                }
                Ok(Once(object))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// The contents of an object, or what is wrong with it.
pub(super) fn parse(object: &Map<String, Value>) -> std::result::Result<Expected, String> {
    let mut expected = Expected::default();
    for (field, value) in object {
        if !NOT_COMPARED.contains(&field.as_str()) {
            expected = add(expected, field, value)?.ok_or_else(|| format!("{field} cannot be {value}."))?;
        }
    }
    if expected == Expected::default() {
        return Err("it has none of the fields that are compared.".to_owned());
    }
    Ok(expected)
}

/// The same with one more field; `None` for a value that the field cannot have.
fn add(expected: Expected, field: &str, value: &Value) -> std::result::Result<Option<Expected>, String> {
    let number = value.as_u64();
    let text = value.as_str();
    let block_size = || BlockSize::new(number?).ok();
    Ok(match field {
        // An image without superblock has none.
        "uuid" if value.is_null() => Some(expected.no_superblock()),
        "uuid" => text.and_then(|text| Uuid::parse_str(text).ok()).map(|uuid| expected.uuid(uuid)),
        "hash_type" => number.and_then(|number| HashType::new(number).ok()).map(|number| expected.hash_type(number)),
        "hash_algorithm" => {
            text.and_then(|text| HashAlgorithm::from_name(text).ok()).map(|algorithm| expected.algorithm(algorithm))
        }
        "data_block_size" => block_size().map(|size| expected.data_block_size(size)),
        "hash_block_size" => block_size().map(|size| expected.hash_block_size(size)),
        "data_blocks" => number.map(|blocks| expected.data_blocks(blocks)),
        "hash_blocks" => number.map(|blocks| expected.hash_blocks(blocks)),
        "hash_offset" => number.map(|offset| expected.hash_offset(offset)),
        "salt" => text.and_then(|text| Salt::from_hex(text).ok()).map(|salt| expected.salt(salt)),
        "root_hash" => {
            // The object need not name the algorithm that made it.
            let parse = |text| HashAlgorithm::all().find_map(|algorithm| RootHash::from_hex(text, algorithm).ok());
            text.and_then(parse).map(|root_hash| expected.root_hash(root_hash))
        }
        _ => return Err(format!("{field:?} is not a field that format --json prints.")),
    })
}
