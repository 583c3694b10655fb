//! `fleet import`: takes in the event files of servers without a network.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use deployment_telemetry::receiver::{ImportError, Imported, Importer, Keys};
use program::{Failure, in_one_line, print};

use crate::arguments::Import;
use crate::key::find;
use crate::settings::StoreSettings;
use crate::table::moment;

/// Number of lines after which the progress is told again.
const LINES_BETWEEN: u64 = 20_000;

pub(crate) async fn run(import: Import) -> Result<(), Failure> {
    let (settings, retention) = StoreSettings::read_with_retention()?;
    settings.must_exist()?;
    let keys = Keys::of(settings.store.clone());
    keys.migrate().await?;
    let key = find(&keys, &import.key).await?;
    // A file that is missing is told before another one is imported.
    let files = import.files.iter().map(|path| Source::open(path)).collect::<Result<Vec<_>, _>>()?;
    let importer = Importer::of(settings.store, retention);
    let (mut usable, mut refused, mut foreign) = (0, 0, 0);
    for file in files {
        let Source { name, length, reader } = file;
        let mut told = 0;
        let imported = importer.import(key.id, reader, |so_far| {
            if so_far.lines >= told + LINES_BETWEEN {
                told = so_far.lines;
                eprintln!("fleet: {name}: {}", progress(so_far, length));
            }
        });
        let imported = imported.await.map_err(|error| failure(&name, &error))?;
        for line in &imported.skipped {
            eprintln!("fleet: {name}: line {} is skipped: {}", line.number, line.why);
        }
        print(&format!("{name}: {}\n", summary(&imported)));
        usable += imported.stored + imported.known;
        refused += imported.refused;
        if imported.torn > 0 && imported.stored + imported.known + imported.refused == 0 {
            foreign += 1;
            eprintln!(
                "fleet: {name} is no event file: none of its lines is JSON; name the file of a server's file: destination"
            );
        }
    }
    let lines = (refused > 0).then(|| match refused {
        1 => "1 line was refused".to_owned(),
        refused => format!("{refused} lines were refused"),
    });
    let files = (foreign > 0).then(|| match foreign {
        1 => "1 file is no event file".to_owned(),
        foreign => format!("{foreign} files are no event files"),
    });
    let why: Vec<String> = lines.into_iter().chain(files).collect();
    match why.is_empty() {
        true => Ok(()),
        false => {
            let rest = if usable > 0 { "; the other events are stored" } else { "; no event is stored" };
            Err(Failure::System(format!("{}{rest}", why.join(", and "))))
        }
    }
}

/// A file that is to be imported.
struct Source {
    /// Its name for people.
    name: String,
    /// `None` where it is not known.
    length: Option<u64>,
    reader: Box<dyn BufRead + Send>,
}

impl Source {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let reader = Box::new(BufReader::new(io::stdin()));
            return Ok(Self { name: "the standard input".to_owned(), length: None, reader });
        }
        let name = path.display().to_string();
        let unreadable = || Failure::system(format!("{name} cannot be read"));
        let found = std::fs::metadata(path).map_err(unreadable())?;
        // Opening a pipe would wait for its writer.
        if !found.is_file() {
            return Err(Failure::System(format!(
                "{name} cannot be read: it is no file; - is the standard input"
            )));
        }
        let file = File::open(path).map_err(unreadable())?;
        Ok(Self { name, length: Some(found.len()), reader: Box::new(BufReader::new(file)) })
    }
}

fn progress(so_far: &Imported, length: Option<u64>) -> String {
    match length {
        Some(length) if length > 0 => {
            let percent = so_far.bytes.min(length) * 100 / length;
            format!("{} lines are read, {percent} %", so_far.lines)
        }
        _ => format!("{} lines are read", so_far.lines),
    }
}

fn summary(imported: &Imported) -> String {
    let events =
        if imported.stored == 1 { "1 event".to_owned() } else { format!("{} events", imported.stored) };
    let mut text = format!("{events} stored, {} known before", imported.known);
    let skipped = imported.torn + imported.refused;
    if skipped > 0 {
        text += &format!(", {skipped} skipped");
    }
    if let (Some(first), Some(last)) = (imported.first_at, imported.last_at) {
        text += &format!("; from {} to {}", moment(first), moment(last));
    }
    text
}

fn failure(name: &str, error: &ImportError) -> Failure {
    let why = in_one_line(error);
    Failure::System(format!("{name}: {why}; what is stored by now is not stored again by another import"))
}
