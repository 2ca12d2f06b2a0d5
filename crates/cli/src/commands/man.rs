//! `tamis man`: manual pages, made from the same list as the help.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Command;
use tamis_app::{Exit, Failure};
use tamis_part::{Existing, PartFile};

use super::{ALL, CommandEntry, Group, Run};
use crate::output::print;
use crate::{arguments, config};

/// Print a manual page, or write all of them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command that it is about [default: the page about tamis]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands into this folder, which is created if it does not exist. Existing pages are replaced
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    all: Option<PathBuf>,
}

impl Run for Args {
    const NAME: &'static str = "man";
    const GROUP: Group = Group::Program;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("man replay > tamis-replay.1", "read it with: man ./tamis-replay.1"),
        ("man model info > tamis-model-info.1", "a command below another"),
        ("man --all ~/.local/share/man/man1", "all pages, where man finds them"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let mut root = arguments::command();
        root.build();
        if let Some(folder) = &self.all {
            write_all(&root, folder)?;
            return Ok(Exit::Done);
        }
        let mut command = &root;
        let mut examples = arguments::EXAMPLES;
        let mut entries = ALL;
        for name in &self.command {
            command = below(command, name)?;
            let entry = entries.iter().find(|entry| entry.name == name);
            (examples, entries) = entry.map_or((&[][..], &[][..]), |entry| (entry.examples, entry.below));
        }
        print(&page(command, &self.command, examples)?)?;
        Ok(Exit::Done)
    }
}

/// The command of this name below another.
fn below<'a>(command: &'a Command, name: &str) -> Result<&'a Command, Failure> {
    let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    command.find_subcommand(name).ok_or_else(|| {
        let hint = if known.is_empty() { String::new() } else { config::suggestion(name, &known) };
        Failure::new(Exit::Usage, format!("there is no command '{name}'{hint}"))
    })
}

fn write_all(root: &Command, folder: &Path) -> Result<(), Failure> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| Failure::new(Exit::of_output(&error), format!("{path}: {error}"))
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let mut pages = vec![(Vec::new(), page(root, &[], arguments::EXAMPLES)?)];
    pages_below(root, ALL, &[], &mut pages)?;
    for (words, text) in &pages {
        let path = folder.join(format!("{}.1", title(words)));
        let written = PartFile::create(&path).and_then(|mut part| {
            part.append(text.as_bytes())?;
            part.publish(Existing::Replace, false)
        });
        written.map_err(failed(&path))?;
    }
    print(&format!("{}: {} pages\n", folder.display(), pages.len()))
}

/// The pages of these commands and all below them, after what is there.
fn pages_below(
    above: &Command,
    entries: &[CommandEntry],
    words: &[String],
    pages: &mut Vec<(Vec<String>, String)>,
) -> Result<(), Failure> {
    for entry in entries {
        let words = [words, &[entry.name.to_owned()]].concat();
        let command = below(above, entry.name)?;
        let text = page(command, &words, entry.examples)?;
        pages_below(command, entry.below, &words, pages)?;
        pages.push((words, text));
    }
    Ok(())
}

fn title(words: &[String]) -> String {
    [&["tamis".to_owned()], words].concat().join("-")
}

/// A page about a command, `words` after the program's own name.
fn page(command: &Command, words: &[String], examples: &[(&str, &str)]) -> Result<String, Failure> {
    let title = title(words);
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    let command = command.clone().name(&title).display_name(&title).bin_name(title.replace('-', " "));
    let has_commands = command.has_subcommands();
    let man = clap_mangen::Man::new(command.override_usage(usage))
        .title(&title)
        .source(concat!("tamis ", env!("CARGO_PKG_VERSION")))
        .manual("Tamis");
    let mut text = Vec::new();
    let rendered = man
        .render_title(&mut text)
        .and_then(|()| man.render_name_section(&mut text))
        .and_then(|()| man.render_synopsis_section(&mut text))
        .and_then(|()| man.render_description_section(&mut text))
        .and_then(|()| man.render_options_section(&mut text))
        .and_then(|()| if has_commands { man.render_subcommands_section(&mut text) } else { Ok(()) });
    rendered.map_err(|error| Failure::new(Exit::Internal, error))?;
    let text = String::from_utf8_lossy(&text);
    // Every part begins with the same two lines, which one page needs once.
    let (preamble, rest) = text.split_at(text.match_indices('\n').nth(1).map_or(0, |(at, _)| at + 1));
    let text = format!("{preamble}{}", rest.replace(preamble, ""));
    let mut text = console::strip_ansi_codes(&text).into_owned();
    text.push_str(&own_sections(words, examples));
    Ok(text)
}

fn own_sections(words: &[String], examples: &[(&str, &str)]) -> String {
    let mut text = String::new();
    if !examples.is_empty() {
        text.push_str(".SH EXAMPLES\n");
    }
    for (line, what) in examples {
        let _ = write!(text, ".TP\n{}\n\\fBtamis {}\\fR\n", escaped(what), escaped(line));
    }
    text.push_str(".SH \"EXIT STATUS\"\n");
    for exit in Exit::ALL {
        let _ = write!(text, ".TP\n.B {}\n{}\n", exit.code(), escaped(exit.meaning()));
    }
    text.push_str(
        ".SH ENVIRONMENT\n.TP\n.B TAMIS_OPTION\nEvery long option can come from a variable: \\fB\\-\\-durable\\fR from \
         \\fBTAMIS_DURABLE\\fR. The command line comes before variables, and these before a settings file.\n\
         .TP\n.B NO_COLOR\nIf it is set, nothing is coloured.\n.SH \"SEE ALSO\"\n",
    );
    let others = ["tamis", "tamis-replay", "tamis-convert", "tamis-model", "tamis-doctor"];
    let own = title(words);
    let others: Vec<String> = others
        .iter()
        .filter(|name| **name != own)
        .map(|name| format!("\\fB{}\\fR(1)", escaped(name)))
        .collect();
    let _ = writeln!(text, "{}", others.join(", "));
    text
}

/// A text for roff: backslashes and hyphens stand for themselves, and a line that begins with a dot is text.
fn escaped(text: &str) -> String {
    // A plain "'" would become a typographic one, which no shell reads as a quotation mark.
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}
