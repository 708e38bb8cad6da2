//! Checks the output of `veritysetup --json` against its published schema.

use std::fs;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail};
use jsonschema::Validator;
use serde_json::Value;

/// Reads the one object in `text` and checks it.
///
/// # Errors
/// If it is no single JSON object, or not one that the schema allows.
pub fn check(text: &str) -> Result<Value> {
    let object = serde_json::from_str(text).with_context(|| format!("not JSON: {text}"))?;
    if let Err(error) = validator().validate(&object) {
        // The schema is a list of alternatives; the one for this action gives the useful error.
        let action = object.get("action").and_then(Value::as_str);
        let reason = action.and_then(|action| explain(action, &object)).unwrap_or_else(|| error.to_string());
        bail!("{reason}: {text}");
    }
    Ok(object)
}

fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let path = crate::workspace().join("man/veritysetup.schema.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    })
}

fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| jsonschema::validator_for(schema()).expect("the schema is one"))
}

/// The errors from the alternative of this action.
fn explain(action: &str, object: &Value) -> Option<String> {
    let alternatives = schema().get("oneOf")?.as_array()?;
    let mut alternative =
        alternatives.iter().find(|one| one.get("title").is_some_and(|title| title == action))?.clone();
    alternative.as_object_mut()?.insert("$defs".to_owned(), schema().get("$defs")?.clone());
    let validator = jsonschema::validator_for(&alternative).ok()?;
    let errors: Vec<String> =
        validator.iter_errors(object).map(|error| format!("{}: {error}", error.instance_path())).collect();
    Some(errors.join("; "))
}
