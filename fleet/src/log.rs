//! What the server logs, to stderr: `INF ready`, one line an event.

use std::fmt;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// Logs from here on. The program and the receiver log up to `level`; the libraries below them no more than warnings,
/// unless everything is asked for.
pub(crate) fn start(level: LevelFilter) {
    let libraries = if level == LevelFilter::TRACE { level } else { level.min(LevelFilter::WARN) };
    let filter = Targets::new()
        .with_default(libraries)
        // What comes over a connection and is no HTTP is nothing that an operator could mend.
        .with_target(
            "actix_http::h1::dispatcher",
            if level == LevelFilter::TRACE { level } else { LevelFilter::OFF },
        )
        .with_target("fleet", level)
        .with_target("deployment_telemetry", level);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).event_format(Lines);
    tracing_subscriber::registry().with(filter).with(lines).init();
}

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
        writeln!(writer)
    }
}
