//! Decides which column feeds which number of a record.

use std::collections::{HashMap, HashSet};

use tamis_event::{Address, Field, List, Role, Schema, list_words};

use super::likely::remedy;
use super::values::{Changes, Feed};
use super::{ConvertError, Ids, Options};

/// Most names in a message; a table may have a hundred thousand columns.
const NAMED: usize = 12;

/// The plan for a table. Its feeds are in record order, so a record is written front to back.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) feeds: Vec<Feed>,
    /// The column of the count of each list, and how many elements there may be.
    pub(super) counts: Vec<(usize, usize)>,
    pub(super) event: Option<usize>,
    pub(super) run: Option<usize>,
    pub(super) time: Option<usize>,
    pub(super) ignored: Vec<String>,
}

impl Columns {
    /// Binds the columns of a table (`header`) to a schema. Linear in the number of columns.
    pub(super) fn bind(
        place: &str,
        header: &[String],
        schema: &Schema,
        options: &Options,
    ) -> Result<Self, ConvertError> {
        // If several columns have one name, the first is meant.
        let by_name: HashMap<&str, usize> =
            header.iter().enumerate().rev().map(|(k, name)| (name.as_str(), k)).collect();
        let find = |name: &String| {
            by_name.get(name.as_str()).copied().ok_or_else(|| ConvertError::NoColumn {
                place: place.into(),
                column: name.clone(),
                have: some_of(header.iter().map(|name| shown(name)), header.len()),
            })
        };
        let IdColumns { event, run, time } = id_columns(header, schema, options, find)?;
        if options.ids == Some(Ids::Label) && event.is_none() {
            return Err(ConvertError::NoIds { place: place.into() });
        }

        let mut wanted: Vec<(usize, String)> = Vec::new();
        for (column, field) in &options.map {
            wanted.push((find(column)?, field.clone()));
        }
        if let Some(column) = &options.label_column {
            wanted.push((find(column)?, label_field(schema)?));
        }
        // An explicit mapping of a column overrides its name. One of ids, runs or times feeds a field, too, if it has its name.
        let mapped: HashSet<usize> = wanted.iter().map(|&(column, _)| column).collect();
        let named = named(schema, header, &mapped, &wanted);
        wanted.extend(named);
        let is_count =
            |column: &usize| !mapped.contains(column) && list_counted(schema, &header[*column]).is_some();
        wanted.extend((0..header.len()).filter(is_count).map(|column| (column, header[column].clone())));

        let mut used: HashSet<usize> = [event, run, time].into_iter().flatten().collect();
        let mut by_offset: HashMap<usize, Feed> = HashMap::new();
        for (column, address) in wanted {
            let feed = match list_counted(schema, &address) {
                Some(list) => count_feed(column, &header[column], list, address.clone()),
                None => feed(schema, column, &header[column], &address)?,
            };
            used.insert(column);
            if let Some(first) = by_offset.insert(feed.element.at, feed) {
                let numbered = |column: usize| format!("{} ('{}')", column + 1, shown(&header[column]));
                let first = numbered(first.column);
                let second = numbered(column);
                return Err(ConvertError::FedTwice { place: place.into(), element: address, first, second });
            }
        }
        let unused = (0..header.len()).filter(|k| !used.contains(k));
        let ignored: Vec<String> = unused.map(|k| called(k, &header[k])).collect();
        let is_used = |column: usize| used.contains(&column);
        check_complete(place, schema, &by_offset, &ignored, header, is_used)?;
        let counts = schema.lists().iter().map(|list| (by_offset[&list.at()].column, list.most())).collect();
        let mut feeds: Vec<Feed> = by_offset.into_values().collect();
        feeds.sort_by_key(|feed| feed.element.at);
        Ok(Self { feeds, counts, event, run, time, ignored })
    }

    /// The changes of values, by column.
    pub(super) fn changes(&self) -> Vec<Changes> {
        let changes = self.feeds.iter().map(|feed| &feed.changes);
        changes.filter(|changes| !changes.is_empty()).cloned().collect()
    }
}

/// The columns to read event ids, runs and times from.
struct IdColumns {
    event: Option<usize>,
    run: Option<usize>,
    time: Option<usize>,
}

fn id_columns(
    header: &[String],
    schema: &Schema,
    options: &Options,
    find: impl Fn(&String) -> Result<usize, ConvertError>,
) -> Result<IdColumns, ConvertError> {
    let by_default = |word: &str| {
        let index = header.iter().position(|column| column.eq_ignore_ascii_case(word))?;
        let is_mapped = options.map.iter().any(|(name, _)| *name == header[index]);
        // A field of this name is fed by the column, unless it has another one.
        let is_wanted = schema.fields().iter().any(|field| field.name == word)
            && !header.iter().any(|column| column == word)
            && !options.map.iter().any(|(_, field)| field == word);
        (schema.field(&header[index]).is_err() && !is_mapped && !is_wanted).then_some(index)
    };
    let event = options.event_column.as_ref().map(&find).transpose()?.or_else(|| by_default("event"));
    let run = options.run_column.as_ref().map(&find).transpose()?.or_else(|| by_default("run"));
    let time = options.time_column.as_ref().map(&find).transpose()?.or_else(|| by_default("time_ns"));
    Ok(match options.ids {
        None | Some(Ids::Label) => IdColumns { event, run, time },
        Some(Ids::Number) => IdColumns { event: None, run, time },
        Some(Ids::Ignore) => IdColumns { event: None, run: None, time },
    })
}

/// The columns besides those in `mapped` that feed what they are named after, with the name of that. A column whose name differs in upper and lower
/// case feeds a number that no other column is named after and that is not `wanted` from another one.
fn named(
    schema: &Schema,
    header: &[String],
    mapped: &HashSet<usize>,
    wanted: &[(usize, String)],
) -> Vec<(usize, String)> {
    let fields: HashSet<&str> = schema.fields().iter().map(|field| field.name.as_str()).collect();
    let elements = |name: &str| {
        let address = name.parse::<Address>().ok()?;
        // Asking the schema for a field that it lacks is slow, because it searches for the nearest name.
        if fields.contains(address.field.as_str()) { schema.resolve(&address).ok() } else { None }
    };
    let mut fed: HashSet<usize> = HashSet::new();
    let mut feed = |name: &str| {
        let found = elements(name);
        fed.extend(found.iter().flatten().map(|element| element.at));
        found.is_some()
    };
    wanted.iter().for_each(|(_, name)| _ = feed(name));
    let free = (0..header.len()).filter(|column| !mapped.contains(column));
    let (exact, other): (Vec<usize>, Vec<usize>) = free.partition(|&column| feed(&header[column]));
    let mut claims: HashMap<usize, Vec<(usize, String)>> = HashMap::new();
    for column in other {
        let name = header[column].to_ascii_lowercase();
        if let Some([element]) = elements(&name).as_deref()
            && !fed.contains(&element.at)
        {
            claims.entry(element.at).or_default().push((column, name));
        }
    }
    let exact = exact.into_iter().map(|column| (column, header[column].clone()));
    exact.chain(claims.into_values().filter(|claims| claims.len() == 1).flatten()).collect()
}

fn feed(schema: &Schema, column: usize, name: &str, address: &str) -> Result<Feed, ConvertError> {
    let parsed = address.parse::<Address>().and_then(|parsed| Ok((schema.resolve(&parsed)?, parsed)));
    let (elements, parsed) = parsed.map_err(|error| ConvertError::Field { column: name.into(), error })?;
    let whole_array =
        |field| ConvertError::WholeArray { column: name.into(), field, elements: elements.len() };
    let &[element] = &elements[..] else { return Err(whole_array(parsed.field)) };
    let field = schema.field(&parsed.field);
    let field = field.map_err(|error| ConvertError::Field { column: name.into(), error })?;
    let index = (element.at - field.at) / element.dtype.size();
    Ok(Feed::new(column, name, field, index, address.into()))
}

/// The list that an address such as `count(jets)` counts.
fn list_counted<'a>(schema: &'a Schema, address: &str) -> Option<&'a List> {
    let ("count", name) = list_words(address)? else { return None };
    schema.lists().iter().find(|list| list.name() == name)
}

/// The count of a list, as a field of one number.
fn count_feed(column: usize, name: &str, list: &List, address: String) -> Feed {
    let element = list.count_element();
    let field = Field {
        name: address.clone(),
        dtype: element.dtype,
        len: None,
        list: None,
        scale: element.scale,
        offset: element.offset,
        unit: String::new(),
        role: Role::Data,
        doc: String::new(),
        at: element.at,
        grid: None,
    };
    Feed::new(column, name, &field, 0, address)
}

fn label_field(schema: &Schema) -> Result<String, ConvertError> {
    let truth: Vec<_> = schema.fields().iter().filter(|f| f.role == Role::Truth && f.len.is_none()).collect();
    match truth[..] {
        [field] => Ok(field.name.clone()),
        _ => Err(ConvertError::Label { schema: schema.name().into(), found: truth.len() }),
    }
}

/// Names every number of a record, in order: the count of a list stands before its first field.
pub(super) fn element_names(schema: &Schema) -> impl Iterator<Item = (usize, String)> {
    let counts = schema.lists().iter().map(|list| (list.at(), format!("count({})", list.name())));
    let elements = schema.fields().iter().flat_map(|field| {
        (0..field.elements()).map(move |k| {
            let name = if field.len.is_some() { format!("{}[{k}]", field.name) } else { field.name.clone() };
            (field.element(k).at, name)
        })
    });
    let mut names: Vec<(usize, String)> = counts.chain(elements).collect();
    names.sort_by_key(|&(at, _)| at);
    names.into_iter()
}

fn check_complete(
    place: &str,
    schema: &Schema,
    fed: &HashMap<usize, Feed>,
    ignored: &[String],
    header: &[String],
    is_used: impl Fn(usize) -> bool,
) -> Result<(), ConvertError> {
    let missing: Vec<String> =
        element_names(schema).filter(|(at, _)| !fed.contains_key(at)).map(|(_, name)| name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if let Some(why) = no_header(header) {
        return Err(ConvertError::Header { place: place.into(), why });
    }
    let unused = match ignored.len() {
        0 => String::new(),
        columns => format!(" (unused columns: {})", some_of(ignored.iter().cloned(), columns)),
    };
    let remedy = remedy(schema, header, is_used, &missing);
    let missing = some_of(missing.iter().map(|name| format!("'{name}'")), missing.len());
    Err(ConvertError::Unfed { place: place.into(), missing, unused, remedy })
}

/// Why the first line cannot be the header.
fn no_header(header: &[String]) -> Option<String> {
    let first = header.first()?;
    if header.iter().all(|name| name.parse::<f64>().is_ok()) {
        return Some(format!(
            "line 1 has numbers ({}) where the names of the columns must stand; put a line of names before it",
            some_of(header.iter().cloned(), header.len())
        ));
    }
    if first.starts_with('#') {
        return Some(format!(
            "line 1 begins with '{}', as a comment does; it must have the names of the columns alone (numpy.savetxt: comments='')",
            first.chars().take(20).collect::<String>()
        ));
    }
    if header.len() == 1 && first.split_whitespace().count() > 1 {
        return Some(format!(
            "line 1 has no comma, semicolon, tab or bar between '{}'; put one of them between columns, such as with: tr -s ' ' ,",
            first.chars().take(40).collect::<String>()
        ));
    }
    None
}

fn shown(name: &str) -> String {
    if name.is_empty() { "(no name)".into() } else { name.into() }
}

/// The name of a column for a list, even if it has none.
fn called(index: usize, name: &str) -> String {
    if name.is_empty() { format!("column {} (no name)", index + 1) } else { name.into() }
}

/// The first names, and how many more there are.
fn some_of(names: impl Iterator<Item = String>, count: usize) -> String {
    let first = names.take(NAMED).collect::<Vec<_>>().join(", ");
    if count > NAMED { format!("{first} and {} more", count - NAMED) } else { first }
}
