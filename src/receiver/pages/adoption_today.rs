//! The numbers of today on the page "Adoption": figures against the period before, and the table of releases.

use jiff::civil::Date;

use super::words::{change, count, number, percent};
use crate::receiver::adoption::{Figure, Figures, ReleaseRow};

/// Number of releases in the table; all others are one row.
const ROWS: usize = 12;

/// A figure and how it changed.
#[derive(Debug, PartialEq)]
pub(super) struct FigureView {
    pub(super) name: &'static str,
    pub(super) now: String,
    pub(super) change: String,
    /// Where the number leads to, on this page or on the page of the fleet.
    pub(super) link: Link,
}

/// Where a figure leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Link {
    /// The list of the servers that have not ended.
    Active,
    /// The part of the page with this id.
    Part(&'static str),
}

/// A row of the table of releases.
#[derive(Debug, PartialEq)]
pub(super) struct TableRow {
    /// `None` for all others together.
    pub(super) release: Option<String>,
    /// Number of releases that it stands for, where those are others.
    pub(super) others: i64,
    pub(super) servers: i64,
    pub(super) share: f64,
    /// Width of its bar, in percent.
    pub(super) width: String,
    pub(super) in_7_days: Option<i64>,
    pub(super) first_day: Option<Date>,
    pub(super) license_invalid: i64,
    /// Versions with most servers.
    pub(super) versions: Vec<(String, i64)>,
    /// Number of further versions.
    pub(super) more_versions: i64,
}

/// Number of versions that a row names.
const VERSIONS: usize = 3;

/// The figures of a vendor. `since` is the day that they are compared with, where that is within the period.
pub(super) fn figures(figures: &Figures, since: Option<&str>) -> Vec<FigureView> {
    let Figures { active, newest_three, versions, median_age_days, upgrades } = figures;
    let view = |name, (now, change), link| FigureView { name, now, change, link };
    let of_numbers = |figure, text: fn(i64) -> String| of_numbers(figure, since, text);
    let (completed, by) = of_numbers(upgrades, number);
    // A sum of days, of which none is before the first.
    let by = since.filter(|_| upgrades.now.is_some()).map_or(by, |day| format!("since {day}"));
    vec![
        view("Active servers", of_numbers(active, number), Link::Active),
        view("On the last three releases", of_shares(newest_three, since), Link::Part("today")),
        view("Versions in use", of_numbers(versions, number), Link::Part("today")),
        view(
            "Median age behind the newest build",
            of_numbers(median_age_days, |days: i64| count(days, "day")),
            Link::Part("speed"),
        ),
        view("Upgrades completed", (completed, by), Link::Part("picture")),
    ]
}

/// The text of a number, and of its change.
fn of_numbers(figure: &Figure<i64>, since: Option<&str>, text: impl Fn(i64) -> String) -> (String, String) {
    let Some(now) = figure.now else { return not_known() };
    let changed = figure.before.map(|before| match now - before {
        0 => None,
        by => Some(format!("{} from {}", change(by), number(before))),
    });
    (text(now), compared(changed, since))
}

fn of_shares(figure: &Figure<f64>, since: Option<&str>) -> (String, String) {
    let Some(now) = figure.now else { return not_known() };
    let points = |share: f64| (share * 100.0).round() as i64;
    let changed = figure.before.map(|before| match points(now) - points(before) {
        0 => None,
        by => Some(format!("{} points from {}", change(by), percent(before))),
    });
    (percent(now), compared(changed, since))
}

/// How a figure changed: not at all where `changed` has no words.
fn compared(changed: Option<Option<String>>, since: Option<&str>) -> String {
    match (changed, since) {
        (None, _) => "before: not known".to_owned(),
        (Some(None), None) => "as before".to_owned(),
        (Some(None), Some(day)) => format!("the same as on {day}"),
        (Some(Some(by)), None) => by,
        (Some(Some(by)), Some(day)) => format!("{by} on {day}"),
    }
}

fn not_known() -> (String, String) {
    ("–".to_owned(), "not known".to_owned())
}

/// The rows of the table: the newest releases, then all others together.
pub(super) fn table(releases: &[ReleaseRow]) -> Vec<TableRow> {
    let is_named = |row: &&ReleaseRow| row.release.is_some();
    let named: Vec<&ReleaseRow> = releases.iter().filter(is_named).take(ROWS).collect();
    let others: Vec<&ReleaseRow> =
        releases.iter().filter(|row| named.iter().all(|named| named.release != row.release)).collect();
    let mut rows: Vec<TableRow> = named.iter().map(|row| row_of(row.release.clone(), 1, &[row])).collect();
    if !others.is_empty() {
        rows.push(row_of(None, others.iter().filter(|row| is_named(row)).count() as i64, &others));
    }
    rows
}

fn row_of(release: Option<String>, others: i64, rows: &[&ReleaseRow]) -> TableRow {
    let share: f64 = rows.iter().filter_map(|row| row.share).sum();
    let versions = || rows.iter().flat_map(|row| &row.versions);
    let named: Vec<(String, i64)> = versions()
        .filter_map(|version| Some((version.version.clone()?, version.servers)))
        .take(VERSIONS)
        .collect();
    TableRow {
        others,
        servers: rows.iter().map(|row| row.servers).sum(),
        share,
        width: format!("{:.1}", share * 100.0),
        in_7_days: rows.iter().map(|row| row.in_7_days).sum(),
        first_day: if release.is_some() { rows[0].first_day } else { None },
        license_invalid: rows.iter().map(|row| row.license_invalid).sum(),
        more_versions: (versions().count() - named.len()) as i64,
        versions: if release.is_some() { named } else { Vec::new() },
        release,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::adoption::VersionRow;

    fn release(name: Option<&str>, servers: i64, in_7_days: Option<i64>, versions: usize) -> ReleaseRow {
        let version = |number| VersionRow { version: Some(format!("1.0.{number}")), servers: 1 };
        ReleaseRow {
            release: name.map(str::to_owned),
            servers,
            share: Some(servers as f64 / 100.0),
            in_7_days,
            first_day: Some(jiff::civil::date(2027, 1, 1)),
            license_invalid: 1,
            versions: (0..versions).map(version).collect(),
        }
    }

    #[test]
    fn the_newest_releases_have_rows_and_the_others_one() {
        let mut releases: Vec<_> =
            (0..14).map(|number| release(Some(&format!("2.{number}")), 5, Some(-1), 5)).collect();
        releases.push(release(None, 30, Some(2), 1));
        let rows = table(&releases);
        assert_eq!(rows.len(), ROWS + 1);
        assert_eq!((rows[0].versions.len(), rows[0].more_versions, rows[0].width.as_str()), (3, 2, "5.0"));
        let others = &rows[ROWS];
        assert_eq!((&others.release, others.others, others.servers), (&None, 2, 40));
        assert_eq!((others.in_7_days, others.license_invalid, others.first_day), (Some(0), 3, None));
        assert_eq!((others.versions.len(), others.width.as_str()), (0, "40.0"));
        // A change that one row does not know, nobody knows.
        let unknown = table(&[release(None, 1, None, 0)]);
        assert_eq!((unknown[0].in_7_days, unknown[0].others), (None, 0));
        assert!(table(&[]).is_empty());
    }

    #[test]
    fn a_figure_says_how_it_changed() {
        let of = |now, before| of_numbers(&Figure { now, before }, None, number);
        let text = |now: &str, change: &str| (now.to_owned(), change.to_owned());
        assert_eq!(of(Some(1_245), Some(1_208)), text("1,245", "+37 from 1,208"));
        assert_eq!(of(Some(5), Some(7)), text("5", "−2 from 7"));
        assert_eq!(of(Some(5), Some(5)), text("5", "as before"));
        assert_eq!(of(Some(0), None), text("0", "before: not known"));
        assert_eq!(of(None, Some(1)), text("–", "not known"));
        let of = |now, before| of_numbers(&Figure { now, before }, Some("7 Nov"), number);
        assert_eq!(of(Some(9), Some(8)), text("9", "+1 from 8 on 7 Nov"));
        assert_eq!(of(Some(8), Some(8)), text("8", "the same as on 7 Nov"));
        let of = |now, before| of_shares(&Figure { now, before }, None);
        assert_eq!(of(Some(0.62), Some(0.57)), text("62 %", "+5 points from 57 %"));
        assert_eq!(of(Some(0.624), Some(0.62)), text("62 %", "as before"));
        assert_eq!(of(Some(0.1), None), text("10 %", "before: not known"));
    }
}
