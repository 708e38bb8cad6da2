//! The one table of intended differences from the reference. The manual's section on differences is generated from it.

mod files;
mod refusals;
mod text;

use Why::{Meant, Said, Version};

use crate::compare::Comparison;

/// A difference.
pub(crate) struct Difference {
    pub(crate) name: &'static str,
    pub(crate) why: Why,
    /// Removes the difference that this explains from both outcomes, and returns whether it was there. The rest must be
    /// equal. `None` if it needs a kernel, where other tests show it.
    pub(crate) take: Option<Take>,
}

type Take = fn(&mut Comparison<'_>) -> bool;

/// Why it differs.
pub(crate) enum Why {
    /// On purpose. The manual says it in these words.
    Meant(&'static str),
    /// On purpose, and the manual covers it with the previous difference, or it does not matter to users.
    Said,
    /// Among the reference's own versions.
    Version,
}

const fn row(name: &'static str, why: Why, take: Take) -> Difference {
    Difference { name, why, take: Some(take) }
}

/// A difference that only a kernel shows.
const fn on_kernels(name: &'static str, manual: &'static str) -> Difference {
    Difference { name, why: Meant(manual), take: None }
}

/// In the order of their removal: first additional output.
pub(crate) const DIFFERENCES: &[Difference] = &[
    row(
        "usage before a message",
        Meant("A message about a wrong command line follows one line of usage, that of the\naction."),
        text::usage,
    ),
    row(
        "help for an action",
        Meant(".Cm help\nis an action, and\n.Fl -help\nafter an action is about that action."),
        text::help_action,
    ),
    row("units, and a full stop", Version, text::units),
    row("options that came later", Version, text::newer_options),
    row(
        "hints",
        Meant(
            "Advice beyond the messages that scripts look for is printed on\n.Ql hint:\\&\nlines on standard error.\n\
             .Fl -debug\nand\n.Fl -help\nprint other texts.",
        ),
        text::hints,
    ),
    row("debug messages", Said, text::debug),
    row("help and version", Said, text::help),
    row(
        "usage is output",
        Meant(
            ".Fl -usage\nprints to standard output.\n\
             .Fl -help , -usage\nand\n.Fl -version\ndo not hide errors in the rest of the command line.",
        ),
        text::usage_is_output,
    ),
    row("help comes last", Said, text::help_comes_last),
    row(
        "control characters",
        Meant(
            "Control characters in names of files, mappings and algorithms are not sent to\nthe terminal.\n\
             JSON has octal numbers for bytes that are not UTF-8.",
        ),
        text::escaped,
    ),
    row(
        "warnings",
        Meant(
            ".Cm format\nwarns about bytes at the end of the data that no block covers,\n.Cm verify\n\
             about whole blocks there, and every action about arguments and parameters that\n\
             it does not use.\n\
             A command that is refused does not warn of what the kernel would refuse later.",
        ),
        text::warnings,
    ),
    row(
        "every bad block",
        Meant(".Cm verify\nnames every bad block, the first 20 and then a count."),
        text::every_bad_block,
    ),
    row("wrong root hash", Meant("A wrong root hash is exit status 1 even with a FEC device."), text::wrong_root_hash),
    row("salts that are drawn", Said, text::drawn_salt),
    row("FEC in dump", Said, text::dump_of_fec),
    row("no permission", Meant("Exit status 2 says that only root may use device-mapper."), refusals::no_permission),
    row("no device-mapper", Said, refusals::no_device_mapper),
    row(
        "FEC device that is none",
        Meant("A FEC device that is not a device is exit status 4, as with any other device."),
        refusals::fec_device,
    ),
    row(
        "files without a length",
        Meant(
            "A file without a length, as in\n.Pa /proc ,\nis not a device, even where the command would not read it.",
        ),
        refusals::without_length,
    ),
    row("FEC device that is to blame", Said, refusals::only_fec_device),
    row(
        "FEC is looked at when it is needed",
        Meant(
            ".Cm verify\nreads the FEC device only if something is wrong, or with\n.Fl -strict .\nIt always checks \
             that the device exists.",
        ),
        refusals::fec_unused,
    ),
    row(
        "FEC proves nothing",
        Meant(
            "Recovered data count only if the root hash proves them.\n\
             Twice as many bad blocks can be recovered, because the hash tree says which\n\
             ones they are.",
        ),
        refusals::fec_verdict,
    ),
    row(
        "FEC after the tree",
        Meant("Where the FEC device is the hash device and no offset is given, the parity is\nafter the hash tree."),
        refusals::fec_after_tree,
    ),
    row(
        "FEC area after the end",
        Meant("The FEC area may start after the end of the hash device's file: what is between\nthem counts as zeros."),
        files::fec_after_the_end,
    ),
    row(
        "one data block",
        Meant("An image of one data block can be made at every offset, even with parity."),
        files::one_data_block,
    ),
    row(
        "numbers",
        Meant(
            "A negative number is refused, and so is a number after a blank.\nOf an option that is given twice, the \
             first value is ignored even if it is\nwrong.",
        ),
        refusals::numbers,
    ),
    row(
        "bounds",
        Meant(
            "Parameters that no image can have are refused, in options and in superblocks:\n\
             offsets and numbers of blocks beyond the largest device, salts of more than 256\n\
             bytes, numbers of parity bytes that do not exist, FEC with unequal block sizes.",
        ),
        refusals::bounds,
    ),
    row(
        "salt without superblock",
        Meant("Without a superblock and\n.Fl -salt ,\nan existing image has no salt, instead of a random one."),
        refusals::salt,
    ),
    row(
        "links",
        Meant("One device is recognized as such under several names, as data, hash and FEC\ndevice."),
        files::links,
    ),
    row(
        "path of a mapping",
        Meant(
            "A path below\n.Pa /dev/mapper\nis printed once with that directory, not twice.\n\
             .Cm status\nof a path to something else says that it is inactive, with exit status 4.",
        ),
        refusals::mapping_path,
    ),
    row(
        "file that is filled up",
        Meant(
            "A file that is both data and tree is filled up with zeros to its number of\nblocks, however short it is.",
        ),
        files::filled_up,
    ),
    row(
        "root hash over the image",
        Meant("A\n.Fl -root-hash-file\nthat is the data, hash or FEC device is refused."),
        files::root_hash_over_image,
    ),
    row(
        "streams",
        Meant(
            "A\n.Fl -root-hash-file\nthat is a stream is written to at its current position, and\n.Ql \\-\nis \
             standard output.",
        ),
        files::root_hash_stream,
    ),
    row("sizes of areas that overlap", Said, text::sizes_of_overlapping_areas),
    row(
        "refused changes nothing",
        Meant(
            "Every parameter, size and overlap is checked before anything is written: a\n\
             refused command changes no file and creates none.\n\
             An interrupted\n.Cm format\nleaves no superblock.",
        ),
        files::refused,
    ),
    row(
        "order of complaints",
        Meant("If a command has several faults, another one may be named first."),
        refusals::order,
    ),
    row(
        "one fault in other words",
        Meant(
            "Some messages name the fault, not a consequence of it: a file that is too short,\nor cannot be written \
             to, or is not a root hash.\n\
             A number of data blocks that is larger than the device is refused with both\nnumbers.",
        ),
        refusals::words,
    ),
    on_kernels("device nodes", "No file is created in\n.Pa /dev\nif a device is missing."),
    on_kernels("close", ".Cm close\nremoves only verity mappings."),
    on_kernels(
        "refused tables",
        "If the kernel refuses a table, the error names the part that was refused.\nA refused\n.Fl -use-tasklets\nis \
         left out with a warning.",
    ),
    on_kernels(
        "udev",
        "The command waits 30 seconds for a udev that does not answer, and not at all for\none that has died; mapping \
         and node exist in either case.",
    ),
];

/// Their text in the manual: the items of a list.
pub(crate) fn manual() -> String {
    let texts = DIFFERENCES.iter().filter_map(|difference| match difference.why {
        Meant(text) => Some(format!(".It\n{text}\n")),
        Said | Version => None,
    });
    texts.collect()
}
