//! Parameters as serde writes and reads them: the names of the command's JSON. What is read is checked like any other.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::params::{Fec, FecScope, Params};
use crate::error::Error;
use crate::hash::{HashAlgorithm, HashType};
use crate::value::{BlockSize, Salt};

#[derive(Serialize, Deserialize)]
struct ParamsFields {
    hash_type: HashType,
    hash_algorithm: HashAlgorithm,
    data_block_size: BlockSize,
    hash_block_size: BlockSize,
    data_blocks: u64,
    salt: Salt,
    /// `None` without superblock.
    uuid: Option<Uuid>,
    hash_offset: u64,
    fec: Option<Fec>,
}

impl From<&Params> for ParamsFields {
    fn from(params: &Params) -> Self {
        Self {
            hash_type: params.hash_type(),
            hash_algorithm: params.algorithm(),
            data_block_size: params.data_block_size(),
            hash_block_size: params.hash_block_size(),
            data_blocks: params.data_blocks(),
            salt: params.salt().clone(),
            uuid: params.uuid(),
            hash_offset: params.hash_offset(),
            fec: params.fec(),
        }
    }
}

impl TryFrom<ParamsFields> for Params {
    type Error = Error;

    fn try_from(fields: ParamsFields) -> Result<Self, Error> {
        if fields.data_blocks == 0 {
            return Err(Error::SuperblockCorrupted { what: "it covers no data blocks" });
        }
        let builder = Self::builder()
            .hash_type(fields.hash_type)
            .algorithm(fields.hash_algorithm)
            .data_block_size(fields.data_block_size)
            .hash_block_size(fields.hash_block_size)
            .salt(fields.salt)
            .hash_offset(fields.hash_offset);
        let builder = fields.fec.map_or(builder.clone(), |fec| builder.fec(fec));
        let builder = match fields.uuid {
            Some(uuid) => builder.uuid(uuid),
            None => builder.no_superblock(),
        };
        builder.build_for(fields.data_blocks)
    }
}

impl Serialize for Params {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ParamsFields::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ParamsFields::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
struct FecFields {
    roots: u64,
    offset: u64,
    #[serde(default)]
    scope: FecScope,
}

impl Serialize for Fec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        FecFields { roots: self.roots.into(), offset: self.offset, scope: self.scope }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let FecFields { roots, offset, scope } = FecFields::deserialize(deserializer)?;
        let fec = Self::new(roots, offset).map_err(serde::de::Error::custom)?;
        Ok(fec.with_scope(scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_written_and_read_back() {
        let builder = Params::builder()
            .algorithm("SHA512".parse().unwrap())
            .salt(Salt::new(&[1, 2]).unwrap())
            .uuid(Uuid::from_u128(7))
            .hash_offset(8192);
        let fec = Fec::new(2, 512).unwrap().with_scope(FecScope::Tree);
        for builder in [builder.clone(), builder.clone().no_superblock(), builder.fec(fec)] {
            let params = builder.build_for(300).unwrap();
            let text = serde_json::to_string(&params).unwrap();
            assert_eq!(serde_json::from_str::<Params>(&text).unwrap(), params, "{text}");
        }
        let params = Params::builder().build_for(10).unwrap();
        assert_eq!(
            serde_json::to_value(&params).unwrap(),
            serde_json::json!({
                "hash_type": 1,
                "hash_algorithm": "sha256",
                "data_block_size": 4096,
                "hash_block_size": 4096,
                "data_blocks": 10,
                "salt": "-",
                "uuid": "00000000-0000-0000-0000-000000000000",
                "hash_offset": 0,
                "fec": null,
            })
        );
    }

    #[test]
    fn what_the_format_does_not_have_is_not_read() {
        let good = serde_json::to_value(Params::builder().build_for(10).unwrap()).unwrap();
        for (field, bad) in [
            ("hash_type", serde_json::json!(2)),
            ("hash_algorithm", serde_json::json!("none")),
            ("data_block_size", serde_json::json!(4095)),
            ("data_blocks", serde_json::json!(0)),
            ("data_blocks", serde_json::json!(u64::MAX)),
            ("salt", serde_json::json!("ab".repeat(257))),
            ("hash_offset", serde_json::json!(1)),
            ("fec", serde_json::json!({ "roots": 25, "offset": 0 })),
        ] {
            let mut value = good.clone();
            value[field] = bad;
            assert!(serde_json::from_value::<Params>(value).is_err(), "{field}");
        }
    }
}
