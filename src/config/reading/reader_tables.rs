//! `[[reader]]` and `[[code]]`.

use jiff::civil::Date;

use super::file_paths::FilePaths;
use super::mode_tables::read_conditions;
use super::names::{place, read_name};
use super::section::Section;
use super::trigger::{RuleContext, read_callers, read_trigger};
use crate::code_hash::{CodeHash, computations};
use crate::config::model::*;

/// The most codes.
pub(in crate::config) const MAX_CODES: usize = 10_000;
/// An entry that takes more computations than this is slow on a small board.
const QUICK: usize = 8;
/// The most computations for one entry.
const MOST_COMPUTATIONS: usize = 100;

pub(in crate::config) fn read_reader(section: Section<'_>) -> Option<Reader> {
    let name = read_name(&section, "reader");
    let device = read_device(&section);
    let kind = section.choice("kind", &[("keypad", ReaderKind::Keypad), ("card", ReaderKind::Card)]);
    if !section.has("kind") {
        section.error("kind", "is missing", "write kind = \"keypad\" or kind = \"card\"");
    }
    let dial = read_callers(&section, "dial").unwrap_or_default();
    if kind == Some(ReaderKind::Card) && !dial.is_empty() {
        section.error("dial", "is for keypads: a card calls nobody", "leave it out");
    }
    section.finish();
    Some(Reader { name: name?, device: device?, kind: kind?, dial })
}

fn read_device(section: &Section<'_>) -> Option<InputDevice> {
    let text = section.filled_string("device");
    if !section.has("device") {
        section.error(
            "device",
            "is missing",
            "write usb:VENDOR:PRODUCT, a path below /dev/input, or the device's name",
        );
    }
    let text = text?;
    if let Some(ids) = text.strip_prefix("usb:") {
        let id = |text: &str| u16::from_str_radix(text, 16).ok().filter(|_| (1..=4).contains(&text.len()));
        let ids = ids.split_once(':').and_then(|(vendor, product)| Some((id(vendor)?, id(product)?)));
        let Some((vendor, product)) = ids else {
            let text = crate::plain_text::shortened(&text);
            let remedy = "write usb:VENDOR:PRODUCT with hexadecimal numbers, as `callbox devices` lists them";
            section.error("device", format!("\"{text}\" is not a USB device"), remedy);
            return None;
        };
        return Some(InputDevice::Usb { vendor, product });
    }
    if text.starts_with('/') {
        if !text.starts_with("/dev/input/") {
            section.error("device", "is not below /dev/input", "write a path such as /dev/input/by-id/usb-…-event-kbd");
            return None;
        }
        return Some(InputDevice::Path(text.into()));
    }
    Some(InputDevice::Name(text))
}

/// Reads a code, and its hash if the file holds one.
pub(in crate::config) fn read_code(
    section: Section<'_>,
    readers: &[Reader],
    files: &FilePaths<'_>,
    context: RuleContext<'_>,
) -> Option<(Code, Option<CodeHash>)> {
    let name = section.filled_string("name").filter(|name| {
        let good = name.chars().count() <= 64;
        if !good {
            section.error("name", "is too long", "write at most 64 characters");
        }
        good
    });
    if !section.has("name") {
        section.error("name", "is missing", "say whose code it is");
    }
    let names = || readers.iter().map(|reader| reader.name.as_str());
    let wanted = section.strings("reader");
    if !section.has("reader") {
        section.error("reader", "is missing", "name the [[reader]] where the code counts");
    }
    let places = wanted.iter().flatten();
    let places: Vec<ReaderIndex> = places
        .filter_map(|name| place(&section, "reader", "reader", name, names(), "add a [[reader]] of this name"))
        .map(ReaderIndex)
        .collect();
    let file = section.filled_string("secret_file").map(|file| files.secret(&file));
    if !section.has("secret_file") {
        section.error("secret_file", "is missing", "name the file with what `callbox code hash` prints");
    }
    let hash = file.as_ref().and_then(|path| {
        section.review_secret("secret_file", path);
        let problem = |error| {
            let remedy = "write into it what `callbox code hash` prints";
            section.error("secret_file", format!("{} {error}", path.display()), remedy);
        };
        CodeHash::read(path).map_err(problem).ok()
    });
    let conditions = read_conditions(&section, context.modes);
    let valid_until = read_date(&section);
    let run = read_trigger(&section, "run", context);
    if run.is_none() && !section.has("run") {
        let remedy = "write run = { output = \"strike\", pulse_ms = 3000 }";
        section.error("run", "is missing: the code would do nothing", remedy);
    }
    if section.is_empty_table("run") {
        section.warning("run", "is empty: the code does nothing");
    }
    section.finish();
    let run = run.unwrap_or_default();
    let code = Code { name: name?.into(), readers: places, secret_file: file?, conditions, valid_until, run };
    Some((code, hash))
}

fn read_date(section: &Section<'_>) -> Option<Date> {
    let text = section.filled_string("valid_until")?;
    let date = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    if date.is_none() {
        let shown = crate::plain_text::shortened(&text);
        section.error("valid_until", format!("\"{shown}\" is not a date"), "write it as \"2027-01-31\"");
    }
    date
}

/// Finds codes that are the same, or that take too long to compare.
pub(in crate::config) fn check_codes(root: &Section<'_>, readers: &[Reader], codes: &[(Code, Option<CodeHash>)]) {
    if codes.len() > MAX_CODES {
        let remedy = format!("write at most {MAX_CODES}");
        root.reader.error("code", format!("{} codes are too many", codes.len()), remedy);
        return;
    }
    let known = |reader| {
        let hashes = codes.iter().enumerate().filter(move |(_, (code, _))| code.readers.contains(&reader));
        hashes.filter_map(|(index, (_, hash))| Some((index, hash.as_ref()?)))
    };
    for (index, reader) in readers.iter().enumerate() {
        let computations = computations(known(ReaderIndex(index)).map(|(_, hash)| hash));
        let path = format!("reader[{index}]");
        let remedy = "make the hashes with `callbox code hash --salt-of FILE`, FILE being that of another code";
        if computations > MOST_COMPUTATIONS {
            let problem = format!("its codes have {computations} different salts: an entry would take minutes");
            root.reader.error(&path, problem, remedy);
        } else if computations > QUICK {
            let seconds = computations.div_ceil(5);
            let name = &reader.name;
            let problem = format!("an entry at {name} takes up to {seconds} s: its codes have {computations} salts");
            root.reader.warning(&path, format!("{problem}; {remedy}"));
        }
    }
    same_codes(root, codes);
}

/// Warns of codes that are the same at one reader, where one can know it.
fn same_codes(root: &Section<'_>, codes: &[(Code, Option<CodeHash>)]) {
    let mut seen: std::collections::BTreeMap<(String, usize), usize> = std::collections::BTreeMap::new();
    for (index, (code, hash)) in codes.iter().enumerate() {
        let Some(hash) = hash else { continue };
        for reader in code.readers.iter().map(|reader| reader.0) {
            if let Some(other) = seen.insert((hash.to_string(), reader), index) {
                let text = format!("is the same code as that of code[{other}]: of two that hold, the earlier one runs");
                root.reader.warning(&format!("code[{index}].secret_file"), text);
            }
        }
    }
}
