//! Sets up a case twice, runs its commands with both tools, and reports the unintended differences.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dmverity_tests::vectors::painted;

use crate::case::{Case, Damage, Kind, RootHashFile, Step};
use crate::differences::DIFFERENCES;
use crate::image::Image;
use crate::sandbox::{End, Entry, Outcome, Sandbox, Snapshot, has_device_mapper, is_root, loop_devices};
use crate::words;

/// The two tools.
pub(crate) struct Tools {
    pub(crate) ours: PathBuf,
    pub(crate) theirs: PathBuf,
}

/// The outcome of one command with both tools.
pub(crate) struct Comparison<'a> {
    pub(crate) kind: Kind,
    pub(crate) arguments: &'a [OsString],
    /// How many reasons there may be to refuse it.
    pub(crate) faults: usize,
    pub(crate) before: &'a Snapshot,
    pub(crate) ours: Outcome,
    pub(crate) theirs: Outcome,
}

/// The result of a case.
#[derive(Default)]
pub(crate) struct Report {
    /// For each command: its text, and whether the reference accepted it.
    pub(crate) commands: Vec<(Kind, bool)>,
    /// The intended differences, by their index in the table.
    pub(crate) met: Vec<usize>,
    /// The other differences, and how to reproduce them.
    pub(crate) unexplained: Option<String>,
}

pub(crate) fn compare(case: &Case, tools: &Tools, directory: &Path) -> Report {
    let [ours, theirs] = ["ours", "theirs"].map(|name| Sandbox::new(&directory.join(name)));
    let mut root = set_up(case, tools, &ours, &theirs).unwrap_or_else(|| "0".repeat(64));
    let mut report = Report::default();
    let mut before = ours.snapshot();
    let mut said = String::new();
    // Files that earlier commands did not make are missing for later ones.
    let mut earlier = 0;
    for step in &case.steps {
        let arguments = words::filled(&step.arguments, &root, "HERE");
        writeln!(said, "$ {}", words::quoted(&arguments)).expect("a String takes everything");
        if let Some(fifo) = before.get_mut(OsStr::new("fifo")) {
            fifo.content = Arc::new(vec![(0, root.clone().into_bytes())]);
        }
        let [ours, theirs] = [(&ours, &tools.ours), (&theirs, &tools.theirs)]
            .map(|(sandbox, program)| run(case, step, &root, sandbox, program));
        let is_taken = theirs.end == End::Code(0);
        report.commands.push((step.kind, is_taken));
        let is_together = ours.files == theirs.files && ours.end == theirs.end;
        let after = ours.files.clone();
        if let Some(made) = theirs.stdout.iter().find_map(|line| line.strip_prefix("Root hash:")) {
            made.trim().clone_into(&mut root);
        }
        let show = format!("ours: {}theirs: {}", shown(&ours), shown(&theirs));
        let faults = case.faults(step) + earlier;
        let mut comparison =
            Comparison { kind: step.kind, arguments: &arguments, faults, before: &before, ours, theirs };
        report.met.extend(comparison.take_what_is_meant());
        let mut left = comparison.left();
        for file in loop_devices(directory) {
            writeln!(left, "  a loop device holds {}", file.display()).expect("a String takes everything");
        }
        if !left.is_empty() {
            report.unexplained = Some(format!("{}{said}{show}differs:\n{left}{}", case.described(), case.again()));
        }
        // Further commands would run on different images.
        if !is_together || report.unexplained.is_some() {
            break;
        }
        before = after;
        earlier += step.changes as usize + usize::from(!is_taken);
    }
    report
}

fn run(case: &Case, step: &Step, root: &str, sandbox: &Sandbox, program: &Path) -> Outcome {
    const OPENS: [&str; 5] = ["open", "create", "close", "remove", "status"];
    let here = sandbox.path().to_str().expect("a temporary directory's name");
    let arguments = words::filled(&step.arguments, root, here);
    let opens = arguments.iter().any(|argument| OPENS.iter().any(|action| argument == action));
    let as_nobody = is_root() && (case.as_nobody || (opens && has_device_mapper()));
    sandbox.fill_fifo(root.as_bytes());
    sandbox.run(program, &arguments, as_nobody)
}

/// Fills both sandboxes alike. Returns the root hash, if there is an image.
fn set_up(case: &Case, tools: &Tools, ours: &Sandbox, theirs: &Sandbox) -> Option<String> {
    let image = &case.image;
    let length = image.data_bytes() + image.tail;
    theirs.write("d", &painted(usize::try_from(length).expect("small")));
    let mut root = None;
    let mut files: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    if case.is_made {
        let mut words = vec!["format".into(), "d".into(), image.hash_device().into()];
        let mut rng = fastrand::Rng::with_seed(case.number);
        words.extend(words::spell(&image.format_options(), &mut rng));
        // Ours makes some images that some versions of the reference cannot; cases of `format` compare the results.
        let made = theirs.run(&tools.ours, &words, false);
        assert_eq!(made.end, End::Code(0), "{}: {}", words::quoted(&words), shown(&made));
        let line = made.stdout.iter().find_map(|line| line.strip_prefix("Root hash:"));
        root = Some(line.expect("format prints it").trim().to_owned());
    } else if case.number.is_multiple_of(2) && !image.one_device {
        // An older file, which is longer or shorter than what will be written.
        theirs.write("h", &vec![0x5A; usize::try_from(case.number % 100_000).expect("small")]);
    }
    for name in ["d", "h", "f"] {
        files.extend(theirs.read(name).map(|bytes| (name, bytes)));
    }
    for damage in &case.damage {
        apply(damage, image, case.number, &mut files);
    }
    let digits = root.clone().unwrap_or_else(|| "00".repeat(32));
    let text = match case.root_hash_file {
        RootHashFile::Digits => digits.clone(),
        RootHashFile::WithNewline => digits.clone() + "\n",
        RootHashFile::WithText => digits.clone() + "_4096_text\n",
        RootHashFile::TooShort => digits[..digits.len() - 2].to_owned(),
        RootHashFile::Other => "a5".repeat(digits.len() / 2),
    };
    for sandbox in [ours, theirs] {
        for (name, bytes) in &files {
            sandbox.write(name, bytes);
        }
        sandbox.hard_link("d", "hard-d");
        if let Some(bytes) = files.get("h") {
            sandbox.hard_link("h", "hard-h");
            sandbox.write("e\u{1b}[1m", bytes);
            sandbox.write(OsStr::from_bytes(b"n\xff"), bytes);
        }
        sandbox.write("old-d", &painted(8192));
        sandbox.write("r", text.as_bytes());
    }
    root
}

fn apply(damage: &Damage, image: &Image, number: u64, files: &mut BTreeMap<&str, Vec<u8>>) {
    let at = |length: usize, thousandths: u64| length * usize::try_from(thousandths).expect("small") / 1000;
    match damage {
        Damage::Bytes { file, from, to, count } => {
            let Some(bytes) = files.get_mut(file).filter(|bytes| !bytes.is_empty()) else { return };
            let mut rng = fastrand::Rng::with_seed(number);
            let (from, to) = (at(bytes.len(), *from), at(bytes.len(), *to));
            for _ in 0..*count {
                let place = rng.usize(from..to.max(from + 1));
                bytes[place] ^= rng.u8(1..);
            }
        }
        Damage::Superblock { offset, bytes: patch } => {
            let Some(bytes) = files.get_mut(image.hash_device()) else { return };
            let start = usize::try_from(image.hash_offset + offset).expect("small");
            if let Some(place) = bytes.get_mut(start..start + patch.len()).filter(|_| image.superblock) {
                place.copy_from_slice(patch);
            }
        }
        Damage::Cut { file, to, aligned } => {
            let Some(bytes) = files.get_mut(file) else { return };
            let length = at(bytes.len(), *to);
            bytes.truncate(if *aligned { length / 512 * 512 } else { length });
        }
        Damage::Longer { file, by } => {
            let Some(bytes) = files.get_mut(file) else { return };
            bytes.resize(bytes.len() + by, 0xA5);
        }
        Damage::Zeros { file } => {
            if let Some(bytes) = files.get_mut(file) {
                bytes.fill(0);
            }
        }
    }
}

impl Comparison<'_> {
    /// Removes the differences that the table explains, and returns the rows that did.
    fn take_what_is_meant(&mut self) -> Vec<usize> {
        let mut met = Vec::new();
        for (index, difference) in DIFFERENCES.iter().enumerate() {
            if difference.take.is_some_and(|take| take(self)) {
                met.push(index);
            }
        }
        met
    }

    /// Whether an option was given, judged by its spelling.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.arguments.iter().any(|argument| value_of(argument, option).is_some())
    }

    /// The value of a long option that was given last.
    pub(crate) fn value(&self, option: &str) -> Option<OsString> {
        let index = self.arguments.iter().rposition(|argument| value_of(argument, option).is_some())?;
        match value_of(&self.arguments[index], option)? {
            b"" => self.arguments.get(index + 1).cloned(),
            joined => Some(OsStr::from_bytes(&joined[1..]).to_owned()),
        }
    }

    /// All numbers that options have.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = &str> {
        let texts = self.arguments.iter().filter_map(|argument| argument.to_str());
        texts.map(|text| text.rsplit('=').next().unwrap_or_default())
    }

    /// The remaining differences.
    fn left(&self) -> String {
        let (ours, theirs) = (&self.ours, &self.theirs);
        let mut text = String::new();
        let mut add = |what: &str, ours: String, theirs: String| {
            if ours != theirs {
                writeln!(text, "  {what}:\n    ours:   {ours}\n    theirs: {theirs}")
                    .expect("a String takes everything");
            }
        };
        add("end", format!("{:?}", ours.end), format!("{:?}", theirs.end));
        add("standard output", format!("{:?}", ours.stdout), format!("{:?}", theirs.stdout));
        add("standard error", format!("{:?}", ours.stderr), format!("{:?}", theirs.stderr));
        for name in ours.files.keys().chain(theirs.files.keys().filter(|&name| !ours.files.contains_key(name))) {
            let [one, other] = [ours, theirs].map(|outcome| outcome.files.get(name));
            if one != other {
                add(&format!("file {}", name.display()), entry(one, other), entry(other, one));
            }
        }
        if ours.end == End::Hung || theirs.end == End::Hung {
            text.push_str("  a command hung\n");
        }
        text
    }
}

/// The text after an option's name.
fn value_of<'a>(argument: &'a OsStr, option: &str) -> Option<&'a [u8]> {
    let rest = argument.as_bytes().strip_prefix(option.as_bytes())?;
    (rest.is_empty() || rest.starts_with(b"=")).then_some(rest)
}

fn entry(entry: Option<&Entry>, other: Option<&Entry>) -> String {
    let Some(Entry { mode, links, bytes, content }) = entry else { return "is not there".to_owned() };
    let flat = |entry: &Entry| -> BTreeMap<u64, u8> {
        let bytes = entry.content.iter().flat_map(|(start, bytes)| (*start..).zip(bytes.iter().copied()));
        bytes.filter(|&(_, byte)| byte != 0).collect()
    };
    let mut first = String::new();
    if let (Some(one), Some(other)) = (entry, other) {
        let (one, other) = (flat(one), flat(other));
        let place =
            one.iter().chain(&other).filter(|(place, _)| one.get(place) != other.get(place)).map(|(&p, _)| p).min();
        if let Some(place) = place {
            first = format!(", differs first at {place}: {:02x?}", one.get(&place).copied().unwrap_or(0));
        }
    }
    let stretches: Vec<(u64, usize)> = content.iter().map(|(start, bytes)| (*start, bytes.len())).collect();
    format!("mode {mode:o}, {links} links, {bytes} bytes in {stretches:?}{first}")
}

fn shown(outcome: &Outcome) -> String {
    let mut text = format!("{:?}\n", outcome.end);
    for (name, lines) in [("out", &outcome.stdout), ("err", &outcome.stderr)] {
        for line in lines.iter().filter(|line| !line.starts_with("        [")) {
            writeln!(text, "  {name}: {line}").expect("a String takes everything");
        }
    }
    text
}
