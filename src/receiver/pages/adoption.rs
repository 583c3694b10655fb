//! The page "Adoption": which releases the active servers run, over time and today, and who is behind.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use jiff::civil::Date;
use tokio::try_join;
use uuid::Uuid;

use super::adoption_query::{FLEET, View};
use super::adoption_today::{FigureView, Link, TableRow, figures, table};
use super::charts::{Area, Curves, Layer, layers};
use super::filters::NOT_ENDED;
use super::frame::{Frame, Section};
use super::key_choice::{self, KeyChoice};
use super::page::{Refusal, query, refuse, respond, see};
use super::words::{change, count, number, percent, shown};
use crate::receiver::adoption::{Adoption, Behind, Newest, SystemRow};
use crate::receiver::api::keys::KeyRow;
use crate::receiver::api::licenses;
use crate::receiver::app::App;
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::store::{License, Sort, day_of};

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/adoption").get(show).compressed().mount(config);
}

#[derive(Template)]
#[template(path = "adoption.html")]
struct AdoptionPage {
    frame: Frame,
    view: View,
    /// Number of servers with each kind of license.
    licenses: Vec<(License, i64)>,
    /// Those in use, and the one that is asked for.
    keys: KeyChoice,
    adoption: Adoption,
    layers: Vec<Layer>,
    area: Option<Area>,
    curves: Option<Curves>,
    figures: Vec<FigureView>,
    rows: Vec<TableRow>,
}

impl AdoptionPage {
    fn active(&self) -> i64 {
        self.adoption.figures.active.now.unwrap_or_default()
    }

    /// A day, with its year where that is not the present one.
    fn day(&self, day: &Date) -> String {
        dated(day, &self.adoption)
    }

    /// The first day of the census, where it lies within the period.
    fn began_within(&self) -> Option<&Date> {
        self.adoption.counted_since.as_ref().filter(|since| **since > self.adoption.from)
    }

    /// What the figures are compared with.
    fn against(&self) -> String {
        match compared_within(&self.adoption) {
            Some(day) => format!("Since {}, the first of these days that was counted", self.day(day)),
            None => format!("Against the {} before", self.view.before()),
        }
    }

    /// The day of the numbers of today, where that is another.
    fn counted_before_today(&self) -> Option<&Date> {
        self.adoption.counted_on.as_ref().filter(|day| **day != self.adoption.to)
    }

    /// The list of servers that have not ended, among those that are asked for on this page.
    fn list(&self, more: impl AsRef<str>) -> String {
        let filter = self.view.filter();
        let parts = [NOT_ENDED, more.as_ref(), &filter];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!("./?{}", parts.join("&"))
    }

    /// The list of those of a key that are older than a version, the oldest first.
    fn behind(&self, key: &Uuid, version: &str) -> String {
        let of_key = self.view.key.is_none().then(|| format!("key={key}&"));
        self.list(of_key.unwrap_or_default() + &older_than(version))
    }

    /// The same servers as a file.
    fn file(&self, more: impl AsRef<str>) -> String {
        format!("api/instances.csv{}", self.list(more).trim_start_matches("./"))
    }

    /// Where a figure leads to.
    fn link(&self, figure: &FigureView) -> String {
        match figure.link {
            Link::Active => self.list(""),
            Link::Part(id) => format!("#{id}"),
        }
    }

    /// The class of the tone of a release in the picture.
    fn tone(&self, release: Option<&str>) -> &'static str {
        self.layers.iter().find(|layer| release == Some(layer.name.as_str())).map_or("v5", |layer| layer.tone)
    }
}

/// A day, with its year where that is not the present one.
fn dated(day: &Date, adoption: &Adoption) -> String {
    let format = if day.year() == adoption.to.year() { "%-d %b" } else { "%-d %b %Y" };
    day.strftime(format).to_string()
}

/// The day that the figures are compared with, where the period before has none.
fn compared_within(adoption: &Adoption) -> Option<&Date> {
    adoption.compared_with.as_ref().filter(|day| **day >= adoption.from)
}

/// Releases that servers run, of `total` ones the first, in words: `on 2.0 and 2.1`.
fn on_releases(releases: &[String], total: &usize) -> String {
    let shown: Vec<String> = releases.iter().take(NAMED_RELEASES).map(shown).collect();
    match total.saturating_sub(shown.len()) {
        0 => format!("on {}", shown.join(", ")),
        more => format!("on {} and {more} more", shown.join(", ")),
    }
}

/// Number of releases that are named beside a key.
const NAMED_RELEASES: usize = 3;

/// Number of days since the first census that were not counted. Today is not one of them: it may still be counted.
fn gaps(adoption: &Adoption) -> i64 {
    let Some(since) = adoption.counted_since else { return 0 };
    let past = since..adoption.to;
    let days = adoption.days().zip(&adoption.over_time.active);
    days.filter(|(day, active)| past.contains(day) && active.is_none()).count() as i64
}

/// How far the newest release is, in a sentence. `whole` is what people call the servers that are asked for.
fn headline(adoption: &Adoption, whole: &str) -> String {
    let active = adoption.figures.active.now;
    match (&adoption.newest, active) {
        (_, None) if adoption.counted_since.is_none() => "No server was counted yet".to_owned(),
        (_, None) => "No server was counted in this time".to_owned(),
        (_, Some(0)) if whole == FLEET => "No server is active".to_owned(),
        (_, Some(0)) => format!("None of {whole} is active"),
        (None, Some(active)) => {
            format!("{} {} no numbered release", count(active, "active server"), runs(active))
        }
        (Some(newest), Some(_)) => {
            let share = newest.share.unwrap_or_default();
            let of = if share == 1.0 {
                format!("all of {whole}")
            } else {
                format!("{} of {whole}", percent(share))
            };
            format!("{} runs on {of}{}", newest.release, since(newest))
        }
    }
}

/// The query of servers of a release without a valid license.
fn no_license(release: impl AsRef<str>) -> String {
    format!("{}&license=invalid%2Cnone", query("release", release.as_ref()))
}

/// The newest release and the one before, with the numbers of the servers that are older, where some are.
fn bounds(behind: &Behind) -> Vec<(&String, i64)> {
    let newest = (&behind.newest, behind.older_than_newest);
    let before = behind.older_than.as_ref().map(|before| (before, behind.servers));
    [newest].into_iter().chain(before).filter(|(_, servers)| *servers > 0).collect()
}

/// The query of servers that are older than a version, the oldest first.
fn older_than(version: &str) -> String {
    format!("{}&sort={}", query("older-than", version), Sort::Version.as_str())
}

/// The name of a system, as its filter has it.
fn system_name(system: &SystemRow) -> Option<String> {
    let SystemRow { os, arch, .. } = system;
    Some(format!("{}/{}", os.as_deref()?, arch.as_deref()?))
}

fn runs(servers: i64) -> &'static str {
    if servers == 1 { "runs" } else { "run" }
}

fn since(newest: &Newest) -> String {
    match newest.days {
        None => String::new(),
        Some(0) => ", first seen today".to_owned(),
        Some(days) => format!(", {} after it was first seen", count(days, "day")),
    }
}

/// The same for the title of a tab.
fn title(adoption: &Adoption) -> String {
    let newest = adoption.newest.as_ref();
    let of_newest =
        |newest: &Newest| format!("{} on {}", newest.release, percent(newest.share.unwrap_or_default()));
    newest.map_or_else(|| "Adoption".to_owned(), of_newest)
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let mut given = Parameters::parse(request.query_string())?.without_empty();
        let typed = key_choice::take_typed(&app, &mut given).await?;
        let view = View::read(given)?;
        match typed {
            Some(key) => Ok(see(&format!("?{}", View { key: Some(key), ..view }.to_query()))),
            None => Ok(respond(StatusCode::OK, &page(&app, view).await?)),
        }
    };
    ask.await.map_err(refuse(&app, 0))
}

async fn page(app: &App, view: View) -> Result<AdoptionPage, Problem> {
    let asked = view.asked(day_of(app.now()));
    let counts = async { Ok(app.counts.tally().await?) };
    let (adoption, counts, keys) = try_join!(asked.ask(app), counts, KeyRow::ask(app))?;
    let licenses = License::ALL.iter().map(|license| (*license, licenses::count(&counts.groups, *license)));
    let keys = KeyChoice::of(keys, view.key);
    let newest = adoption.newest.as_ref().map(|newest| newest.release.as_str());
    let since = compared_within(&adoption).map(|day| dated(day, &adoption));
    let layers = layers(&adoption.over_time, view.by, newest);
    Ok(AdoptionPage {
        frame: Frame::of(app, Section::Adoption, 0).await,
        area: Area::of(&adoption, &layers, view.is_share),
        curves: Curves::of(&adoption.uptake, newest),
        figures: figures(&adoption.figures, since.as_deref()),
        rows: table(&adoption.releases),
        licenses: licenses.collect(),
        view,
        keys,
        adoption,
        layers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::adoption::{Answers, Period, ReleaseBefore};
    use crate::receiver::store::{CensusDay, CensusRow, FirstDays, Kind, Release};
    use jiff::civil::date;

    fn adoption(versions: &[(&str, i64)], began: Option<Date>) -> Adoption {
        let today = date(2026, 11, 26);
        let row = |(version, count): &(&str, i64)| CensusRow {
            day: today,
            kind: Kind { build_version: (*version).to_owned(), ..Kind::default() },
            release: Release::of(version),
            count: *count,
        };
        let answers = Answers {
            counted: began.map(|_| CensusDay { day: today, upgrades: 0 }).into_iter().collect(),
            points: Vec::new(),
            rows: versions.iter().map(row).collect(),
            first: FirstDays { census: began, ..FirstDays::default() },
        };
        Adoption::of(Period { from: date(2026, 8, 29), to: today }, &answers)
    }

    fn newest(share: f64, days: Option<i64>) -> Adoption {
        let before = Some(ReleaseBefore { release: "2.2".to_owned(), share: 0.41 });
        let newest = Newest { release: "2.3".to_owned(), servers: 774, share: Some(share), days, before };
        Adoption { newest: Some(newest), ..adoption(&[("2.3.0", 1)], Some(date(2026, 1, 1))) }
    }

    #[test]
    fn a_day_is_a_gap_when_it_is_over() {
        let day = |day| date(2026, 11, day);
        let of = |days: &[i8], began: Option<Date>| {
            let counted = days.iter().map(|number| CensusDay { day: day(*number), upgrades: 0 }).collect();
            let first = FirstDays { census: began, ..FirstDays::default() };
            let answers = Answers { counted, points: Vec::new(), rows: Vec::new(), first };
            gaps(&Adoption::of(Period { from: day(20), to: day(26) }, &answers))
        };
        assert_eq!(of(&[20, 21, 22, 23, 24, 25, 26], Some(day(1))), 0);
        assert_eq!(of(&[20, 21, 22, 23, 24, 25], Some(day(1))), 0, "the day has just begun");
        assert_eq!(of(&[20, 21, 22, 26], Some(day(1))), 3);
        assert_eq!(of(&[24], Some(day(24))), 1, "what was before the first day is not known");
        assert_eq!(of(&[], None), 0);
    }

    #[test]
    fn the_first_sentence_says_how_far_the_newest_is() {
        for (adoption, sentence, of_tab) in [
            (
                newest(0.62, Some(24)),
                "2.3 runs on 62 % of the fleet, 24 days after it was first seen",
                "2.3 on 62 %",
            ),
            (
                newest(0.62, Some(1)),
                "2.3 runs on 62 % of the fleet, 1 day after it was first seen",
                "2.3 on 62 %",
            ),
            (newest(0.001, Some(0)), "2.3 runs on < 1 % of the fleet, first seen today", "2.3 on < 1 %"),
            (newest(1.0, None), "2.3 runs on all of the fleet", "2.3 on 100 %"),
            (
                adoption(&[("main", 3)], Some(Date::MIN)),
                "3 active servers run no numbered release",
                "Adoption",
            ),
            (
                adoption(&[("main", 1)], Some(Date::MIN)),
                "1 active server runs no numbered release",
                "Adoption",
            ),
            (adoption(&[], Some(Date::MIN)), "No server is active", "Adoption"),
            (adoption(&[], None), "No server was counted yet", "Adoption"),
        ] {
            assert_eq!((headline(&adoption, FLEET).as_str(), title(&adoption).as_str()), (sentence, of_tab));
        }
        assert_eq!(
            headline(&adoption(&[], Some(Date::MIN)), "these servers"),
            "None of these servers is active"
        );
    }
}
