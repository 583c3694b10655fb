//! The log: one line for each event, on stderr, such as `INF ready`.

use std::fmt;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// Starts the log. `program` (the name of its crate) and the library log up to `level`. Other libraries log warnings and
/// errors only, unless `level` is `TRACE`.
pub fn start(program: &str, level: LevelFilter) {
    let is_everything = level == LevelFilter::TRACE;
    let libraries = if is_everything { level } else { level.min(LevelFilter::WARN) };
    let filter = Targets::new()
        .with_default(libraries)
        // It warns of each connection that does not speak HTTP; an operator can do nothing about these.
        .with_target("actix_http::h1::dispatcher", if is_everything { level } else { LevelFilter::OFF })
        .with_target(program, level)
        .with_target("deployment_telemetry", level);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).event_format(Lines);
    tracing_subscriber::registry().with(filter).with(lines).init();
}

/// Three letters of the level, the message and its fields. Warnings and errors also have the fields of the spans around
/// them.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let abbreviation = match level {
            Level::TRACE => "TRC",
            Level::DEBUG => "DBG",
            Level::INFO => "INF",
            Level::WARN => "WRN",
            Level::ERROR => "ERR",
        };
        write!(writer, "{abbreviation} ")?;
        context.format_fields(writer.by_ref(), event)?;
        if level <= Level::WARN {
            for span in context.event_scope().into_iter().flatten() {
                if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                    write!(writer, " {fields}")?;
                }
            }
        }
        writeln!(writer)
    }
}
