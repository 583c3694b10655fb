//! The adoption of releases.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, ServiceConfig};
use jiff::civil::Date;
use serde::Serialize;
use uuid::Uuid;

use crate::receiver::adoption::{Adoption, Answers, Details, Period, named_releases};
use crate::receiver::app::App;
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::store::{CensusFilter, Division, day_of};
use crate::receiver::store_handle::QUERY_LIMIT;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/adoption").get(show).mount(config);
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<Json<Adoption>, Problem> {
    let given = Parameters::parse(request.query_string())?;
    let asked = AdoptionQuery::read(given, day_of(app.now()))?;
    Ok(Json(asked.ask(&app).await?))
}

/// The parameters of a query for the adoption of releases.
pub(crate) struct AdoptionQuery {
    pub(crate) period: Period,
    pub(crate) by: Division,
    pub(crate) filter: CensusFilter,
}

/// Active servers of one band on one day that was counted, in a file.
#[derive(Serialize)]
pub(super) struct BandDay {
    pub(super) day: Date,
    /// `None` for all others together.
    pub(super) name: Option<String>,
    pub(super) servers: i64,
    pub(super) share: Option<f64>,
}

impl AdoptionQuery {
    pub(super) fn read(mut given: Parameters, today: Date) -> Result<Self, Problem> {
        let from = given.take("from", DAY, day)?;
        let to = given.take("to", DAY, day)?;
        let by = take_division(&mut given)?;
        let filter = CensusFilter {
            key_id: given.take("key", "the id of a key, a UUID", |text| Uuid::try_parse(text).ok())?,
            product: given.take_text("product")?,
        };
        given.finish()?;
        Ok(Self { period: Period::of(from, to, today), by, filter })
    }

    pub(crate) async fn ask(self, app: &App) -> Result<Adoption, Problem> {
        let Self { period, by, filter } = self;
        let answers = app
            .store
            .ask(QUERY_LIMIT, move |store| async move {
                let counted = store.census_days(period.first_day(), period.to, &filter).await?;
                let details = Details::of(period, &counted);
                let points = store.census_points(period.first_point(), period.to, by, &filter).await?;
                let rows = store.census_rows(&details.days(), &filter).await?;
                let first = store.first_days(&named_releases(&points)).await?;
                Ok(Answers { counted, points, rows, first })
            })
            .await?;
        Ok(Adoption::of(period, &answers))
    }
}

impl BandDay {
    /// The days that were counted, the earliest first.
    pub(super) fn all_of(adoption: &Adoption) -> Vec<Self> {
        let bands = &adoption.over_time.bands;
        let days = adoption.days().enumerate();
        days.flat_map(|(at, day)| {
            bands.iter().filter_map(move |band| {
                let servers = band.servers[at]?;
                Some(Self { day, name: band.name.clone(), servers, share: band.share[at] })
            })
        })
        .collect()
    }
}

/// Takes what the active servers are divided by, which is their releases unless it is given.
pub(crate) fn take_division(given: &mut Parameters) -> Result<Division, Problem> {
    let by = given.take("by", "release or version", |text| match text {
        "release" => Some(Division::Release),
        "version" => Some(Division::Version),
        _ => None,
    })?;
    Ok(by.unwrap_or(Division::Release))
}

const DAY: &str = "a day such as 2027-01-31";

/// A day as ISO 8601 writes it, and in no other way that the parser knows.
fn day(text: &str) -> Option<Date> {
    let is_plain = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    is_plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_file_leaves_out_what_was_not_counted() {
        use crate::receiver::store::{CensusDay, CensusPoint, FirstDays};
        let period = Period { from: date(2027, 1, 1), to: date(2027, 1, 3) };
        let counted = [1, 3].map(|day| CensusDay { day: date(2027, 1, day), upgrades: 0 }).into();
        let point = CensusPoint { day: date(2027, 1, 3), release: "1.0".to_owned(), version: None, count: 4 };
        let answers = Answers { counted, points: vec![point], rows: Vec::new(), first: FirstDays::default() };
        let rows = BandDay::all_of(&Adoption::of(period, &answers));
        let rows: Vec<_> = rows.iter().map(|row| (row.day.day(), row.servers, row.share)).collect();
        assert_eq!(rows, [(1, 0, None), (3, 4, Some(1.0))]);
    }

    #[test]
    fn a_day_is_year_month_and_day() {
        assert_eq!(day("2027-02-28"), Some(date(2027, 2, 28)));
        assert_eq!(day("9999-12-31"), Some(Date::MAX));
        for text in
            ["", "2027-02-29", "20270228", "2027-2-28", "2027-W08-7", "2027-02-28T00", "+002027-02-28"]
        {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
