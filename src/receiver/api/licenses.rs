//! The licenses of the fleet: how many are valid, whose are not, license keys that servers share, licenses that were lost,
//! and the servers of a license key.

use std::cmp::Reverse;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, ServiceConfig};
use jiff::SignedDuration;
use serde::Serialize;
use tokio::try_join;
use uuid::Uuid;

use super::changes::ChangeRow;
use super::instances::{InstancePage, InstanceRow};
use super::moment::Moment;
use crate::receiver::app::App;
use crate::receiver::http::parameters::{LIMIT, Parameters};
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::query::instances::{HASH_RULE, InstanceQuery, read_hash};
use crate::receiver::store::{Counted, FleetChange, Group, KeyLicenses, License, SharedLicense, State};
use crate::receiver::store_handle::QUERY_LIMIT;

/// Number of shared keys that are listed.
const SHOWN_SHARED: i64 = 50;

/// Number of keys of the webhook that are listed.
const SHOWN_KEYS: i64 = 50;

/// Number of lost licenses that are listed.
const SHOWN_LOST: i64 = 100;

/// For how long a lost license is listed.
const LOST_WITHIN: SignedDuration = SignedDuration::from_hours(7 * 24);

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/licenses").get(show).mount(config);
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<Json<Licenses>, Problem> {
    Ok(Json(Licenses::ask(&app, LicenseQuery::read(Parameters::parse(request.query_string())?)?).await?))
}

/// The parameters of a query for licenses.
pub(crate) struct LicenseQuery {
    /// The first digits of the hash of a key that is looked for.
    pub(crate) hash: Option<String>,
}

impl LicenseQuery {
    pub(crate) fn read(mut given: Parameters) -> Result<Self, Problem> {
        let hash = given.take("hash", HASH_RULE, read_hash)?;
        given.finish()?;
        Ok(Self { hash })
    }
}

/// What is known of the licenses of the instances. The numbers and the shared keys are of those that have not ended.
#[derive(Serialize)]
pub(crate) struct Licenses {
    /// When the numbers were counted.
    pub(crate) now: Moment,
    pub(crate) valid: i64,
    pub(crate) invalid: i64,
    pub(crate) none: i64,
    /// Number of all instances, those included that ended.
    #[serde(skip)]
    pub(crate) total: i64,
    /// Number of keys that several instances report.
    pub(crate) shared_total: i64,
    /// Those of most instances.
    pub(crate) shared: Vec<SharedRow>,
    /// Number of keys of the webhook with instances that have no valid license.
    pub(crate) keys_total: i64,
    /// Those with most of them.
    pub(crate) keys: Vec<KeyLicensesRow>,
    /// Number of licenses that were lost within seven days.
    pub(crate) lost_total: i64,
    /// The latest of them.
    pub(crate) lost: Vec<LostRow>,
    /// The instances of the key that is looked for.
    pub(crate) found: Option<InstancePage>,
}

/// A key that several instances report.
#[derive(Serialize)]
pub(crate) struct SharedRow {
    pub(crate) hash: String,
    pub(crate) servers: i64,
    /// The first of them.
    pub(crate) named: Vec<NamedRow>,
}

/// An instance by its names.
#[derive(Serialize)]
pub(crate) struct NamedRow {
    pub(crate) instance_id: Uuid,
    pub(crate) custom_id: Option<String>,
    pub(crate) key_id: Uuid,
    /// `None` where the key is revoked, or where an earlier version stored the event.
    pub(crate) key_name: Option<String>,
}

/// The licenses of the instances of a key of the webhook.
#[derive(Serialize)]
pub(crate) struct KeyLicensesRow {
    pub(crate) key_id: Uuid,
    /// `None` where the key is revoked, or where an earlier version stored the event.
    pub(crate) key_name: Option<String>,
    pub(crate) invalid: i64,
    pub(crate) none: i64,
    /// Number of all its instances that have not ended.
    pub(crate) servers: i64,
}

/// A license that was lost.
#[derive(Serialize)]
pub(crate) struct LostRow {
    #[serde(flatten)]
    pub(crate) change: ChangeRow,
    /// What it is by now.
    pub(crate) license: License,
}

impl Licenses {
    pub(crate) async fn ask(app: &App, asked: LicenseQuery) -> Result<Self, Problem> {
        let tally = app.counts.tally().await?;
        let since = app.now().saturating_sub(LOST_WITHIN).unwrap_or(app.now());
        let lists = app.store.ask(QUERY_LIMIT, move |store| async move {
            let shared = store.shared_licenses(SHOWN_SHARED).await?;
            let keys = store.unlicensed_keys(SHOWN_KEYS).await?;
            Ok((shared, keys, store.lost_licenses(since, SHOWN_LOST).await?))
        });
        let lists = async { lists.await.map_err(Problem::from) };
        let found = async {
            let Some(hash) = asked.hash else { return Ok(None) };
            let of_key = InstanceQuery { license_hash: Some(hash), limit: LIMIT, ..InstanceQuery::default() };
            InstancePage::ask(app, &of_key).await.map(Some)
        };
        let ((shared, keys, lost), found) = try_join!(lists, found)?;
        let count = |license| count(&tally.groups, license);
        let keys_total = keys.total;
        let mut keys = rows(keys, |key| KeyLicensesRow::of(key, app));
        // Of equal ones people look for a name.
        keys.sort_by_cached_key(|key| (Reverse((key.invalid, key.none)), key.key_name.clone(), key.key_id));
        Ok(Self {
            now: Moment(tally.at),
            valid: count(License::Valid),
            invalid: count(License::Invalid),
            none: count(License::None),
            total: tally.states().total(),
            shared_total: shared.total,
            shared: SharedRow::all_of(app, shared.rows).await?,
            keys_total,
            keys,
            lost_total: lost.total,
            lost: rows(lost, |change| LostRow::of(change, app)),
            found,
        })
    }
}

/// Number of the instances with such a license that have not ended.
pub(crate) fn count(groups: &[Group], license: License) -> i64 {
    let is_counted = |group: &&Group| group.license == license && group.state != State::Ended;
    groups.iter().filter(is_counted).map(|group| group.count).sum()
}

fn rows<Found, Row>(counted: Counted<Found>, row: impl Fn(Found) -> Row) -> Vec<Row> {
    counted.rows.into_iter().map(row).collect()
}

impl SharedRow {
    /// Those of `shared`, with the keys of the webhook that the instances belong to by now.
    async fn all_of(app: &App, shared: Vec<SharedLicense>) -> Result<Vec<Self>, Problem> {
        let ids = shared.iter().flat_map(|shared| &shared.named).map(|(id, _)| *id).collect();
        let found = InstanceRow::all_of(app, ids).await?;
        // One that was forgotten meanwhile is not named.
        let named = |(instance_id, custom_id)| {
            let row = found.get(&instance_id)?;
            Some(NamedRow { instance_id, custom_id, key_id: row.key_id, key_name: row.key_name.clone() })
        };
        let row = |SharedLicense { hash, servers, named: of }| Self {
            hash,
            servers,
            named: of.into_iter().filter_map(named).collect(),
        };
        Ok(shared.into_iter().map(row).collect())
    }
}

impl KeyLicensesRow {
    fn of(KeyLicenses { key_id, invalid, none, servers }: KeyLicenses, app: &App) -> Self {
        Self { key_id, key_name: app.keys.name_of(key_id), invalid, none, servers }
    }
}

impl LostRow {
    fn of(change: FleetChange, app: &App) -> Self {
        let license = change.license;
        Self { change: ChangeRow::of(change, app), license }
    }
}
