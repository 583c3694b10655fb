//! Active servers over time, stacked: the newest release on top. Days that were not counted are gaps.

use jiff::civil::Date;

use super::days::{self, DayLabel};
use super::path::{Path, stretches};
use super::scale::{Scale, Tick, one_decimal, placed};
use crate::receiver::adoption::{Adoption, Band, OverTime, ReleaseRow};
use crate::receiver::pages::words::{brief, number, percent};
use crate::receiver::store::{Division, Release, days_between};

/// Number of bands that are drawn by themselves; all others are one.
const NAMED: usize = 4;

/// Space between two labels at the end, in percent of the height.
const LABEL_GAP: f64 = 6.0;

/// Width of the text of a mark on the narrowest screen, in percent of the width of the picture.
const MARK_WIDTH: f64 = 36.0;

/// The picture of active servers over time.
#[derive(Debug)]
pub(crate) struct Area {
    /// Width of the shapes, in units: two a day.
    pub(crate) width: usize,
    pub(crate) ticks: Vec<Tick>,
    /// The lowest first.
    pub(crate) layers: Vec<LayerShape>,
    pub(crate) marks: Vec<Mark>,
    /// The uppermost first, with their distances from the upper edge, in percent.
    pub(crate) ends: Vec<(String, EndLabel)>,
    pub(crate) days: Vec<DayLabel>,
}

/// The shape of a layer.
#[derive(Debug)]
pub(crate) struct LayerShape {
    /// Class of its tone.
    pub(crate) tone: &'static str,
    pub(crate) area: Path,
    /// Its upper edge.
    pub(crate) rim: Path,
}

/// The day on which a release was first counted.
#[derive(Debug, PartialEq)]
pub(crate) struct Mark {
    /// Distance from the left edge, in percent.
    pub(crate) x: String,
    /// Whether the text stands to the left of it.
    pub(crate) is_left: bool,
    /// Whether the text stands in the second line, below another one.
    pub(crate) is_lower: bool,
    pub(crate) text: String,
}

/// The label at the end of a layer.
#[derive(Debug, PartialEq)]
pub(crate) struct EndLabel {
    /// Whether it is that of the newest release.
    pub(crate) is_newest: bool,
    pub(crate) name: String,
    pub(crate) value: String,
}

/// Bands that are drawn as one.
#[derive(Debug, PartialEq)]
pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) tone: &'static str,
    /// Servers on each day.
    servers: Vec<Option<i64>>,
}

impl Layer {
    fn of(name: String, tone: &'static str, bands: &[&Band]) -> Self {
        let length = bands.first().map_or(0, |band| band.servers.len());
        let sum = |day: usize| bands.iter().map(|band| band.servers[day]).sum();
        Self { name, tone, servers: (0..length).map(sum).collect() }
    }
}

/// The layers of a picture, the newest first. By version, those are named that most servers run at the end. Pre-releases,
/// which are newer than the `newest` release, leave the tones to releases: those have the same wherever they are shown.
pub(crate) fn layers(over_time: &OverTime, by: Division, newest: Option<&str>) -> Vec<Layer> {
    let last = |band: &Band| band.servers.iter().rev().flatten().next().copied().unwrap_or_default();
    let mut named: Vec<&Band> = over_time.bands.iter().filter(|band| band.name.is_some()).collect();
    if by == Division::Version {
        named.sort_by_key(|band| std::cmp::Reverse(last(band)));
    }
    named.truncate(NAMED);
    let is_named = |band: &&Band| named.iter().any(|named| named.name == band.name);
    let (named, others): (Vec<&Band>, Vec<&Band>) = over_time.bands.iter().partition(is_named);
    let out = newest.filter(|_| by == Division::Release).map(|newest| Release::of(newest).key);
    let mut tones = ["v1", "v2", "v3", "v4"].into_iter();
    let mut tone_of = |name: &str| match &out {
        Some(out) if Release::of(name).key > *out => "v5",
        _ => tones.next().unwrap_or("v5"),
    };
    let mut layers: Vec<Layer> = named
        .iter()
        .map(|band| {
            let name = band.name.clone().unwrap_or_default();
            let tone = tone_of(&name);
            Layer::of(name, tone, &[band])
        })
        .collect();
    if !others.is_empty() {
        let is_older = |band: &&Band| band.name.as_deref().is_some_and(|name| Release::of(name).is_ordered());
        let name = if by == Division::Release && others.iter().all(is_older) { "older" } else { "others" };
        layers.push(Layer::of(name.to_owned(), "v5", &others));
    }
    layers
}

impl Area {
    /// `None` where no day was counted.
    pub(crate) fn of(adoption: &Adoption, layers: &[Layer], is_share: bool) -> Option<Self> {
        let active = &adoption.over_time.active;
        let last = active.iter().rposition(Option::is_some)?;
        let value = |servers: i64, day: usize| match active[day] {
            Some(all) if is_share => servers as f64 / all.max(1) as f64,
            _ => servers as f64,
        };
        let scale = if is_share {
            Scale::of_shares(1.0)
        } else {
            Scale::of_numbers(active.iter().flatten().copied().max().unwrap_or_default())
        };
        let newest = newest_of(adoption);
        let mut below = vec![0; active.len()];
        let (mut shapes, mut ends) = (Vec::new(), Vec::new());
        for layer in layers.iter().rev() {
            let servers = |day: usize| layer.servers[day].unwrap_or_default();
            let lower: Vec<i64> = below.clone();
            for (day, sum) in below.iter_mut().enumerate() {
                *sum += servers(day);
            }
            let height = |sums: &[i64]| -> Vec<i64> {
                sums.iter().enumerate().map(|(day, sum)| scale.y(value(*sum, day))).collect()
            };
            shapes.push(shape(layer, &height(&below), &height(&lower)));
            if servers(last) > 0 {
                let middle = value(below[last] + lower[last], last) / 2.0;
                let text = if is_share { percent(value(servers(last), last)) } else { number(servers(last)) };
                let (is_newest, name) = (newest == Some(&layer.name), brief(&layer.name));
                ends.push((scale.percent(middle), EndLabel { is_newest, name, value: text }));
            }
        }
        Some(Self {
            width: 2 * active.len(),
            ticks: scale.ticks,
            layers: shapes,
            marks: marks(adoption),
            ends: placed(ends, LABEL_GAP),
            days: days::labels(adoption.from, adoption.to),
        })
    }
}

/// The newest release that is out.
fn newest_of(adoption: &Adoption) -> Option<&str> {
    adoption.newest.as_ref().map(|newest| newest.release.as_str())
}

/// The shape between two edges, where there is any.
fn shape(layer: &Layer, upper: &[i64], lower: &[i64]) -> LayerShape {
    let (mut area, mut rim) = (Path::default(), Path::default());
    for run in stretches(&layer.servers, Option::is_some) {
        let has_some = |day: &usize| layer.servers[*day].is_some_and(|servers| servers > 0);
        let (Some(first), Some(last)) = (run.clone().find(has_some), run.clone().rfind(has_some)) else {
            continue;
        };
        // A layer begins and ends in a point, unless nobody knows what was before or after.
        let (first, last) = (first.saturating_sub(1).max(run.start), (last + 1).min(run.end - 1));
        let edge = |heights: &[i64]| {
            let mut points = Vec::with_capacity(last - first + 3);
            if first == run.start {
                points.push((2 * first as i64, heights[first]));
            }
            points.extend((first..=last).map(|day| (2 * day as i64 + 1, heights[day])));
            if last + 1 == run.end {
                points.push((2 * last as i64 + 2, heights[last]));
            }
            points
        };
        let (upper, lower) = (edge(upper), edge(lower));
        rim.draw(upper.iter().copied());
        area.draw(upper.into_iter().chain(lower.into_iter().rev()));
        area.close();
    }
    LayerShape { tone: layer.tone, area, rim }
}

/// The first days of releases, where there is space for their names: that of the newest one before all others.
fn marks(adoption: &Adoption) -> Vec<Mark> {
    let days = days_between(adoption.from, adoption.to) + 1;
    let place = |day: Date| (days_between(adoption.from, day) as f64 + 0.5) * 100.0 / days as f64;
    // Where the texts of each of the two lines stand.
    let mut taken: [Vec<(f64, f64)>; 2] = Default::default();
    let mut marks = Vec::new();
    let newest = newest_of(adoption);
    let is_newest = |row: &&ReleaseRow| row.release.as_deref() == newest;
    let (first, others): (Vec<_>, Vec<_>) = adoption.releases.iter().partition(is_newest);
    for row in first.into_iter().chain(others) {
        let (Some(release), Some(day)) = (&row.release, row.first_day) else { continue };
        if !Release::of(release).is_ordered() || day < adoption.from || day > adoption.to {
            continue;
        }
        let x = place(day);
        let is_left = x > 100.0 - MARK_WIDTH;
        let begin = if is_left { x - MARK_WIDTH } else { x };
        let end = begin + MARK_WIDTH;
        let is_free = |line: &Vec<(f64, f64)>| line.iter().all(|(from, to)| end <= *from || begin >= *to);
        let Some(line) = taken.iter().position(is_free) else { continue };
        taken[line].push((begin, end));
        let text = format!("{}, {}", brief(release), day.strftime("%-d %b"));
        marks.push(Mark { x: one_decimal(x), is_left, is_lower: line == 1, text });
    }
    marks
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::receiver::adoption::{Figure, Figures, Newest};

    fn band(name: Option<&str>, servers: &[Option<i64>]) -> Band {
        Band { name: name.map(str::to_owned), servers: servers.into(), share: vec![None; servers.len()] }
    }

    fn adoption(bands: Vec<Band>, first_days: &[(&str, Date)]) -> Adoption {
        let length = bands.first().map_or(0, |band| band.servers.len());
        let active = (0..length).map(|day| bands.iter().map(|band| band.servers[day]).sum()).collect();
        let none = || Figure { now: None, before: None };
        let release = |(release, day): &(&str, Date)| ReleaseRow {
            release: Some((*release).to_owned()),
            servers: 1,
            share: None,
            in_7_days: None,
            first_day: Some(*day),
            license_invalid: 0,
            versions: Vec::new(),
        };
        Adoption {
            from: date(2027, 1, 1),
            to: date(2027, 1, length as i8),
            counted_since: None,
            counted_on: None,
            compared_with: None,
            newest: None,
            over_time: OverTime { active, bands },
            figures: Figures {
                active: none(),
                newest_three: Figure { now: None, before: None },
                versions: none(),
                median_age_days: none(),
                upgrades: none(),
            },
            releases: first_days.iter().map(release).collect(),
            upgrades_in_7_days: None,
            systems: Vec::new(),
            behind: None,
            uptake: Vec::new(),
        }
    }

    fn paths(area: &Area) -> Vec<(&'static str, String, String)> {
        let layers = area.layers.iter();
        layers.map(|layer| (layer.tone, layer.area.to_string(), layer.rim.to_string())).collect()
    }

    fn picture(adoption: &Adoption, is_share: bool) -> Area {
        Area::of(adoption, &layers(&adoption.over_time, Division::Release, newest_of(adoption)), is_share)
            .unwrap()
    }

    #[test]
    fn the_newest_lies_on_top_and_gaps_stay_open() {
        let adoption = adoption(
            vec![
                band(Some("1.1"), &[Some(0), Some(0), None, Some(1)]),
                band(Some("1.0"), &[Some(1), Some(1), None, Some(0)]),
            ],
            &[("1.1", date(2027, 1, 4))],
        );
        let share = picture(&adoption, true);
        assert_eq!(share.width, 8);
        assert_eq!(
            paths(&share),
            [
                ("v2", "M0 0h4v1000h-4z".to_owned(), "M0 0h4".to_owned()),
                ("v1", "M6 0h2v1000h-2z".to_owned(), "M6 0h2".to_owned()),
            ]
        );
        assert_eq!(share.ends.len(), 1);
        assert_eq!((share.ends[0].1.name.as_str(), share.ends[0].1.value.as_str()), ("1.1", "100 %"));
        assert_eq!(
            share.marks,
            [Mark { x: "87.5".to_owned(), is_left: true, is_lower: false, text: "1.1, 4 Jan".to_owned() }]
        );
    }

    #[test]
    fn a_layer_begins_in_a_point_on_the_day_before() {
        let adoption = adoption(
            vec![
                band(Some("1.1"), &[Some(0), Some(0), Some(4), Some(4)]),
                band(Some("1.0"), &[Some(4), Some(4), Some(0), Some(0)]),
            ],
            &[],
        );
        let shares = paths(&picture(&adoption, true));
        assert_eq!(shares[1].1, "M3 0h5v1000h-3l-2 -1000z");
        assert_eq!(shares[0].1, "M0 0h3l2 1000h-5z");
    }

    #[test]
    fn many_bands_are_four_and_the_others() {
        let bands =
            || ["2.4", "2.3", "2.2", "2.1", "2.0", "1.9"].map(|name| band(Some(name), &[Some(2)])).to_vec();
        let named = |bands: Vec<Band>, by| {
            let over_time = OverTime { active: vec![Some(12)], bands };
            let layers = layers(&over_time, by, None).into_iter();
            layers
                .map(|layer| format!("{} {} {:?}", layer.tone, layer.name, layer.servers[0]))
                .collect::<Vec<_>>()
        };
        let older = named(bands(), Division::Release);
        assert_eq!(
            older,
            ["v1 2.4 Some(2)", "v2 2.3 Some(2)", "v3 2.2 Some(2)", "v4 2.1 Some(2)", "v5 older Some(4)"]
        );
        let over_time = OverTime { active: vec![Some(12)], bands: bands() };
        let out = layers(&over_time, Division::Release, Some("2.3")).into_iter();
        let tones: Vec<_> = out.map(|layer| format!("{} {}", layer.name, layer.tone)).collect();
        assert_eq!(tones, ["2.4 v5", "2.3 v1", "2.2 v2", "2.1 v3", "older v5"]);
        let mut with_words = bands();
        with_words.push(band(Some("main"), &[Some(9)]));
        assert_eq!(named(with_words.clone(), Division::Release)[4], "v5 others Some(13)");
        // By version, the largest are named, in their order.
        let by_version = named(with_words, Division::Version);
        assert_eq!(by_version[3], "v4 main Some(9)");
        assert_eq!(by_version[2], "v3 2.2 Some(2)");
        assert!(named(Vec::new(), Division::Release).is_empty());
    }

    #[test]
    fn without_a_counted_day_there_is_no_picture() {
        let adoption = adoption(vec![band(Some("1.0"), &[None, None])], &[]);
        assert!(Area::of(&adoption, &layers(&adoption.over_time, Division::Release, None), false).is_none());
    }

    #[test]
    fn first_days_are_marked_where_there_is_space() {
        let bands = vec![band(Some("1.0"), &[Some(1); 20])];
        let (second, third, last) = (date(2027, 1, 2), date(2027, 1, 4), date(2027, 1, 20));
        let adoption = adoption(
            bands,
            &[("1.3", last), ("1.2", third), ("1.1", second), ("1.0", date(2026, 1, 1)), ("main", second)],
        );
        let texts = |area: Area| -> Vec<(String, bool)> {
            area.marks.into_iter().map(|mark| (mark.text, mark.is_lower)).collect()
        };
        let mark = |text: &str, is_lower| (text.to_owned(), is_lower);
        assert_eq!(
            texts(picture(&adoption, false)),
            [mark("1.3, 20 Jan", false), mark("1.2, 4 Jan", false), mark("1.1, 2 Jan", true)]
        );
        // The newest that is out has its mark, whatever is near.
        let newest = Newest { release: "1.1".to_owned(), servers: 1, share: None, days: None, before: None };
        let out = Adoption { newest: Some(newest), ..adoption };
        let area = picture(&out, false);
        assert!(!area.ends[0].1.is_newest, "it has no servers");
        assert_eq!(
            texts(area),
            [mark("1.1, 2 Jan", false), mark("1.3, 20 Jan", false), mark("1.2, 4 Jan", true)]
        );
        // Of three that are near, the two lines have two.
        let day = |day| date(2027, 1, day);
        let near = &[("1.3", day(10)), ("1.2", day(9)), ("1.1", day(8)), ("1.0", day(1))];
        let near = self::adoption(vec![band(Some("1.0"), &[Some(1); 20])], near);
        assert_eq!(
            texts(picture(&near, false)),
            [mark("1.3, 10 Jan", false), mark("1.2, 9 Jan", true), mark("1.0, 1 Jan", false)]
        );
    }
}
