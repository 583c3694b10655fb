//! What is asked for on the page "Adoption".

use jiff::civil::Date;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use crate::receiver::adoption::Period;
use crate::receiver::api::adoption::{AdoptionQuery, take_division};
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::Problem;
use crate::receiver::store::{CensusFilter, Division, days_after};

/// Lengths of the period, in days, and how people call them.
const PERIODS: [(i64, &str); 3] = [(30, "30 days"), (90, "90 days"), (365, "1 year")];

/// The length without being asked for another.
const USUAL_DAYS: i64 = 90;

/// What people call all servers together.
pub(super) const FLEET: &str = "the fleet";

/// The parameters of the page.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub(super) days: i64,
    pub(super) by: Division,
    /// Whether the picture shows shares instead of numbers.
    pub(super) is_share: bool,
    pub(super) key: Option<Uuid>,
    pub(super) product: Option<String>,
}

/// A way to see the same in another way.
#[derive(Debug, PartialEq)]
pub(super) struct Chip {
    pub(super) name: &'static str,
    pub(super) query: String,
    /// Whether it is what is seen.
    pub(super) is_on: bool,
    /// Whether it begins another group.
    pub(super) is_apart: bool,
}

impl View {
    pub(super) fn read(mut given: Parameters) -> Result<Self, Problem> {
        let days = given.take("days", "30, 90 or 365", |text| {
            PERIODS.into_iter().map(|(days, _)| days).find(|days| days.to_string() == text)
        })?;
        let by = take_division(&mut given)?;
        let is_share = given.take("as", "servers or share", |text| match text {
            "servers" => Some(false),
            "share" => Some(true),
            _ => None,
        })?;
        let key = given.take("key", "the id of a key", |text| Uuid::try_parse(text).ok())?;
        let product = given.take_text("product")?;
        given.finish()?;
        Ok(Self { days: days.unwrap_or(USUAL_DAYS), by, is_share: is_share.unwrap_or(false), key, product })
    }

    /// The question to the API.
    pub(super) fn asked(&self, today: Date) -> AdoptionQuery {
        let filter = CensusFilter { key_id: self.key, product: self.product.clone() };
        let period = Period { from: days_after(today, 1 - self.days), to: today };
        AdoptionQuery { period, by: self.by, filter }
    }

    pub(super) fn is_filtered(&self) -> bool {
        self.key.is_some() || self.product.is_some()
    }

    pub(super) fn is_by_release(&self) -> bool {
        self.by == Division::Release
    }

    /// What people call the servers that are asked for.
    pub(super) fn whole(&self) -> &'static str {
        if self.is_filtered() { "these servers" } else { FLEET }
    }

    /// The period before, for people.
    pub(super) fn before(&self) -> String {
        let name = PERIODS.into_iter().find(|(days, _)| *days == self.days).map_or("days", |(_, name)| name);
        if self.days == 365 { "year".to_owned() } else { name.to_owned() }
    }

    /// The query of servers of the same key and product.
    pub(super) fn filter(&self) -> String {
        let mut query = Serializer::new(String::new());
        self.write_filter(&mut query);
        query.finish()
    }

    fn write_filter(&self, query: &mut Serializer<'_, String>) {
        query.extend_pairs(self.key.map(|key| ("key", key.to_string())));
        query.extend_pairs(self.product.as_ref().map(|product| ("product", product)));
    }

    /// The query of this page.
    pub(super) fn to_query(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("days", &self.days.to_string());
        query.append_pair("by", self.by_name());
        query.append_pair("as", self.as_name());
        self.write_filter(&mut query);
        query.finish()
    }

    /// The query of `api/adoption` for the same.
    pub(super) fn to_api(&self, from: &Date, to: &Date) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("from", &from.to_string()).append_pair("to", &to.to_string());
        query.append_pair("by", self.by_name());
        self.write_filter(&mut query);
        query.finish()
    }

    pub(super) fn by_name(&self) -> &'static str {
        if self.is_by_release() { "release" } else { "version" }
    }

    pub(super) fn as_name(&self) -> &'static str {
        if self.is_share { "share" } else { "servers" }
    }

    /// The query without a key and a product.
    pub(super) fn of_all(&self) -> String {
        Self { key: None, product: None, ..self.clone() }.to_query()
    }

    pub(super) fn chips(&self) -> Vec<Chip> {
        let periods = PERIODS.map(|(days, name)| (name, Self { days, ..self.clone() }, false));
        let by = |name, by, is_apart| (name, Self { by, ..self.clone() }, is_apart);
        let of = |name, is_share, is_apart| (name, Self { is_share, ..self.clone() }, is_apart);
        let others = [
            by("by release", Division::Release, true),
            by("by version", Division::Version, false),
            of("servers", false, true),
            of("share", true, false),
        ];
        let chip = |(name, view, is_apart): (_, Self, _)| Chip {
            name,
            is_on: view == *self,
            query: view.to_query(),
            is_apart,
        };
        periods.into_iter().chain(others).map(chip).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn read(query: &str) -> Result<View, Problem> {
        View::read(Parameters::parse(query).unwrap().without_empty())
    }

    #[test]
    fn each_chip_changes_one_thing_and_keeps_the_others() {
        let view = read("days=365&by=version&as=share&product=a+b").unwrap();
        let chips = view.chips();
        let on: Vec<_> = chips.iter().filter(|chip| chip.is_on).map(|chip| chip.name).collect();
        assert_eq!(on, ["1 year", "by version", "share"]);
        assert_eq!(chips[0].query, "days=30&by=version&as=share&product=a+b");
        assert_eq!(chips[5].query, "days=365&by=version&as=servers&product=a+b");
        for chip in chips {
            read(&chip.query).unwrap();
        }
        assert_eq!(view.of_all(), "days=365&by=version&as=share");
        assert_eq!(view.filter(), "product=a+b");
    }

    #[test]
    fn the_usual_is_ninety_days_by_release_of_all() {
        let view = read("days=&key=&product=").unwrap();
        assert_eq!(view, read("days=90&by=release&as=servers").unwrap());
        let asked = view.asked(date(2026, 11, 26));
        assert_eq!((asked.period.from, asked.period.to), (date(2026, 8, 29), date(2026, 11, 26)));
        assert_eq!(
            view.to_api(&asked.period.from, &asked.period.to),
            "from=2026-08-29&to=2026-11-26&by=release"
        );
        for refused in ["days=7", "days=+30", "by=day", "as=pie", "key=7", "more=1"] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }
}
