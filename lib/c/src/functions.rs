//! The one table of all names: what is exported with which versions, and what is answered.
//!
//! The linker's version script `libcryptsetup.map` and the list in the manual page are made from it (`make c-lists`),
//! and the tests compare the linked library, and the distribution's own, with it.

/// Calls the macro `$with` with all rows: a name, the versions it is exported with, and what it does.
///
/// - `works`: as in libcryptsetup; a file of this crate has it.
/// - `refuses TEXT`: `-EINVAL`, and the text is logged.
/// - `number (N)`: the number, without looking at anything.
/// - `on_handle (N)`: the number for a handle, `-EINVAL` without one.
/// - `null`, `nothing`: a null pointer, no value.
/// - `in_c`: `-EINVAL`; `versions.c` has it, because it has two versions.
macro_rules! functions {
    ($with:ident) => {
        $with! {
        crypt_activate_by_keyfile ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_activate_by_keyfile_device_offset ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_activate_by_keyfile_offset ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_activate_by_keyring ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_activate_by_keyslot_context ["2.7"] (refuses "This operation is supported only for LUKS device.");
        crypt_activate_by_passphrase ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_activate_by_signed_key ["2.0"] (works);
        crypt_activate_by_token ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_activate_by_token_pin ["2.4"] (refuses "This operation is supported only for LUKS device.");
        crypt_activate_by_volume_key ["2.0"] (works);
        crypt_benchmark ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_benchmark_pbkdf ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_convert ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_deactivate ["2.0"] (works);
        crypt_deactivate_by_name ["2.0"] (works);
        crypt_dump ["2.0"] (works);
        crypt_dump_json ["2.4"] (refuses "Dump operation is not supported for this device type.");
        crypt_format ["2.0", "2.4"] (works);
        crypt_format_inline ["2.8"] (refuses "This operation is supported only for LUKS device.");
        crypt_format_luks2_opal ["2.7"] (refuses "This operation is supported only for LUKS device.");
        crypt_free ["2.0"] (works);
        crypt_get_active_device ["2.0"] (works);
        crypt_get_active_integrity_failures ["2.0"] (number (0));
        crypt_get_cipher ["2.0"] (null);
        crypt_get_cipher_mode ["2.0"] (null);
        crypt_get_compatibility ["2.0"] (number (0));
        crypt_get_data_offset ["2.0"] (number (0));
        crypt_get_default_type ["2.0"] (null);
        crypt_get_device_name ["2.0"] (works);
        crypt_get_dir ["2.0"] (works);
        crypt_get_hw_encryption_key_size ["2.7"] (refuses "This operation is supported only for LUKS device.");
        crypt_get_hw_encryption_type ["2.7"] (refuses "This operation is supported only for LUKS device.");
        crypt_get_integrity_info ["2.0"] (on_handle (-libc::ENOTSUP));
        crypt_get_iv_offset ["2.0"] (number (0));
        crypt_get_label ["2.5"] (null);
        crypt_get_metadata_device_name ["2.0"] (works);
        crypt_get_metadata_size ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_get_old_volume_key_size ["2.8"] (refuses "This operation is supported only for LUKS device.");
        crypt_get_pbkdf_default ["2.0"] (null);
        crypt_get_pbkdf_type ["2.0"] (null);
        crypt_get_pbkdf_type_params ["2.0"] (null);
        crypt_get_rng_type ["2.0"] (on_handle (0));
        crypt_get_sector_size ["2.0"] (number (512));
        crypt_get_subsystem ["2.5"] (null);
        crypt_get_type ["2.0"] (works);
        crypt_get_uuid ["2.0"] (works);
        crypt_get_verity_info ["2.0"] (works);
        crypt_get_volume_key_size ["2.0"] (works);
        crypt_header_backup ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_header_is_detached ["2.4"] (number (-libc::EINVAL));
        crypt_header_restore ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_init ["2.0"] (works);
        crypt_init_by_name ["2.0"] (works);
        crypt_init_by_name_and_header ["2.0"] (works);
        crypt_init_data_device ["2.0"] (works);
        crypt_keyfile_device_read ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyfile_read ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_add_by_key ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_add_by_keyfile ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_add_by_keyfile_device_offset ["2.0"]
            (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_add_by_keyfile_offset ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_add_by_keyslot_context ["2.6"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_add_by_passphrase ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_add_by_volume_key ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_area ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_change_by_passphrase ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_context_free ["2.6"] (nothing);
        crypt_keyslot_context_get_error ["2.6"] (number (-libc::EINVAL));
        crypt_keyslot_context_get_type ["2.6"] (number (-libc::EINVAL));
        crypt_keyslot_context_init_by_keyfile ["2.6", "2.8"] (in_c);
        crypt_keyslot_context_init_by_keyring ["2.7", "2.8"] (in_c);
        crypt_keyslot_context_init_by_passphrase ["2.6", "2.8"] (in_c);
        crypt_keyslot_context_init_by_signed_key ["2.7", "2.8"] (in_c);
        crypt_keyslot_context_init_by_token ["2.6", "2.8"] (in_c);
        crypt_keyslot_context_init_by_vk_in_keyring ["2.7", "2.8"] (in_c);
        crypt_keyslot_context_init_by_volume_key ["2.6", "2.8"] (in_c);
        crypt_keyslot_context_set_pin ["2.6"] (number (-libc::EINVAL));
        crypt_keyslot_destroy ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_get_encryption ["2.0"] (null);
        crypt_keyslot_get_key_size ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_get_pbkdf ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_get_priority ["2.0"] (number (-1));
        crypt_keyslot_max ["2.0"] (number (-libc::EINVAL));
        crypt_keyslot_set_encryption ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_set_priority ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_keyslot_status ["2.0"] (number (0));
        crypt_load ["2.0"] (works);
        crypt_log ["2.0"] (works);
        crypt_logf ["2.4"] (works);
        crypt_memory_lock ["2.0"] (number (0));
        crypt_metadata_locking ["2.0"] (number (0));
        crypt_persistent_flags_get ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_persistent_flags_set ["2.0"] (refuses "This operation is supported only for LUKS2 device.");
        crypt_reencrypt ["2.0"] (refuses "This operation is supported only for LUKS2 device.");
        crypt_reencrypt_init_by_keyring ["2.0"] (refuses "This operation is supported only for LUKS2 device.");
        crypt_reencrypt_init_by_keyslot_context ["2.8"] (refuses "This operation is supported only for LUKS device.");
        crypt_reencrypt_init_by_passphrase ["2.0"] (refuses "This operation is supported only for LUKS2 device.");
        crypt_reencrypt_run ["2.4"] (refuses "This operation is supported only for LUKS2 device.");
        crypt_reencrypt_status ["2.0"] (number (3));
        crypt_repair ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_resize ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_resume_by_keyfile ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_resume_by_keyfile_device_offset ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_resume_by_keyfile_offset ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_resume_by_keyslot_context ["2.7"] (refuses "This operation is supported only for LUKS device.");
        crypt_resume_by_passphrase ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_resume_by_token_pin ["2.5"] (refuses "This operation is supported only for LUKS device.");
        crypt_resume_by_volume_key ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_safe_alloc ["2.0"] (works);
        crypt_safe_free ["2.0"] (works);
        crypt_safe_memcpy ["2.8"] (works);
        crypt_safe_memzero ["2.0"] (works);
        crypt_safe_realloc ["2.0"] (works);
        crypt_set_compatibility ["2.0"] (nothing);
        crypt_set_confirm_callback ["2.0"] (nothing);
        crypt_set_data_device ["2.0"] (works);
        crypt_set_data_offset ["2.0"] (on_handle (0));
        crypt_set_debug_level ["2.0"] (works);
        crypt_set_iteration_time ["2.0"] (nothing);
        crypt_set_keyring_to_link ["2.7"] (refuses "This operation is supported only for LUKS device.");
        crypt_set_label ["2.0"] (refuses "This operation is supported only for LUKS2 device.");
        crypt_set_log_callback ["2.0"] (works);
        crypt_set_metadata_size ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_set_pbkdf_type ["2.0"] (on_handle (0));
        crypt_set_rng_type ["2.0"] (nothing);
        crypt_set_uuid ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_status ["2.0"] (works);
        crypt_suspend ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_token_assign_keyslot ["2.0"] (refuses "This operation is supported only for LUKS2 device.");
        crypt_token_external_disable ["2.4"] (nothing);
        crypt_token_external_path ["2.4"] (null);
        crypt_token_is_assigned ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_token_json_get ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_token_json_set ["2.0"] (refuses "This operation is supported only for LUKS2 device.");
        crypt_token_luks2_keyring_get ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_token_luks2_keyring_set ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_token_max ["2.4"] (number (-libc::EINVAL));
        crypt_token_register ["2.0"] (number (-libc::EINVAL));
        crypt_token_set_external_path ["2.7"] (refuses "This operation is supported only for LUKS device.");
        crypt_token_status ["2.0"] (number (0));
        crypt_token_unassign_keyslot ["2.0"] (refuses "This operation is supported only for LUKS2 device.");
        crypt_volume_key_get ["2.0"] (works);
        crypt_volume_key_get_by_keyslot_context ["2.6"] (works);
        crypt_volume_key_keyring ["2.0"] (number (0));
        crypt_volume_key_verify ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_wipe ["2.0"] (refuses "This operation is supported only for LUKS device.");
        crypt_wipe_hw_opal ["2.7"] (refuses "This operation is supported only for LUKS device.");
        }
    };
}
pub(crate) use functions;

/// A name of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// The symbol.
    pub name: &'static str,
    /// The versions it is exported with, the oldest first; programs that name none get the newest.
    pub versions: &'static [&'static str],
    /// What it does.
    pub answer: Answer,
}

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What it does in libcryptsetup.
    Works,
    /// It fails, and says this.
    Refuses(&'static str),
    /// It returns this number.
    Number(&'static str),
    /// It returns a null pointer.
    Null,
    /// It does nothing.
    Nothing,
}

macro_rules! answer {
    (works) => {
        Answer::Works
    };
    (refuses $text:literal) => {
        Answer::Refuses($text)
    };
    (number ($number:expr)) => {
        Answer::Number(stringify!($number))
    };
    (on_handle ($number:expr)) => {
        Answer::Number(stringify!($number))
    };
    (null) => {
        Answer::Null
    };
    (nothing) => {
        Answer::Nothing
    };
    (in_c) => {
        Answer::Number("-libc::EINVAL")
    };
}

macro_rules! table {
    ($($name:ident [$($version:literal),*] ($($answer:tt)*);)*) => {
        /// Every name, in alphabetical order.
        pub const FUNCTIONS: &[Function] = &[
            $(Function {
                name: stringify!($name),
                versions: &[$($version),*],
                answer: answer!($($answer)*),
            }),*
        ];
    };
}

functions!(table);

/// The names of the versions, the oldest first.
pub fn versions() -> Vec<&'static str> {
    let mut versions: Vec<&str> = FUNCTIONS.iter().flat_map(|function| function.versions).copied().collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

/// The linker's version script.
pub fn version_script() -> String {
    let mut script = String::from("/* Made of the table in src/functions.rs: make c-lists */\n");
    let mut before: Option<&str> = None;
    for version in versions() {
        let names = FUNCTIONS.iter().filter(|function| function.versions.contains(&version));
        let names = names.fold(String::new(), |text, function| text + "        " + function.name + ";\n");
        // What no version names is not exported.
        let local = if before.is_none() { "    local:\n        *;\n" } else { "" };
        let parent = before.map_or(String::new(), |before| format!(" CRYPTSETUP_{before}"));
        for part in ["CRYPTSETUP_", version, " {\n    global:\n", &names, local, "}", &parent, ";\n"] {
            script += part;
        }
        before = Some(version);
    }
    script
}
