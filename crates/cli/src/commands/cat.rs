//! `tamis cat`: the events of a file, one per row.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use tamis_app::{DOCUMENT_VERSION, Exit, Failure, ShownEvent, Verdict};
use tamis_event::FieldNumber;
use tamis_source::Patient;

use super::{Group, Run};
use crate::config::suggestion;
use crate::figures;
use crate::output::{say, written};
use crate::table::{TextTable, terminal_width, total_width};

/// Rows that are read before column widths are fixed.
const SAMPLE_ROWS: usize = 200;
/// Events that are not there and are named.
const MISSING_NAMED: usize = 5;
/// Width of tables if there is no terminal.
const WIDTH: usize = 120;

/// Show the events of a file: a table, or JSON
///
/// A table has one row per event: its run and segment, the bytes of its payload, the rung and the engine that scored it, its scores, some fields,
/// and the lines that kept it. For an event that no model could score it says why and, in the error stream, which place it had in its block. JSON has
/// all fields.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A recording (.tmf, .tmf.zst, or - for standard input), or stored events (.mcap, .mcap.part)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show at most this many events
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Show only this event; can be given several times. Ids may come again in another run or segment
    #[arg(long, value_name = "ID")]
    event: Vec<u64>,
    /// Show only events of this run
    #[arg(long, value_name = "RUN")]
    run: Option<u32>,
    /// Show only events of this segment
    #[arg(long, value_name = "SEGMENT")]
    segment: Option<u32>,
    /// Show these fields (met.pt) or elements (jets.pt[0]), separated by commas [default: as many as fit]
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    fields: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Print one JSON document per event and line
    #[arg(long, conflicts_with = "json")]
    jsonl: bool,
    /// Write the payloads of the events to standard output, one behind the other, and nothing else; not to a terminal
    #[arg(long, conflicts_with_all = ["json", "jsonl", "fields"])]
    payload: bool,
}

impl Run for Args {
    const NAME: &'static str = "cat";
    const GROUP: Group = Group::Files;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("cat out/l1-mixed-physics-0001.mcap --limit 20", "the first events that were kept"),
        ("cat l1-mixed.tmf.zst --event 1234 --fields met.pt,jets.pt", "fields of one event"),
        ("cat out/l1-mixed-physics-0001.mcap --jsonl", "everything, for a program"),
        ("cat out/run-physics-0001.mcap --event 1234 --payload > 1234.raw", "the raw data of one event"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        if self.payload && io::stdout().is_terminal() {
            let message =
                "--payload writes bytes that are no text: send them to a file, as in --payload > event.raw";
            return Err(Failure::new(Exit::Settings, message));
        }
        let mut writer = Writer {
            out: BufWriter::new(Patient(io::stdout().lock())),
            format: match self {
                Self { json: true, .. } => OutputFormat::Json,
                Self { jsonl: true, .. } => OutputFormat::JsonLines,
                Self { payload: true, .. } => OutputFormat::Payload,
                _ => OutputFormat::Table(Box::new(Rows::new(self.fields.clone()))),
            },
            rows: 0,
        };
        let wanted: BTreeSet<u64> = self.event.iter().copied().collect();
        let is_wanted = |event: &ShownEvent| {
            (wanted.is_empty() || wanted.contains(&event.event))
                && self.run.is_none_or(|run| event.run == run)
                && self.segment.is_none_or(|segment| event.segment == segment)
        };
        let limit = self.limit.unwrap_or(u64::MAX);
        let mut missing = wanted.clone();
        let mut again = 0;
        let mut seen: Option<(u64, u64)> = None;
        let mut result = Ok(true);
        let mut read = Ok((Vec::new(), Exit::Done));
        if limit > 0 {
            read = tamis_app::cat(&self.file, |event, payload| {
                let (first, last) = seen.unwrap_or((event.event, event.event));
                seen = Some((first.min(event.event), last.max(event.event)));
                if is_wanted(&event) {
                    again += u64::from(!missing.remove(&event.event));
                    result = select(event, &self.fields).and_then(|event| writer.event(event, payload));
                }
                matches!(result, Ok(true)) && writer.rows < limit
            });
        }
        let is_whole = matches!(result, Ok(true)) && read.is_ok() && writer.rows < limit;
        // What was read before a failure is shown, and a file that cannot be opened leaves standard output empty.
        if result? && (read.is_ok() || writer.rows > 0) {
            writer.end()?;
        }
        let (problems, exit) = read?;
        problems.iter().for_each(say);
        if self.payload && !wanted.is_empty() && again > 0 {
            say(
                "an event that was asked for is there more than once: --run and --segment say which one is meant",
            );
        }
        match missing.first() {
            Some(_) if is_whole => Err(Failure::new(Exit::Input, no_such(&self.file, &missing, seen))),
            _ => Ok(exit),
        }
    }
}

/// Which of the events that were asked for are not there.
fn no_such(file: &Path, missing: &BTreeSet<u64>, seen: Option<(u64, u64)>) -> String {
    let ids: Vec<String> = missing.iter().take(MISSING_NAMED).map(u64::to_string).collect();
    let more = if missing.len() > MISSING_NAMED { " and others" } else { "" };
    let has = match seen {
        Some((first, last)) => format!("its ids are from {first} to {last}"),
        None => "it has no events".into(),
    };
    format!("{} has no event {}{more}; {has}", file.display(), ids.join(", "))
}

/// Cuts an event down to the fields that are asked for; all, if none are.
fn select(mut event: ShownEvent, wanted: &[String]) -> Result<ShownEvent, Failure> {
    if wanted.is_empty() {
        return Ok(event);
    }
    let (mut fields, mut rooms) = (Vec::new(), Vec::new());
    for address in wanted {
        let name = address.split_once('[').map_or(address.as_str(), |(name, _)| name);
        let Some(at) = event.fields.iter().position(|(field, _)| field == name) else {
            let known: Vec<&str> = event.fields.iter().map(|(field, _)| field.as_str()).collect();
            let of_list =
                known.iter().find(|field| field.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')));
            let remedy = of_list.map_or_else(
                || suggestion(name, &known),
                |field| format!("; write one of its own, such as {field}"),
            );
            return Err(Failure::new(Exit::Settings, format!("there is no field '{name}'{remedy}")));
        };
        let (values, room) = (&event.fields[at].1, event.rooms[at]);
        let (values, room) = match element(address) {
            None if name.len() == address.len() => (values.clone(), room),
            // A list may have fewer elements in this event.
            Some(k) if k < room => (values.get(k).copied().into_iter().collect(), 1),
            _ => {
                let last = room - 1;
                return Err(Failure::new(
                    Exit::Settings,
                    format!("'{address}' is no element: write {name}[0] to {name}[{last}]"),
                ));
            }
        };
        fields.push((address.clone(), values));
        rooms.push(room);
    }
    (event.fields, event.rooms) = (fields, rooms);
    Ok(event)
}

/// The 3 of `jets.pt[3]`.
fn element(address: &str) -> Option<usize> {
    address.split_once('[')?.1.strip_suffix(']')?.parse().ok()
}

enum OutputFormat {
    Table(Box<Rows>),
    Json,
    JsonLines,
    Payload,
}

/// Events to standard output. Every method says whether there is still a reader.
struct Writer {
    out: BufWriter<Patient<io::StdoutLock<'static>>>,
    format: OutputFormat,
    rows: u64,
}

impl Writer {
    /// What stands in front of event number `rows` of a document.
    fn opening(&self) -> String {
        match self.rows {
            0 => format!(
                "{{\"tamis\":\"{}\",\"schema\":{DOCUMENT_VERSION},\"events\":[\n",
                env!("CARGO_PKG_VERSION")
            ),
            _ => ",\n".into(),
        }
    }

    fn event(&mut self, event: ShownEvent, payload: &[u8]) -> Result<bool, Failure> {
        let opening = self.opening();
        self.rows += 1;
        let json = |event: &ShownEvent| serde_json::to_string(event).expect("plain data serialises");
        written(match &mut self.format {
            OutputFormat::Table(rows) => rows.event(event, &mut self.out),
            OutputFormat::Json => write!(self.out, "{opening}{}", json(&event)),
            OutputFormat::JsonLines => writeln!(self.out, "{}", json(&event)),
            OutputFormat::Payload if event.payload_bytes.is_some() => self.out.write_all(payload),
            OutputFormat::Payload => {
                return Err(Failure::new(
                    Exit::Settings,
                    "--payload: the events of this file have no payload",
                ));
            }
        })
    }

    fn end(&mut self) -> Result<bool, Failure> {
        let opening = if self.rows == 0 { self.opening() } else { String::new() };
        let end = match &mut self.format {
            OutputFormat::Table(rows) => rows.flush(&mut self.out),
            OutputFormat::Json => writeln!(self.out, "{opening}\n]}}"),
            OutputFormat::JsonLines | OutputFormat::Payload => Ok(()),
        };
        written(end.and_then(|()| self.out.flush()))
    }
}

/// A table whose column widths come from its first rows.
struct Rows {
    asked: Vec<String>,
    waiting: Vec<ShownEvent>,
    /// Once widths are known: the table, its widths, and the fields it shows.
    fixed: Option<(TextTable, Vec<usize>, Vec<ShownColumn>)>,
}

/// A field or an element in the table.
struct ShownColumn {
    title: String,
    field: usize,
    /// One element of the field, or all.
    element: Option<usize>,
}

impl Rows {
    fn new(asked: Vec<String>) -> Self {
        Self { asked, waiting: Vec::new(), fixed: None }
    }

    fn event(&mut self, event: ShownEvent, out: &mut impl Write) -> io::Result<()> {
        if let Some((table, widths, columns)) = &self.fixed {
            return out.write_all(table.line(&cells(&event, columns), widths).as_bytes());
        }
        self.waiting.push(event);
        if self.waiting.len() < SAMPLE_ROWS { Ok(()) } else { self.flush(out) }
    }

    /// Fixes the widths if that has not happened, and writes what waits.
    fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        let Some(first) = self.waiting.first() else { return Ok(()) };
        let mut columns = if self.asked.is_empty() { first_elements(first) } else { whole_fields(first) };
        let terminal = terminal_width();
        let (widths, table) = loop {
            let mut table = heading(first, &columns);
            self.waiting.iter().for_each(|event| table.row(cells(event, &columns)));
            // Without fields, the lines that kept an event may wrap.
            let room = if columns.is_empty() { terminal } else { None };
            let fits = total_width(&table.widths(room)) <= terminal.unwrap_or(WIDTH);
            if fits || !self.asked.is_empty() {
                break (table.widths(terminal), table);
            }
            // Fields that nobody asked for give way.
            if columns.pop().is_none() {
                break (table.widths(terminal), table);
            }
        };
        out.write_all(table.heading(&widths).as_bytes())?;
        for event in self.waiting.drain(..) {
            out.write_all(table.line(&cells(&event, &columns), &widths).as_bytes())?;
        }
        self.fixed = Some((table.without_rows(), widths, columns));
        Ok(())
    }
}

fn first_elements(event: &ShownEvent) -> Vec<ShownColumn> {
    let column = |(field, (name, _)): (usize, &(String, Vec<FieldNumber>))| ShownColumn {
        title: if event.rooms[field] == 1 { name.clone() } else { format!("{name}[0]") },
        field,
        element: Some(0),
    };
    event.fields.iter().enumerate().map(column).collect()
}

fn whole_fields(event: &ShownEvent) -> Vec<ShownColumn> {
    let column = |(field, (name, _)): (usize, &(String, Vec<FieldNumber>))| ShownColumn {
        title: name.clone(),
        field,
        element: None,
    };
    event.fields.iter().enumerate().map(column).collect()
}

fn heading(event: &ShownEvent, columns: &[ShownColumn]) -> TextTable {
    // `topo.leptons` takes two lines, so that columns are as narrow as their numbers.
    let title =
        |name: &str| name.rsplit_once('.').map_or(name.into(), |(group, name)| format!("{group}\n.{name}"));
    let mut table = TextTable::default().right("event").right("run").right("segment");
    if event.payload_bytes.is_some() {
        table = table.right("payload\nbytes");
    }
    if event.verdict.is_some() {
        table = table.right("rung").left("engine");
    }
    for (name, _) in event.verdict.iter().flat_map(|verdict| &verdict.scores) {
        table = table.right(title(name));
    }
    for column in columns {
        table = if column.element.is_some() || event.rooms[column.field] == 1 {
            table.right(title(&column.title))
        } else {
            table.left(title(&column.title))
        };
    }
    if event.verdict.is_some() { table.left("kept by") } else { table }
}

fn cells(event: &ShownEvent, columns: &[ShownColumn]) -> Vec<String> {
    let mut cells =
        [event.event, event.run.into(), event.segment.into()].map(|number: u64| number.to_string()).to_vec();
    cells.extend(event.payload_bytes.map(|bytes| figures::grouped(bytes as u64)));
    if let Some(verdict) = &event.verdict {
        let stand_in = if verdict.degraded { " (stand-in)" } else { "" };
        cells.extend([verdict.rung.to_string(), format!("{}{stand_in}", verdict.engine)]);
        cells.extend(verdict.scores.iter().map(|(_, score)| figures::exact(*score)));
    }
    for column in columns {
        let values = &event.fields[column.field].1;
        cells.push(match column.element {
            Some(element) => values.get(element).map(number).unwrap_or_default(),
            None => values.iter().map(number).collect::<Vec<_>>().join(" "),
        });
    }
    if let Some(verdict) = &event.verdict {
        cells.push(verdict.fault.map_or_else(|| verdict.kept.join(" "), |fault| unscored(fault, verdict)));
    }
    cells
}

/// All digits of a number.
fn number(of: &FieldNumber) -> String {
    match of {
        FieldNumber::Decimal(decimal) => decimal.to_string(),
        FieldNumber::Float(value) => figures::exact(*value),
    }
}

/// `(undecided: not_finite by topo, index 17 in a block of 4096)`, or `(kept by hash: deadline)`.
fn unscored(fault: &str, verdict: &Verdict) -> String {
    let by = verdict.guilty_model.as_ref().map(|model| format!(" by {model}")).unwrap_or_default();
    match verdict.block {
        Some(place) => {
            format!("(undecided: {fault}{by}, index {} in a block of {})", place.index, place.events)
        }
        None => format!("(kept by hash: {fault}{by})"),
    }
}
